"""The posterior of an area, compared with areas whose rates, mixes and clocks are known."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.city import MOST_DAY_VARIANCE, CityModel
from detectors.calibration.past import CATEGORIES, Past

BLOCKS, UTC = SCHEMES["operational"], ZoneInfo("UTC")
BUCKETS = 26 * 168
FIRST = 482_136
LOCATIONS = 900
POINTS = np.column_stack(np.divmod(np.arange(LOCATIONS), 30)) * 200.0


def past(generator: np.random.Generator, number: int = 9000, shape: float = 0.5) -> tuple[Past, np.ndarray, np.ndarray]:
    """Return incidents with gamma rates, a mix for each location and busy nights; and the rates and mixes."""
    rate = generator.gamma(shape, 1.0, LOCATIONS)
    mix = generator.dirichlet([2.0, 4.0, 1.0, 3.0], LOCATIONS)
    location = generator.choice(LOCATIONS, number, p=rate / rate.sum())
    category = (generator.random(number)[:, None] > mix[location].cumsum(axis=1)).sum(axis=1)
    hour = generator.choice(24, number, p=np.r_[np.full(6, 2.0), np.full(18, 1.0)] / 30)
    second = (generator.integers(0, 26 * 7, number) * 24 + hour) * BUCKET_S + generator.integers(0, BUCKET_S, number)
    return (
        Past.of(FIRST, BUCKETS, second, location.astype(np.int32), category.astype(np.int8)),
        rate / rate.sum() * number / BUCKETS,
        mix,
    )


def test_the_hyperparameters_are_found():
    """The gamma shape is 0.5 and a mix is worth ten cases; the standard errors are about a tenth of them."""
    city = CityModel(past(np.random.default_rng(1))[0], POINTS, BLOCKS, UTC)
    assert city.shape == pytest.approx(0.5, rel=0.3)
    assert city.mix_cases == pytest.approx(10.0, rel=0.3)


def test_drawn_areas_are_like_the_one_that_the_history_comes_from():
    generator = np.random.default_rng(2)
    history, rate, mix = past(generator)
    city = CityModel(history, POINTS, BLOCKS, UTC)
    drawn = [city.draw(generator) for _ in range(40)]
    rates = np.array([each.rate for each in drawn])
    assert rates.sum(axis=1).mean() == pytest.approx(rate.sum(), rel=0.02)
    # As uneven as the truth, not as the counts; at each location the truth lies in the middle of the draws.
    assert rates.var(axis=1).mean() == pytest.approx(rate.var(), rel=0.1)
    rank = (rates < rate).mean(axis=0)
    assert (rank < 0.5).mean() == pytest.approx(0.5, abs=0.05)
    assert ((rank > 0.05) & (rank < 0.95)).mean() == pytest.approx(0.9, abs=0.04)
    busy = rate > np.quantile(rate, 0.9)
    share = np.mean([each.mix for each in drawn], axis=0)
    assert np.corrcoef(share[busy].ravel(), mix[busy].ravel())[0, 1] > 0.9


def test_a_null_history_has_the_locations_hours_and_categories_of_the_past():
    generator = np.random.default_rng(3)
    history, *_ = past(generator)
    city = CityModel(history, POINTS, BLOCKS, UTC)
    nulls = [city.history(city.draw(generator), FIRST + BUCKETS, BUCKETS, np.ones(4), generator) for _ in range(10)]
    # The level swings by a fifth.
    assert np.mean([len(each) for each in nulls]) == pytest.approx(len(history), rel=0.08)
    for each in nulls:
        assert (np.diff(each.second) >= 0).all()
        assert each.second[0] >= 0 and each.second[-1] < BUCKETS * BUCKET_S
    hours = np.bincount(np.concatenate([each.second // BUCKET_S % 24 for each in nulls]), minlength=24)
    np.testing.assert_allclose(hours[:6].sum() / hours.sum(), 12 / 30, atol=0.02)
    kinds = np.bincount(np.concatenate([each.category for each in nulls]), minlength=CATEGORIES)
    was = np.bincount(history.category, minlength=CATEGORIES)
    np.testing.assert_allclose(kinds / kinds.sum(), was / was.sum(), atol=0.02)


def test_only_a_part_of_a_category_is_drawn():
    generator = np.random.default_rng(4)
    city = CityModel(past(generator)[0], POINTS, BLOCKS, UTC)
    drawn = city.draw(generator)
    number = [
        np.bincount(city.history(drawn, FIRST, BUCKETS, part, generator).category, minlength=4)
        for part in (np.ones(4), np.array([0.5, 1.0, 1.0, 1.0]))
        for _ in range(20)
    ]
    whole, half = np.mean(number[:20], axis=0), np.mean(number[20:], axis=0)
    np.testing.assert_allclose(half / whole, [0.5, 1, 1, 1], rtol=0.1)


def test_incidents_of_half_weight_halve_the_cases():
    history, *_ = past(np.random.default_rng(5))
    whole = CityModel(history, POINTS, BLOCKS, UTC)
    half = CityModel(history, POINTS, BLOCKS, UTC, np.full(len(history), 0.5))
    assert half.cases.sum() == pytest.approx(whole.cases.sum() / 2)
    assert half.usual(history).mean() < whole.usual(history).mean()


def test_usual_is_a_rate():
    """Its sum over all locations, hours and categories is the number of incidents; here a random sample of them."""
    history, *_ = past(np.random.default_rng(6))
    city = CityModel(history, POINTS, BLOCKS, UTC)
    everywhere = Past.of(
        FIRST,
        BUCKETS,
        np.random.default_rng(7).integers(0, BUCKETS * BUCKET_S, 40_000),
        np.random.default_rng(8).integers(0, LOCATIONS, 40_000).astype(np.int32),
        np.random.default_rng(9).integers(0, 4, 40_000).astype(np.int8),
    )
    assert city.usual(everywhere).mean() * LOCATIONS * BUCKETS * 4 == pytest.approx(len(history), rel=0.05)


def test_an_empty_or_short_history_is_refused():
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8)
    with pytest.raises(ValueError, match="no incident"):
        CityModel(Past.of(0, BUCKETS, *nothing), POINTS, BLOCKS, UTC)
    with pytest.raises(ValueError, match=r"2.0 days; must be at least 7 days"):
        CityModel(Past.of(0, 48, *nothing), POINTS, BLOCKS, UTC)


def test_locations_at_one_point_are_neighbours():
    points = np.array([[0.0, 0.0], [0.0, 0.0], [5000.0, 0.0]])
    second = np.arange(30) * 50 * BUCKET_S
    history = Past.of(FIRST, BUCKETS, second, np.repeat([0, 2], [20, 10]).astype(np.int32), np.zeros(30, np.int8))
    likely = CityModel(history, points, BLOCKS, UTC).likely
    assert likely[1] > likely[0]
    assert likely[1] > likely[2]


@pytest.mark.parametrize("variance", [0.0, 0.02, 0.06])
def test_busy_and_quiet_days_are_found_and_drawn(variance: float):
    """Days of a history, and those of its null histories, vary more than Poisson numbers by the same share."""
    generator = np.random.default_rng(6)
    days = generator.gamma(1 / variance, variance, 26 * 7) if variance else np.ones(26 * 7)
    day = np.repeat(np.arange(26 * 7), generator.poisson(45 * days))
    second = day * 24 * BUCKET_S + generator.integers(0, 24 * BUCKET_S, len(day))
    location = generator.integers(0, LOCATIONS, len(day)).astype(np.int32)
    history = Past.of(FIRST, BUCKETS, second, location, np.zeros(len(day), np.int8))
    city = CityModel(history, POINTS, BLOCKS, UTC)
    assert city.day_variance == pytest.approx(variance, abs=0.012 + 0.25 * variance)
    nulls = [city.history(city.draw(generator), FIRST + BUCKETS, BUCKETS, np.ones(4), generator) for _ in range(8)]
    found = [CityModel(each, POINTS, BLOCKS, UTC).day_variance for each in nulls]
    assert np.mean(found) == pytest.approx(city.day_variance, abs=0.006 + 0.1 * variance)


def test_one_date_with_thousands_of_rows_does_not_make_all_days_uneven():
    history = past(np.random.default_rng(7))[0]
    second = np.concatenate((history.second, np.full(5000, 40 * 86_400)))
    location, category = np.pad(history.location, (0, 5000)), np.pad(history.category, (0, 5000))
    odd = CityModel(Past.of(FIRST, BUCKETS, second, location, category), POINTS, BLOCKS, UTC)
    assert odd.day_variance <= 0.1


def test_days_without_incidents_count_at_the_end_of_a_history_as_at_its_beginning():
    """Each day is compared with another, so a history and its mirror image vary alike."""
    generator = np.random.default_rng(7)
    day = np.repeat(np.arange(26 * 7), generator.poisson(np.repeat([0, 12], [10, 26 * 7 - 10])))
    second = day * 24 * BUCKET_S + generator.integers(0, 24 * BUCKET_S, len(day))
    location, category = generator.integers(0, LOCATIONS, len(day)).astype(np.int32), np.zeros(len(day), np.int8)
    late, early = (
        CityModel(Past.of(FIRST, BUCKETS, each, location, category), POINTS, BLOCKS, UTC).day_variance
        for each in (second, BUCKETS * BUCKET_S - 1 - second)
    )
    assert early == pytest.approx(late)
    assert 0 < late < MOST_DAY_VARIANCE
