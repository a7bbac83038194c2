"""Every compiled loop against its slow, obvious twin; ``test_uncompiled`` runs this file without the compiler too."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors import kernels
from tests.detectors.problems import Problem, compressed, int32, problems
from tests.naive import expected as naive_expected
from tests.naive import neighbours as naive_neighbours
from tests.naive import replications as naive_replications
from tests.naive import scan as naive_scan
from tests.naive import window as naive_window

NOISE = 1e-12
CHANCE = 1e-4
"""A distribution test with a fixed seed fails by chance with this probability, once and for all when it is written."""

quickly = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")), deadline=None, derandomize=True)


@quickly
@given(total=st.integers(1, 10_000), share=st.floats(0, 1), expected_share=st.floats(0, 1))
def test_log_likelihood_ratio(total: int, share: float, expected_share: float):
    observed, expected = round(share * total), expected_share * total
    assert kernels.log_likelihood_ratio(observed, expected, total) == pytest.approx(
        naive_scan.log_likelihood_ratio(observed, expected, total), rel=1e-12, abs=1e-12
    )


def test_log_likelihood_ratio_by_hand():
    assert kernels.log_likelihood_ratio(4, 2.0, 10) == pytest.approx(4 * math.log(2) + 6 * math.log(6 / 8))
    assert kernels.log_likelihood_ratio(10, 5.0, 10) == pytest.approx(10 * math.log(2))
    for observed, expected in [(2, 2.0), (1, 2.0), (0, 0.0), (1, 0.0)]:
        assert kernels.log_likelihood_ratio(observed, expected, 10) == 0.0


@quickly
@given(bucket_of_row=st.lists(st.integers(-20, -8), max_size=20), first=st.integers(-22, -6), length=st.integers(0, 8))
def test_rows_in_buckets(bucket_of_row: list[int], first: int, length: int):
    ring = 16
    head, after = np.full(ring, -1, np.int32), np.full(len(bucket_of_row) + 1, -1, np.int32)
    for row, bucket in enumerate(bucket_of_row):
        after[row], head[bucket % ring] = head[bucket % ring], row
    last = first + length - 1
    rows = kernels.rows_in_buckets(head, after, ring, first, last)
    assert rows.dtype == np.int32
    assert rows.tolist() == naive_window.rows_in_buckets(head.tolist(), after.tolist(), ring, first, last)
    if first >= -20 and last <= -8:
        assert sorted(rows.tolist()) == [row for row, b in enumerate(bucket_of_row) if first <= b <= last]


@quickly
@given(problem=problems())
def test_recent_counts_and_stratified_expected(problem: Problem):
    place, age = [place for place, _ in problem.recent], [age for _, age in problem.recent]
    counts = kernels.recent_counts(int32(place), int32(age), int32(problem.durations), len(problem.points))
    assert counts.tolist() == naive_expected.recent_counts(place, age, problem.durations, len(problem.points))
    weight = np.random.default_rng(1).random((problem.strata, len(problem.durations)))
    exact = naive_expected.stratified_expected(problem.by_stratum.tolist(), weight.tolist())
    assert kernels.stratified_expected(problem.by_stratum, weight).tolist() == exact


def best_per_centre(problem: Problem, min_cases: int, floor: float) -> list[tuple[float, int, int]]:
    near, model = problem.near, problem.model
    found = kernels.best_per_centre(near.start, near.index, model.counts, model.expected, model.total, min_cases, floor)
    return list(zip(*(column.tolist() for column in found), strict=True))


def without_noise(best: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """A window with exactly as many as expected may have a ratio of some 1e-16, by rounding alone."""
    return [one if one[0] > NOISE else (0.0, 0, 0) for one in best]


@quickly
@given(problem=problems(), min_cases=st.integers(1, 4), floor=st.just(0.0) | st.floats(0, 6))
def test_best_per_centre(problem: Problem, min_cases: int, floor: float):
    model = problem.model
    expected = naive_scan.best_per_centre(
        problem.rows, model.counts.tolist(), model.expected.tolist(), model.total, min_cases
    )
    above = [one if one[0] > floor else (0.0, 0, 0) for one in expected]
    assert without_noise(best_per_centre(problem, min_cases, floor)) == without_noise(above)


def test_a_tie_goes_to_fewest_locations_then_to_the_shortest_window():
    # Three places in a row; the middle one has all the recent cases and every case lies in the last bucket.
    rows = [[(0, 0.0), (1, 1.0)], [(1, 0.0), (0, 1.0), (2, 1.0)], [(2, 0.0), (1, 1.0)]]
    near = compressed(rows)
    counts, expected = int32([[0, 0], [4, 4], [0, 0]]), np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    llr, size, column = kernels.best_per_centre(near.start, near.index, counts, expected, 20, 2, 0.0)
    assert size.tolist() == [2, 1, 2]
    assert column.tolist() == [0, 0, 0]
    assert len(set(llr.tolist())) == 1


@quickly
@given(problem=problems(), data=st.data())
def test_without_overlap(problem: Problem, data: st.DataObject):
    near, rows = problem.near, problem.rows
    centres = range(len(rows))
    order = data.draw(st.permutations(list(centres)))[: data.draw(st.integers(0, len(rows)))]
    size = [data.draw(st.integers(1, len(row))) for row in rows]
    most = data.draw(st.integers(0, 4))
    kept = kernels.without_overlap(
        np.array(order, np.int64), near.start, near.index, near.distance_m, int32(size), most
    )
    assert kept.tolist() == naive_scan.without_overlap(order, problem.points, rows, size, most)


def test_a_location_on_a_circle_is_an_overlap_though_a_tie_left_it_out_of_the_zone():
    # Places in a row. Of 1 and 2, both at distance 2 of centre 0, its zone holds only 1; that of centre 4 holds 2.
    points = [(0.0, 0.0), (-2.0, 0.0), (2.0, 0.0), (6.0, 0.0), (4.0, 0.0)]
    near = compressed(naive_neighbours.neighbours(points, 2.0))
    assert near.zone(0, 2).tolist() == [0, 1]
    order, size = np.array([0, 4]), int32([2, 1, 1, 1, 1])
    apart = kernels.without_overlap(order, near.start, near.index, near.distance_m, size, 9)
    assert apart.tolist() == [0, 4]
    size[4] = 2
    assert near.zone(4, 2).tolist() == [4, 2]
    overlapping = kernels.without_overlap(order, near.start, near.index, near.distance_m, size, 9)
    assert overlapping.tolist() == [0]


@quickly
@given(problem=problems(), min_cases=st.integers(1, 4))
def test_largest_ratio(problem: Problem, min_cases: int):
    near, model = problem.near, problem.model
    place, age = int32([place for place, _ in problem.recent]), int32([age for _, age in problem.recent])
    counts, reach = np.zeros_like(model.counts), np.zeros(len(problem.points), np.int32)
    durations = model.durations
    found = kernels.largest_ratio(
        near.start, near.index, place, age, durations, model.expected, model.total, min_cases, counts, reach
    )
    expected = naive_scan.largest_ratio(
        problem.rows, model.counts.tolist(), model.expected.tolist(), model.total, min_cases
    )
    assert found == expected or max(found, expected) < NOISE
    assert not counts.any()
    assert not reach.any()


POOL = [[0, 0, 0, 1, 1, 2], [1, 3, 3]]
DRAWN = [0, 0, 1]
"""The strata of the recent cases: two of the six in the first, one of the three in the second."""


def redraw(pool: list[list[int]], strata: list[int], draws: list[float]) -> tuple[list[int], list[int]]:
    """The places drawn, and the pool afterwards."""
    flat, places = int32([place for places in pool for place in places]), np.zeros(len(strata), np.int32)
    start = np.concatenate(([0], np.cumsum([len(places) for places in pool]))).astype(np.int64)
    kernels.redraw(flat, start, int32(strata), np.array(draws), places)
    return places.tolist(), flat.tolist()


@quickly
@given(
    pool=st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=4),
    data=st.data(),
)
def test_redraw(pool: list[list[int]], data: st.DataObject):
    strata = [s for s, places in enumerate(pool) for _ in range(data.draw(st.integers(0, len(places))))]
    draws = [data.draw(st.floats(0, 1, exclude_max=True)) for _ in strata]
    places, after = redraw(pool, strata, draws)
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
    found = Counter(tuple(redraw(POOL, DRAWN, generator.random(3).tolist())[0]) for _ in range(4000))
    assert set(found) <= set(chances)
    wanted = np.array([chances[key] for key in chances]) / chances.total() * 4000
    assert stats.chisquare([found[key] for key in chances], wanted).pvalue > CHANCE
