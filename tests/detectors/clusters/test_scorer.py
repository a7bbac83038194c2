"""Clusters: the members, figures and scores of what the scan of a window finds, against a plain recount."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import h3
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Origin
from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import STREAMS, AreaSettings, DeniedPlace
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.clusters.artefacts import ArtefactKind
from detectors.clusters.cluster import Cluster
from detectors.clusters.recent_cases import RecentCases
from detectors.clusters.scorer import NullMaximum, Scorer
from detectors.scan.rescan import NO_PLACE
from detectors.scan.significance import Gumbel, recurrence_interval_days, score_for_interval
from detectors.window.sliding import ALL, NOWHERE, OTHER, UNMAPPED, SlidingWindow, Version
from tests.naive import artefacts as naive_artefacts
from tests.naive.expected import permutation
from tests.naive.scan import log_likelihood_ratio
from tests.naive.strata import of_bucket

LOCATIONS = Locations.from_cells(h3.grid_disk(h3.latlng_to_cell(53.8, -1.55, 10), 2))
NEAR = neighbours(LOCATIONS.points, 300.0)
STATION = DeniedPlace(name="Station", longitude=-1.55, latitude=53.8)
SETTINGS = AreaSettings(window_days=2, durations_h=(1, 3, 12), replications=99, min_cases=2, deny_list=(STATION,))
NOW = 475_000
BLOCKS, UTC = SCHEMES["operational"], ZoneInfo("UTC")
ANY = -1e9
Kept = list[Version]


def window_of(kept: Kept, now: int = NOW) -> SlidingWindow:
    window = SlidingWindow(len(LOCATIONS), 48, 1, BLOCKS, UTC)
    window.advance(now)
    for version in kept:
        window.put(version)
    return window


def incident(number: int, place: int, age: int, category: int) -> Version:
    occurred_s = (NOW - age) * 3600 + number % 3600
    origin = Origin.DISCOVERED if number % 4 == 3 else Origin.REPORTED
    # One in five named its location alone, the others lie at one of two coordinates in it.
    longitude = round(float(LOCATIONS.longitude[place]) + 2e-4 * (number % 2), 7) if number % 5 else 0.0
    latitude = round(float(LOCATIONS.latitude[place]), 7) if number % 5 else 0.0
    ended = number % 3 == 0
    return Version(
        f"i{number}", occurred_s, category, origin, place, longitude, latitude, None, number, NOW * 3600, ended
    )


def coordinate(version: Version) -> tuple[int, int] | None:
    """That of an incident, in units of 1e-7 degrees, if it has one."""
    return (round(version.longitude * 1e7), round(version.latitude * 1e7)) if version.longitude else None


def member(version: Version) -> naive_artefacts.Member:
    centre = LOCATIONS.longitude[version.location], LOCATIONS.latitude[version.location]
    at = coordinate(version)
    middle = round(float(centre[0]) * 1e7), round(float(centre[1]) * 1e7)
    occurred_s = version.occurred_s or 0
    return naive_artefacts.Member(at or middle, at is not None, occurred_s, version.category, version.is_interval)


@st.composite
def incidents(draw: st.DrawFn) -> Kept:
    """A number an incident; place 0 and recent hours are favoured, some are cancelled, not scanned, or ahead."""
    made = []
    for index, number in enumerate(draw(st.lists(st.integers(0, 2**22 - 1), min_size=20, max_size=60))):
        number, place = divmod(number, 2 * len(LOCATIONS))
        number, age = divmod(number, 96)
        number, category = divmod(number, 8)
        age = age - 1 if age < 48 else age % 13
        place = NOWHERE if number % 16 == 15 else max(place - len(LOCATIONS), 0)
        made.append(incident(index, place, age, [0, 0, 0, 0, 1, 2, OTHER, UNMAPPED][category]))
    return made


def scanned(kept: Kept, stream: int) -> list[tuple[Version, int]]:
    """The incidents of a stream and their ages, by the definition."""
    with_age = [(version, NOW - (version.occurred_s or 0) // 3600) for version in kept]
    return [
        (version, age)
        for version, age in with_age
        if version.location != NOWHERE and age >= 0 and version.category < OTHER and stream in (ALL, version.category)
    ]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(kept=incidents(), stream=st.sampled_from([0, 0, ALL, 1]))
def test_a_cluster_is_a_plain_recount_of_the_window(kept: Kept, stream: int):
    window = window_of(kept)
    scorer = Scorer(LOCATIONS, NEAR, SETTINGS, {})
    found = clusters(scorer, window, ANY, stream)
    cases = scanned(kept, stream)
    if sum(age < 12 for _, age in cases) < SETTINGS.min_cases:
        assert found == []
        assert scorer.nulls == {}
    strata = [of_bucket(BLOCKS, bucket, UTC) for bucket in range(NOW - 47, NOW + 1)]
    places = [(version.location, age) for version, age in cases]
    expected = permutation(places, strata, BLOCKS.count, SETTINGS.durations_h, len(LOCATIONS))
    for cluster in found:
        figures = cluster.figures
        centre, column = LOCATIONS.ids.index(figures.centre), SETTINGS.durations_h.index(figures.duration_h)
        zone = [LOCATIONS.ids.index(place) for place in figures.locations]
        assert zone == NEAR.zone(centre, len(zone)).tolist()
        members = [version for version, age in cases if age < figures.duration_h and version.location in zone]
        assert list(cluster.members) == sorted(version.id for version in members)
        assert figures.observed == len(members) >= SETTINGS.min_cases
        assert figures.expected == pytest.approx(sum(expected[place][column] for place in zone))
        assert figures.llr == pytest.approx(
            log_likelihood_ratio(figures.observed, figures.expected, len(cases)), abs=1e-9
        )
        by_category = {STREAMS[category]: sum(v.category == category for v in members) for category in range(ALL)}
        assert figures.breakdown == {word: number for word, number in by_category.items() if number}
        assert figures.interval_times == sum(version.is_interval for version in members)
        reported = sum(version.origin is Origin.REPORTED for version in members)
        alone = log_likelihood_ratio(reported, figures.expected, len(cases))
        assert figures.reported == reported
        assert figures.trigger_score == pytest.approx(scorer.nulls[stream].gumbel.score(alone), abs=1e-6)
        beyond = NEAR.zone(centre, NEAR.size[centre])[len(zone) :]
        points = LOCATIONS.points
        next_m = np.linalg.norm(points[beyond[0]] - points[centre]) if len(beyond) else SETTINGS.max_radius_m
        assert [
            (each.kind.value, each.members, each.place) for each in figures.artefacts.found
        ] == naive_artefacts.artefacts(
            [member(version) for version in members],
            max(2 * figures.radius_m, float(next_m)),
            [coordinate(version) for version, _ in cases if version.location in zone],
            SETTINGS.deny_list,
        )
        assert figures.start_s == (NOW + 1 - figures.duration_h) * 3600
        assert figures.radius_m == NEAR.radius(centre, len(zone))
        assert (figures.longitude, figures.latitude) == (LOCATIONS.longitude[centre], LOCATIONS.latitude[centre])
        assert figures.score == scorer.nulls[stream].gumbel.score(figures.llr)
        assert figures.recurrence_interval_days == recurrence_interval_days(figures.score)
    in_zones = [place for cluster in found for place in cluster.figures.locations]
    assert len(in_zones) == len(set(in_zones))
    scores = [cluster.figures.score for cluster in found]
    assert scores == sorted(scores, reverse=True)
    assert len(found) <= SETTINGS.max_clusters


def crowd(size: int, category: int = 0) -> Kept:
    """A crowd at one place in the last hour, before a past that is spread over all places."""
    past = [incident(number, number % len(LOCATIONS), 1 + number % 40, category) for number in range(60)]
    return past + [incident(100 + number, 7, 0, category) for number in range(size)]


def clusters(scorer: Scorer, window: SlidingWindow, weakest: float = ANY, stream: int = 0) -> list[Cluster]:
    scorer.begin(window, window.now * BUCKET_S)
    return scorer.clusters(window, stream, weakest, NO_PLACE)


def test_only_clusters_of_the_weakest_score_or_more():
    scorer, window = Scorer(LOCATIONS, NEAR, SETTINGS, {}), window_of(crowd(6))
    found = clusters(scorer, window)
    assert len(found) > 1
    assert clusters(scorer, window, weakest=found[0].figures.score) == found[:1]
    assert clusters(scorer, window, weakest=np.nextafter(found[0].figures.score, np.inf)) == []


def test_the_null_is_found_out_once_a_bucket_and_depends_on_nothing_else():
    scorer, window = Scorer(LOCATIONS, NEAR, SETTINGS, {}), window_of(crowd(6))
    clusters(scorer, window)
    null = scorer.nulls[0]
    assert null.bucket == NOW
    window.put(incident(200, 7, 0, 0))
    clusters(scorer, window)
    assert scorer.nulls == {0: null}
    again = Scorer(LOCATIONS, NEAR, SETTINGS, {})
    clusters(again, window_of(crowd(6)))
    assert again.nulls == {0: null}
    other_seed = Scorer(LOCATIONS, NEAR, msgspec.structs.replace(SETTINGS, seed=1), {})
    clusters(other_seed, window_of(crowd(6)))
    assert other_seed.nulls[0] != null


def test_in_a_later_bucket_the_null_is_made_anew_only_if_a_cluster_could_matter():
    # The first null says that the present maximum is far below the tier watch; the second, that it is not.
    for location, anew in [(1000.0, False), (0.0, True)]:
        old = NullMaximum(NOW - 1, Gumbel(location, 1.0 if location else 0.1))
        scorer = Scorer(LOCATIONS, NEAR, SETTINGS, {0: old})
        clusters(scorer, window_of(crowd(6)))
        assert (scorer.nulls[0] != old) is anew


def test_the_null_of_a_stream_is_its_own():
    window = window_of(crowd(6) + [incident(300 + n, n % len(LOCATIONS), n % 30, 1) for n in range(40)])
    scorer = Scorer(LOCATIONS, NEAR, SETTINGS, {})
    for stream in (0, 1, ALL):
        clusters(scorer, window, stream=stream)
    assert set(scorer.nulls) == {0, 1, ALL}
    assert len({null.gumbel for null in scorer.nulls.values()}) == 3


def test_every_stream_and_bucket_draws_numbers_of_its_own():
    # The same cases as the stream of their category and as that of all, and once more a week later.
    week, scorer, later = 168, Scorer(LOCATIONS, NEAR, SETTINGS, {}), Scorer(LOCATIONS, NEAR, SETTINGS, {})
    moved = [msgspec.structs.replace(one, occurred_s=(one.occurred_s or 0) + week * 3600) for one in crowd(6)]
    for stream in (0, ALL):
        now = clusters(scorer, window_of(crowd(6)), stream=stream)
        then = clusters(later, window_of(moved, NOW + week), stream=stream)
        assert [one.figures.llr for one in now] == [one.figures.llr for one in then]
    nulls = [*scorer.nulls.values(), *later.nulls.values()]
    assert len({null.gumbel for null in nulls}) == 4


def test_a_crowd_stands_out_and_an_ordinary_hour_does_not():
    watch = score_for_interval(SETTINGS.tiers.watch)
    (found, *_) = clusters(Scorer(LOCATIONS, NEAR, SETTINGS, {}), window_of(crowd(9)))
    assert found.figures.score > watch
    assert LOCATIONS.ids[7] in found.figures.locations
    assert {f"i{100 + number}" for number in range(9)} <= set(found.members)
    assert clusters(Scorer(LOCATIONS, NEAR, SETTINGS, {}), window_of(crowd(1)), weakest=watch) == []


def test_what_patrols_discover_counts_and_triggers_only_where_it_may():
    window = window_of([msgspec.structs.replace(one, origin=Origin.DISCOVERED) for one in crowd(9)])
    found = {}
    for may in (False, True):
        rules = msgspec.structs.replace(SETTINGS, discovered_may_trigger=may)
        found[may] = clusters(Scorer(LOCATIONS, NEAR, rules, {}), window)[0].figures
    assert found[False].observed == found[True].observed >= 9
    assert found[False].reported == found[True].reported == 0
    assert found[False].trigger_score < 0 < found[False].score == found[True].score == found[True].trigger_score


def test_the_share_of_a_coordinate_is_that_in_the_stream_and_the_zone():
    def moved(versions: Kept) -> Kept:
        return [msgspec.structs.replace(one, longitude=-1.5, latitude=53.8) for one in versions]

    past = crowd(0) + [incident(400 + n, 7, 13 + n, 0) for n in range(30)]
    calm = [incident(1000 + n, n % 7, 13 + n % 30, n % 2) for n in range(1000)]
    kept = past + calm + moved(crowd(30)[60:])
    few, many = (moved([incident(3000 + n, 7, 13 + n % 30, 1) for n in range(number)]) for number in (30, 300))
    elsewhere = [msgspec.structs.replace(one, location=0, category=0) for one in few]
    cases = [([], 0, True), ([], ALL, True), (few, 0, True), (elsewhere, 0, True), (many, ALL, False)]
    for others, stream, is_stack in cases:
        scorer = Scorer(LOCATIONS, neighbours(LOCATIONS.points, 1.0), SETTINGS, {})
        found = clusters(scorer, window_of(kept + others), stream=stream)
        (crowded,) = [cluster for cluster in found if cluster.figures.locations == (LOCATIONS.ids[7],)]
        assert (ArtefactKind.STACK in {each.kind for each in crowded.figures.artefacts.found}) is is_stack


def test_recent_cases_are_those_of_the_longest_duration_by_stream():
    kept = crowd(6) + [incident(300 + n, n, n % 30, 1) for n in range(10)] + [incident(400, 1, 0, OTHER)]
    recent = RecentCases.of(window_of(kept), 12)
    for stream in (0, 1, ALL):
        mine = recent.of_stream(stream)
        found = sorted(zip(mine.location.tolist(), mine.age.tolist(), mine.category.tolist(), strict=True))
        assert found == sorted((v.location, age, v.category) for v, age in scanned(kept, stream) if age < 12)
