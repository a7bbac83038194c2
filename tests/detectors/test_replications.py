"""Maxima under the null: seeded, and distributed as full shuffles and SaTScan's simulations are."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from detectors.replications import largest_by_chance
from tests.detectors.problems import Problem, int32
from tests.detectors.satscan import PERMUTATION, reference
from tests.naive import replications as naive

CHANCE = 1e-4
"""Each test of a distribution would fail with this probability for another seed; the seeds are fixed."""

POINTS = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (5.0, 5.0)]
TINY = Problem(
    points=POINTS,
    max_radius=1.0,
    cases=[(0, 0), (0, 1), (1, 0), (2, 3), (3, 4), (0, 2), (1, 2), (3, 5), (3, 6)],
    stratum=[0, 0, 0, 0, 1, 0, 0],
    strata=2,
    durations=[1, 2, 3],
)


def busy() -> Problem:
    """60 cases over 12 places and 3 strata."""
    generator = random.Random(11)
    points = [(float(n % 4), float(n // 4)) for n in range(12)]
    return Problem(
        points=points,
        max_radius=1.5,
        cases=[(min(generator.randrange(12), generator.randrange(12)), generator.randrange(30)) for _ in range(60)],
        stratum=[bucket // 2 % 3 for bucket in range(30)],
        strata=3,
        durations=[1, 3, 8],
    )


def maxima(problem: Problem, replications: int, *seed: int, min_cases: int = 2) -> NDArray[np.float64]:
    recent = [(age, stratum) for _, age, stratum in problem.dealt if age < problem.durations[-1]]
    age, stratum = int32([age for age, _ in recent]), int32([stratum for _, stratum in recent])
    return largest_by_chance(
        problem.model, problem.near, problem.by_stratum, age, stratum, min_cases, replications, seed
    )


def test_the_largest_ratio_has_the_distribution_of_all_shuffles():
    model = TINY.model
    expected = naive.distribution_of_largest(TINY.dealt, 2, TINY.rows, model.expected.tolist(), TINY.durations, 2)
    assert len(expected) > 3
    found = maxima(TINY, 3000, 5).round(9).tolist()
    values = sorted(expected)
    assert set(found) <= set(values)
    wanted = [float(expected[value]) * len(found) for value in values]
    assert min(wanted) >= 5
    assert stats.chisquare([found.count(value) for value in values], wanted).pvalue > CHANCE


def test_the_largest_ratio_is_distributed_as_in_full_shuffles():
    problem = busy()
    model = problem.model
    shuffled = naive.largest_by_chance(
        problem.dealt, 3, problem.rows, model.expected.tolist(), problem.durations, 2, 400, random.Random(3)
    )
    assert stats.ks_2samp(maxima(problem, 2000, 3), shuffled).pvalue > CHANCE


@pytest.mark.parametrize("name", PERMUTATION)
def test_the_largest_ratio_is_distributed_as_in_satscan_s_simulations(name: str):
    case = reference(name)
    ages = case.ages
    ours = largest_by_chance(
        case.model, case.near, case.by_stratum, ages, np.zeros(len(ages), np.int32), 2, 999, (20240601,)
    )
    assert stats.ks_2samp(ours, case.maxima).pvalue > CHANCE


def test_a_replication_depends_on_the_seed_and_its_number_alone():
    problem = busy()
    assert maxima(problem, 20, 1, 2, 3).tolist() == maxima(problem, 50, 1, 2, 3)[:20].tolist()
    for other in [(1, 2, 4), (1, 3, 3), (0, 2, 3)]:
        assert maxima(problem, 20, 1, 2, 3).tolist() != maxima(problem, 20, *other).tolist()


def test_the_order_of_the_cases_does_not_matter_and_nothing_given_is_changed():
    problem = busy()
    recent = [(age, stratum) for _, age, stratum in problem.dealt if age < problem.durations[-1]]
    model, by_stratum = problem.model, problem.by_stratum
    found = []
    for cases in (recent, recent[::-1]):
        age, stratum = int32([age for age, _ in cases]), int32([stratum for _, stratum in cases])
        given: list[NDArray[Any]] = [model.counts, model.expected, by_stratum, age, stratum]
        before = [array.copy() for array in given]
        found.append(largest_by_chance(model, problem.near, by_stratum, age, stratum, 2, 30, (9,)).tolist())
        assert all(np.array_equal(array, copy) for array, copy in zip(given, before, strict=True))
    assert found[0] == found[1]


def test_without_enough_cases_nothing_is_high():
    assert maxima(TINY, 50, 1, min_cases=9).tolist() == [0.0] * 50
