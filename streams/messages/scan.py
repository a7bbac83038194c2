"""The topic ``scans``: one record for every closed tick and every response, each with a digest over the earlier ones.

To restart an area, a worker needs only the area's last record and its incidents. Each transaction ends with a record
whose key is ``#`` and the partition's number. That record, the partition record, gives the offset of every area's last
record, and the offset of the previous partition record. So a restart reads little of a long log. The partition record
also counts the rejected records of no area.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec

from detectors.area.settings import Stream
from detectors.results import Checkpoint, ClosedTick, ResponseResult
from detectors.window.intake import Accounts
from streams.messages.former_scan import as_format_2
from streams.messages.incident import tick_header
from streams.messages.records import Headers
from streams.process.strict_json import StrictDecoder

NO_DIGEST = ""

Raw = tuple[bytes | None, ...]
"""The parts of an input record that digests cover: key, value, arrival and tick header. :func:`raw` makes it."""


class ScanRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A closed tick of an area, or a response, which takes effect at the last closed tick.

    ``number``: counts the area's records from 1.
    ``next_offsets``: by input topic, the first offset that is not covered; ``responses`` is absent before the first
        response.
    ``revisions``: names of the new revisions: alert id, a full stop, the revision.
    ``configuration``, ``calibration``: hashes of what the Monitor used, the second empty without a calibration. The
        topic ``settings`` holds both in full.
    ``is_silent``: whether the feed was silent.
    ``digest``: must be the last field, because :func:`without_digest` cuts it off.
    """

    area: str
    number: int = 0
    tick_s: int
    next_offsets: dict[str, int]
    lowest_offset: int
    streams: tuple[Stream, ...]
    revisions: tuple[str, ...]
    accounts: Accounts
    configuration: str
    checkpoint: Checkpoint
    calibration: str = ""
    is_silent: bool = False
    digest: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = NO_DIGEST

    def __post_init__(self) -> None:
        if "incidents" not in self.next_offsets:
            raise ValueError("next_offsets: must have incidents, the first offset that is not covered")

    @property
    def next_offset(self) -> int:
        """The first offset of the topic ``incidents`` that no scan record up to this one covers."""
        return self.next_offsets["incidents"]

    @property
    def next_response(self) -> int:
        """The first offset of the topic ``responses`` that no scan record up to this one covers."""
        return self.next_offsets.get("responses", 0)

    @property
    def ids(self) -> Ids:
        """The hashes of what the Monitor used."""
        return Ids(self.configuration, self.calibration)


class Ids(NamedTuple):
    """The hashes of the configuration and the calibration (empty for none) that a Monitor uses."""

    configuration: str
    calibration: str


class _Outline(msgspec.Struct):
    area: str
    digest: str


_outline = StrictDecoder[_Outline](_Outline)


def is_of_another_version(value: bytes | None) -> bool:
    """Return whether bytes that are not a scan record of this version look like one of another version."""
    try:
        _outline.decode(value)
    except msgspec.DecodeError:
        return False
    return True


class PartitionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition is processed.

    ``next_offset``: offset of the first record of no area that is not yet rejected.
    ``rejected``: by reason, how many records of no area were rejected.
    ``next_response``: offset of the first record of the topic ``responses``, of any area, that has not yet taken
        effect.
    ``scans``: by area, the offset of its last scan record before this transaction.
    ``previous``: the offset of the previous partition record, -1 for none.
    ``read_from``: offset of the first record of ``incidents``, of any area or none, that no scan record covers; None
        from a version that did not note this.
    ``copied``: the records below this offset were copied from an earlier topic.
    ``next_alert``: the offset in ``alerts`` after the last revision that a scan record covers; None from a version that
        did not note this.
    ``torn``: the stretches of ``alerts`` below ``next_alert`` whose revisions no scan record covers, each with its
        first offset and the offset after its last.
    ``topics``: Kafka's identities of the topics ``incidents`` and ``responses``. A new topic of the same name has
        another identity. An unknown identity is absent.
    """

    next_offset: int = 0
    next_response: int = 0
    rejected: dict[str, int] = {}
    scans: dict[str, int] = {}
    previous: int = -1
    read_from: int | None = None
    copied: int = 0
    next_alert: int | None = None
    torn: tuple[tuple[int, int], ...] = ()
    topics: dict[str, str] = {}


_encode = msgspec.json.Encoder().encode
_scan_record = StrictDecoder[ScanRecord](ScanRecord)
_partition_record = StrictDecoder[PartitionRecord](PartitionRecord)


def scan_record(
    area: str, ids: Ids, result: ClosedTick | ResponseResult, previous: ScanRecord | None, inputs: Iterable[Raw]
) -> ScanRecord:
    """Return the record of a closed tick or of a response, chained to the area's ``previous`` record (None: the first).

    ``inputs``: each input record of the tick, or the response, as :func:`raw` returns it.
    """
    next_offsets = {"incidents": result.next_offset}
    next_response = previous.next_response if previous else 0
    if isinstance(result, ResponseResult):
        next_response = result.offset + 1
    if next_response:
        next_offsets["responses"] = next_response
    record = ScanRecord(
        area=area,
        number=1 if previous is None else previous.number + 1,
        tick_s=result.tick_s,
        next_offsets=next_offsets,
        lowest_offset=result.checkpoint.lowest_offset,
        streams=result.streams if isinstance(result, ClosedTick) else (),
        revisions=tuple(f"{alert.id}.{alert.revision}" for alert in result.changes),
        accounts=result.accounts,
        configuration=ids.configuration,
        calibration=ids.calibration,
        checkpoint=result.checkpoint,
        is_silent=result.is_silent,
    )
    digest = chained_digest(previous.digest if previous else NO_DIGEST, inputs, encode(record))
    return msgspec.structs.replace(record, digest=digest)


def chained_digest(previous: str, inputs: Iterable[Raw], undigested: bytes) -> str:
    """Return the SHA-256 in hex over the previous digest, each input record, and the scan record without its digest.

    Each part of an input follows its length in 8 bytes. An absent part is 8 bytes of 255.
    """
    digest = hashlib.sha256(bytes.fromhex(previous))
    for each in inputs:
        for part in each:
            digest.update(b"\xff" * 8 if part is None else len(part).to_bytes(8, "big") + part)
    digest.update(undigested)
    return digest.hexdigest()


def without_digest(value: bytes, digest: str) -> bytes | None:
    """Return the bytes of a scan record without its last field, the digest; None if that is not its last field.

    The bytes are cut, not encoded again, so that records of every version can be verified.
    """
    end = f',"digest":"{digest}"}}'.encode()
    return value[: -len(end)] + b"}" if value.endswith(end) else None


def raw(key: bytes | None, value: bytes | None, headers: Headers, timestamp_ms: int) -> Raw:
    """Return the parts of an input record that the Monitor reads; other headers are left out."""
    return key, value, str(timestamp_ms).encode(), None if value else tick_header(headers)


def encode(record: ScanRecord | PartitionRecord) -> bytes:
    """Return the value of a record of the topic, JSON."""
    return _encode(record)


def decode_scan(value: bytes) -> ScanRecord:
    """Return an area's scan record. A checkpoint of an earlier format is converted.

    Raises:
        msgspec.DecodeError: The bytes are not such a record.
    """
    return _scan_record.decode(as_format_2(value))


def decode_partition(value: bytes) -> PartitionRecord:
    """Return a partition's record.

    Raises:
        msgspec.DecodeError: The bytes are not such a record.
    """
    return _partition_record.decode(value)


def partition_key(partition: int) -> bytes:
    """Return the key of the partition record. No area's name begins with ``#``."""
    return f"#{partition}".encode()
