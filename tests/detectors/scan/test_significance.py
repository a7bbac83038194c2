"""Gumbel scores, tails and recurrence intervals, some compared with SaTScan's figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.area.settings import TierSettings
from detectors.scan.significance import (
    SMALLEST_P,
    TIERS,
    Gumbel,
    p_value,
    recurrence_interval_days,
    score_for_interval,
    tier_of,
)
from tests.detectors.satscan import PERMUTATION, reference

quickly = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.mark.parametrize("name", [*PERMUTATION, "grid_ties_stp_prospective"])
def test_satscan_s_gumbel_p(name: str):
    case = reference(name)
    gumbel = Gumbel.fit(case.maxima)
    for cluster in case.expected["clusters"]:
        theirs = cluster["recomputed"]
        assert p_value(gumbel.score(theirs["llr"])) == pytest.approx(theirs["p_value_gumbel"], rel=1e-5)


def test_fit_recovers_the_distribution_of_the_draws():
    # The standard errors of location and scale are below 0.005 with 100,000 draws.
    drawn = np.random.default_rng(8).gumbel(4.0, 0.8, 100_000)
    gumbel = Gumbel.fit(drawn)
    assert gumbel.location == pytest.approx(4.0, abs=0.02)
    assert gumbel.scale == pytest.approx(0.8, abs=0.02)


def test_fit_by_hand():
    # Mean 3, population standard deviation 1.
    gumbel = Gumbel.fit(np.array([2.0, 4.0]))
    assert gumbel.scale == pytest.approx(math.sqrt(6) / math.pi)
    assert gumbel.location == pytest.approx(3 - 0.5772156649 * math.sqrt(6) / math.pi)
    assert gumbel.score(gumbel.location + 2 * gumbel.scale) == pytest.approx(2)


def test_equal_maxima_still_give_a_finite_score():
    gumbel = Gumbel.fit(np.zeros(99))
    assert gumbel.scale > 0
    assert math.isfinite(gumbel.score(3.0))
    assert p_value(gumbel.score(3.0)) == SMALLEST_P


@quickly
@given(score=st.floats(-5, 38))
def test_p_is_the_tail_of_the_gumbel_distribution(score: float):
    assert p_value(score) == pytest.approx(stats.gumbel_r.sf(score), rel=1e-9)


@quickly
@given(one=st.floats(-1e6, 1e6), other=st.floats(-1e6, 1e6))
def test_p_falls_with_the_score_within_its_bounds(one: float, other: float):
    low, high = sorted((one, other))
    assert SMALLEST_P <= p_value(high) <= p_value(low) <= 1.0


@quickly
@given(days=st.floats(0.05, 1e12))
def test_an_interval_and_its_score_are_inverse(days: float):
    assert recurrence_interval_days(score_for_interval(days)) == pytest.approx(days, rel=1e-9)


def test_one_scan_an_hour_reaches_p_of_a_half_every_second_hour():
    assert recurrence_interval_days(-math.log(math.log(2))) == pytest.approx(2 / 24)


def test_a_tier_begins_at_its_interval():
    tiers = TierSettings(watch=1, advisory=2, alert=3, urgent=4)
    assert [tier_of(days, tiers) for days in (0.999, 1, 2, 3, 4, 1e9)] == [None, *TIERS, "urgent"]


@pytest.mark.parametrize("watch", [0.01, 1 / 24])
def test_no_tier_can_be_reached_at_every_scan(watch: float):
    with pytest.raises(ValueError, match="watch"):
        TierSettings(watch=watch)
