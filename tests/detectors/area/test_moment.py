"""The moment of an incident with an interval: within it, as likely at any time of it, and always the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.area.incident import Incident, Status
from detectors.area.moment import IntervalTimes, Position
from detectors.area.moment import moment_s as moment_at

NIGHT = datetime(2024, 3, 30, 22, tzinfo=UTC)
MORNING = datetime(2024, 3, 31, 6, tzinfo=UTC)


def burglary(number: int = 0, **changes: Any) -> Incident:
    fields: dict[str, Any] = {
        "category": "property",
        "occurred_from": NIGHT,
        "occurred_to": MORNING,
        "longitude": -1.55 + number / 1e4,
        "latitude": 53.8,
    }
    return Incident(id=str(number), **(fields | changes))


def moment_s(incident: Incident, interval_times: IntervalTimes) -> int | None:
    """The moment of an incident whose coordinates lie in location 0."""
    return moment_at(incident, interval_times, Position.of(0, incident))


@given(number=st.integers(0, 10**4), length_s=st.integers(0, 10**7))
def test_it_lies_within_the_interval(number: int, length_s: int):
    one = burglary(number, occurred_to=NIGHT + timedelta(seconds=length_s))
    begin_s = int(NIGHT.timestamp())
    assert begin_s <= (moment_s(one, "spread") or 0) <= begin_s + length_s


def test_incidents_spread_evenly_over_the_hours_of_the_interval():
    """A share of 1/8 of 4,000 has a standard deviation of 21."""
    of_hour = [0] * 8
    for number in range(4000):
        of_hour[((moment_s(burglary(number), "spread") or 0) - int(NIGHT.timestamp())) // 3600] += 1
    assert all(abs(each - 500) < 100 for each in of_hour)


def test_it_depends_on_interval_and_place_alone():
    same = burglary(occurred_from=NIGHT.astimezone(), revision=3, category="disorder")
    assert moment_s(burglary(), "spread") == moment_s(same, "spread") != moment_s(burglary(1), "spread")


def test_coordinates_that_differ_by_less_than_a_centimetre_are_one_position():
    assert moment_s(burglary(longitude=-1.55 + 1e-9), "spread") == moment_s(burglary(), "spread")


def test_without_coordinates_it_depends_on_the_location():
    named = burglary(longitude=None, latitude=None, location="a")
    assert len({moment_at(named, "spread", Position.of(location, named)) for location in range(9)}) == 9


def test_without_a_position_it_is_the_end():
    assert moment_at(burglary(longitude=None, latitude=None), "spread", None) == int(MORNING.timestamp())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"occurred_at": NIGHT}, NIGHT),
        ({"occurred_from": None}, MORNING),
        ({"occurred_to": None}, NIGHT),
        ({"occurred_to": NIGHT}, NIGHT),
    ],
)
def test_a_known_time_is_kept(changes: dict[str, Any], expected: datetime):
    assert moment_s(burglary(**changes), "spread") == int(expected.timestamp())


def test_earlier_versions_put_it_at_the_end():
    assert moment_s(burglary(), "end") == int(MORNING.timestamp())


def test_a_cancellation_without_a_time_has_none():
    assert moment_s(Incident(id="a", status=Status.CANCELLED), "spread") is None
