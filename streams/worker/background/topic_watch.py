"""Checks the topics while a worker runs, and the offsets that it reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from kafka import TopicPartition

from streams.area_log.last_records import ADVICE
from streams.brokers.clients import Reader
from streams.brokers.connection import UNCOMMITTED
from streams.brokers.reading import Cancelled, records_between
from streams.brokers.retrying_consumer import TIMEOUT_MS, RetryingConsumer
from streams.brokers.topics import check_topics
from streams.configuration.kafka import KafkaSettings
from streams.process.background_thread import BackgroundThread
from streams.worker.engine.partition import Gap
from streams.worker.metrics import Metrics

CHECK_S = 10.0
"""Interval between two checks, in seconds."""

log = logging.getLogger(__name__)


class TopicWatch(BackgroundThread):
    """A thread that repeats the checks of the start, and asks Kafka about the ``gaps`` in what was read.

    ``leave`` is called with one line if the topic ends before the ``positions``, by partition, up to which it was read.

    A gap that holds marks of transactions only, or a batch that cannot be read, is no loss or is reported by the
    reader. Between two batches the client goes on where the former one ends; so there only retention loses records.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        window_days: int,
        metrics: Metrics,
        *,
        gaps: Callable[[], Iterable[Gap]],
        positions: Callable[[], Mapping[int, int]],
        leave: Callable[[str], None],
    ) -> None:
        super().__init__("topic-watch")
        self._kafka = kafka
        self._window_days = window_days
        self._metrics = metrics
        self._gaps = gaps
        self._positions = positions
        self._leave = leave
        self._faults: list[str] = []
        self._consumer = RetryingConsumer(
            kafka,
            log,
            fault="the topics cannot be checked",
            recovery="the topics are checked again",
            isolation_level=UNCOMMITTED["isolation_level"],
        )

    def fault(self) -> str | None:
        """Return the first fault that the last check found; None without one."""
        return self._faults[0] if self._faults else None

    def _run(self) -> None:
        with suppress(Cancelled):
            self._consumer.run(self._stopping, lambda _: None, self._check, CHECK_S)

    def _check(self, consumer: Reader) -> None:
        self._compare(consumer, self._positions())
        for gap in self._gaps():
            self._explain(consumer, gap)
        faults = check_topics(self._kafka, self._window_days)
        for fault in faults:
            if fault not in self._faults:
                log.error("%s", fault)
        if self._faults and not faults:
            log.info("the topics are good again")
        self._faults = faults
        self._metrics.topic_faults(len(faults))

    def _compare(self, consumer: Reader, positions: Mapping[int, int]) -> None:
        """Leave if the topic was created again: the client would drop its records without a word."""
        topic = self._kafka.topic("incidents")
        ends = consumer.end_offsets([TopicPartition(topic, number) for number in positions], timeout_ms=TIMEOUT_MS)
        for at, end in ends.items():
            if end < positions[at.partition]:
                read = f"ends at offset {end}, but was read up to {positions[at.partition]}"
                self._leave(f"{topic}, partition {at.partition}: {read}; the topic was created again. {ADVICE}")

    def _explain(self, consumer: Reader, gap: Gap) -> None:
        """Report the records of a gap that are lost."""
        at = TopicPartition(self._kafka.topic("incidents"), gap.partition)
        begin = consumer.beginning_offsets([at], timeout_ms=TIMEOUT_MS)[at]
        if begin > gap.first:
            self._report(gap.first, min(begin, gap.following), at, "retention removed them before they were read")
        elif gap.is_at_start:
            consumer.assign([at])
            if any(True for _ in records_between(consumer, at, gap.first, gap.following, self._stopping)):
                self._report(gap.first, gap.following, at, "the client passed over them")

    def _report(self, first: int, following: int, at: TopicPartition, why: str) -> None:
        log.error("%s, partition %d: offsets %d to %d are lost: %s", at.topic, at.partition, first, following - 1, why)
        self._metrics.missed(at.topic, following - first)
