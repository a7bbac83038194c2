"""Scan records: what is written can be read back, and the digest vouches for every byte before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import h3
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import EACH_RECORD, AreaSettings, TierSettings
from detectors.monitor import Monitor
from detectors.results import ClosedTick
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
    without_digest,
)

CELL = "8a195da49b9ffff"
FAR = sorted(h3.grid_ring(CELL, 12))[0]


def closed_ticks() -> list[ClosedTick]:
    """Twelve incidents, four hours apart at a place far away and then together here: ticks, boundaries and an alert."""
    tiers = TierSettings(watch=0.05, advisory=0.06, alert=0.08, urgent=0.5)
    settings = AreaSettings(
        clock="watermark", min_baseline_days=0, replications=99, tiers=tiers, same_event=EACH_RECORD
    )
    monitor = Monitor("leeds", settings, Locations.from_cells([CELL, FAR]))
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    ticks: list[ClosedTick] = []
    for offset in range(12):
        at = begin + timedelta(hours=4 * min(offset, 8), seconds=offset)
        place = FAR if offset < 8 else CELL
        ticks += monitor.put(Incident(id=str(offset), occurred_at=at, category="drugs", location=place), offset, 0)
    ticks += monitor.flush()
    assert any(closed.changes for closed in ticks)
    return ticks


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
    with pytest.raises(msgspec.ValidationError, match="next_offsets: must have incidents"):
        decode_scan(value.replace(b'"incidents"', b'"hncidents"'))


def in_format_1(record: ScanRecord) -> bytes:
    """The record as the former version wrote it."""
    fields = msgspec.to_builtins(record)
    del fields["checkpoint"]["format"]
    for each in fields["checkpoint"]["tracker"]["followed"]:
        alert, notice = each["alert"], each.pop("last_notice")
        alert |= alert.pop("figures") | alert.pop("zone_profile")
        each |= {"told": each.pop("shown"), "said": notice | {"tier": notice["tier"] or ""}}
        each["unsaid"] = each.pop("unnoticed")
        del each["strongest"], each["last_score"], each["last_size"], each["in_streams"], alert["also_in"]
    return msgspec.json.encode(fields)


def test_a_checkpoint_of_the_former_format_is_converted() -> None:
    records = [scan_record("leeds", IDS, closed, None, []) for closed in TICKS]
    assert any(record.checkpoint.tracker.followed for record in records)
    for record in records:
        expected = msgspec.to_builtins(record)
        for each in expected["checkpoint"]["tracker"]["followed"]:
            # The former version did not note these.
            each["strongest"], each["last_score"], each["last_size"], each["in_streams"] = None, None, 0, ()
            each["alert"]["also_in"] = ()
            each["alert"]["figures"]["records"] = 0
        assert msgspec.to_builtins(decode_scan(in_format_1(record))) == expected


@pytest.mark.parametrize(
    ("written", "error"),
    [
        (b'"checkpoint":{"format":3', "format"),
        (b'"checkpoint":{"other":2', "format 1|required"),
        (b'"checkpoint":7,"x":{"format":2', "checkpoint"),
    ],
)
def test_any_other_checkpoint_is_refused(written: bytes, error: str) -> None:
    closed = next(closed for closed in TICKS if closed.checkpoint.tracker.followed)
    value = encode(scan_record("leeds", IDS, closed, None, []))
    with pytest.raises(msgspec.ValidationError, match=error):
        decode_scan(value.replace(b'"checkpoint":{"format":2', written))


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
    assert (chained_digest(digest, raw, encode(record)) == chained_digest(digest, other, encode(record))) == (
        raw == other
    )
    assert (chained_digest(digest, raw, encode(record)) == chained_digest(other_digest, raw, encode(record))) == (
        digest == other_digest
    )


@pytest.mark.parametrize("name", [name for name in ScanRecord.__struct_fields__ if name != "digest"])
def test_the_digest_covers_every_field_of_the_record(name: str) -> None:
    first = scan_record("leeds", IDS, TICKS[0], None, [])
    later = scan_record("york", Ids("decaf", "0ff"), TICKS[-1], scan_record("york", IDS, TICKS[0], None, []), [])
    if getattr(first, name) == getattr(later, name):
        later = msgspec.structs.replace(later, **{name: ("violence", "property")})
    same = msgspec.structs.replace(first, digest=NO_DIGEST)
    changed = msgspec.structs.replace(same, **{name: getattr(later, name)})
    assert chained_digest(NO_DIGEST, [], encode(changed)) != chained_digest(NO_DIGEST, [], encode(same)) == first.digest


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
        undigested = without_digest(value, record.digest)
        assert undigested is not None
        assert record.digest == chained_digest(previous, [(b"leeds", str(number).encode())], undigested)
        previous = record.digest
