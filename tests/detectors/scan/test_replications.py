"""Maxima under the null: seeded, and distributed as full shuffles and SaTScan's simulations are."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from detectors.models.nulls import PermutationNull
from detectors.scan.replications import generators, largest_by_chance
from detectors.scan.shells import Shells
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


def permutation_null(problem: Problem, cases: list[tuple[int, int, int]]) -> PermutationNull:
    """``cases``: the recent ones."""
    place, stratum = (
        int32([place for place, _, _ in problem.dealt]),
        int32([stratum for _, _, stratum in problem.dealt]),
    )
    return PermutationNull(place, stratum, int32([age for _, age, _ in cases]), int32([s for _, _, s in cases]))


def maxima(
    problem: Problem, replications: int, *seed: int, min_cases: int = 2, threads: int = 1
) -> NDArray[np.float64]:
    recent = [case for case in problem.dealt if case[1] < problem.durations[-1]]
    return largest_by_chance(
        problem.model,
        permutation_null(problem, recent),
        problem.near,
        Shells.cut(problem.near, np.ones(len(problem.points))),
        min_cases,
        replications,
        seed,
        threads=threads,
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
    place = int32([place for place, _ in case.cases])
    null = PermutationNull(place, np.zeros_like(place), case.ages, np.zeros_like(case.ages))
    shells = Shells.cut(case.near, np.ones(len(case.ids)))
    ours = largest_by_chance(case.model, null, case.near, shells, 2, 999, (20240601,))
    assert stats.ks_2samp(ours, case.maxima).pvalue > CHANCE


def test_every_replication_has_random_numbers_of_its_own():
    seed, numbers = (7, 2**40), [0, 1, 2, 998, 10**6]
    for number, generator in zip(numbers, generators(seed, numbers), strict=True):
        own = np.random.Generator(np.random.PCG64DXSM(seed).jumped(number))
        assert generator.random(50).tolist() == own.random(50).tolist()
        assert (
            generator.integers(9, size=3, dtype=np.uint32).tolist() == own.integers(9, size=3, dtype=np.uint32).tolist()
        )


def test_a_replication_depends_on_the_seed_and_its_number_alone():
    problem = busy()
    assert maxima(problem, 20, 1, 2, 3).tolist() == maxima(problem, 50, 1, 2, 3)[:20].tolist()
    for other in [(1, 2, 4), (1, 3, 3), (0, 2, 3)]:
        assert maxima(problem, 20, 1, 2, 3).tolist() != maxima(problem, 20, *other).tolist()


def test_the_number_of_threads_changes_nothing():
    problem = busy()
    assert maxima(problem, 150, 4).tolist() == maxima(problem, 150, 4, threads=3).tolist()


def test_the_order_of_the_cases_does_not_matter_and_nothing_given_is_changed():
    problem = busy()
    recent = [case for case in problem.dealt if case[1] < problem.durations[-1]]
    model, shells = problem.model, Shells.cut(problem.near, np.ones(12))
    found = []
    for cases in (recent, recent[::-1]):
        null = permutation_null(problem, cases)
        given: list[NDArray[Any]] = [model.counts, model.expected]
        before = [array.copy() for array in given]
        found.append(largest_by_chance(model, null, problem.near, shells, 2, 30, (9,)).tolist())
        assert all(np.array_equal(array, copy) for array, copy in zip(given, before, strict=True))
    assert found[0] == found[1]


def crowded(cases: int, durations: int) -> Problem:
    """So many cases in one place, most of them of late, and a few elsewhere."""
    return Problem(
        points=POINTS,
        max_radius=1.0,
        cases=[(0, n % 4) for n in range(cases)] + [(n % 4, n % 30) for n in range(60)],
        stratum=[0] * 30,
        strata=1,
        durations=list(range(1, durations + 1)),
    )


@pytest.mark.parametrize(("cases", "durations"), [(3, 8), (3, 9), (200, 8), (200, 12)])
def test_more_cases_or_durations_than_a_word_has_room_for_are_scanned_all_the_same(cases: int, durations: int):
    problem = crowded(cases, durations)
    slow = naive.largest_by_chance(
        problem.dealt, 1, problem.rows, problem.model.expected.tolist(), problem.durations, 2, 200, random.Random(3)
    )
    assert stats.ks_2samp(maxima(problem, 1000, 3), slow).pvalue > CHANCE


def test_without_enough_cases_nothing_is_high():
    assert maxima(TINY, 50, 1, min_cases=9).tolist() == [0.0] * 50
