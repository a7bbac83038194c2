"""The permutation model, compared with sums straight from its formula, and its margins."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from detectors.models.permutation import permutation, share_of_duration
from tests.detectors.problems import Problem, int32, problems
from tests.naive import expected as naive

quickly = settings(max_examples=100, deadline=None, derandomize=True)


@quickly
@given(problem=problems())
def test_share_of_duration(problem: Problem):
    share = share_of_duration(problem.in_bucket, int32(problem.stratum), problem.strata, int32(problem.durations))
    assert share.tolist() == naive.share_of_duration(
        problem.in_bucket.tolist(), problem.stratum, problem.strata, problem.durations
    )


@quickly
@given(problem=problems())
def test_permutation(problem: Problem):
    model, recent = problem.model, problem.recent
    expected = naive.permutation(problem.cases, problem.stratum, problem.strata, problem.durations, len(problem.points))
    np.testing.assert_allclose(model.expected, expected, rtol=1e-12, atol=1e-12)
    assert model.counts.tolist() == naive.recent_counts(
        [location for location, _ in recent], [age for _, age in recent], problem.durations, len(problem.points)
    )
    assert model.totals.tolist() == [len(problem.cases)] * len(problem.durations)
    assert model.durations.tolist() == problem.durations


@quickly
@given(problem=problems())
def test_over_all_locations_as_many_are_expected_as_were_observed(problem: Problem):
    np.testing.assert_allclose(problem.model.expected.sum(axis=0), problem.model.counts.sum(axis=0), rtol=1e-12)


def test_by_hand():
    # 2 locations, 4 days, 1 stratum; location 0 has 3 cases, location 1 has 1; 2 of the 4 fell on the last day.
    by_stratum, in_bucket, stratum = int32([[3], [1]]), int32([1, 0, 1, 2]), int32([0, 0, 0, 0])
    share = share_of_duration(in_bucket, stratum, 1, int32([1, 2]))
    model = permutation(by_stratum, share, 4, int32([0, 0, 1]), int32([0, 0, 1]), int32([1, 2]))
    assert model.expected.tolist() == [[3 * 2 / 4, 3 * 3 / 4], [1 * 2 / 4, 1 * 3 / 4]]
    assert model.counts.tolist() == [[2, 2], [0, 1]]
    assert model.totals.tolist() == [4, 4]


def test_a_surge_of_the_whole_area_and_a_busy_location_are_as_expected():
    # Twice as much everywhere on the last day, and location 0 three times as busy as 1: nothing stands out.
    by_stratum, in_bucket = int32([[9], [3]]), int32([4, 8])
    location, age = int32([0] * 6 + [1] * 2), np.zeros(8, np.int32)
    share = share_of_duration(in_bucket, int32([0, 0]), 1, int32([1]))
    model = permutation(by_stratum, share, 12, location, age, int32([1]))
    np.testing.assert_allclose(model.expected, model.counts, rtol=1e-12)


def test_strata_compare_a_location_with_itself_at_such_hours():
    # Location 0 is busy in stratum 0 only, location 1 in stratum 1 only; the last bucket is of stratum 1.
    by_stratum, in_bucket, stratum = int32([[4, 0], [0, 4]]), int32([4, 2, 2]), int32([0, 1, 1])
    share = share_of_duration(in_bucket, stratum, 2, int32([1]))
    model = permutation(by_stratum, share, 8, int32([1, 1]), int32([0, 0]), int32([1]))
    assert model.expected.tolist() == [[0.0], [2.0]]
