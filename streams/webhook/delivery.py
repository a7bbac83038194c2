"""One delivery: a notification goes to the on-call tool, or, if the tool refuses it, to ``alerts.undelivered``."""

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
from streams.webhook.known_alerts import KnownAlerts
from streams.webhook.metrics import WebhookMetrics
from streams.webhook.notification import Notification, notification

log = logging.getLogger(__name__)


class Delivery:
    """Delivers one record at a time, or gives it up. ``undelivered``: the topic for records that are given up."""

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
        self, record: ConsumerRecord, feature: AlertFeature, known: KnownAlerts, *, found_late: bool = False
    ) -> None:
        """Post a revision, and note in ``known`` what the tool knows. The end of an unknown alert is left out."""
        alert = feature.properties
        is_over = alert.state in TERMINAL
        if is_over and not known.has(alert):
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
            known.remove(alert)
        else:
            known.add(alert, time.time())  # also after a time-out: the notification may have arrived

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
