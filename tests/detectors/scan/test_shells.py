"""Shells of neighbours: each place is where it belongs, and what they rule out is never the largest ratio."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.models.nulls import Drawn
from detectors.scan.replications import LargestNow
from detectors.scan.shells import GROWTH, STEP, Shells
from tests.detectors.problems import Problem, int32, problems
from tests.naive import expected as naive_expected
from tests.naive import scan as naive

quickly = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")), deadline=None, derandomize=True)
NOISE = 1e-12


@quickly
@given(problem=problems(), data=st.data())
def test_shells_are_the_rows_cut_where_the_mass_has_grown(problem: Problem, data: st.DataObject):
    rows = problem.rows
    mass = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(rows), max_size=len(rows))), float)
    shells = Shells.cut(problem.near, mass)
    assert shells.order[shells.number].tolist() == list(range(len(rows)))
    holding: dict[int, list[int]] = {place: [] for place in range(len(rows))}
    for centre, row in enumerate(rows):
        here = shells.number[centre]
        cut = [
            shells.order[shells.member[shells.first[each] : shells.first[each + 1]]].tolist()
            for each in range(shells.of[here], shells.of[here + 1])
        ]
        assert [place for shell in cut for place in shell] == row
        for each, shell in zip(range(shells.of[here], shells.of[here + 1]), cut, strict=True):
            before = row[: row.index(shell[0]) + 1]
            inside = mass[before].sum()
            grown = mass[row[: row.index(shell[-1]) + 1]].sum() - inside
            assert grown <= min(GROWTH * inside, STEP * np.sqrt(inside)) + 1e-9
            for place in shell:
                holding[place].append(each)
    for place, shells_there in holding.items():
        number = shells.number[place]
        found = shells.place_shell[shells.place_start[number] : shells.place_start[number + 1]]
        assert found.tolist() == sorted(shells_there)


@quickly
@given(
    problem=problems(),
    min_cases=st.integers(2, 4),
    floor=st.sampled_from([0.0, 0.5, 2.0, 5.0]),
    is_alone=st.booleans(),
    data=st.data(),
)
def test_the_largest_ratio_whatever_the_floor(
    problem: Problem, min_cases: int, floor: float, is_alone: bool, data: st.DataObject
):
    model = problem.model
    total = len(problem.cases)
    if is_alone:
        object.__setattr__(model, "totals", np.full(len(model.durations), np.inf))
    replications = data.draw(st.integers(1, 3))
    places = st.integers(0, len(problem.points) - 1)
    ages = st.integers(0, problem.durations[-1] - 1)
    cases = [data.draw(st.lists(st.tuples(places, ages), max_size=min(12, total))) for _ in range(replications)]
    drawn = Drawn(
        np.cumsum([0, *map(len, cases)]),
        int32([place for each in cases for place, _ in each]),
        int32([age for each in cases for _, age in each]),
    )
    largest = LargestNow(model, problem.near, Shells.cut(problem.near, np.ones(len(problem.points))), min_cases, 0.0)
    largest._floor = floor
    found = largest(drawn)
    for each, ratio in zip(cases, found, strict=True):
        counts = naive_expected.recent_counts(
            [place for place, _ in each], [age for _, age in each], problem.durations, len(problem.points)
        )
        slow = naive.largest_ratio(
            problem.rows, counts, model.expected.tolist(), np.inf if is_alone else total, min_cases
        )
        assert ratio == pytest.approx(slow, rel=1e-12, abs=NOISE)
