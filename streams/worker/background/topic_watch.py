"""Checks the topics, and the offsets that are read, while a worker runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from kafka import TopicPartition

from streams.brokers.clients import Reader
from streams.brokers.connection import UNCOMMITTED
from streams.brokers.reading import Cancelled, records_between
from streams.brokers.retrying_consumer import TIMEOUT_MS, RetryingConsumer
from streams.brokers.topics import check_topics, topic_ids
from streams.configuration.kafka import KafkaSettings
from streams.process.background_thread import BackgroundThread
from streams.worker.engine.gaps import Gap, Gaps
from streams.worker.engine.partition import Position
from streams.worker.engine.standing_checks import ANOTHER, created_again, is_another
from streams.worker.metrics import Metrics

CHECK_S = 10.0
"""Interval between two checks, in seconds."""

log = logging.getLogger(__name__)


class TopicWatch(BackgroundThread):
    """A thread that repeats the checks of the start, and asks Kafka about the ``gaps`` in the offsets that were read.

    ``leave`` is called with one line if a topic ends before the ``positions`` up to which it was read, or was created
    again.

    A gap that holds only marks of transactions is no loss, and the reader reports a batch that cannot be read. Between
    two batches the client continues where the first one ends. So there only retention can lose records.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        window_days: int,
        metrics: Metrics,
        *,
        gaps: Gaps,
        positions: Callable[[], Sequence[Position]],
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
        self._explain(consumer)
        faults = check_topics(self._kafka, self._window_days)
        for fault in faults:
            if fault not in self._faults:
                log.error("%s", fault)
        if self._faults and not faults:
            log.info("the topics are good again")
        self._faults = faults
        self._metrics.topic_faults(len(faults))

    def _compare(self, consumer: Reader, positions: Sequence[Position]) -> None:
        """Leave if a topic was created again: the client would drop its records without an error."""
        names = {each.topic: self._kafka.topic(each.topic) for each in positions}
        present = topic_ids(self._kafka, list(names.values())) if names else {}
        read = {TopicPartition(names[each.topic], each.partition): each for each in positions}
        ends = consumer.end_offsets(list(read), timeout_ms=TIMEOUT_MS)
        for at, position in read.items():
            problem = f"ends at offset {ends[at]}, but was read up to {position.offset}"
            if ends[at] < position.offset:
                self._leave(created_again(at.topic, at.partition, problem))
            elif is_another(position.topic_id, present.get(at.topic, "")):
                self._leave(created_again(at.topic, at.partition, ANOTHER))

    def _explain(self, consumer: Reader) -> None:
        """Report the records of the gaps that are lost."""
        gaps = self._gaps.take()
        try:
            ats = {gap.partition: TopicPartition(self._kafka.topic("incidents"), gap.partition) for gap in gaps}
            begins = consumer.beginning_offsets(list(ats.values()), timeout_ms=TIMEOUT_MS) if gaps else {}
            lost = set[int]()  # by partition: behind the start, retention removes one stretch
            while gaps:
                gap, at = gaps[0], ats[gaps[0].partition]
                if begins[at] <= gap.first:
                    if gap.is_at_start and self._has_records(consumer, at, gap):
                        self._report(gap.first, gap.following, at, "the client passed over them")
                elif gap.is_at_start or gap.partition not in lost:
                    following = min(begins[at], gap.following)
                    self._report(gap.first, following, at, "retention removed them before they were read")
                    lost |= set() if gap.is_at_start else {gap.partition}
                del gaps[0]
        finally:
            self._gaps.put_back(gaps)

    def _has_records(self, consumer: Reader, at: TopicPartition, gap: Gap) -> bool:
        consumer.assign([at])
        return any(True for _ in records_between(consumer, at, gap.first, gap.following, self._stopping))

    def _report(self, first: int, following: int, at: TopicPartition, why: str) -> None:
        log.error("%s, partition %d: offsets %d to %d are lost: %s", at.topic, at.partition, first, following - 1, why)
        self._metrics.missed(at.topic, following - first)
