"""The admission of single records: their location, their delay, and what they do to either clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from detectors.area.incident import Category, Incident, Origin, Status
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.window.admission import EARLIEST_S, LATEST_S, Admission, Entry, Refusal, TickMark
from detectors.window.sliding import ELSEWHERE, MISSING, NOWHERE, OTHER, UNMAPPED, Version

NOON = datetime(2024, 5, 3, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
DAY_S = 86_400
PLACES = Locations.from_places(["market", "bridge"], [-1.55, -1.54], [53.80, 53.81], 100.0)
MARKET, BRIDGE = map(PLACES.ids.index, ("market", "bridge"))
BOTH = pytest.mark.parametrize("clock", ["wall", "watermark"])


def admission(clock: str, **settings: Any) -> Admission:
    return Admission(AreaSettings(clock=clock, **settings), PLACES)  # type: ignore[arg-type]


def incident(**fields: Any) -> Incident:
    known: dict[str, Any] = {"id": "a", "occurred_at": NOON, "category": "drugs", "location": "market"}
    return Incident(**(known | fields))


def judged(entry: Entry, clock: str = "watermark", clock_s: int | None = NOON_S, **settings: Any) -> object:
    return admission(clock, **settings).judge(entry, 7, NOON_S, clock_s)[0]


def version(**fields: Any) -> Version:
    made = judged(incident(**fields))
    assert isinstance(made, Version)
    return made


def clock_after(entry: Entry, clock: str, clock_s: int | None, arrival_s: int = NOON_S) -> int | None:
    return admission(clock).judge(entry, 7, arrival_s, clock_s)[1]


def test_a_version_holds_what_the_window_needs() -> None:
    assert version(reported_at=NOON + timedelta(minutes=5), revision=1, origin=Origin.DISCOVERED) == Version(
        id="a",
        occurred_s=NOON_S,
        category=STREAMS.index(Stream.DRUGS),
        origin=Origin.DISCOVERED,
        location=MARKET,
        longitude=0.0,
        latitude=0.0,
        revision=1,
        offset=7,
        clock_s=NOON_S + 300,
        is_interval=False,
        delay_s=300,
    )


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"location": "bridge"}, BRIDGE),
        ({"location": None, "longitude": -1.5401, "latitude": 53.8101}, BRIDGE),
        ({"location": None, "longitude": 10.0, "latitude": 10.0}, ELSEWHERE),
        ({"location": "harbour"}, ELSEWHERE),
        ({"location": None}, MISSING),
        ({"status": Status.CANCELLED}, NOWHERE),
    ],
)
def test_the_location_of_a_version(fields: dict[str, Any], location: int) -> None:
    assert version(**fields).location == location


@pytest.mark.parametrize(
    ("word", "category"),
    [
        (" Drugs", STREAMS.index(Stream.DRUGS)),
        ("Vehicle_Crime", STREAMS.index(Stream.PROPERTY)),
        ("other", OTHER),
        ("smoke", STREAMS.index(Stream.DISORDER)),
        ("unheard-of", UNMAPPED),
    ],
)
def test_the_category_of_a_version(word: str, category: int) -> None:
    made = judged(incident(category=word), categories={"Smoke": Category.DISORDER})
    assert isinstance(made, Version)
    assert made.category == category


@pytest.mark.parametrize(
    ("fields", "delay_s"),
    [
        ({"reported_at": NOON + timedelta(seconds=90.9)}, 90),
        ({"reported_at": NOON - timedelta(seconds=90)}, 0),
        ({"reported_at": NOON + timedelta(seconds=90), "revision": 2}, None),
        ({}, None),
    ],
)
def test_the_delay_is_that_of_the_first_report(fields: dict[str, Any], delay_s: int | None) -> None:
    assert version(**fields).delay_s == delay_s


def test_a_wall_clock_shows_arrivals_and_never_goes_back() -> None:
    late = incident(occurred_at=NOON - timedelta(days=3), reported_at=NOON + timedelta(days=300))
    for entry in (late, TickMark(NOON_S + DAY_S), Refusal("malformed_json", "value: must be JSON")):
        assert clock_after(entry, "wall", None) == NOON_S
        assert clock_after(entry, "wall", NOON_S - 5) == NOON_S
        assert clock_after(entry, "wall", NOON_S + 5) == NOON_S + 5


def test_a_watermark_shows_the_time_of_what_is_taken() -> None:
    """A report's time where there is one, else the time of occurrence."""
    reported = incident(reported_at=NOON + timedelta(minutes=5))
    assert clock_after(incident(), "watermark", None) == NOON_S
    assert clock_after(reported, "watermark", None) == NOON_S + 300
    assert clock_after(reported, "watermark", NOON_S + 999) == NOON_S + 999
    assert clock_after(TickMark(NOON_S + DAY_S), "watermark", NOON_S) == NOON_S + DAY_S
    assert clock_after(TickMark(NOON_S), "watermark", NOON_S + 9) == NOON_S + 9
    withdrawn = Incident(id="a", status=Status.CANCELLED)
    assert clock_after(withdrawn, "watermark", None) is None
    assert clock_after(Refusal("malformed_json", "value: must be JSON"), "watermark", NOON_S, 0) == NOON_S


@BOTH
@pytest.mark.parametrize(("ahead_s", "is_taken"), [(300, True), (301, False)])
def test_an_incident_of_the_future_is_refused(clock: str, ahead_s: int, is_taken: bool) -> None:
    entry = incident(occurred_at=NOON + timedelta(seconds=ahead_s), reported_at=NOON)
    made, clock_s = admission(clock).judge(entry, 7, NOON_S, NOON_S)
    assert isinstance(made, Version) == is_taken
    assert clock_s == NOON_S
    if not is_taken:
        assert made == Refusal("future", "occurred more than 300 s after the area's clock")


@pytest.mark.parametrize(("days", "is_taken"), [(7, True), (8, False)])
def test_a_watermark_refuses_to_jump_and_stays(days: int, is_taken: bool) -> None:
    entry = incident(occurred_at=NOON + timedelta(days=days))
    made, clock_s = admission("watermark").judge(entry, 7, NOON_S, NOON_S)
    assert clock_s == NOON_S + (days * DAY_S if is_taken else 0)
    assert (
        isinstance(made, Version)
        if is_taken
        else made == Refusal("clock_jump", "over 7 days after the area's clock; a tick record announces a gap")
    )


@BOTH
@pytest.mark.parametrize("tick_s", [EARLIEST_S, LATEST_S])
def test_a_tick_record_must_lie_in_the_range_of_a_clock(clock: str, tick_s: int) -> None:
    assert judged(TickMark(tick_s), clock) == TickMark(tick_s)
    for beyond in (EARLIEST_S - 1, LATEST_S + 1):
        refusal = judged(TickMark(beyond), clock)
        assert isinstance(refusal, Refusal) and refusal.reason == "clock_jump"


def test_a_watermark_does_not_begin_outside_that_range() -> None:
    long_ago = incident(occurred_at=datetime(1899, 12, 31, tzinfo=UTC))
    assert judged(long_ago, clock_s=None) == Refusal("clock_jump", "the time must lie between the years 1900 and 2999")
