"""The last scan record of each area of a partition."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import msgspec
from kafka import TopicPartition

from streams.area_log.records import LogError
from streams.brokers.clients import Reader
from streams.brokers.reading import records_between
from streams.configuration.kafka import KafkaSettings
from streams.messages.scan import PartitionRecord, ScanRecord, decode_partition, decode_scan, partition_key
from streams.process.strict_json import StrictDecoder

FIRST_STEP = 64
"""Number of records that the first step backwards reads. Each step reads twice as many as the one before."""


T = TypeVar("T")


class _Digested(msgspec.Struct):
    area: str
    digest: str


_digested = StrictDecoder[_Digested](_Digested)

log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """How far a partition is processed.

    ``own``: the partition's own record, brought up to date.
    ``scans``: the last scan record of each of its areas that has one.
    """

    own: PartitionRecord
    scans: dict[str, ScanRecord]


def last_records(
    consumer: Reader, kafka: KafkaSettings, partition: int, areas: Collection[str], cancelled: threading.Event
) -> Standing:
    """Return how far a partition is processed, by its last committed records.

    It reads backwards from the end, in steps that double, to the beginning of the last transaction. The last record of
    that transaction is the partition's own. It names where the transaction begins, and the offsets of older scan
    records, which are then fetched. ``consumer`` reads committed records and has no group; its assignment changes.

    Raises:
        Cancelled: ``cancelled`` is set.
        StalledError: Kafka gave no record for a long time.
        LogError: A scan record was written by another version.
    """
    scans_log = TopicPartition(kafka.topic("scans"), partition)
    consumer.assign([scans_log])
    first = consumer.beginning_offsets([scans_log])[scans_log]
    end = consumer.end_offsets([scans_log])[scans_log]
    own, offsets, scans = PartitionRecord(), dict[str, int](), dict[str, ScanRecord]()
    start, step = end, FIRST_STEP
    own_offset = -1
    while start > first:
        before, start = start, max(first, start - step)
        step *= 2
        for record in records_between(consumer, scans_log, start, before, cancelled):
            area = (record.key or b"").decode(errors="replace")
            if record.key == partition_key(partition):
                if record.offset > own_offset and (read := _read(record, decode_partition)) is not None:
                    own, own_offset = read, record.offset
            elif record.offset > offsets.get(area, -1) and (scan := _read(record, decode_scan)) is not None:
                offsets[area], scans[area] = record.offset, scan
        if own_offset >= 0:
            first = max(first, own.previous + 1)
    offsets = own.scans | offsets
    for area, offset in offsets.items():
        if area in areas and area not in scans:
            (record,) = itertools.islice(records_between(consumer, scans_log, offset, offset + 1, cancelled), 1)
            if (scan := _read(record, decode_scan)) is not None:
                scans[area] = scan
    wanted = {area: record for area, record in scans.items() if area in areas}
    return Standing(msgspec.structs.replace(own, scans=offsets, previous=own_offset), wanted)


def _read(record: Any, decode: Callable[[bytes], T]) -> T | None:
    """Return what a record holds; None if it is not one of ours.

    Raises:
        LogError: It is one of ours, of a version that this program cannot read.
    """
    where = f"{record.topic}, partition {record.partition}, offset {record.offset}"
    try:
        return decode(record.value or b"")
    except msgspec.DecodeError as error:
        with suppress(msgspec.DecodeError):
            _digested.decode(record.value)
            raise LogError(f"{where}: a scan record of another version ({error})") from None
        log.error("%s: not a scan record, left out: %s", where, error)
        return None
