"""Decoding incidents: every reason of a refusal; no record raises, and no refusal repeats one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.area.incident import Incident, Status
from detectors.window.admission import Refusal, TickMark
from streams.messages.incident import REASONS, decode
from streams.messages.records import partition_of

PARTITIONS = 8
AREAS = frozenset({"leeds", "york"})
LIMIT = 5000
HOME = DefaultPartitioner()(b"leeds", list(range(PARTITIONS)), [])
GOOD = {
    "id": "a1",
    "occurred_at": "2026-03-01T22:15:00+00:00",
    "category": "burglary",
    "longitude": -1.5,
    "latitude": 53.8,
}


def decoded(value: object, key: bytes | None = b"leeds", headers: Any = None, partition: int = HOME) -> tuple[Any, Any]:
    """Area and entry of a record whose value is these bytes, or this object in JSON."""
    data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return decode(key, data, headers, partition, PARTITIONS, AREAS, LIMIT)


def test_a_good_record_becomes_an_incident() -> None:
    area, incident = decoded(GOOD)
    assert area == "leeds"
    assert incident == Incident(
        id="a1",
        occurred_at=datetime(2026, 3, 1, 22, 15, tzinfo=UTC),
        category="burglary",
        longitude=-1.5,
        latitude=53.8,
    )


def test_unknown_fields_are_ignored_and_not_kept() -> None:
    assert decoded({**GOOD, "narrative": "free text", "nested": {"deep": [1, None]}}) == decoded(GOOD)


def test_an_absent_key_is_read_from_the_field_area() -> None:
    for key in (None, b""):
        area, incident = decoded({**GOOD, "area": "leeds"}, key=key)
        assert (area, incident.area) == ("leeds", "leeds")


def test_a_cancelled_incident_needs_its_id_alone() -> None:
    _, incident = decoded({"id": "a1", "status": "cancelled"})
    assert incident.status is Status.CANCELLED


@pytest.mark.parametrize(
    ("time", "tick_s"),
    [(b"1970-01-01T01:00:00+01:00", 0), (b"2026-03-01T00:00:00.9Z", 1772323200), (b"1969-12-31T23:59:59.5Z", -1)],
)
def test_a_tick_record_is_an_empty_value_with_a_header(time: bytes, tick_s: int) -> None:
    for value in (None, b""):
        assert decoded(value, headers=[("other", None), ("tick", time)]) == ("leeds", TickMark(tick_s))


def without(field: str) -> dict[str, object]:
    return {name: value for name, value in GOOD.items() if name != field}


REFUSED: list[tuple[str, str, object]] = [
    ("malformed_json", "value: must be JSON; it is not at byte 0", b"<incident>"),
    ("malformed_json", "value: must be JSON; it is not at byte 11", b'{"id": "a1"'),
    ("malformed_json", "value: must be UTF-8", b'{"id": "\xff"}'),
    ("malformed_json", "value: nested too deeply", b'{"id": "a1", "x": ' + b"[" * 4900),
    ("malformed_json", "value: empty; must be an incident in JSON, or have the header tick", b""),
    ("malformed_json", "value: empty; must be an incident in JSON, or have the header tick", None),
    ("wrong_type", "value: must be a JSON object", [GOOD]),
    ("wrong_type", "value: must be a JSON object", "a1"),
    ("wrong_type", "id: missing", without("id")),
    ("wrong_type", "id: must be text of 1 to 128 characters", {**GOOD, "id": 7}),
    ("wrong_type", "id: must be text of 1 to 128 characters", {**GOOD, "id": ""}),
    ("wrong_type", "longitude: must be a number from -180 to 180", {**GOOD, "longitude": "-1.5"}),
    ("wrong_type", "longitude: must be a number from -180 to 180", {**GOOD, "longitude": 181}),
    ("wrong_type", "revision: must be a whole number from 0 to 2147483647", {**GOOD, "revision": 1.5}),
    ("wrong_type", "origin: must be 'reported' or 'discovered'", {**GOOD, "origin": "overheard"}),
    ("wrong_type", "occurred_at: must be an RFC 3339 time with a UTC offset", {**GOOD, "occurred_at": "yesterday"}),
    ("wrong_type", "occurred_at: must be an RFC 3339 time with a UTC offset", {**GOOD, "occurred_at": 1772323200}),
    ("wrong_type", "occurred_at: missing (or give occurred_from and occurred_to)", without("occurred_at")),
    ("wrong_type", "longitude and latitude: give both or neither", without("latitude")),
    ("not_finite", "value: NaN and Infinity are not JSON; numbers must be finite", {**GOOD, "longitude": float("nan")}),
    ("not_finite", "value: NaN and Infinity are not JSON; numbers must be finite", {**GOOD, "latitude": float("-inf")}),
    ("not_finite", "latitude: must be a number from -90 to 90", b'{"id": "a1", "latitude": 1e999}'),
    (
        "naive_time",
        "occurred_at: must be an RFC 3339 time with a UTC offset",
        {**GOOD, "occurred_at": "2026-03-01T22:15:00"},
    ),
    (
        "naive_time",
        "reported_at: must be an RFC 3339 time with a UTC offset",
        {**GOOD, "reported_at": "2026-03-01T22:15:00"},
    ),
    ("oversize", "value: must be at most 5000 bytes", b"[" * 5001),
    ("area_contradiction", "area: must be the same as the record's key", {**GOOD, "area": "york"}),
]


@pytest.mark.parametrize(("reason", "detail", "value"), REFUSED)
def test_a_bad_value_is_refused_for_its_area(reason: str, detail: str, value: object) -> None:
    assert decoded(value) == ("leeds", Refusal(reason, detail))


@pytest.mark.parametrize(("reason", "detail", "value"), REFUSED[:3])
def test_a_bad_value_without_key_belongs_to_nobody(reason: str, detail: str, value: object) -> None:
    assert decoded(value, key=None) == (None, Refusal(reason, detail))


@pytest.mark.parametrize(
    ("reason", "detail", "key", "value", "headers"),
    [
        ("no_area", "key: missing; must be the area's name (or give the field area)", None, GOOD, None),
        (
            "no_area",
            "key: missing; a tick record must have the area's name as its key",
            None,
            b"",
            "2026-03-01T00:00:00Z",
        ),
        ("unknown_area", "key: must be the name of a configured area", b"bath", GOOD, None),
        ("unknown_area", "key: must be the name of a configured area", b"\xffleeds", GOOD, None),
        ("unknown_area", "area: must be the name of a configured area", None, {**GOOD, "area": "bath"}, None),
        ("naive_time", "header tick: must be an RFC 3339 time with a UTC offset", b"leeds", b"", "2026-03-01T00:00:00"),
        ("wrong_type", "header tick: must be an RFC 3339 time with a UTC offset", b"leeds", b"", "noon"),
    ],
)
def test_a_bad_area_or_tick_is_refused(
    reason: str, detail: str, key: bytes | None, value: object, headers: str | None
) -> None:
    area, refusal = decoded(value, key=key, headers=headers and [("tick", headers.encode())])
    assert area == ("leeds" if key == b"leeds" else None)
    assert refusal == Refusal(reason, detail)


@pytest.mark.parametrize(("key", "value"), [(b"leeds", GOOD), (None, {**GOOD, "area": "leeds"}), (b"leeds", b"")])
def test_a_record_in_another_partition_is_refused_and_belongs_to_nobody(key: bytes | None, value: object) -> None:
    area, refusal = decoded(value, key=key, partition=(HOME + 1) % PARTITIONS)
    assert area is None
    assert refusal.reason == "wrong_partition"


def test_every_reason_has_been_seen() -> None:
    elsewhere = {"no_area", "unknown_area", "wrong_partition"}
    assert {reason for reason, _, _ in REFUSED} | elsewhere == set(REASONS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
INCIDENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=10) | JSON,
        "occurred_at": st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat) | JSON,
        "occurred_from": st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
        "occurred_to": st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
        "longitude": st.floats(-200, 200) | JSON,
        "latitude": st.floats(-100, 100) | JSON,
        "location": st.text(max_size=10),
        "area": st.sampled_from(["leeds", "york", "bath"]) | JSON,
        "status": st.sampled_from(["active", "cancelled"]) | JSON,
        "uncertainty_m": JSON,
        "revision": JSON,
    },
).map(lambda fields: json.dumps(fields).encode())
KEYS = st.none() | st.sampled_from([b"leeds", b"york", b"bath"]) | st.binary(max_size=40)
HEADERS = st.none() | st.lists(
    st.tuples(
        st.sampled_from(["tick", "other"]), st.none() | st.binary(max_size=40) | st.just(b"9999-12-31T23:59:59-23:59")
    )
)


@given(KEYS, st.none() | st.binary(max_size=1200) | INCIDENTS, HEADERS, st.integers(0, PARTITIONS - 1))
@example(b"leeds", b"", [("tick", b"0001-01-01T00:00:00+23:59")], HOME)
@example(None, b"[" * 5000, None, 0)
@example(None, b"9" * 5000, None, 0)
def test_any_record_gives_an_entry(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]] | None, partition: int
) -> None:
    area, entry = decode(key, value, headers, partition, PARTITIONS, AREAS, LIMIT)
    if isinstance(entry, Refusal):
        assert entry.reason in REASONS
        assert area is None or area in AREAS
    else:
        assert area in AREAS
        assert partition_of(area.encode(), PARTITIONS) == partition
    if isinstance(entry, Incident) and entry.occurred is not None:
        assert isinstance(entry.occurred.timestamp(), float)


MARKS = st.text("ab\u00e9'\"`\\ -$.:", max_size=10)


@given(MARKS, MARKS)
def test_a_refusal_repeats_nothing_of_the_record(before: str, after: str) -> None:
    text = f"{before}xyz{after}"
    for field in ("id", "category", "occurred_at", "longitude", "status", "origin", "revision", "uncertainty_m"):
        for bad in ([text], {text: text}) if field in ("id", "category") else (text, [text], {text: text}):
            _, entry = decoded({**GOOD, field: bad})
            assert entry.detail.startswith(f"{field}: must be ")
            assert "xyz" not in entry.detail
    for value in (text.encode(), json.dumps({text: 1})[:-1].encode(), json.dumps(text).encode()):
        assert "xyz" not in decoded(value)[1].detail
    assert "xyz" not in decoded(GOOD, key=text.encode())[1].detail
    assert "xyz" not in decoded(b"", headers=[("tick", text.encode())])[1].detail
