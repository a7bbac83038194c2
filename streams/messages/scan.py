"""The topic ``scans``: one record for every closed tick, each vouching for the one before it.

An area's last record is all that a restart needs beside the incidents themselves. Each transaction ends with a
record of the partition, whose key is ``#`` and its number: it says where the last record of every area lay before
that transaction, and where the transaction begins, so that a restart reads little however long the log is; and it
accounts for what belongs to no area.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detectors.monitor import Accounts, Checkpoint, ClosedTick
from streams.brokers.reading import Progress
from streams.configuration.load import KafkaSettings
from streams.messages.incident import Headers, tick_header

FIRST_STEP = 64
POLL_MS = 500
NO_DIGEST = ""

Raw = tuple[bytes | None, ...]
"""An input record as the chain of digests sees it: key, value, arrival and tick header, of :func:`raw`."""


class ScanRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A closed tick of an area.

    A response has a record of its own, which names the last closed tick, as it takes effect there.

    ``number``: the area's records are counted from 1. ``next_offsets``: by input topic, the first offset that is
    not in it; without ``responses`` there was none. ``revisions``: alert id, a full stop, the revision.
    ``configuration`` and ``calibration`` (empty for none): hashes of what the Monitor went by, both written in full
    in the topic ``settings``. ``is_silent``: the feed was.
    """

    area: str
    number: int = 0
    tick_s: int
    next_offsets: dict[str, int]
    lowest_offset: int
    streams: tuple[str, ...]
    revisions: tuple[str, ...]
    accounts: Accounts
    configuration: str
    checkpoint: Checkpoint
    calibration: str = ""
    is_silent: bool = False
    digest: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = NO_DIGEST

    def __post_init__(self) -> None:
        if "incidents" not in self.next_offsets:
            raise ValueError("next_offsets: lacks incidents, the offset up to which they are covered")

    @property
    def next_offset(self) -> int:
        """The first record of the topic ``incidents`` that this tick does not cover."""
        return self.next_offsets["incidents"]

    @property
    def next_response(self) -> int:
        """The first record of the topic ``responses`` after those that this record and those before it cover."""
        return self.next_offsets.get("responses", 0)

    @property
    def ids(self) -> Ids:
        """What the Monitor went by."""
        return Ids(self.configuration, self.calibration)


class Ids(NamedTuple):
    """Hashes of the configuration and of the calibration (empty for none) that a Monitor goes by."""

    configuration: str
    calibration: str


class PartitionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a partition stands.

    ``next_offset``: the first record of no area that is not yet rejected; ``rejected``: how many were, by reason;
    ``next_response``: the first record of the topic ``responses``, of whichever area, that did not yet take effect;
    ``scans``: by area, the offset in this topic of its last record before this transaction; ``previous``: that of the
    partition's own last record, -1 for none.
    """

    next_offset: int = 0
    next_response: int = 0
    rejected: dict[str, int] = {}
    scans: dict[str, int] = {}
    previous: int = -1


_encode = msgspec.json.Encoder().encode
_scan_record = msgspec.json.Decoder(ScanRecord)
_partition_record = msgspec.json.Decoder(PartitionRecord)


def scan_record(
    area: str, ids: Ids, closed: ClosedTick, previous: ScanRecord | None, inputs: Iterable[Raw]
) -> ScanRecord:
    """The record of a closed tick, linked to the area's ``previous`` one, None for the first.

    ``inputs``: each input record of the tick, or the response, by :func:`raw`.
    """
    next_offsets = {"incidents": closed.next_offset}
    next_response = previous.next_response if previous else 0
    if closed.response_offset is not None:
        next_response = closed.response_offset + 1
    if next_response:
        next_offsets["responses"] = next_response
    record = ScanRecord(
        area=area,
        number=1 if previous is None else previous.number + 1,
        tick_s=closed.tick_s,
        next_offsets=next_offsets,
        lowest_offset=closed.lowest_offset,
        streams=closed.streams,
        revisions=tuple(f"{alert.id}.{alert.revision}" for alert in closed.changes),
        accounts=closed.accounts,
        configuration=ids.configuration,
        calibration=ids.calibration,
        checkpoint=closed.checkpoint,
        is_silent=closed.is_silent,
    )
    return msgspec.structs.replace(record, digest=chain(previous.digest if previous else NO_DIGEST, inputs, record))


def chain(previous: str, inputs: Iterable[Raw], record: ScanRecord) -> str:
    """SHA-256 in hex over the previous digest, each input record, and the record without its digest.

    Every part is led by its length in 8 bytes, an absent one by 8 bytes of 255.
    """
    digest = hashlib.sha256(bytes.fromhex(previous))
    for each in inputs:
        for part in each:
            digest.update(b"\xff" * 8 if part is None else len(part).to_bytes(8, "big") + part)
    digest.update(_encode(msgspec.structs.replace(record, digest=NO_DIGEST)))
    return digest.hexdigest()


def raw(key: bytes | None, value: bytes | None, headers: Headers, timestamp_ms: int) -> Raw:
    """All of an input record that the Monitor can see: its other headers are nobody's business."""
    return key, value, str(timestamp_ms).encode(), None if value else tick_header(headers)


def encode(record: ScanRecord | PartitionRecord) -> bytes:
    """The value of a record of the topic, JSON."""
    return _encode(record)


def decode_scan(value: bytes) -> ScanRecord:
    """A record of an area; raises msgspec.ValidationError if it is none."""
    return _scan_record.decode(value)


def decode_partition(value: bytes) -> PartitionRecord:
    """A partition's record; raises msgspec.ValidationError if it is none."""
    return _partition_record.decode(value)


def partition_key(partition: int) -> bytes:
    """The key of a partition's own record; no area's name begins with ``#``."""
    return f"#{partition}".encode()


class Standing(NamedTuple):
    """A partition's own record, brought up to date, and the last scan record of each of its areas that has one."""

    own: PartitionRecord
    scans: dict[str, ScanRecord]


def last_records(
    consumer: KafkaConsumer, kafka: KafkaSettings, partition: int, areas: Collection[str], cancelled: threading.Event
) -> Standing:
    """Where a partition stands by its last committed records.

    Reads backwards from the end, in steps that double, to the beginning of the last transaction, which the partition's
    own record at its end tells; what lies further back is then fetched where that record says it is. ``consumer``
    reads committed records and has no group; its assignment is changed.

    Raises:
        Cancelled: ``cancelled`` was set meanwhile.
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


def records_between(
    consumer: KafkaConsumer, log: TopicPartition, start: int, end: int, cancelled: threading.Event
) -> Iterator[Any]:
    """The records from offset ``start`` to before ``end`` that the consumer may see; its position is changed.

    Raises:
        Cancelled: ``cancelled`` was set meanwhile.
        StalledError: Kafka gave no record for a long time.
    """
    consumer.seek(log, start)
    progress = Progress(f"{log.topic}, partition {log.partition}", cancelled)
    while (position := consumer.position(log)) < end:
        progress.at(position)
        for record in consumer.poll(timeout_ms=POLL_MS, max_records=end - start).get(log, ()):
            if record.offset < end:
                yield record
