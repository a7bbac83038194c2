"""Completeness: the mean share of reports that have arrived; learnt from a feed at work, it errs to no side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from detectors.area.strata import BUCKET_S
from detectors.window.completeness import NEEDED, Delays
from detectors.window.sliding import ALL, OTHER

DAY_S = 86_400
NOW_S = 1_700_000_000
STANDARD_ERRORS = 4


def delays_of(
    delay_s: Any, age_s: Any, category: Any = 0, latest_s: int = 0, longest_s: int = 10**9, now_s: int = NOW_S
) -> Delays:
    """Of incidents at one place; all tell that occurred in a bucket that ended ``latest_s`` ago or earlier."""
    delay_s = np.asarray(delay_s, np.int32)
    bucket = ((now_s - np.asarray(age_s)) // BUCKET_S).astype(np.int32)
    nothing = np.zeros_like(delay_s)
    columns = delay_s, nothing + bucket, nothing, (nothing + category).astype(np.int8)
    return Delays(*columns, (now_s - latest_s) // BUCKET_S - 1, longest_s, now_s)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    delay_s=st.lists(st.integers(0, 50), min_size=1, max_size=20),
    youngest_s=st.integers(0, 30),
    length_s=st.integers(1, 30),
)
def test_it_is_the_mean_over_all_seconds_of_the_share_that_has_arrived_after_their_age(
    delay_s: list[int], youngest_s: int, length_s: int
) -> None:
    delays = delays_of(delay_s * NEEDED, 2 * BUCKET_S)
    ages = range(youngest_s, youngest_s + length_s)
    arrived = sum(delay <= age for delay in delay_s for age in ages) / (len(delay_s) * length_s)
    found = delays.completeness(0, NOW_S - youngest_s - length_s, NOW_S - youngest_s)
    assert found == pytest.approx(arrived)


def test_a_stream_tells_of_itself_and_all_of_the_four() -> None:
    category = np.repeat(np.array([0, 1, OTHER], np.int8), NEEDED)
    delays = delays_of(np.repeat([0, BUCKET_S, 2 * BUCKET_S], NEEDED), 2 * BUCKET_S, category)
    begin_s = NOW_S - 2 * BUCKET_S
    assert [delays.completeness(stream, begin_s, NOW_S) for stream in (0, 1, 2, ALL)] == [1.0, 0.5, None, 0.75]


def test_too_few_delays_tell_nothing() -> None:
    known = np.zeros(NEEDED + 20)
    known[:21] = -1  # nobody said when it was reported
    assert delays_of(known, 2 * BUCKET_S).completeness(0, NOW_S - 60, NOW_S) is None
    assert delays_of(known[1:], 2 * BUCKET_S).completeness(0, NOW_S - 60, NOW_S) is None
    known[0] = 0
    assert delays_of(known, 2 * BUCKET_S).completeness(0, NOW_S - 60, NOW_S) == 1.0


# A feed of which half the reports take days, as at a burglary that is found after a journey.

QUICK, SLOW, SLOW_SHARE = stats.lognorm(1.0, scale=600), stats.expon(scale=3 * DAY_S), 0.5
DAYS, A_DAY = 28, 50
HALF_S = DAYS * DAY_S // 2
DURATIONS_H = np.array([2, 24, 168])


def share_within(delay_s: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray((1 - SLOW_SHARE) * QUICK.cdf(delay_s) + SLOW_SHARE * SLOW.cdf(delay_s))


def truth(duration_h: int) -> float:
    """The mean share of a duration's reports that have arrived, of those that take less than half the time."""
    age_s = (np.arange(duration_h * 3600 // 10) + 0.5) * 10
    return float(share_within(age_s).mean() / share_within(np.array(HALF_S)))


def feed(generator: np.random.Generator, a_day: float = A_DAY) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Age and delay, in seconds, of all incidents of so many days that were reported by now."""
    number = generator.poisson(DAYS * a_day)
    age_s = generator.integers(1, DAYS * DAY_S, number)
    is_slow = generator.random(number) < SLOW_SHARE
    slow_s, quick_s = generator.exponential(3 * DAY_S, number), 600 * generator.lognormal(0, 1, number)
    delay_s = np.where(is_slow, slow_s, quick_s).astype(np.int64)
    return age_s[delay_s < age_s], delay_s[delay_s < age_s]


def test_learnt_from_a_feed_at_work_it_is_unbiased_and_the_share_of_all_known_delays_is_not() -> None:
    """400 feeds: on average within four standard errors of the truth, each error below .001."""
    generator = np.random.default_rng(3)
    learnt, naive = np.empty((2, 400, len(DURATIONS_H)))
    for one in range(400):
        age_s, delay_s = feed(generator)
        delays = delays_of(delay_s, age_s, 0, HALF_S, HALF_S)
        for column, hours in enumerate(DURATIONS_H.tolist()):
            found = delays.completeness(0, NOW_S - hours * 3600, NOW_S)
            assert found is not None
            learnt[one, column] = found
            naive[one, column] = np.maximum(0, hours * 3600 - delay_s).mean() / (hours * 3600)
    true = np.array([truth(hours) for hours in DURATIONS_H.tolist()])
    error = learnt.std(axis=0) / np.sqrt(len(learnt))
    assert (error < 0.001).all()
    assert (np.abs(learnt.mean(axis=0) - true) < STANDARD_ERRORS * error).all()
    assert (naive.mean(axis=0) - true > 20 * error).all()
