"""Scan records: what is written can be read back, and the digest vouches for every byte before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.monitor import ClosedTick, Monitor
from streams.messages.scan import (
    NO_DIGEST,
    Ids,
    PartitionRecord,
    Raw,
    ScanRecord,
    chained_digest,
    decode_partition,
    decode_scan,
    encode,
    scan_record,
)

CELL = "8a195da49b9ffff"


def closed_ticks() -> list[ClosedTick]:
    """Twelve incidents at one place, four hours apart and then together: ticks, boundaries and an alert."""
    settings = AreaSettings(clock="watermark", min_baseline_days=0, replications=99)
    monitor = Monitor("leeds", settings, Locations.from_cells([CELL]))
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    ticks: list[ClosedTick] = []
    for offset in range(12):
        at = begin + timedelta(hours=4 * min(offset, 8), seconds=offset)
        ticks += monitor.put(Incident(id=str(offset), occurred_at=at, category="drugs", location=CELL), offset, 0)
    return ticks + monitor.flush()


TICKS = closed_ticks()

IDS = Ids("c0ffee", "")
parts = st.one_of(st.none(), st.binary(max_size=12))
raw_records = st.lists(st.tuples(parts, parts), max_size=5)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.mark.parametrize("closed", TICKS, ids=lambda closed: str(closed.tick_s))
def test_a_scan_record_is_read_back_whole(closed: ClosedTick) -> None:
    record = scan_record("leeds", IDS, closed, None, [(b"leeds", b"{}")])
    again = decode_scan(encode(record))
    assert again == record
    assert again.next_offset == closed.next_offset
    assert again.checkpoint == closed.checkpoint
    assert encode(again) == encode(record)


def test_a_scan_record_without_its_place_in_the_log_is_none() -> None:
    """A byte of the topic's name has changed: it must not be found missing only when it is needed."""
    value = encode(scan_record("leeds", IDS, TICKS[0], None, []))
    with pytest.raises(msgspec.ValidationError, match="next_offsets: lacks incidents"):
        decode_scan(value.replace(b'"incidents"', b'"hncidents"'))


def test_a_partition_record_is_read_back_whole() -> None:
    record = PartitionRecord(next_offset=7, rejected={"no_area": 2, "wrong_partition": 1})
    assert decode_partition(encode(record)) == record


def test_revisions_are_named_as_their_events_are() -> None:
    changes = [alert for closed in TICKS for alert in closed.changes]
    records = [scan_record("leeds", IDS, closed, None, []) for closed in TICKS]
    named = [revision for record in records for revision in record.revisions]
    assert named == [f"{alert.id}.{alert.revision}" for alert in changes]


@given(raw=raw_records, other=raw_records, digest=digests, other_digest=digests)
def test_the_digest_tells_apart_whatever_differs(
    raw: list[Raw], other: list[Raw], digest: str, other_digest: str
) -> None:
    """Other bytes, the same bytes cut differently into key, value and record, or another past: another digest."""
    record = scan_record("leeds", IDS, TICKS[0], None, [])
    assert (chained_digest(digest, raw, record) == chained_digest(digest, other, record)) == (raw == other)
    assert (chained_digest(digest, raw, record) == chained_digest(other_digest, raw, record)) == (
        digest == other_digest
    )


@pytest.mark.parametrize("name", [name for name in ScanRecord.__struct_fields__ if name != "digest"])
def test_the_digest_covers_every_field_of_the_record(name: str) -> None:
    first = scan_record("leeds", IDS, TICKS[0], None, [])
    later = scan_record("york", Ids("decaf", "0ff"), TICKS[-1], scan_record("york", IDS, TICKS[0], None, []), [])
    if getattr(first, name) == getattr(later, name):
        later = msgspec.structs.replace(later, **{name: ("violence", "property")})
    changed = msgspec.structs.replace(first, **{name: getattr(later, name)})
    assert chained_digest(NO_DIGEST, [], changed) != chained_digest(NO_DIGEST, [], first)


def test_a_chain_can_be_checked_from_what_is_written() -> None:
    last: ScanRecord | None = None
    written = []
    for number, closed in enumerate(TICKS):
        last = scan_record("leeds", IDS, closed, last, [(b"leeds", str(number).encode())])
        written.append(encode(last))
    previous = NO_DIGEST
    for number, value in enumerate(written):
        record = decode_scan(value)
        assert record.number == number + 1
        assert record.digest == chained_digest(previous, [(b"leeds", str(number).encode())], record)
        previous = record.digest
