"""The last scan record of each area of a partition."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar

import msgspec
from kafka import TopicPartition

from streams.area_log.records import LogError
from streams.brokers.clients import Reader
from streams.brokers.reading import records_between, records_from_end
from streams.configuration.kafka import KafkaSettings
from streams.messages.scan import (
    PartitionRecord,
    ScanRecord,
    decode_partition,
    decode_scan,
    is_of_another_version,
    partition_key,
)

ADVICE = "`hotspots copy-inputs` makes topics from which a worker derives everything again"
"""What to do if a log lacks what a worker needs."""


T = TypeVar("T")


log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """How far a partition is processed.

    ``own``: the partition record, brought up to date.
    ``scans``: the last scan record of each area of the partition that has one.
    """

    own: PartitionRecord
    scans: dict[str, ScanRecord]

    @property
    def is_new(self) -> bool:
        """Whether nothing of the partition is recorded yet."""
        return self.own.previous < 0 and not self.own.scans

    @property
    def read_from(self) -> int:
        """The offset of ``incidents`` below which a scan record covers every record."""
        if self.own.read_from is not None:
            return self.own.read_from
        return min((each.next_offset for each in self.scans.values()), default=self.own.next_offset)


def last_records(
    consumer: Reader, kafka: KafkaSettings, partition: int, areas: Collection[str], cancelled: threading.Event
) -> Standing:
    """Return how far a partition is processed, by its last committed records.

    It reads backwards from the end to the beginning of the last transaction. The last record of that transaction is the
    partition record. It states where the transaction begins, and the offsets of older scan records, which are then
    fetched. ``consumer`` reads committed records and has no group; its assignment changes.

    Raises:
        Cancelled: ``cancelled`` is set.
        KafkaError: Kafka cannot be reached, refuses, or delivered no record for a long time.
        LogError: A scan record was written by another version, or is missing.
    """
    scans_log = TopicPartition(kafka.topic("scans"), partition)
    own, offsets, scans = PartitionRecord(), dict[str, int](), dict[str, ScanRecord]()
    own_offset = -1
    for record in records_from_end(consumer, scans_log, cancelled):
        if own_offset >= 0 and record.offset <= own.previous:
            break
        area = (record.key or b"").decode(errors="replace")
        if record.key == partition_key(partition):
            if own_offset < 0 and (read := _read(record, decode_partition)) is not None:
                own, own_offset = read, record.offset
        elif area not in offsets and (scan := _read(record, decode_scan)) is not None:
            offsets[area], scans[area] = record.offset, scan
    if own.previous >= own_offset >= 0:
        problem = f"offset {own_offset}: names a record at offset {own.previous}"
        raise LogError(f"{scans_log.topic}, partition {partition}, {problem}; the topic was created again. {ADVICE}")
    begin, end = consumer.beginning_offsets([scans_log])[scans_log], consumer.end_offsets([scans_log])[scans_log]
    offsets = own.scans | offsets
    for area, offset in offsets.items():
        if area in areas and area not in scans:
            is_there = begin <= offset < end
            found = records_between(consumer, scans_log, offset, offset + 1, cancelled) if is_there else iter(())
            record = next(found, None)
            if record is None or record.key != area.encode():
                problem = f"lacks offset {offset}, the last record of area {area}"
                raise LogError(f"{scans_log.topic}, partition {partition}: {problem}. {ADVICE}")
            if (scan := _read(record, decode_scan)) is not None:
                scans[area] = scan
    wanted = {area: record for area, record in scans.items() if area in areas}
    return Standing(msgspec.structs.replace(own, scans=offsets, previous=own_offset), wanted)


def _read(record: Any, decode: Callable[[bytes], T]) -> T | None:
    """Return the content of a record; None if another program wrote it.

    Raises:
        LogError: The record is the monitor's own, but of a version that this program cannot read.
    """
    where = f"{record.topic}, partition {record.partition}, offset {record.offset}"
    try:
        return decode(record.value or b"")
    except msgspec.DecodeError as error:
        if is_of_another_version(record.value):
            raise LogError(f"{where}: a scan record of another version ({error})") from None
        log.error("%s: not a scan record, left out: %s", where, error)
        return None
