"""What is asked of Kafka about gaps, and what becomes of them when it does not answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from streams.brokers.clients import Reader
from streams.configuration.kafka import KafkaSettings
from streams.worker.background.topic_watch import TopicWatch
from streams.worker.engine.gaps import Gap, Gaps
from streams.worker.metrics import Metrics


class Log:
    """A reader of a log that begins at an offset, or does not answer; it counts the questions."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.asked = 0
        self.is_away = False

    def beginning_offsets(
        self, partitions: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.is_away:
            raise KafkaTimeoutError("no answer")
        return dict.fromkeys(partitions, self.begin)


class Bench:
    def __init__(self, begin: int) -> None:
        self.gaps = Gaps()
        self.log = Log(begin)
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.watch = TopicWatch(KafkaSettings(), 7, metrics, gaps=self.gaps, positions=list, leave=lambda _: None)

    def explain(self) -> float:
        """Let the gaps be explained; return the number of records missed so far."""
        self.watch._explain(cast(Reader, self.log))
        return self.registry.get_sample_value("hotspots_missed_records_total", {"topic": "incidents"}) or 0.0


def test_a_feed_in_transactions_costs_one_question() -> None:
    bench = Bench(begin=0)
    for offset in range(0, 10_000, 2):
        bench.gaps.note(Gap(offset % 3, offset, offset + 1, False))
    assert bench.explain() == 0
    assert (bench.log.asked, bench.gaps.take()) == (1, [])


def test_what_retention_removed_is_found_among_the_marks_of_transactions() -> None:
    bench = Bench(begin=90)
    for first, following in ((10, 11), (20, 90), (95, 96)):
        bench.gaps.note(Gap(0, first, following, False))
    assert bench.explain() == 70
    assert bench.explain() == 70


def test_a_gap_that_could_not_be_explained_is_explained_later() -> None:
    bench = Bench(begin=50)
    bench.gaps.note(Gap(0, 10, 50, False))
    bench.gaps.note(Gap(1, 0, 7, True))
    bench.log.is_away = True
    for _ in range(2):
        with pytest.raises(KafkaTimeoutError):
            bench.explain()
    bench.log.is_away = False
    assert bench.explain() == 40 + 7


def test_nothing_is_asked_without_a_gap() -> None:
    bench = Bench(begin=0)
    assert (bench.explain(), bench.log.asked) == (0, 0)
