"""Artefacts: the four kinds against their definitions word by word, examples of each, and one through the Monitor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts.alert import Alert
from detectors.alerts.tracking import TrackerState
from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings, DeniedPlace, TierSettings
from detectors.clusters.artefacts import ArtefactKind, Artefacts, DenyList, Members, Zone, artefacts, chance_of
from detectors.monitor import Monitor
from tests.naive import artefacts as naive
from tests.naive.artefacts import Coordinate, Member

HERE = (-15_491_000, 537_997_000)
METRE = 90
"""Of latitude, in units of 1e-7 degrees, a little over one."""
NIGHT_S = 1_700_000_000
HOSPITAL = DeniedPlace(name="Hospital", longitude=HERE[0] / 1e7, latitude=HERE[1] / 1e7, radius_m=65.0)


def north(metres: float) -> Coordinate:
    """A coordinate so far north of ``HERE``."""
    return HERE[0], HERE[1] + round(metres * METRE)


def member(at: Coordinate, minute: float = 0.0, category: int = 0, interval: bool = False, has: bool = True) -> Member:
    return Member(at, has, NIGHT_S + round(60 * minute), category, interval)


def verdict(
    members: Sequence[Member],
    others: Sequence[Coordinate | None] = (),
    deny_list: Sequence[DeniedPlace] = (),
    width_m: float = 300.0,
) -> Artefacts:
    """The verdict on members in a zone whose window holds others as well."""
    cases = [*others, *(each.coordinate if each.has_point else None for each in members)]
    columns = Members(
        np.array([each.coordinate[0] for each in members], np.int32),
        np.array([each.coordinate[1] for each in members], np.int32),
        np.array([each.has_point for each in members]),
        np.array([each.occurred_s for each in members], np.int64),
        np.array([each.category for each in members], np.int8),
        np.array([each.interval for each in members]),
    )
    zone = Zone(width_m, len(cases), lambda longitude, latitude: cases.count((longitude, latitude)))
    return artefacts(columns, zone, DenyList.of(deny_list))


def told(found: Artefacts) -> list[tuple[str, int, str]]:
    return [(each.kind.value, each.members, each.place) for each in found.found]


def spread(number: int) -> list[Member]:
    """Members an hour and 60 m apart: nothing explains them."""
    return [member(north(60.0 * which), 60.0 * which) for which in range(number)]


def grid(east: int, northward: int) -> st.SearchStrategy[Coordinate]:
    """So many steps of 6.6 m by 11.1 m in each direction; no distance on it is a limit."""
    steps = st.tuples(st.integers(-east, east), st.integers(-northward, northward))
    return steps.map(lambda step: (HERE[0] + 1_000 * step[0], HERE[1] + 1_000 * step[1]))


def members_at(where: st.SearchStrategy[Coordinate], most: int) -> st.SearchStrategy[list[Member]]:
    minutes, categories = st.integers(0, 40) | st.integers(0, 400), st.integers(0, 1)
    rarely = st.sampled_from([False, False, False, True])
    each = st.builds(member, where, minutes, categories, rarely, rarely.map(lambda is_so: not is_so))
    return st.lists(each, min_size=1, max_size=most)


member_lists = (
    members_at(grid(3, 6), 10) | members_at(grid(1, 1), 6) | members_at(st.just(HERE), 8) | members_at(grid(0, 1), 6)
)
pasts = st.lists(grid(3, 6) | st.none(), min_size=20, max_size=40) | st.lists(st.just(HERE) | grid(3, 6), max_size=20)
deny_lists = st.lists(
    st.builds(
        DeniedPlace,
        name=st.sampled_from("abc"),
        longitude=st.just(HERE[0] / 1e7),
        latitude=st.integers(-9, 9).map(lambda steps: (HERE[1] + 1_000 * steps) / 1e7),
        radius_m=st.sampled_from([3.0, 17.0, 40.0]),
    ),
    max_size=2,
)


@settings(max_examples=120, deadline=None)
@given(members=member_lists, past=pasts, deny_list=deny_lists, width_m=st.sampled_from([0.0, 99.0, 100.0, 400.0]))
def test_the_verdict_is_that_of_the_words(
    members: list[Member], past: list[Coordinate | None], deny_list: list[DeniedPlace], width_m: float
):
    found = verdict(members, past, deny_list, width_m)
    cases = [*past, *(each.coordinate if each.has_point else None for each in members)]
    assert told(found) == naive.artefacts(members, width_m, cases, deny_list)


@settings(max_examples=60, deadline=None)
@given(members=member_lists, past=pasts, deny_list=deny_lists, data=st.data())
def test_what_holds_of_every_verdict(
    members: list[Member], past: list[Coordinate | None], deny_list: list[DeniedPlace], data: st.DataObject
):
    found = verdict(members, past, deny_list)
    for each in found.found:
        assert 1 <= each.members <= len(members)
        assert each.score == each.members / len(members)
        assert (each.place != "") is (each.kind is ArtefactKind.DENIED)
    assert found.score == max([each.score for each in found.found], default=0.0)
    assert not {ArtefactKind.STACK, ArtefactKind.VENUE} <= {each.kind for each in found.found}
    assert verdict(data.draw(st.permutations(members)), past, deny_list) == found
    assert msgspec.json.decode(msgspec.json.encode(found), type=Artefacts) == found


@given(data=st.data())
def test_the_chance_is_the_share_of_all_draws(data: st.DataObject):
    cases = data.draw(st.integers(1, 400))
    marked, drawn = data.draw(st.integers(0, cases)), data.draw(st.integers(1, min(cases, 60)))
    number = data.draw(st.integers(0, drawn))
    exact = naive.chance_of(number, drawn, marked, cases)
    assert chance_of(number, drawn, marked, cases) == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def test_a_large_draw_is_no_trouble():
    assert chance_of(3_000, 6_000, 90_000, 100_000) == pytest.approx(1.0)
    assert chance_of(3_000, 6_000, 10_000, 100_000) == 0.0


def test_an_ordinary_cluster_has_no_artefact():
    assert verdict(spread(6), [north(40.0 * which) for which in range(60)]) == Artefacts()
    assert Artefacts().score == 0.0


def test_a_stack_at_a_default_point():
    """Four of five members at a point that had one of sixty before: C(5, 4) C(60, 1) / C(65, 5) at least."""
    members = [*(member(HERE, 60.0 * which) for which in range(4)), member(north(150), 300.0)]
    past = [HERE, *(north(40.0 + which) for which in range(59))]
    assert told(verdict(members, past)) == [("geocoding_stack", 4, "")]
    assert verdict(members, past).score == 0.8
    assert 5 * 60 / math.comb(65, 5) < 1e-3


def test_a_coordinate_that_always_has_that_share_is_no_artefact():
    members = [*(member(HERE, 60.0 * which) for which in range(4)), member(north(150), 300.0)]
    past = [HERE] * 40 + [north(40.0 + which) for which in range(20)]
    assert verdict(members, past) == Artefacts()


def test_of_a_zone_without_a_past_no_share_is_improbable():
    assert verdict([member(HERE, 60.0 * which) for which in range(8)]) == Artefacts()


def test_members_that_named_their_location_alone_are_no_stack():
    past = [north(40.0 + which) for which in range(60)]
    for has_point, found in ((True, [("geocoding_stack", 5, "")]), (False, [])):
        assert told(verdict([member(HERE, 60.0 * which, has=has_point) for which in range(5)], past)) == found


def test_ten_calls_about_one_fight():
    calls = [member(north(4.0 * which), 0.9 * which) for which in range(10)]
    assert ("duplicate_calls", 9, "") in told(verdict(calls))
    chain = [member(north(40.0 * which), 9.0 * which) for which in range(10)]  # the last is an hour after the first
    assert told(verdict(chain)) == [("duplicate_calls", 9, "")]
    assert verdict(chain).score == 0.9


@pytest.mark.parametrize(
    ("second", "is_one_event"),
    [
        (member(north(49), 10.0), True),
        (member(north(51), 10.0), False),
        (member(north(49), 10.1), False),
        (member(north(49), 10.0, category=1), False),
        (member(north(49), 10.0, interval=True), False),
    ],
    ids=["the limits", "too far", "too late", "another category", "no moment"],
)
def test_what_links_two_calls(second: Member, is_one_event: bool):
    members = [member(HERE), second, member(north(200), 100.0), member(north(300), 200.0)]
    assert told(verdict(members)) == ([("duplicate_calls", 1, "")] if is_one_event else [])


def test_a_hospital_on_the_deny_list():
    members = [*spread(2), *(member(north(70.0 + 30 * which), 90.0 * which + 200) for which in range(3))]
    station = msgspec.structs.replace(HOSPITAL, name="Station", latitude=HERE[1] / 1e7 - 1, radius_m=1000.0)
    found = verdict(members, deny_list=[station, HOSPITAL])
    assert told(found) == [("denied_place", 2, "Hospital")]
    assert found.score == 0.4


def test_a_venue():
    stand = [member(north(5.0 * which), 60.0 * which) for which in range(8)]
    members = [*stand, member(north(250), 700.0), member(north(280), 800.0)]
    assert told(verdict(members)) == [("venue", 8, "")]
    assert told(verdict(members, width_m=99.0)) == []
    assert told(verdict([*members, member(north(310), 900.0)])) == []  # 8 of 11 are not nearly all
    one_door = [each._replace(coordinate=HERE) for each in stand[:5]]
    assert told(verdict([*one_door, *stand[5:], *members[8:]])) == []  # half at one coordinate is for the stack to say


# Through the Monitor

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
PLACES = Locations.from_places(["a", "b", "c"], [-1.55, -1.5485, -1.52], [53.8, 53.8, 53.8], 80.0)
RULES = AreaSettings(
    clock="watermark",
    window_days=14,
    min_baseline_days=0,
    durations_h=(1, 6, 24),
    max_radius_m=300.0,
    replications=99,
    tiers=TierSettings(watch=0.05, advisory=0.06, alert=0.08, urgent=5000.0),
    deny_list=(DeniedPlace(name="Court", longitude=-1.55, latitude=53.8, radius_m=30.0),),
)


def alerts_of(crowd: list[Incident]) -> list[Alert]:
    """The revisions after a week of an incident every hour, at ever other addresses of three places, then a crowd."""
    monitor = Monitor("leeds", RULES, PLACES)
    past = [
        Incident(
            id=f"past{hour}",
            occurred_at=BEGIN + timedelta(hours=hour),
            category="violence",
            longitude=round(float(PLACES.longitude[hour % 3]) + 1e-6 * (hour % 50 + 1), 7),
            latitude=53.8,
        )
        for hour in range(168)
    ]
    closed = [tick for offset, each in enumerate([*past, *crowd]) for tick in monitor.put(each, offset, 0)]
    closed += monitor.flush()
    state = closed[-1].checkpoint.tracker
    assert msgspec.json.decode(msgspec.json.encode(state), type=TrackerState) == state
    return [change for tick in closed if tick.tick_s > BEGIN.timestamp() + 167 * 3600 for change in tick.changes]


def crowd(**where: object) -> list[Incident]:
    at = BEGIN + timedelta(hours=168)
    return [
        msgspec.convert(
            {"id": f"new{number}", "category": "violence", "occurred_at": at + timedelta(minutes=12 * number), **where},
            Incident,
        )
        for number in range(5)
    ]


def test_an_alert_carries_the_verdict():
    last = alerts_of(crowd(longitude=-1.55, latitude=53.8))[-1]
    past = sum(not each.startswith("new") for each in last.members)
    share = 5 / (5 + past)
    assert {f"new{number}" for number in range(5)} <= set(last.members)
    by_kind = {each.kind: each for each in last.figures.artefacts.found}
    assert set(by_kind) == {ArtefactKind.STACK, ArtefactKind.DENIED}
    assert by_kind[ArtefactKind.STACK].members == 5
    assert by_kind[ArtefactKind.STACK].score == share
    assert by_kind[ArtefactKind.DENIED].place == "Court"
    assert last.figures.artefacts.score == by_kind[ArtefactKind.DENIED].score >= share


def test_incidents_that_named_their_location_are_at_its_centre_and_no_stack():
    last = alerts_of(crowd(location="a"))[-1]
    assert {f"new{number}" for number in range(5)} <= set(last.members)
    assert [(each.kind, each.place) for each in last.figures.artefacts.found] == [(ArtefactKind.DENIED, "Court")]
    assert last.figures.artefacts.found[0].members >= 5
