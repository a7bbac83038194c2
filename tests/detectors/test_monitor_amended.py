"""The fate of an alert whose incidents are cancelled, relocated or amended, or arrive late."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts.lifecycle import TERMINAL
from detectors.area.incident import Incident, Status
from detectors.area.settings import TierSettings
from detectors.monitor import Monitor
from detectors.results import ClosedTick
from detectors.scan.significance import score_for_interval
from tests.detectors.alerts.scans_by_hand import revisions_of
from tests.detectors.test_monitor_arrivals import BEGIN, END, PLACES, QUIET_H, in_order, played, reported, scan, until

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "20"))
TIERS = TierSettings(watch=0.5, advisory=1, alert=2)
SENSITIVE: dict[str, Any] = {
    "strata": "none",
    "window_days": 2,
    "min_baseline_days": 1,
    "cool_down_h": 0,
    "min_cases": 3,
    "tiers": TIERS,
}
"""Settings with which a burst opens an alert and the incidents before it open none."""
BURST = BEGIN + timedelta(hours=32)
HERE, THERE = PLACES[0], PLACES[3]


def incident(id_: str, at: datetime, place: tuple[float, float]) -> Incident:
    latitude, longitude = place
    return Incident(id=id_, occurred_at=at, reported_at=at, category="violence", longitude=longitude, latitude=latitude)


PAST = [[incident(f"p{n}", BEGIN + timedelta(hours=2 * n), PLACES[n % len(PLACES)])] for n in range(15)]
FIRST = [incident(f"b{n}", BURST + timedelta(minutes=5 * n), HERE) for n in range(5)]
"""The first versions of five incidents, all at one place."""
NEXT = 70
"""Time after each of them at which the alert is open, in minutes."""


def amended(first: Incident, how: str, minutes: float, place: tuple[float, float] = THERE) -> Incident:
    """A later version of an incident, ``minutes`` after the first."""
    latitude, longitude = place
    changes: dict[str, dict[str, Any]] = {
        "confirmed": {},
        "cancelled": {"status": Status.CANCELLED},
        "relocated": {"longitude": longitude, "latitude": latitude},
        "of no scanned kind": {"category": "other"},
        "hours before": {"occurred_at": reported(first) - timedelta(hours=15)},
    }
    return msgspec.structs.replace(first, reported_at=reported(first) + timedelta(minutes=minutes), **changes[how])


HOW = ("confirmed", "cancelled", "relocated", "of no scanned kind", "hours before")


def ends(ticks: Iterable[ClosedTick]) -> set[tuple[str, str, str]]:
    """(stream, state, reason) of the last revision of each alert."""
    return {(life[-1].stream, str(life[-1].state), life[-1].reason) for life in revisions_of(ticks).values()}


def later(monitor: Monitor, versions: Sequence[Incident], hours: int) -> list[ClosedTick]:
    """The ticks that further versions, and then ``hours`` without records, close."""
    closed: list[ClosedTick] = []
    for version in versions:
        closed += monitor.put(version, monitor.expected_next, 0)
    last = max(map(reported, versions)).replace(minute=0, second=0)
    return closed + until(monitor, last + timedelta(hours=1 + hours))


def alerted() -> tuple[Monitor, list[ClosedTick]]:
    """A Monitor with an alert of the five incidents in each of two streams, and the ticks that it closed so far."""
    monitor, closed = played(in_order(*PAST, *([each] for each in FIRST)), end=BURST + timedelta(hours=1), **SENSITIVE)
    assert [(alert.stream, alert.members) for alert in monitor.alerts] == [
        ("violence", tuple(each.id for each in FIRST)),
        ("all", tuple(each.id for each in FIRST)),
    ]
    return monitor, closed


# Through the Monitor, one by one


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(order=st.permutations(FIRST), gap_s=st.sampled_from([0, 1, 90]), is_timed=st.booleans())
def test_cancelling_every_member_in_any_order_withdraws_the_alert(
    order: list[Incident], gap_s: int, is_timed: bool
) -> None:
    monitor, before = alerted()
    at = BURST + timedelta(minutes=NEXT)
    cancelled = [
        Incident(
            id=each.id,
            status=Status.CANCELLED,
            occurred_at=each.occurred_at if is_timed else None,
            reported_at=at + timedelta(seconds=gap_s * position),
        )
        for position, each in enumerate(order)
    ]
    after = later(monitor, cancelled, 0)
    assert monitor.alerts == ()
    assert ends(before + after) == {(stream, "withdrawn", "members_cancelled") for stream in ("violence", "all")}
    for life in revisions_of(before + after).values():
        assert [revision.state in TERMINAL for revision in life] == [False] * (len(life) - 1) + [True]
        assert life[-1].notice == "ended"


def test_members_relocated_away_from_each_other_end_the_alert_after_the_quiet_time() -> None:
    monitor, before = alerted()
    apart = [amended(each, "relocated", NEXT, place) for each, place in zip(FIRST, PLACES[3:8], strict=True)]
    after = later(monitor, apart, QUIET_H)
    assert all(each.id in monitor.window for each in FIRST)
    for life in revisions_of(before + after).values():
        assert [(str(each.state), each.reason) for each in life[-2:]] == [("easing", "score_fell"), ("ended", "quiet")]
        assert life[-1].tick_s - life[-2].tick_s >= QUIET_H * 3600


@pytest.mark.parametrize("gap", [0, 2])
def test_members_relocated_together_take_the_alert_along(gap: int) -> None:
    """At once or one by one: the alert moves with most of them, in one revision whose reason is the relocation."""
    monitor, before = alerted()
    moved = [
        msgspec.structs.replace(
            amended(each, "relocated", 0), reported_at=BURST + timedelta(minutes=NEXT + gap * position)
        )
        for position, each in enumerate(FIRST)
    ]
    after = later(monitor, moved, 0)
    assert set(revisions_of(after)) == set(revisions_of(before))
    for alert in monitor.alerts:
        assert (alert.figures.latitude, alert.figures.longitude) == pytest.approx(THERE)
        assert set(alert.members) <= {each.id for each in FIRST}
    for life in revisions_of(after).values():
        (revision,) = (each for each in life if each.reason == "relocated")
        assert revision.notice == ("area_changed" if gap == 0 else "tier_changed")  # three of them are rarer than five


# Alerts on incomplete data


@pytest.mark.parametrize(
    ("how", "state", "reason"),
    [
        ("cancelled", "withdrawn", "members_cancelled"),
        ("relocated", "ended", "quiet"),
        ("of no scanned kind", "ended", "quiet"),
        ("hours before", "ended", "quiet"),
    ],
)
def test_an_alert_that_opened_before_the_amendments_came_ends(how: str, state: str, reason: str) -> None:
    """In order, each incident is amended within a second and no alert opens; else all amendments follow the burst."""
    versions = in_order(
        *PAST, *([each, amended(each, how, 1 / 60, PLACES[3 + number])] for number, each in enumerate(FIRST))
    )
    straight, ticks = played(versions, **SENSITIVE)
    assert revisions_of(ticks) == {}
    late, ticks = played(sorted(versions, key=lambda version: version.revision or 0), **SENSITIVE)
    assert ends(ticks) == {(stream, state, reason) for stream in ("violence", "all")}
    assert straight.alerts == late.alerts == ()


@st.composite
def bursts(draw: st.DrawFn) -> tuple[list[Incident], list[Incident]]:
    """Versions of a burst and of the incidents before it: in order, and with some that arrive late."""
    versions: list[list[Incident]] = []
    for number in range(draw(st.integers(3, 7))):
        first = incident(f"b{number}", BURST + timedelta(minutes=5 * number), HERE)
        changes = draw(st.lists(st.tuples(st.sampled_from(HOW), st.sampled_from([1, 3, 30, 200])), max_size=2))
        versions.append([first, *(amended(first, how, minutes) for how, minutes in changes)])
    straight = in_order(*PAST, *versions)
    late = [reported(version) + timedelta(minutes=draw(st.sampled_from([0, 0, 10, 120, 300]))) for version in straight]
    return straight, [straight[each] for each in sorted(range(len(late)), key=late.__getitem__)]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(both=bursts())
def test_no_alert_is_left_without_its_evidence_and_no_evidence_without_an_alert(
    both: tuple[list[Incident], list[Incident]],
) -> None:
    """Compared, a quiet time after the last arrival, with the clusters of a Monitor that was fed in order."""
    straight, _ = played(both[0], **SENSITIVE | {"min_baseline_days": 100})  # it is scanned below
    late, ticks = played(both[1], **SENSITIVE)
    weakest = score_for_interval(TIERS.watch) - straight.settings.ease_below
    before = scan(straight, weakest)
    for monitor, into in ((straight, []), (late, ticks)):
        into += until(monitor, END + timedelta(hours=QUIET_H))
    now = scan(straight, weakest)
    followed = ticks[-1].checkpoint.tracker.followed
    assert [each.alert for each in followed] == list(late.alerts)
    for each in followed:
        alert, shown = each.alert, set(each.shown)
        here = [cluster for cluster in now[alert.stream] if shown & set(cluster.members)]
        if alert.state == "easing":
            assert not here
            assert any(shown & set(cluster.members) for cluster in before[alert.stream])
        else:
            # Its zone still fits an incident that it names.
            named = [cluster for cluster in here if set(alert.members) & set(cluster.members)]
            assert here and all(set(alert.figures.locations) & set(cluster.figures.locations) for cluster in named)
    for stream, clusters in now.items():
        shown = {member for each in followed if each.alert.stream == stream for member in each.shown}
        assert all(shown & set(cluster.members) for cluster in clusters if cluster.figures.trigger_score >= weakest + 1)
    open_ids = {alert.id for alert in late.alerts}
    assert {id_ for id_, life in revisions_of(ticks).items() if life[-1].state not in TERMINAL} == open_ids
