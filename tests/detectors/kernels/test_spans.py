"""Windows over any time span, and replications of them, against trying every one."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.kernels.spans import Search, best_spans_per_centre, cases_by_place, largest_of_spans
from tests.detectors.problems import Problem, int32, problems
from tests.naive import spans as naive

quickly = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")), deadline=None, derandomize=True)
NOISE = 1e-9


def arrays(problem: Problem) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Location and interval of every case, and the plain permutation's expected cases, (L, T)."""
    intervals = len(problem.stratum)
    place = int32([place for place, _ in problem.cases])
    interval = int32([intervals - 1 - age for _, age in problem.cases])
    by_place = np.bincount(place, minlength=len(problem.points)).astype(float)
    by_interval = np.bincount(interval, minlength=intervals).astype(float)
    return place, interval, np.outer(by_place, by_interval) / max(1, len(problem.cases))


def naive_windows(problem: Problem, longest: int, min_cases: int, first_end: int) -> list[naive.Window]:
    place, interval, expected = arrays(problem)
    counts = [[0] * expected.shape[1] for _ in problem.points]
    for location, at in zip(place, interval, strict=True):
        counts[location][at] += 1
    return naive.every_window(problem.rows, counts, expected.tolist(), longest, len(place), min_cases, first_end)


@quickly
@given(problem=problems(), longest=st.integers(1, 4), min_cases=st.integers(2, 3), after=st.sampled_from([0.3, 1.0]))
def test_best_spans_per_centre(problem: Problem, longest: int, min_cases: int, after: float):
    place, interval, expected = arrays(problem)
    intervals, near = expected.shape[1], problem.near
    longest = min(longest, intervals)
    totals = np.full((intervals, longest), float(len(place)))
    found = best_spans_per_centre(place, interval, near.rows, Search(expected, totals, 0, min_cases, 0.0), after)
    ours = [window for window in zip(*(column.tolist() for column in found), strict=True) if window[0] > NOISE]
    every = naive_windows(problem, longest, min_cases, 0)
    theirs = []
    for centre in range(len(problem.points)):
        mine = [window for window in every if window[1] == centre]
        theirs += naive.best_of_centre(mine, 0, intervals, NOISE, after)
    assert [window[1:] for window in ours] == [window[1:] for window in theirs]
    np.testing.assert_allclose([window[0] for window in ours], [window[0] for window in theirs], rtol=1e-9)


@quickly
@given(problem=problems(), longest=st.integers(1, 4), min_cases=st.integers(2, 3), data=st.data())
def test_largest_of_spans(problem: Problem, longest: int, min_cases: int, data: st.DataObject):
    place, interval, expected = arrays(problem)
    intervals, near = expected.shape[1], problem.near
    longest, first_end = min(longest, intervals), data.draw(st.integers(0, intervals))
    totals = np.full((intervals, longest), float(len(place)))
    # Two replications: the cases themselves, and none.
    start = np.array([0, len(place), len(place)])
    found = largest_of_spans(start, place, interval, near.rows, Search(expected, totals, first_end, min_cases, 0.0))
    every = naive_windows(problem, longest, min_cases, first_end)
    expected_largest = max((window[0] for window in every), default=0.0)
    np.testing.assert_allclose(found, [expected_largest, 0.0], rtol=1e-9, atol=NOISE)


@quickly
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20))
def test_cases_by_place(cases: list[tuple[int, int]]):
    place, interval = int32([p for p, _ in cases]), int32([t for _, t in cases])
    start, of_place = cases_by_place(place, interval, 4, 6)
    for each in range(4):
        assert of_place[start[each] : start[each + 1]].tolist() == sorted(t for p, t in cases if p == each)
