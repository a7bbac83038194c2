"""After any sequence of changes a rescan gives the result of a full scan and of trying every window."""

from __future__ import annotations

import dataclasses
import os
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.models.expected import Expected
from detectors.scan import rescan as module
from detectors.scan.cylinders import best_windows
from detectors.scan.rescan import NO_PLACE, Rescan
from tests.detectors.problems import Problem, problems
from tests.naive import scan as naive

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))
NOISE = 1e-9

Change = tuple[int, int, int]
Live = tuple[Expected, NDArray[np.float64]]
"""The cases of a model at one moment, and the shares that its expected ones are made of."""


def permutation(problem: Problem) -> Live:
    return problem.model, problem.share


def poisson(problem: Problem) -> Live:
    """All cases of the window, spread evenly over its buckets, and over locations by fixed weights."""
    locations, total = len(problem.points), len(problem.cases)
    weight = (1.0 + np.arange(locations) % 3)[:, None]
    share = np.array([total * duration / len(problem.stratum) for duration in problem.durations])[None] / weight.sum()
    return dataclasses.replace(problem.model, expected=weight @ share), share


def expectation(problem: Problem) -> Live:
    """Fixed usual cases of a location in a bucket of each stratum."""
    usual = (1.0 + np.arange(len(problem.points) * problem.strata) % 5).reshape(-1, problem.strata) / 20
    stratum = np.array(problem.stratum)
    share = np.array([np.bincount(stratum[-each:], minlength=problem.strata) for each in problem.durations], float).T
    totals = np.full(len(problem.durations), np.inf)
    return dataclasses.replace(problem.model, expected=usual @ share, totals=totals), share


MODELS = {"permutation": permutation, "poisson": poisson, "expectation": expectation}


def changed(problem: Problem, change: Change) -> tuple[Problem, set[int]]:
    """Return the problem with a case added, removed or moved, and the locations touched."""
    kind, location, age = change
    cases = list(problem.cases)
    location, age = location % len(problem.points), age % len(problem.stratum)
    touched = set()
    if kind != 0 and cases:
        gone, _ = cases.pop(age % len(cases))
        touched.add(gone)
    if kind != 1:
        cases.append((location, age))
        touched.add(location)
    return dataclasses.replace(problem, cases=cases), touched


def check(rescan: Rescan, problem: Problem, touched: set[int], floor: float, name: str = "permutation") -> int:
    model, share = MODELS[name](problem)
    found = rescan.best(model, share, np.array(sorted(touched), np.int64), floor)
    full = best_windows(model, problem.near, 2, floor)
    ours = list(zip(found.centre.tolist(), found.llr, found.size.tolist(), found.column.tolist(), strict=True))
    assert ours == list(zip(full.centre.tolist(), full.llr, full.size.tolist(), full.column.tolist(), strict=True))
    total = float(model.totals[0])
    slow = naive.best_per_centre(problem.rows, model.counts.tolist(), model.expected.tolist(), total, 2)
    above = [(centre, *best) for centre, best in enumerate(slow) if best[0] > max(floor, NOISE)]
    assert [one for one in ours if one[1] > max(floor, NOISE)] == above
    return len(ours)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(
    problem=problems(),
    changes=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(0, 30)), max_size=12),
    floors=st.lists(st.floats(0.05, 4), min_size=12, max_size=12),
)
def test_any_sequence_of_changes(name: str, problem: Problem, changes: list[Change], floors: list[float]):
    rescan = Rescan(problem.near, 2)
    rescan.best(*MODELS[name](problem), NO_PLACE, floors[0])
    for change, floor in zip(changes, floors, strict=False):
        problem, touched = changed(problem, change)
        check(rescan, problem, touched, floor, name)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("many", [1, 10**9])
def test_a_city_for_a_while(many: int, name: str, monkeypatch: pytest.MonkeyPatch):
    """Few centres are scanned, and everything near the floor is found, with many touched locations or few."""
    monkeypatch.setattr(module, "MANY", many)
    chance = random.Random(4)
    points = [(float(n % 12), float(n // 12)) for n in range(144)]
    cases = [(chance.randrange(144), chance.randrange(40)) for _ in range(900)]
    problem = Problem(points, 1.5, cases, [n % 3 for n in range(40)], 3, [1, 2, 5, 10])
    rescan = Rescan(problem.near, 2)
    check(rescan, problem, set(), 3.0, name)
    found = 0
    for _ in range(60):
        kind = chance.choice([0, 0, 1, 2])
        location = chance.choice([40, chance.randrange(144)])
        problem, touched = changed(problem, (kind, location, chance.choice([0, 0, chance.randrange(40)])))
        found += check(rescan, problem, touched, chance.uniform(2.5, 4.0), name)
    assert found > 100
