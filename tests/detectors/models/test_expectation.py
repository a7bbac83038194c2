"""The expectation-based model: the baseline, and how much of it is expected while reports are still to come."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.area.neighbours import neighbours
from detectors.models.expectation import ExpectationModel, baseline

INTERVALS = 12


def usual(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).gamma(1.0, 1.0, (5, INTERVALS))


def by_duration(model: ExpectationModel) -> NDArray[np.float64]:
    """Return the expected cases of each location and duration, as a scan of the study's end adds them up."""
    return np.cumsum(model.expected(0, INTERVALS)[:, ::-1], axis=1)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_expected_cases_are_scaled_by_completeness(seed: int, share: float) -> None:
    plain = ExpectationModel(usual(seed))
    whole = ExpectationModel(usual(seed), np.ones(INTERVALS))
    part = ExpectationModel(usual(seed), np.full(INTERVALS, share))
    assert np.array_equal(by_duration(whole), by_duration(plain))
    assert by_duration(part) == pytest.approx(share * by_duration(plain))
    assert part.mass == pytest.approx(share * plain.mass)


def test_each_interval_is_scaled_by_its_own_completeness() -> None:
    completeness = np.linspace(1, 0.1, INTERVALS)
    model = ExpectationModel(usual(1), completeness)
    for interval in range(INTERVALS):
        found = model.expected(interval, interval + 1)[:, 0]
        assert found == pytest.approx(usual(1)[:, interval] * completeness[interval])


def test_the_null_draws_only_the_cases_that_have_come() -> None:
    """The mean of a thousand draws of the last three intervals is within four standard errors of the Poisson mean."""
    model = ExpectationModel(usual(1), np.linspace(1, 0, INTERVALS))
    drawn = model.null(INTERVALS - 3).draw(itertools.repeat(np.random.default_rng(2), 1000))
    mean = model.expected(INTERVALS - 3, INTERVALS).sum()
    assert abs(len(drawn.place) / 1000 - mean) < 4 * np.sqrt(mean / 1000)


def test_a_half_complete_history_has_a_baseline_twice_as_high() -> None:
    near = neighbours(np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]]), 2.0)
    location, stratum = np.array([0, 0, 1, 2, 2, 2], np.int32), np.array([0, 1, 0, 0, 1, 1], np.int32)
    whole, half = (baseline(location, stratum, length, near) for length in (np.full(2, 10.0), np.full(2, 5.0)))
    assert half == pytest.approx(2 * whole)
    assert (whole * 10).sum() == pytest.approx(len(location))
