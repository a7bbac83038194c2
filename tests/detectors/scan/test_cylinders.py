"""The scan, compared with trying every window and with what SaTScan reports."""

from __future__ import annotations

import os
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.kernels.ratio import log_likelihood_ratio
from detectors.models.expected import Expected
from detectors.scan.cylinders import Cylinder, scan
from tests.detectors.problems import Problem, compressed, int32, problems
from tests.detectors.satscan import PERMUTATION, Reference, reference
from tests.naive import neighbours as naive_neighbours
from tests.naive import scan as naive

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))
NOISE = 1e-12
"""LLR that rounding alone may give to a window with exactly as many cases as expected."""


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(problem=problems(), min_cases=st.integers(2, 4), most=st.integers(1, 5), floor=st.just(0.0) | st.floats(0, 6))
def test_scan(problem: Problem, min_cases: int, most: int, floor: float):
    model = problem.model
    found = [cylinder for cylinder in scan(model, problem.near, min_cases, most, floor) if cylinder.llr > floor]
    expected = naive.scan(
        problem.points,
        problem.rows,
        model.counts.tolist(),
        model.expected.tolist(),
        len(problem.cases),
        min_cases,
        most,
    )
    columns = [problem.durations.index(cylinder.duration) for cylinder in found]
    ours = [(c.centre, c.size, column, c.llr) for c, column in zip(found, columns, strict=True) if c.llr > NOISE]
    assert ours == [one for one in expected if one[-1] > max(NOISE, floor)]
    for cylinder in found:
        column = problem.durations.index(cylinder.duration)
        zone = problem.rows[cylinder.centre][: cylinder.size]
        assert cylinder.observed == sum(int(model.counts[location, column]) for location in zone) >= min_cases
        usual = 0.0
        for location in zone:
            usual += float(model.expected[location, column])
        assert cylinder.expected == usual
        assert cylinder.llr == log_likelihood_ratio(cylinder.observed, usual, len(problem.cases), 0.0)


def line(observed: list[int], usual: list[float], most: int = 99) -> list[Cylinder]:
    """Scan locations a unit apart, each a zone by itself, with one duration."""
    near = compressed(naive_neighbours.neighbours([(float(x),) for x in range(len(observed))], 0.5))
    model = Expected(int32([[n] for n in observed]), np.array([[u] for u in usual]), np.array([100.0]), int32([3]))
    return scan(model, near, 2, most)


def test_ratios_within_a_billionth_are_a_tie_that_the_smaller_index_wins():
    found = line([5, 5, 5], [1.0 + 1e-11, 1.0, 1.0 - 1e-11])
    assert [cylinder.centre for cylinder in found] == [0, 1, 2]
    found = line([5, 5, 5], [1.0 + 1e-6, 1.0, 1.0 - 1e-6])
    assert [cylinder.centre for cylinder in found] == [2, 1, 0]


def test_too_few_cases_or_no_more_than_expected_are_no_cluster():
    assert line([0, 0], [0.0, 0.0]) == []
    assert line([1, 1], [0.5, 0.5]) == []
    assert line([2, 2], [2.0, 3.0]) == []


def test_at_most_as_many_as_asked_for():
    assert len(line([5, 4, 3], [1.0, 1.0, 1.0])) == 3
    assert [cylinder.observed for cylinder in line([5, 4, 3], [1.0, 1.0, 1.0], most=2)] == [5, 4]


@pytest.mark.parametrize("name", PERMUTATION)
def test_satscan_reports_the_same_clusters(name: str):
    case = reference(name)
    ours = scan(case.model, case.near, case.params["min_cases_in_cluster"], 500)
    theirs = case.expected["clusters"]
    last = date.fromisoformat(case.params["study_end"])
    for mine, their in zip(ours, theirs, strict=False):
        assert case.ids[mine.centre] == their["centre_id"]
        assert {case.ids[each] for each in case.near.zone(mine.centre, mine.size)} == set(their["location_ids"])
        assert last - timedelta(days=mine.duration - 1) == date.fromisoformat(their["start"])
        assert mine.observed == their["observed"]
        assert mine.expected == pytest.approx(their["recomputed"]["expected"], abs=1e-8)
        assert round(mine.llr, 6) == their["llr"]
        assert mine.llr == pytest.approx(their["recomputed"]["llr"], abs=1e-9)
    # The clusters that it leaves out lie below every simulated maximum.
    assert len(ours) >= len(theirs)
    assert all(mine.llr < case.maxima.min() for mine in ours[len(theirs) :])
    assert all(mine.llr >= following.llr for mine, following in pairwise(ours))


@pytest.mark.parametrize("name", [*PERMUTATION, "grid_ties_stp_prospective"])
def test_satscan_gives_its_clusters_the_same_ratio(name: str):
    case = reference(name)
    last = date.fromisoformat(case.params["study_end"])
    for cluster in case.expected["clusters"]:
        zone = [case.ids.index(each) for each in cluster["location_ids"] if each in case.ids]
        column = (last - date.fromisoformat(cluster["start"])).days
        observed = int(case.model.counts[zone, column].sum())
        expected = float(case.model.expected[zone, column].sum())
        assert observed == cluster["observed"]
        assert expected == pytest.approx(cluster["recomputed"]["expected"], abs=1e-8)
        assert round(log_likelihood_ratio(observed, expected, len(case.cases), 0.0), 6) == cluster["llr"]


def test_trying_every_window_finds_satscan_s_cluster_among_ties():
    case = reference("grid_ties_stp_prospective")
    rows = within_share(case, case.params["max_population_fraction"])
    model = case.model
    found = naive.scan(case.points, rows, model.counts.tolist(), model.expected.tolist(), len(case.cases), 2, 500)
    theirs = case.expected["clusters"]
    for (centre, size, column, llr), their in zip(found, theirs, strict=False):
        assert case.ids[centre] == their["centre_id"]
        assert {case.ids[each] for each in rows[centre][:size]} == set(their["location_ids"]) & set(case.ids)
        assert column + 1 == (date.fromisoformat(their["end"]) - date.fromisoformat(their["start"])).days + 1
        assert round(llr, 6) == their["llr"]
    assert all(llr < case.maxima.min() for _, _, _, llr in found[len(theirs) :])


def within_share(case: Reference, share: float) -> list[list[int]]:
    """Return neighbour rows that stop at the first location that would take a zone above a share of the cases."""
    cases = case.by_stratum[:, 0].tolist()
    rows = []
    for row in naive_neighbours.neighbours(case.points, 1e9):
        kept: list[int] = []
        for location, _ in row:
            if sum(cases[other] for other in kept) + cases[location] > share * len(case.cases):
                break
            kept.append(location)
        rows.append(kept)
    return rows
