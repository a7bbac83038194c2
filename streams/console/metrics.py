"""Metrics of the console."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import CollectorRegistry

from streams.process.metric import Counter, Gauge, ProcessMetrics

ResponseOutcome = Literal["accepted", "refused"]
"""Outcomes of sending a response to Kafka."""

Closed = Literal["slow", "displaced", "refused"]
"""Why a connection was closed early: slow client, displaced by a new connection, or no other could be displaced."""

Unreadable = Literal["alert", "change", "heartbeat", "usual"]
"""Kinds of values in Redis: an alert, an entry of a Redis stream of changes, a heartbeat, the usual intensity."""

VIEWERS = Gauge("hotspots_console_viewers", "Open event streams: one for each page that is open.", ())
REDIS_UP = Gauge("hotspots_console_redis_up", "1 while the console can read the alerts in Redis, else 0.", ())
CLOSED = Counter(
    "hotspots_console_connections_closed_total",
    "Connections closed early, by reason: slow (the client kept the console waiting), displaced by a new one, or "
    "refused because every other one was in use.",
    ("reason",),
)
RESPONSES = Counter(
    "hotspots_console_answers_total",
    "Responses of operators, by outcome: accepted by Kafka, or refused (also while Kafka is away).",
    ("outcome",),
)
UNREADABLE = Counter(
    "hotspots_console_unreadable_total",
    "Times that a value in Redis could not be read and was left out, by its kind: alert, change, heartbeat or usual.",
    ("kind",),
)
CONSOLE_METRICS = (VIEWERS, REDIS_UP, CLOSED, RESPONSES, UNREADABLE)


class ConsoleMetrics(ProcessMetrics):
    """The metrics of one console, in a separate registry; every count begins at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry, CONSOLE_METRICS)
        for outcome in get_args(ResponseOutcome):
            self.of(RESPONSES).labels(outcome)
        for reason in get_args(Closed):
            self.of(CLOSED).labels(reason)
        for kind in get_args(Unreadable):
            self.of(UNREADABLE).labels(kind)

    def viewers(self, number: int) -> None:
        """Show how many event streams are open."""
        self.of(VIEWERS).set(number)

    def redis(self, is_up: bool) -> None:
        """Show whether Redis can be read."""
        self.of(REDIS_UP).set(is_up)

    def closed(self, reason: Closed) -> None:
        """Count a connection that was closed early."""
        self.of(CLOSED).labels(reason).inc()

    def unreadable(self, kind: Unreadable) -> None:
        """Count a value in Redis that could not be read."""
        self.of(UNREADABLE).labels(kind).inc()

    def response(self, outcome: ResponseOutcome) -> None:
        """Count a response of an operator."""
        self.of(RESPONSES).labels(outcome).inc()
