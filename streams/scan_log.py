"""The topic ``scans``: one record for every closed tick, each vouching for the one before it.

An area's last record is all that a restart needs beside the incidents themselves. Records that belong
to no area are accounted for in a record of their partition, whose key is ``#`` and its number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detectors.monitor import Accounts, Checkpoint, ClosedTick
from streams.configuration import KafkaSettings

FIRST_STEP = 64
POLL_MS = 500
NO_DIGEST = ""

KeyAndValue = tuple[bytes | None, bytes | None]


class ScanRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A closed tick of an area.

    ``next_offsets``: by input topic, the first offset that is not in it. ``revisions``: alert id, a full
    stop, the revision. ``configuration``: hash of the settings, written in full in the topic ``settings``.
    """

    area: str
    tick_s: int
    next_offsets: dict[str, int]
    lowest_offset: int
    streams: tuple[str, ...]
    revisions: tuple[str, ...]
    accounts: Accounts
    configuration: str
    checkpoint: Checkpoint
    digest: str = NO_DIGEST

    @property
    def next_offset(self) -> int:
        """The first record of the topic ``incidents`` that this tick does not cover."""
        return self.next_offsets["incidents"]


class PartitionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a partition that belong to no area: the first one not yet rejected, and how many, by reason."""

    next_offset: int = 0
    rejected: dict[str, int] = {}


_encode = msgspec.json.Encoder().encode
_scan_record = msgspec.json.Decoder(ScanRecord)
_partition_record = msgspec.json.Decoder(PartitionRecord)


def scan_record(
    area: str, configuration: str, closed: ClosedTick, previous: str, raw: Iterable[KeyAndValue]
) -> ScanRecord:
    """The record of a closed tick, linked to the digest of the area's previous one.

    ``raw``: key and value of each input record of the tick.
    """
    record = ScanRecord(
        area=area,
        tick_s=closed.tick_s,
        next_offsets={"incidents": closed.next_offset},
        lowest_offset=closed.lowest_offset,
        streams=closed.streams,
        revisions=tuple(f"{alert.id}.{alert.revision}" for alert in closed.changes),
        accounts=closed.accounts,
        configuration=configuration,
        checkpoint=closed.checkpoint,
    )
    return msgspec.structs.replace(record, digest=chain(previous, raw, record))


def chain(previous: str, raw: Iterable[KeyAndValue], record: ScanRecord) -> str:
    """SHA-256 in hex over the previous digest, key and value of each input record, and the record without its digest.

    Every part is led by its length in 8 bytes, an absent one by 8 bytes of 255.
    """
    digest = hashlib.sha256(bytes.fromhex(previous))
    for each in raw:
        for part in each:
            digest.update(b"\xff" * 8 if part is None else len(part).to_bytes(8, "big") + part)
    digest.update(_encode(msgspec.structs.replace(record, digest=NO_DIGEST)))
    return digest.hexdigest()


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


def last_values(
    consumer: KafkaConsumer, kafka: KafkaSettings, partition: int, keys: Collection[bytes]
) -> dict[bytes, bytes]:
    """The last committed value of each key in one partition of the topic; a key without one is absent.

    Reads backwards from the end, in steps that double, so that it costs nothing to have a long log.
    ``consumer`` reads committed records and has no group; its assignment is changed.
    """
    log = TopicPartition(kafka.topic("scans"), partition)
    consumer.assign([log])
    first = consumer.beginning_offsets([log])[log]
    end = consumer.end_offsets([log])[log]
    found: dict[bytes, bytes] = {}
    step = FIRST_STEP
    while end > first and len(found) < len(keys):
        start = max(first, end - step)
        found = _last_between(consumer, log, start, end, keys) | found
        end, step = start, step * 2
    return found


def _last_between(
    consumer: KafkaConsumer, log: TopicPartition, start: int, end: int, keys: Collection[bytes]
) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    consumer.seek(log, start)
    while consumer.position(log) < end:
        for record in consumer.poll(timeout_ms=POLL_MS).get(log, ()):
            if record.offset < end and record.key in keys and record.value is not None:
                found[record.key] = record.value
    return found
