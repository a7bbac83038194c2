"""The measured rate of a calibration and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration.near_repeats import Repeats
from detectors.calibration.result import Calibration
from detectors.scan.significance import TIERS

BLOCKS, WEEKS, RATE = 8, 26, 2.0


def measured(by_week: np.ndarray) -> Calibration:
    """Return a calibration for ``RATE`` alerts a week that measured these numbers, (blocks, weeks)."""
    return Calibration.of(
        scores=dict.fromkeys(TIERS, 1.0),
        margins=(),
        strongest=np.ones(10),
        weeks=by_week.size,
        by_week=by_week,
        budget=RATE,
        repeats=Repeats.none(),
    )


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.4])
def test_the_interval_holds_the_true_rate_however_much_areas_differ(spread: float):
    """The weeks of a block share its area, whose rate varies by ``spread``. Intervals by weeks cover 53 % at 0.4."""
    generator = np.random.default_rng(7)
    trials = 600
    of_area = generator.gamma(1 / spread**2, spread**2, (trials, BLOCKS, 1)) if spread else np.ones((trials, BLOCKS, 1))
    by_week = generator.poisson(RATE * np.broadcast_to(of_area, (trials, BLOCKS, WEEKS)))
    covered = np.mean([measured(each).keeps_budget for each in by_week])
    assert 0.92 <= covered <= 0.995


def test_a_single_block_has_the_interval_of_its_weeks():
    by_week = np.array([[2, 1, 4, 1, 2, 2]])
    made = measured(by_week)
    error = 1.96 * by_week.std(ddof=1) / np.sqrt(6)
    assert (made.rate_low, made.rate, made.rate_high) == pytest.approx((2 - error, 2, 2 + error))


def test_a_rate_far_from_the_budget_misses_it():
    assert measured(np.full((2, 26), 2)).keeps_budget
    assert not measured(np.full((2, 26), 4)).keeps_budget
    assert not measured(np.full((2, 26), 1)).keeps_budget
