"""Near repeats: the pairs against a count one by one, and what is found in histories whose near repeats are known."""

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
"""Where and when followers fall: within 300 m and two days, mostly soon."""

incidents = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.25, 0.5, 1.0])), max_size=12
).map(sorted)


@given(listed=incidents)
def test_pairs_are_those_counted_one_by_one(listed: list[tuple[int, float, float, float]]):
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
    """Half a year of incidents that have nothing to do with each other, on 1,200 places 130 m apart."""
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
    """Standard error of the mean of four towns about 0.007."""
    found = []
    for seed in range(4):
        generator = np.random.default_rng([seed, 17])
        past, points = town(generator)
        around = Surroundings(points, np.bincount(past.location, minlength=len(points)))
        kept = generator.random(len(past)) >= rate
        alone = Past.of(0, BUCKETS, past.second[kept], past.location[kept], past.category[kept])
        told = around.followed(alone, Repeats(np.full(4, rate), FEW, SOON), generator)
        assert abs(len(told) - 8000) < 5 * np.sqrt(8000 / (1 - rate) ** 2)
        found.append(Knox(told, points).estimate().rate.mean())
    assert np.mean(found) == pytest.approx(rate, abs=0.02)


def test_followers_fall_where_and_when_they_are_said_to():
    generator = np.random.default_rng(5)
    _, points = town(generator)
    # Parents so far apart in time that nobody else's followers come between.
    number, hours = 4000, 50 * 365 * 24
    second = np.arange(number) * (hours * BUCKET_S // number)
    parents = Past.of(0, hours, second, np.full(number, 620, np.int32), np.zeros(number, np.int8))
    repeats = Repeats(np.array([0.5, 0.0, 0.0, 0.0]), FEW, SOON)
    told = Surroundings(points, np.zeros(1200, np.int64)).followed(parents, repeats, generator)
    # Generation after generation: r / (1 - r) followers each.
    assert len(told) - number == pytest.approx(number, rel=0.08)
    first = np.flatnonzero(np.isin(told.second, second))
    children = first[np.diff(np.append(first, len(told))) > 1] + 1  # the earliest of each family is a child
    far = np.linalg.norm(points[told.location[children]] - points[620], axis=1)
    late = told.second[children] - told.second[children - 1]
    assert late.max() <= WITHIN_S[6]
    share = np.bincount(np.searchsorted(WITHIN_M, far), minlength=6)[:5] / len(children)
    np.testing.assert_allclose(share, FEW, atol=0.06)


def test_what_follows_counts_little_for_its_place():
    generator = np.random.default_rng(3)
    past, points = town(generator)
    around = Surroundings(points, np.bincount(past.location, minlength=len(points)))
    repeats = Repeats(np.full(4, 0.2), FEW, SOON)
    told = around.followed(past, repeats, generator)
    city = CityModel(told, points, SCHEMES["operational"], ZoneInfo("UTC"))
    alone = around.alone(told, repeats, city.usual(told))
    assert ((alone > 0) & (alone <= 1)).all()
    assert 0.95 * len(past) < alone.sum() < (len(past) + len(told)) / 2


def test_a_short_history_says_what_is_missing():
    past = Past.of(0, 5 * 168, np.arange(10), np.zeros(10, np.int32), np.zeros(10, np.int8))
    with pytest.raises(ValueError, match="5 weeks; near repeats cannot be told in fewer than 8"):
        Knox(past, np.zeros((1, 2)))
