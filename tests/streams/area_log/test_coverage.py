"""Which revisions count, by the partition's own record."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.area_log.coverage import Coverage, covers
from streams.brokers.broker import Broker
from streams.brokers.retrying_consumer import TIMEOUT_MS, TIMEOUTS
from streams.configuration.kafka import KafkaSettings
from streams.messages.scan import PartitionRecord, encode, partition_key
from tests.streams.brokers.kept_log import KeptLog, kept

SCANS = TopicPartition("scans", 0)


@pytest.mark.parametrize(
    ("offset", "covered"),
    [(0, True), (4, True), (5, False), (6, False), (7, True), (9, False), (10, True), (11, None), (99, None)],
)
def test_what_is_covered_and_not_torn_counts(offset: int, covered: bool | None) -> None:
    own = PartitionRecord(next_alert=11, torn=((5, 7), (9, 10)))
    assert covers(own, offset) is covered


def test_everything_that_a_former_version_wrote_counts() -> None:
    assert covers(PartitionRecord(), 10**9) is True


class KeptBroker(Broker):
    """Opens readers of one log, and notes their arguments."""

    def __init__(self, *values: bytes | None) -> None:
        self.records = [kept(SCANS, offset, partition_key(0), value) for offset, value in enumerate(values)]
        self.opened: list[KeptLog] = []
        self.arguments: dict[str, object] = {}

    def reader(self, kafka: KafkaSettings, **arguments: object) -> Any:
        self.arguments = arguments
        self.opened.append(KeptLog(SCANS, self.records))
        return self.opened[-1]


def test_a_strangers_record_hides_no_record_of_the_partition() -> None:
    broker = KeptBroker(encode(PartitionRecord(next_alert=5)), encode(PartitionRecord(next_alert=7)), b"{}x", None)
    coverage = Coverage(KafkaSettings(), broker)
    assert [coverage.covers(0, offset) for offset in (0, 6, 7)] == [True, True, None]


def test_nobody_waits_long_for_a_frozen_broker_and_the_next_question_opens_another_reader() -> None:
    broker = KeptBroker(encode(PartitionRecord(next_alert=5)))
    coverage = Coverage(KafkaSettings(), broker)
    assert coverage.covers(0, 4) and broker.arguments == TIMEOUTS
    (first,) = broker.opened
    first.is_frozen = True
    with pytest.raises(KafkaError):
        coverage.covers(0, 5)
    assert first.is_closed and set(first.waited) == {TIMEOUT_MS}
    broker.records.append(kept(SCANS, 1, partition_key(0), encode(PartitionRecord(next_alert=6))))
    assert coverage.covers(0, 5)
    assert len(broker.opened) == 2
