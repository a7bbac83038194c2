"""Metrics of the process that posts alerts to a webhook."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry

from streams.process.metric import Counter, Gauge, ProcessMetrics
from streams.webhook.dead_letter import UndeliveredReason
from streams.webhook.notification import Status

DELIVERED = Counter(
    "hotspots_webhook_delivered_total",
    "Notifications that the webhook accepted, by their status: firing or resolved.",
    ("state",),
)
FAILED = Counter(
    "hotspots_webhook_failed_total",
    "Attempts to deliver a notification that failed, by reason; most are repeated.",
    ("reason",),
)
DEAD_LETTERS = Counter(
    "hotspots_webhook_dead_letters_total",
    "Notifications that were given up and written to alerts.undelivered, by reason.",
    ("reason",),
)
LAG = Gauge(
    "hotspots_webhook_lag_records",
    "Records of the topic alerts, in the process's partitions, that are neither delivered nor passed over yet.",
    (),
)
UNREADABLE = Counter(
    "hotspots_webhook_unreadable_records_total",
    "Offsets that the webhook passed over, because the batch there cannot be decoded, by topic.",
    ("topic",),
)
LATE = Gauge(
    "hotspots_webhook_late_alerts",
    "Open alerts that were found while the worker catches up; the tool is notified once it has.",
    (),
)
WEBHOOK_METRICS = (DELIVERED, FAILED, DEAD_LETTERS, LAG, LATE, UNREADABLE)


class WebhookMetrics(ProcessMetrics):
    """The metrics of one webhook process in ``registry``; every count begins at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, WEBHOOK_METRICS)
        for status in get_args(Status):
            self.of(DELIVERED).labels(status)
        for reason in get_args(UndeliveredReason):
            self.of(FAILED).labels(reason)
            self.of(DEAD_LETTERS).labels(reason)

    def delivered(self, status: Status) -> None:
        """Count a notification that was accepted."""
        self.of(DELIVERED).labels(status).inc()

    def failed(self, reason: UndeliveredReason) -> None:
        """Count an attempt that failed."""
        self.of(FAILED).labels(reason).inc()

    def dead_letter(self, reason: UndeliveredReason) -> None:
        """Count a notification that was given up, whose dead letter is in Kafka."""
        self.of(DEAD_LETTERS).labels(reason).inc()

    def unreadable(self, topic: str, offsets: int) -> None:
        """Count offsets of a topic that were passed over; with 0, only show the counter."""
        self.of(UNREADABLE).labels(topic).inc(offsets)

    def lag(self, records: int) -> None:
        """Show how many records are not done yet."""
        self.of(LAG).set(records)

    def late(self, alerts: int) -> None:
        """Show how many alerts wait for the worker to catch up."""
        self.of(LATE).set(alerts)
