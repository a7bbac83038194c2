"""Figures of the console, declared as those of the worker are."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics

from streams.process.metric import Declared

Taken = Literal["taken", "refused"]
"""What Kafka does with an answer."""

CONSOLE_DECLARED = (
    Declared("hotspots_console_viewers", "gauge", "Event streams that are open: one for each page that is open.", ()),
    Declared("hotspots_console_redis_up", "gauge", "1 while the console can read the alerts in Redis, else 0.", ()),
    Declared(
        "hotspots_console_answers_total",
        "counter",
        "Answers that operators gave, by what Kafka did with them: taken or refused, also for being away.",
        ("outcome",),
    ),
)


class ConsoleMetrics:
    """The figures of one console, in a registry of their own; every count begins at 0."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter
        viewers, redis, answers = CONSOLE_DECLARED
        self.registry = CollectorRegistry()
        self._viewers = Gauge(viewers.name, viewers.meaning, registry=self.registry)
        self._redis = Gauge(redis.name, redis.meaning, registry=self.registry)
        self._answers = Counter(answers.name, answers.meaning, answers.labels, registry=self.registry)
        for outcome in get_args(Taken):
            self._answers.labels(outcome)
        ProcessCollector(registry=self.registry)

    def viewers(self, number: int) -> None:
        """So many event streams are open."""
        self._viewers.set(number)

    def redis(self, is_up: bool) -> None:
        """Redis can be read, or cannot."""
        self._redis.set(is_up)

    def answered(self, outcome: Taken) -> None:
        """An operator has given an answer."""
        self._answers.labels(outcome).inc()
