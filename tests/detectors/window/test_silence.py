"""Silence: against a twin that counts minute by minute, and through the Monitor, where it keeps alerts from ending."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Incident, Origin
from detectors.area.locations import Locations
from detectors.area.settings import EACH_RECORD, AreaSettings
from detectors.area.strata import SCHEMES
from detectors.monitor import Monitor
from detectors.results import ClosedTick
from detectors.window.admission import TickMark
from detectors.window.silence import LONGEST_H, silent_from
from detectors.window.sliding import SlidingWindow, Version

BEGIN_S = int(datetime(2024, 3, 4, tzinfo=UTC).timestamp())
BLOCKS, ZONE = SCHEMES["operational"], ZoneInfo("Europe/London")
CELL = h3.latlng_to_cell(53.8, -1.55, 10)


def window_of(hours: list[int], now_h: int) -> SlidingWindow:
    """A window of three weeks with an incident in each of these hours after its begin."""
    window = SlidingWindow(1, 21 * 24, 1, BLOCKS, ZONE)
    window.advance(BEGIN_S // 3600 + now_h)
    for number, hour in enumerate(hours):
        occurred_s = BEGIN_S + hour * 3600
        window.put(Version(str(number), occurred_s, 0, Origin.REPORTED, 0, 0.0, 0.0, None, number, occurred_s, False))
    return window


def slow_silent_from(hours: list[int], now_h: int, heard_s: int, gaps: float) -> float | None:
    """The twin: the usual number by stratum from a plain list, then minute by minute."""
    past = range(min(hours), now_h)
    number: dict[int, int] = defaultdict(int)
    of: dict[int, int] = defaultdict(int)
    for hour in past:
        stratum = BLOCKS.of_bucket(BEGIN_S // 3600 + hour, ZONE)
        of[stratum] += 1
        number[stratum] += hours.count(hour)
    missed = 0.0
    for minute in range(LONGEST_H * 60):
        stratum = BLOCKS.of_bucket((heard_s + minute * 60) // 3600, ZONE)
        missed += number[stratum] / of[stratum] / 60 if of[stratum] else 0.0
        if missed >= gaps:
            return heard_s + (minute + 1) * 60
    return None


@settings(deadline=None, max_examples=40)
@given(
    hours=st.lists(st.integers(0, 19 * 24), min_size=1, max_size=90),
    heard=st.integers(0, 23 * 60),
    gaps=st.sampled_from([0.9731, 3.4917, 5.8713]),  # no sum of usual numbers, which rounding could decide about
)
def test_it_is_the_twin_to_the_minute(hours: list[int], heard: int, gaps: float) -> None:
    now_h = 20 * 24
    heard_s = BEGIN_S + now_h * 3600 + heard * 60
    found = silent_from(window_of(hours, now_h), heard_s, gaps)
    slow = slow_silent_from(hours, now_h, heard_s, gaps)
    if found is None or slow is None:
        # The last minute of the week may go either way.
        assert found is slow or max(found or 0, slow or 0) >= heard_s + LONGEST_H * 3600 - 60
    else:
        assert found == pytest.approx(slow, abs=61)


def test_an_area_of_which_nothing_is_known_or_that_asks_for_nothing_is_never_silent() -> None:
    assert silent_from(window_of([], 480), BEGIN_S + 480 * 3600, 6.0) is None
    assert silent_from(window_of(list(range(480)), 480), BEGIN_S + 480 * 3600, 0.0) is None


PLACES = Locations.from_cells(h3.grid_disk(CELL, 3))
SETTINGS = AreaSettings(
    same_event=EACH_RECORD,
    clock="watermark",
    window_days=7,
    min_baseline_days=2,
    durations_h=(2, 4),
    replications=99,
    strata="none",
    end_after_h=3.0,
)


def incident(number: int, at: datetime, cell: str) -> Incident:
    return Incident(id=f"{number:04}", occurred_at=at, category="violence", location=cell)


def until_silence() -> tuple[Monitor, list[ClosedTick], datetime]:
    """One incident an hour, each elsewhere, then a burst that an alert is made of, and no more."""
    monitor = Monitor("leeds", SETTINGS, PLACES)
    at = datetime(2024, 3, 4, tzinfo=UTC)
    closed: list[ClosedTick] = []
    for number in range(96):
        closed += monitor.put(incident(number, at + timedelta(hours=number), PLACES.ids[number % 37]), number, 0)
    at += timedelta(hours=96)
    for number in range(96, 104):
        closed += monitor.put(incident(number, at + timedelta(minutes=number - 95), CELL), number, 0)
    return monitor, closed, at


def test_no_alert_ends_while_the_feed_is_silent() -> None:
    """Six hours without a record are silence where one an hour is usual; the quiet time counts from the next record."""
    monitor, closed, at = until_silence()
    closed += monitor.put(TickMark(int((at + timedelta(hours=40)).timestamp())), 104, 0)
    silent = [tick.tick_s for tick in closed if tick.is_silent]
    assert silent[0] == pytest.approx((at + timedelta(hours=6)).timestamp(), abs=3600)
    assert silent == [tick.tick_s for tick in closed if tick.tick_s >= silent[0]]
    assert not [change for tick in closed for change in tick.changes if change.ended_s]
    assert {str(alert.state) for alert in monitor.alerts} == {"easing"}
    alerts = {alert.id for alert in monitor.alerts}
    back = at + timedelta(hours=40)
    for number in range(5):
        later = incident(200 + number, back + timedelta(hours=number), PLACES.ids[number])
        closed += monitor.put(later, 105 + number, 0)
    ended = {change.id: change.tick_s for tick in closed for change in tick.changes if change.ended_s}
    assert ended.keys() == alerts
    for tick_s in ended.values():
        assert tick_s == pytest.approx((back + timedelta(hours=3)).timestamp(), abs=3600)


def test_a_feed_that_goes_on_lets_it_end() -> None:
    monitor, closed, at = until_silence()
    for number in range(12):
        at += timedelta(hours=1)
        closed += monitor.put(incident(200 + number, at, PLACES.ids[number]), 104 + number, 0)
    assert not any(tick.is_silent for tick in closed)
    assert any(change.ended_s for tick in closed for change in tick.changes)
