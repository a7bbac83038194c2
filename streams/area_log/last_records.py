"""The last scan record of each area of a partition."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection
from typing import NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from streams.brokers.reading import records_between
from streams.configuration.kafka import KafkaSettings
from streams.messages.scan import PartitionRecord, ScanRecord, decode_partition, decode_scan, partition_key

FIRST_STEP = 64
"""Records that the first step backwards reads; each step doubles."""


class Standing(NamedTuple):
    """A partition's own record, up to date, and the last scan record of each of its areas that has one."""

    own: PartitionRecord
    scans: dict[str, ScanRecord]


def last_records(
    consumer: KafkaConsumer, kafka: KafkaSettings, partition: int, areas: Collection[str], cancelled: threading.Event
) -> Standing:
    """Return where a partition stands by its last committed records.

    Reads backwards from the end, in steps that double, to the beginning of the last transaction. The partition's own
    record, the last of that transaction, names it, and the offsets of older scan records, which are fetched there.
    ``consumer`` reads committed records and has no group; its assignment changes.

    Raises:
        Cancelled: ``cancelled`` is set.
        StalledError: Kafka gave no record for a long time.
    """
    log = TopicPartition(kafka.topic("scans"), partition)
    consumer.assign([log])
    first = consumer.beginning_offsets([log])[log]
    end = consumer.end_offsets([log])[log]
    own, offsets, scans = PartitionRecord(), dict[str, int](), dict[str, ScanRecord]()
    start, step = end, FIRST_STEP
    own_offset = -1
    while start > first:
        before, start = start, max(first, start - step)
        step *= 2
        for record in records_between(consumer, log, start, before, cancelled):
            area = record.key.decode()
            if record.key == partition_key(partition):
                if record.offset > own_offset:
                    own, own_offset = decode_partition(record.value), record.offset
            elif record.offset > offsets.get(area, -1):
                offsets[area], scans[area] = record.offset, decode_scan(record.value)
        if own_offset >= 0:
            first = max(first, own.previous + 1)
    offsets = own.scans | offsets
    for area, offset in offsets.items():
        if area in areas and area not in scans:
            (record,) = itertools.islice(records_between(consumer, log, offset, offset + 1, cancelled), 1)
            scans[area] = decode_scan(record.value)
    wanted = {area: record for area, record in scans.items() if area in areas}
    return Standing(msgspec.structs.replace(own, scans=offsets, previous=own_offset), wanted)
