"""Figures of the process that posts alerts to a webhook, declared as those of the worker are."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics

from streams.process.metric import Declared
from streams.webhook.dead_letter import UndeliveredReason
from streams.webhook.notification import Status

WEBHOOK_DECLARED = (
    Declared(
        "hotspots_webhook_delivered_total",
        "counter",
        "Notifications that the webhook has taken, by what they said: firing or resolved.",
        ("state",),
    ),
    Declared(
        "hotspots_webhook_failed_total",
        "counter",
        "Attempts to deliver a notification that have failed, by reason; most are repeated.",
        ("reason",),
    ),
    Declared(
        "hotspots_webhook_dead_letters_total",
        "counter",
        "Notifications that were given up and written to alerts.undelivered, by reason.",
        ("reason",),
    ),
    Declared(
        "hotspots_webhook_lag_records",
        "gauge",
        "Records of the topic alerts, in the process's partitions, that are neither delivered nor passed over yet.",
        (),
    ),
)


class WebhookMetrics:
    """The figures of one process, registered in ``registry``; every count begins at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter
        delivered, failed, dead, lag = WEBHOOK_DECLARED
        self._delivered, self._failed, self._dead = (
            Counter(each.name, each.meaning, each.labels, registry=registry) for each in (delivered, failed, dead)
        )
        self._lag = Gauge(lag.name, lag.meaning, registry=registry)
        for status in get_args(Status):
            self._delivered.labels(status)
        for reason in get_args(UndeliveredReason):
            self._failed.labels(reason)
            self._dead.labels(reason)
        ProcessCollector(registry=registry)

    def delivered(self, status: Status) -> None:
        """A notification was taken."""
        self._delivered.labels(status).inc()

    def failed(self, reason: UndeliveredReason) -> None:
        """An attempt has failed."""
        self._failed.labels(reason).inc()

    def dead_letter(self, reason: UndeliveredReason) -> None:
        """A notification was given up, and its dead letter is in Kafka."""
        self._dead.labels(reason).inc()

    def lag(self, records: int) -> None:
        """So many records are still to be looked at, or on their way."""
        self._lag.set(records)
