"""Near repeats: pairs compared with a count one by one, and estimates from histories with known near repeats."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.city import CityModel
from detectors.calibration.near_repeats import WITHIN_M, WITHIN_S, Knox, Repeats, Surroundings
from detectors.calibration.past import Past
from detectors.kernels.pairs import followed_by, pairs_by_lag, pairs_periods_apart
from tests.naive import pairs as naive

BUCKETS = 26 * 168
LIMITS_M, LIMITS_S = [0.0, 2.0, 5.0], [1, 4, 9]
FEW = np.array([0.0, 0.3, 0.5, 0.2, 0.0])
SOON = np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0])
"""Shares of followers by ring and lag: within 430 m and two days, mostly soon."""

incidents = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.25, 0.5, 1.0])), max_size=12
).map(sorted)


@given(listed=incidents)
def test_pairs_equal_those_counted_one_by_one(listed: list[tuple[int, float, float, float]]):
    rows = np.array(listed, float).reshape(-1, 4)
    second, points, weight = rows[:, 0].astype(np.int64), rows[:, 1:3].copy(), rows[:, 3].copy()
    limits = np.array(LIMITS_M), np.array(LIMITS_S)
    one_group = np.zeros(len(rows), np.int64)
    np.testing.assert_allclose(
        pairs_by_lag(one_group, second, points, weight, *limits), naive.pairs_by_lag(listed, LIMITS_M, LIMITS_S)
    )
    np.testing.assert_allclose(
        pairs_periods_apart(second, points, weight, *limits, 20, 2, 4, 1000),
        naive.pairs_periods_apart(listed, LIMITS_M, LIMITS_S, 20, [2, 3, 4], 1000),
    )
    value = np.arange(9.0).reshape(3, 3)
    np.testing.assert_allclose(
        followed_by(second, points, *limits, value), naive.followed_by(listed, LIMITS_M, LIMITS_S, value)
    )


def town(generator: np.random.Generator) -> tuple[Past, NDArray[np.float64]]:
    """Return half a year of independent incidents at 1,200 locations 130 m apart."""
    east, north = np.divmod(np.arange(1200), 40)
    points = np.column_stack((east, north)) * 130.0
    weight = generator.gamma(0.4, 1.0, len(points))
    number = 8000
    return (
        Past.of(
            0,
            BUCKETS,
            generator.integers(0, BUCKETS * BUCKET_S, number),
            generator.choice(len(points), number, p=weight / weight.sum()).astype(np.int32),
            generator.integers(0, 4, number).astype(np.int8),
        ),
        points,
    )


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2])
def test_the_rate_of_near_repeats_is_found(rate: float):
    """The standard error of the mean of four towns is about 0.007."""
    found = []
    for seed in range(4):
        generator = np.random.default_rng([seed, 17])
        past, points = town(generator)
        around = Surroundings(points, np.bincount(past.location, minlength=len(points)))
        kept = generator.random(len(past)) >= rate
        first = Past.of(0, BUCKETS, past.second[kept], past.location[kept], past.category[kept])
        history = around.with_followers(first, Repeats(np.full(4, rate), FEW, SOON), generator)
        assert abs(len(history) - 8000) < 5 * np.sqrt(8000 / (1 - rate) ** 2)
        found.append(Knox(history, points).estimate().rate.mean())
    assert np.mean(found) == pytest.approx(rate, abs=0.02)


def test_followers_have_the_given_shares_by_ring_and_lag():
    generator = np.random.default_rng(5)
    _, points = town(generator)
    # Parents are so far apart in time that no other family's followers come between.
    number, hours = 4000, 50 * 365 * 24
    second = np.arange(number) * (hours * BUCKET_S // number)
    parents = Past.of(0, hours, second, np.full(number, 620, np.int32), np.zeros(number, np.int8))
    repeats = Repeats(np.array([0.5, 0.0, 0.0, 0.0]), FEW, SOON)
    history = Surroundings(points, np.zeros(1200, np.int64)).with_followers(parents, repeats, generator)
    # Generation after generation: r / (1 - r) followers each.
    assert len(history) - number == pytest.approx(number, rel=0.08)
    first = np.flatnonzero(np.isin(history.second, second))
    children = first[np.diff(np.append(first, len(history))) > 1] + 1  # the earliest of each family is a child
    distance = np.linalg.norm(points[history.location[children]] - points[620], axis=1)
    lag = history.second[children] - history.second[children - 1]
    assert lag.max() <= WITHIN_S[6]
    share = np.bincount(np.searchsorted(WITHIN_M, distance), minlength=6)[:5] / len(children)
    np.testing.assert_allclose(share, FEW, atol=0.06)


def test_followers_count_little_for_their_location():
    generator = np.random.default_rng(3)
    past, points = town(generator)
    around = Surroundings(points, np.bincount(past.location, minlength=len(points)))
    repeats = Repeats(np.full(4, 0.2), FEW, SOON)
    history = around.with_followers(past, repeats, generator)
    city = CityModel(history, points, SCHEMES["operational"], ZoneInfo("UTC"))
    chance = around.chance_of_first(history, repeats, city.usual(history))
    assert ((chance > 0) & (chance <= 1)).all()
    assert 0.95 * len(past) < chance.sum() < (len(past) + len(history)) / 2


def test_a_short_history_is_refused_with_the_length_needed():
    past = Past.of(0, 5 * 168, np.arange(10), np.zeros(10, np.int32), np.zeros(10, np.int8))
    with pytest.raises(ValueError, match="5 weeks; near repeats need at least 8"):
        Knox(past, np.zeros((1, 2)))
