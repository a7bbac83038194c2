"""Week-shuffled copies of a history."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.promise import FARTHEST_WEEKS, WEEK_S, moved
from detectors.area.strata import BUCKET_S
from detectors.calibration.past import Past


def past_of_weeks(second: np.ndarray, weeks: int) -> Past:
    """Return incidents at these times, all at one location."""
    return Past.of(
        0, weeks * WEEK_S // BUCKET_S, second, np.zeros(len(second), np.int32), np.zeros(len(second), np.int8)
    )


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_incidents_keep_their_time_of_the_week_and_stay_close(weeks: int, seed: int):
    generator = np.random.default_rng(seed)
    past = past_of_weeks(generator.integers(0, weeks * WEEK_S, 50), weeks)
    after = moved(past, generator)
    assert (after % WEEK_S == past.second % WEEK_S).all()
    assert (abs(after - past.second) <= FARTHEST_WEEKS * WEEK_S).all()
    assert ((after >= 0) & (after < weeks * WEEK_S)).all()


def test_a_burst_is_spread_evenly_over_thirteen_weeks():
    past = past_of_weeks(np.full(13_000, 20 * WEEK_S + 1234), 40)
    number = np.bincount(moved(past, np.random.default_rng(3)) // WEEK_S, minlength=40)
    assert number[14:27].sum() == 13_000
    assert abs(number[14:27] - 1000).max() < 5 * np.sqrt(1000)
