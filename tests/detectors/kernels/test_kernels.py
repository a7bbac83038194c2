"""Every compiled loop against its slow, obvious twin; ``test_uncompiled`` runs this file without the compiler too."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from detectors.area.neighbours import Neighbours
from detectors.kernels.centres import best_per_centre, cases_within, hopeful_centres, near_any, without_overlap
from detectors.kernels.null import deal, guide, redraw
from detectors.kernels.pairs import linked_groups, numbers_around
from detectors.kernels.ratio import Cases, Rows, log_likelihood_ratio
from detectors.kernels.window import arrived, recent_counts, rows_in_buckets, stratified_expected
from tests.detectors.problems import Problem, compressed, int32, problems
from tests.naive import expected as naive_expected
from tests.naive import neighbours as naive_neighbours
from tests.naive import pairs as naive_pairs
from tests.naive import replications as naive_replications
from tests.naive import scan as naive_scan
from tests.naive import spans as naive_spans
from tests.naive import window as naive_window

NOISE = 1e-12
CHANCE = 1e-4
"""A distribution test with a fixed seed fails by chance with this probability, once and for all when it is written."""

quickly = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")), deadline=None, derandomize=True)


@quickly
@given(total=st.integers(1, 10_000), share=st.floats(0, 1), expected_share=st.floats(0, 1))
def test_log_likelihood_ratio(total: int, share: float, expected_share: float):
    observed, expected = round(share * total), expected_share * total
    assert log_likelihood_ratio(observed, expected, total, 0.0) == pytest.approx(
        naive_scan.log_likelihood_ratio(observed, expected, total), rel=1e-12, abs=1e-12
    )


def test_log_likelihood_ratio_by_hand():
    assert log_likelihood_ratio(4, 2.0, 10, 0.0) == pytest.approx(4 * math.log(2) + 6 * math.log(6 / 8))
    assert log_likelihood_ratio(10, 5.0, 10, 0.0) == pytest.approx(10 * math.log(2))
    for observed, expected in [(2, 2.0), (1, 2.0), (0, 0.0), (1, 0.0)]:
        assert log_likelihood_ratio(observed, expected, 10, 0.0) == 0.0


@quickly
@given(bucket_of_row=st.lists(st.integers(-20, -8), max_size=20), first=st.integers(-22, -6), length=st.integers(0, 8))
def test_rows_in_buckets(bucket_of_row: list[int], first: int, length: int):
    ring = 16
    head, after = np.full(ring, -1, np.int32), np.full(len(bucket_of_row) + 1, -1, np.int32)
    for row, bucket in enumerate(bucket_of_row):
        after[row], head[bucket % ring] = head[bucket % ring], row
    last = first + length - 1
    rows = rows_in_buckets(head, after, ring, first, last)
    assert rows.dtype == np.int32
    assert rows.tolist() == naive_window.rows_in_buckets(head.tolist(), after.tolist(), ring, first, last)
    if first >= -20 and last <= -8:
        assert sorted(rows.tolist()) == [row for row, b in enumerate(bucket_of_row) if first <= b <= last]


@quickly
@given(
    columns=st.lists(
        st.tuples(st.integers(-1, 12), st.integers(-2, 2), st.integers(-1, 1), st.integers(0, 6)), max_size=30
    ),
    categories=st.sampled_from([range(4), range(1, 2)]),
    latest=st.integers(-3, 2),
    longest_s=st.integers(0, 14),
    age_s=st.integers(0, 15),
)
def test_arrived(columns: Any, categories: range, latest: int, longest_s: int, age_s: int):
    delay_s, bucket, location, category = np.array(columns, np.int32).reshape(-1, 4).T.copy()
    bounds = categories[0], categories[-1], latest, longest_s
    found = arrived(delay_s, bucket, location, category.astype(np.int8), *bounds, age_s)
    assert found == naive_window.arrived(columns, categories, latest, longest_s, age_s)


@quickly
@given(problem=problems())
def test_recent_counts_and_stratified_expected(problem: Problem):
    place, age = [place for place, _ in problem.recent], [age for _, age in problem.recent]
    counts = recent_counts(int32(place), int32(age), int32(problem.durations), len(problem.points))
    assert counts.tolist() == naive_expected.recent_counts(place, age, problem.durations, len(problem.points))
    weight = np.random.default_rng(1).random((problem.strata, len(problem.durations)))
    exact = naive_expected.stratified_expected(problem.by_stratum.tolist(), weight.tolist())
    assert stratified_expected(problem.by_stratum, weight).tolist() == exact


def windows_of(problem: Problem, min_cases: int) -> tuple[Rows, Cases, int]:
    """The arguments of the kernels of centres after the centres themselves, up to the least number of cases."""
    model = problem.model
    return problem.near.rows, Cases(model.counts, model.expected, model.totals), min_cases


def without_noise(best: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """A window with exactly as many as expected may have a ratio of some 1e-16, by rounding alone."""
    return [one if one[0] > NOISE else (0.0, 0, 0) for one in best]


@quickly
@given(problem=problems(), min_cases=st.integers(1, 4), floor=st.just(0.0) | st.floats(0, 6))
def test_best_per_centre(problem: Problem, min_cases: int, floor: float):
    model = problem.model
    everyone = np.arange(len(problem.points), dtype=np.int32)
    found = best_per_centre(everyone, *windows_of(problem, min_cases), 0.0, floor)
    expected = naive_scan.best_per_centre(
        problem.rows, model.counts.tolist(), model.expected.tolist(), len(problem.cases), min_cases
    )
    above = [one if one[0] > floor else (0.0, 0, 0) for one in expected]
    ours = list(zip(*(column.tolist() for column in found), strict=True))
    assert without_noise(ours) == without_noise(above)
    some = everyone[::2].copy()
    assert [one.tolist() for one in best_per_centre(some, *windows_of(problem, min_cases), 0.0, floor)] == [
        one[::2].tolist() for one in found
    ]


@quickly
@given(problem=problems(), min_cases=st.integers(1, 4), floor=st.floats(0.01, 6), is_alone=st.booleans())
def test_hopeful_centres(problem: Problem, min_cases: int, floor: float, is_alone: bool):
    """No centre with a window above the floor is ever without hope; with one location and a high floor it is."""
    windows = windows_of(problem, min_cases)
    if is_alone:
        windows = (windows[0], windows[1]._replace(totals=np.full(len(problem.durations), np.inf)), min_cases)
    everyone = np.arange(len(problem.points), dtype=np.int32)
    hopeful = hopeful_centres(everyone, *windows, floor)
    llr, _, _ = best_per_centre(everyone, *windows, 0.0, floor)
    assert hopeful[llr > floor].all()
    assert not hopeful_centres(everyone, *windows, 1e9).any()


@quickly
@given(problem=problems(), data=st.data())
def test_centres_near_some_locations_and_the_cases_within_reach_of_centres(problem: Problem, data: st.DataObject):
    some = data.draw(st.lists(st.integers(0, len(problem.points) - 1), unique=True))
    counts = [sum(location == each for location, _ in problem.cases) for each in range(len(problem.points))]
    near = near_any(np.array(some, np.int64), problem.near.rows)
    assert near.tolist() == [any(each in some for each in row) for row in problem.rows]
    within = cases_within(int32(some), problem.near.rows, int32(counts))
    assert within.tolist() == [sum(counts[each] for each in problem.rows[centre]) for centre in some]


def test_a_tie_goes_to_fewest_locations_then_to_the_shortest_window():
    # Three places in a row; the middle one has all the recent cases and every case lies in the last bucket.
    rows = [[(0, 0.0), (1, 1.0)], [(1, 0.0), (0, 1.0), (2, 1.0)], [(2, 0.0), (1, 1.0)]]
    near = compressed(rows)
    counts, expected = int32([[0, 0], [4, 4], [0, 0]]), np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    totals = np.array([20.0, 20.0])
    llr, size, column = best_per_centre(int32([0, 1, 2]), near.rows, Cases(counts, expected, totals), 2, 0.0, 0.0)
    assert size.tolist() == [2, 1, 2]
    assert column.tolist() == [0, 0, 0]
    assert len(set(llr.tolist())) == 1


def at_once(order: NDArray[np.int64], near: Neighbours, size: NDArray[np.int32], most: int) -> NDArray[np.int64]:
    """Of the windows of these centres, all at the same time, those that are kept."""
    centre, now = np.arange(len(size), dtype=np.int32), np.zeros(len(size), np.int32)
    return without_overlap(order, centre, size, now, now, near.rows, most)


@quickly
@given(problem=problems(), data=st.data())
def test_without_overlap(problem: Problem, data: st.DataObject):
    near, rows = problem.near, problem.rows
    centres = range(len(rows))
    order = data.draw(st.permutations(list(centres)))[: data.draw(st.integers(0, len(rows)))]
    size = [data.draw(st.integers(1, len(row))) for row in rows]
    most = data.draw(st.integers(0, 4))
    kept = at_once(np.array(order, np.int64), near, int32(size), most)
    assert kept.tolist() == naive_scan.without_overlap(order, problem.points, rows, size, most)


def test_a_location_on_a_circle_is_an_overlap_though_a_tie_left_it_out_of_the_zone():
    # Places in a row. Of 1 and 2, both at distance 2 of centre 0, its zone holds only 1; that of centre 4 holds 2.
    points = [(0.0, 0.0), (-2.0, 0.0), (2.0, 0.0), (6.0, 0.0), (4.0, 0.0)]
    near = compressed(naive_neighbours.neighbours(points, 2.0))
    assert near.zone(0, 2).tolist() == [0, 1]
    order, size = np.array([0, 4]), int32([2, 1, 1, 1, 1])
    apart = at_once(order, near, size, 9)
    assert apart.tolist() == [0, 4]
    size[4] = 2
    assert near.zone(4, 2).tolist() == [4, 2]
    overlapping = at_once(order, near, size, 9)
    assert overlapping.tolist() == [0]


@quickly
@given(problem=problems(), data=st.data())
def test_without_overlap_in_space_and_time(problem: Problem, data: st.DataObject):
    near, rows = problem.near, problem.rows
    number = data.draw(st.integers(0, 12))
    centre = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=number, max_size=number))
    size = [data.draw(st.integers(1, len(rows[each]))) for each in centre]
    begin = data.draw(st.lists(st.integers(0, 6), min_size=number, max_size=number))
    end = [each + data.draw(st.integers(1, 3)) for each in begin]
    order = np.arange(number)
    kept = without_overlap(order, int32(centre), int32(size), int32(begin), int32(end), near.rows, 9)
    assert kept.tolist() == naive_spans.without_overlap(centre, size, begin, end, problem.points, rows, 9)


POOL = [[0, 0, 0, 1, 1, 2], [1, 3, 3]]
DRAWN = [0, 0, 1]
"""The strata of the recent cases: two of the six in the first, one of the three in the second."""


def drawn_from(pool: list[list[int]], strata: list[int], draws: list[float]) -> tuple[list[int], list[int]]:
    """The places drawn, and the pool afterwards."""
    flat, places = int32([place for places in pool for place in places]), np.zeros(len(strata), np.int32)
    start = np.concatenate(([0], np.cumsum([len(places) for places in pool]))).astype(np.int64)
    redraw(flat, start, int32(strata), np.array(draws), places)
    return places.tolist(), flat.tolist()


@quickly
@given(
    pool=st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=4),
    data=st.data(),
)
def test_redraw(pool: list[list[int]], data: st.DataObject):
    strata = [s for s, places in enumerate(pool) for _ in range(data.draw(st.integers(0, len(places))))]
    draws = [data.draw(st.floats(0, 1, exclude_max=True)) for _ in strata]
    places, after = drawn_from(pool, strata, draws)
    assert places == naive_replications.redraw(pool, strata, draws)
    assert after == [place for places in pool for place in places]
    for stratum, there in enumerate(pool):
        drawn = Counter(place for place, s in zip(places, strata, strict=True) if s == stratum)
        assert drawn <= Counter(there)
        if drawn.total() == len(there):
            assert drawn == Counter(there)


def test_redraw_gives_every_sample_without_replacement_its_chance():
    chances: Counter[tuple[int, ...]] = Counter()
    for first, second in itertools.permutations(POOL[0], 2):
        for third in POOL[1]:
            chances[first, second, third] += 1
    generator = np.random.default_rng(20240601)
    found = Counter(tuple(drawn_from(POOL, DRAWN, generator.random(3).tolist())[0]) for _ in range(4000))
    assert set(found) <= set(chances)
    wanted = np.array([chances[key] for key in chances]) / chances.total() * 4000
    assert stats.chisquare([found[key] for key in chances], wanted).pvalue > CHANCE


@quickly
@given(
    expected=st.lists(st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.0]), min_size=5, max_size=5), min_size=1, max_size=3),
    draws=st.lists(st.floats(0, 1, exclude_max=True), max_size=20),
)
def test_deal(expected: list[list[float]], draws: list[float]):
    cumulative = np.cumsum(np.array(expected) + np.array([0.0, 0.0, 0.0, 0.0, 0.5]), axis=1)
    interval = int32([n % len(expected) for n in range(len(draws))])
    places = np.zeros(len(draws), np.int32)
    deal(cumulative, guide(cumulative), interval, np.array(draws), places)
    assert places.tolist() == [
        naive_replications.deal(cumulative[row].tolist(), draw) for row, draw in zip(interval, draws, strict=True)
    ]


on_a_grid = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda point: (float(point[0]), float(point[1])))


@quickly
@given(centres=st.lists(st.tuples(on_a_grid, st.integers(0, 5)), max_size=5), points=st.lists(on_a_grid, max_size=12))
def test_numbers_around(centres: list[tuple[tuple[float, float], int]], points: list[tuple[float, float]]):
    middles, within = [point for point, _ in centres], [float(limit) for _, limit in centres]
    found = numbers_around(
        np.array(middles, float).reshape(-1, 2), np.array(within), np.array(points, float).reshape(-1, 2)
    )
    assert found.tolist() == naive_pairs.numbers_around(middles, within, points)


@quickly
@given(cases=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), on_a_grid), max_size=16))
def test_linked_groups(cases: list[tuple[int, int, tuple[float, float]]]):
    kind, second, points = [one for one, _, _ in cases], [at for _, at, _ in cases], [where for _, _, where in cases]
    found = linked_groups(
        np.array(kind, np.int8), np.array(second, np.int64), np.array(points, float).reshape(-1, 2), 3.0, 5
    )
    assert found == naive_pairs.linked_groups(kind, second, points, 3.0, 5)
