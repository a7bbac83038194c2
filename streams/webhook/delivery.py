"""One delivery: a notification to the on-call tool, or what it refuses to ``alerts.undelivered``."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord

from detectors.alerts.lifecycle import TERMINAL
from streams.configuration.services import WebhookSettings
from streams.messages.alert import AlertFeature
from streams.webhook.client import UndeliverableError, WebhookClient
from streams.webhook.dead_letter import Undelivered
from streams.webhook.metrics import WebhookMetrics
from streams.webhook.notification import Notification, notification
from streams.webhook.told import Told

log = logging.getLogger(__name__)


class Delivery:
    """What delivers, or gives up, one record at a time. ``undelivered``: the topic for what is given up."""

    def __init__(
        self,
        settings: WebhookSettings,
        client: WebhookClient,
        producer: AIOKafkaProducer,
        undelivered: str,
        metrics: WebhookMetrics,
    ) -> None:
        self._settings = settings
        self._client = client
        self._producer = producer
        self._undelivered = undelivered
        self._metrics = metrics

    async def deliver(
        self, record: ConsumerRecord, feature: AlertFeature, told: Told, *, found_late: bool = False
    ) -> None:
        """Post a revision, and note in ``told`` what the tool knows. The end of an alert unknown to it is left out."""
        alert = feature.properties
        is_over = alert.state in TERMINAL
        if is_over and not told.has(alert):
            return
        notified = notification(feature, self._settings.receiver, self._settings.console_url, found_late=found_late)
        try:
            await self._client.post(notified.encode())
        except UndeliverableError as error:
            await self._bury(record, error, notified)
            if error.reason in ("refused", "throttled"):
                return
        else:
            self._metrics.delivered(notified.status)
        if is_over:
            told.remove(alert)
        else:
            told.add(alert, time.time())  # also if it may have arrived although nothing came back

    async def give_up(self, record: ConsumerRecord, unreadable: str) -> None:
        """Write a record that is no alert to ``alerts.undelivered``."""
        await self._bury(record, UndeliverableError("unreadable", unreadable, 0), None)

    async def _bury(self, record: ConsumerRecord, error: UndeliverableError, notified: Notification | None) -> None:
        letter = Undelivered(
            reason=error.reason,
            detail=error.detail,
            attempts=error.attempts,
            failed_at=datetime.now(UTC),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            notification=msgspec.UNSET if notified is None else notified,
        )
        await self._producer.send_and_wait(self._undelivered, letter.encode(), key=record.key)
        self._metrics.dead_letter(letter.reason)
        where = letter.partition, letter.offset, letter.attempts, letter.detail
        log.error("partition %d, offset %d is given up after %d attempts: %s", *where)
