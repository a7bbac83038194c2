"""The simulated city: rates, clocks, near repeats, delays, injected clusters, and when one counts as found."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts.alert import Alert
from detectors.alerts.lifecycle import AlertState
from detectors.alerts.notices import Notice
from detectors.area.incident import Category, Incident
from detectors.area.locations import Locations, to_sphere
from detectors.area.settings import Stream
from detectors.clusters.cluster import Figures
from detectors.scan.significance import Tier
from detectors.simulation import City, InjectedCluster, Injection, found

START = datetime(2024, 1, 1, tzinfo=UTC)
YEAR = START + timedelta(days=364)


def seconds(moment: datetime | None) -> int:
    assert moment is not None
    return int(moment.timestamp())


def usual(incidents: tuple[Incident, ...], seed: int) -> list[Incident]:
    return [incident for incident in incidents if not incident.id.startswith(f"s{seed}-c")]


def points(incidents: list[Incident]) -> np.ndarray:
    longitude, latitude = np.array([(incident.longitude, incident.latitude) for incident in incidents]).T
    return to_sphere(longitude, latitude)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200), st.floats(0.5, 100), st.integers(1, 40 * 24), st.floats(0, 0.5))
def test_every_city_is_seeded_in_order_and_within_its_time_and_cells(
    seed: int, places: int, incidents_per_day: float, hours: int, near_repeats: float
) -> None:
    city = City(seed, places=places, incidents_per_day=incidents_per_day, near_repeats=near_repeats)
    end = START + timedelta(hours=hours)
    simulated = city.simulate(START, end)
    order = [(incident.reported_at, incident.id) for incident in simulated.incidents]
    assert order == sorted(order)
    assert len({incident.id for incident in simulated.incidents}) == len(simulated.incidents)
    locations = Locations.from_cells(city.cells())
    for incident in simulated.incidents:
        assert incident.occurred_at is not None
        assert incident.reported_at is not None
        assert START <= incident.occurred_at <= incident.reported_at < end
        assert locations.locate(incident) is not None
    again = City(seed, places=places, incidents_per_day=incidents_per_day, near_repeats=near_repeats)
    assert again.simulate(START, end) == simulated


def test_another_seed_is_another_city() -> None:
    end = START + timedelta(days=30)
    assert City(1).cells() != City(2).cells()
    assert City(1).simulate(START, end).incidents != City(2).simulate(START, end).incidents


def test_a_year_has_the_given_rate_in_four_categories_unevenly_spread() -> None:
    city = City(5)
    incidents = city.simulate(START, YEAR, inject=False).incidents
    expected = 45 * 364
    # Repeats make the count slightly over-dispersed.
    assert abs(len(incidents) - expected) < 5 * np.sqrt(1.2 * expected)
    assert set(Counter(incident.category for incident in incidents)) == {"violence", "property", "drugs", "disorder"}
    per_place = Counter((incident.longitude, incident.latitude) for incident in incidents)
    busiest = sum(count for _, count in per_place.most_common(150))  # a twentieth of the 3,000 places
    assert 0.4 < busiest / len(incidents) < 0.6
    assert 1_000 < len(city.cells()) < 3_000


def test_hour_of_week_clocks_differ_by_place() -> None:
    city = City(6, places=400, incidents_per_day=300)
    incidents = city.simulate(START, YEAR, inject=False).incidents
    nights: dict[bool, list[int]] = {True: [], False: []}
    middle = to_sphere(np.array([-1.55]), np.array([53.8]))
    distances = np.linalg.norm(points(list(incidents)) - middle, axis=1)
    for incident, distance in zip(incidents, distances, strict=True):
        assert incident.occurred_at is not None
        evening = incident.occurred_at - timedelta(hours=20)
        nights[bool(distance < 600)].append(evening.weekday() in (4, 5) and evening.hour < 8)
    centre, elsewhere = np.mean(nights[True]), np.mean(nights[False])
    # Evenly spread over the week, the eight hours from 20:00 on Friday and Saturday would be 16 of 168.
    assert centre > 2 * 16 / 168
    assert elsewhere < 1.6 * 16 / 168


def test_the_annual_swing_makes_the_summer_busier() -> None:
    def by_half(swing: float) -> tuple[int, int]:
        incidents = City(7, annual_swing=swing, incidents_per_day=200).simulate(START, YEAR, inject=False).incidents
        summer = sum(4 <= incident.occurred_at.month <= 9 for incident in incidents if incident.occurred_at)
        return summer, len(incidents) - summer

    flat, swung = by_half(0.0), by_half(0.3)
    assert abs(flat[0] / flat[1] - 1) < 0.05
    # The mean of a cosine over its better half is 2 / pi.
    assert abs(swung[0] / swung[1] - (1 + 0.6 / np.pi) / (1 - 0.6 / np.pi)) < 0.08


def close_pairs(city: City, metres: float, days: float) -> int:
    """Return the number of pairs of one category within a distance and a time."""
    incidents = sorted(city.simulate(START, START + timedelta(days=120), inject=False).incidents, key=lambda i: i.id)
    where, when = points(incidents), np.array([seconds(incident.occurred_at) for incident in incidents])
    kind = np.array([incident.category for incident in incidents])
    near = np.linalg.norm(where[:, None] - where[None, :], axis=2) <= metres
    soon = np.abs(when[:, None] - when[None, :]) <= days * 86_400
    pairs = near & soon & (kind[:, None] == kind[None, :])
    return int(np.triu(pairs, 1).sum())


def test_near_repeats_add_close_pairs_but_no_incidents() -> None:
    quiet, contagious = (City(8, incidents_per_day=20, near_repeats=share) for share in (0.0, 0.2))
    counts = [len(city.simulate(START, YEAR, inject=False).incidents) for city in (quiet, contagious)]
    assert abs(counts[0] - counts[1]) < 6 * np.sqrt(2 * 20 * 364)
    children = 0.2 * 20 * 120
    excess = close_pairs(contagious, 200, 3) - close_pairs(quiet, 200, 3)
    # Every child is a close pair with its parent; siblings and grandchildren add some.
    assert 0.7 * children < excess < 2 * children


def test_delays_have_the_given_median_and_end_after_a_day() -> None:
    def delays(minutes: float) -> np.ndarray:
        incidents = City(9, delay_minutes=minutes).simulate(START, YEAR, inject=False).incidents
        return np.array([seconds(incident.reported_at) - seconds(incident.occurred_at) for incident in incidents])

    assert not delays(0).any()
    assert abs(np.median(delays(10)) - 600) < 30
    assert delays(1_000).max() == 86_400


def test_injection_adds_clusters_and_changes_nothing_else() -> None:
    city = City(10)
    end = START + timedelta(days=120)
    with_clusters, without = city.simulate(START, end), city.simulate(START, end, inject=False)
    assert without.clusters == ()
    assert usual(with_clusters.incidents, 10) == list(without.incidents)
    members = [member for cluster in with_clusters.clusters for member in cluster.members]
    assert len(members) == len(set(members))
    assert len(with_clusters.incidents) == len(without.incidents) + len(members)


def test_the_truth_about_injected_clusters_is_correct_and_within_the_limits() -> None:
    city = City(11)
    inject_from = START + timedelta(days=60)
    simulated = city.simulate(START, YEAR, inject_from=inject_from)
    assert len(simulated.clusters) > 20
    by_id = {incident.id: incident for incident in simulated.incidents}
    for cluster in simulated.clusters:
        assert cluster.relative_risk <= 10
        assert cluster.radius_m <= 300
        assert 6 * 3600 <= cluster.end_s - cluster.start_s <= 72 * 3600
        assert seconds(inject_from) <= cluster.start_s
        assert cluster.end_s <= seconds(YEAR)
        assert list(cluster.members) == sorted(cluster.members)
        members = [by_id[member] for member in cluster.members]
        times = sorted(seconds(member.occurred_at) for member in members)
        assert cluster.start_s <= times[0]
        assert times[-1] < cluster.end_s
        assert cluster.third_s == times[2]
        assert {member.category for member in members} == {cluster.category.value}
        centre = to_sphere(np.array([cluster.longitude]), np.array([cluster.latitude]))
        assert np.linalg.norm(points(members) - centre, axis=1).max() <= cluster.radius_m + 0.1


def test_clusters_have_their_relative_risk() -> None:
    """In the zone and hours of a cluster its category is about ``relative_risk`` times as frequent as usual."""
    city = City(12, near_repeats=0.0, injection=Injection(relative_risk=(6.0, 6.0), expected=3.0, per_day=1.0))
    simulated = city.simulate(START, YEAR)
    background = usual(simulated.incidents, 12)
    where, when = points(background), np.array([seconds(incident.occurred_at) for incident in background])
    kind = np.array([incident.category for incident in background])
    injected = expected = 0.0
    for cluster in simulated.clusters:
        centre = to_sphere(np.array([cluster.longitude]), np.array([cluster.latitude]))
        zone = (np.linalg.norm(where - centre, axis=1) <= cluster.radius_m) & (kind == cluster.category.value)
        # The usual number is that of the same hours in every week of the year.
        shifts_s = [week * 604_800 for week in range(-52, 53)]
        shifts_s = [s for s in shifts_s if seconds(START) <= cluster.start_s + s and cluster.end_s + s <= seconds(YEAR)]
        hours = [(cluster.start_s + s <= when) & (when < cluster.end_s + s) for s in shifts_s]
        expected += sum(int((zone & hour).sum()) for hour in hours) / len(shifts_s)
        injected += len(cluster.members)
    assert len(simulated.clusters) > 100
    assert abs(injected / expected - 5) < 0.75


def test_injected_incidents_fall_where_the_category_is_usual() -> None:
    """The busiest tenth of a zone's places gets its share of usual incidents, more than a tenth."""
    city = City(13, near_repeats=0.0, injection=Injection(per_day=1.0, expected=8.0))
    simulated = city.simulate(START, YEAR)
    by_id = {incident.id: incident for incident in simulated.incidents}
    counts = Counter(
        (incident.longitude, incident.latitude, incident.category) for incident in usual(simulated.incidents, 13)
    )
    places = list({(longitude, latitude) for longitude, latitude, _ in counts})
    where = to_sphere(*np.array(places).T)
    share = expected = by_places = 0.0
    for cluster in simulated.clusters:
        centre = to_sphere(np.array([cluster.longitude]), np.array([cluster.latitude]))
        within = np.linalg.norm(where - centre, axis=1) <= cluster.radius_m
        zone = [place for place, inside in zip(places, within, strict=True) if inside]
        zone.sort(key=lambda place: counts[(*place, cluster.category.value)], reverse=True)
        busiest = set(zone[: max(1, len(zone) // 10)])
        of_zone = [counts[(*place, cluster.category.value)] for place in zone]
        members = [by_id[member] for member in cluster.members]
        share += float(np.mean([(member.longitude, member.latitude) in busiest for member in members]))
        expected += sum(of_zone[: len(busiest)]) / sum(of_zone)
        by_places += len(busiest) / len(zone)
    assert len(simulated.clusters) > 50
    assert abs(share - expected) < 0.1 * expected
    assert expected > 2 * by_places


def test_numbers_out_of_range_are_refused() -> None:
    for wrong in ({"places": 0}, {"incidents_per_day": 0.0}, {"near_repeats": 1.0}, {"annual_swing": -0.1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} = {next(iter(wrong.values()))}"):
            City(1, **wrong)


CLUSTER = InjectedCluster(
    id="s1-c0001",
    category=Category.DRUGS,
    longitude=-1.5,
    latitude=53.8,
    radius_m=200.0,
    relative_risk=8.0,
    start_s=1_000,
    end_s=50_000,
    third_s=10_000,
    members=("a", "b", "c", "d"),
)


def revision(tick_s: int, tier: str, members: str, *, stream: str = "drugs", alerted_s: int | None = None) -> Alert:
    return Alert(
        id="1" * 32,
        revision=1,
        area="demo",
        stream=Stream(stream),
        state=AlertState.OPEN,
        tier=Tier(tier),
        reason="opened",
        notice=Notice.OPENED,
        opened_s=tick_s,
        alerted_s=tick_s if alerted_s is None and tier in ("alert", "urgent") else alerted_s,
        tick_s=tick_s,
        ended_s=None,
        split_from="",
        merged_into="",
        figures=Figures(
            centre="8a1",
            longitude=-1.5,
            latitude=53.8,
            radius_m=100.0,
            locations=("8a1",),
            duration_h=4,
            start_s=0,
            observed=len(members),
            expected=0.1,
            llr=10.0,
            score=10.0,
            recurrence_interval_days=400.0,
            breakdown={"drugs": len(members)},
            interval_times=0,
            reported=len(members),
            trigger_score=10.0,
        ),
        members=tuple(members),
        new_members=(),
    )


FOUND = {
    "no alert": ([], None),
    "its category": ([revision(12_000, "alert", "abx")], 12_000),
    "all together": ([revision(12_000, "urgent", "abx", stream="all")], 12_000),
    "another category": ([revision(12_000, "alert", "abx", stream="violence")], None),
    "tier too low": ([revision(12_000, "advisory", "abcd")], None),
    "one member only": ([revision(12_000, "alert", "axy")], None),
    "before the third": ([revision(9_999, "alert", "abx")], None),
    "at the third": ([revision(10_000, "alert", "abx")], 10_000),
    "at the end": ([revision(50_000, "alert", "abx")], 50_000),
    "after the end": ([revision(50_001, "alert", "abx")], None),
    "the first counts": ([revision(20_000, "alert", "abx"), revision(15_000, "alert", "abx")], 15_000),
    "raised later": ([revision(12_000, "watch", "abx"), revision(14_000, "alert", "abcx")], 14_000),
    "shares two later": (
        [revision(12_000, "alert", "axy"), revision(13_000, "alert", "abxy", alerted_s=12_000)],
        13_000,
    ),
    "an older alert": ([revision(20_000, "alert", "abcd", alerted_s=5_000)], None),
}


@pytest.mark.parametrize(("revisions", "when"), FOUND.values(), ids=FOUND)
def test_when_a_cluster_counts_as_found(revisions: list[Alert], when: int | None) -> None:
    assert found(CLUSTER, revisions) == when
