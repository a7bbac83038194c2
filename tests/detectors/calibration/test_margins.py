"""The margins score, compared with maxima whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration.margins import LOADS, Margins, load
from detectors.scan.significance import Gumbel


def maxima(generator: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    loads = generator.normal(4.0, 0.5, (number, LOADS)) + np.arange(LOADS)
    location, scale = 1.0 + 0.8 * loads[:, 2] - 0.05 * loads[:, 4] ** 2, np.exp(-1.0 + 0.15 * loads[:, 0])
    return loads, generator.gumbel(location, scale), location, scale


def test_location_and_scale_are_found_under_every_load():
    """The standard error is about 0.01 for a location and 1 % for a scale, in the middle of the loads."""
    loads, largest, location, scale = maxima(np.random.default_rng(1), 40_000)
    margins = Margins.fit(loads, largest)
    found = [margins.gumbel(each) for each in loads[:300]]
    assert np.abs([each.location for each in found] - location[:300]).mean() < 0.02
    assert np.abs(np.log([each.scale for each in found] / scale[:300])).mean() < 0.02


def test_scores_of_maxima_are_standard_whatever_the_load():
    generator = np.random.default_rng(2)
    margins = Margins.fit(*maxima(generator, 40_000)[:2])
    loads, largest, *_ = maxima(generator, 4_000)
    scores = np.array([margins.gumbel(each).score(llr) for each, llr in zip(loads, largest, strict=True)])
    for part in (loads[:, 2] < 6.0, loads[:, 2] > 6.0, loads[:, 0] < 4.0):
        assert (scores[part] > 2.0).mean() == pytest.approx(1 - np.exp(-np.exp(-2.0)), abs=0.02)


def test_censored_maxima_do_not_bias_the_fit():
    generator = np.random.default_rng(3)
    largest = generator.gumbel(0.4, 1.0, 40_000)
    loads = generator.normal(3.0, 0.3, (40_000, LOADS))
    cut = np.where(largest < 0.5, 0.0, largest)
    found = Margins.fit(loads, cut).gumbel(loads.mean(axis=0))
    assert (found.location, found.scale) == pytest.approx((0.4, 1.0), abs=0.05)


def test_loads_are_clipped_to_the_range_of_the_fit():
    margins = Margins((1.0,) * LOADS, (2.0,) * LOADS, (0.0, *[1.0, 0.5] * LOADS), (0.0, *[0.0, 0.1] * LOADS))
    assert margins.gumbel(np.full(LOADS, 9.0)) == margins.gumbel(np.full(LOADS, 2.0))
    assert margins.gumbel(np.full(LOADS, -1.0)) == margins.gumbel(np.full(LOADS, 1.0))
    assert margins.gumbel(np.full(LOADS, 1.5)).location == pytest.approx(LOADS * (1.5 + 0.5 * 1.5**2))
    assert margins.gumbel(np.full(LOADS, 1.5)).scale == pytest.approx(np.exp(LOADS * 0.1 * 1.5**2))


def test_flat_scores_are_llrs():
    assert Margins.flat().gumbel(np.full(LOADS, 3.0)) == Gumbel(0.0, 1.0)


def test_the_load_counts_the_last_hours_and_the_window():
    in_bucket = np.zeros(300, np.int32)
    in_bucket[[299, 298, 295, 280, 260, 200, 0]] = [1, 2, 4, 8, 16, 32, 64]
    np.testing.assert_allclose(np.expm1(load(in_bucket)), [3, 7, 15, 31, 63, 127])


def test_loads_count_no_more_than_the_window():
    in_bucket = np.ones(72, np.int32)
    np.testing.assert_allclose(np.expm1(load(in_bucket)), [2, 8, 24, 48, 72, 72])


@pytest.mark.parametrize("largest", [np.zeros(500), np.r_[np.zeros(495), np.full(5, 4.0)], np.full(500, 3.0)])
def test_the_scale_is_bounded_where_maxima_hardly_differ(largest: np.ndarray):
    loads = np.random.default_rng(4).normal(1.0, 0.1, (500, LOADS))
    gumbel = Margins.fit(loads, largest).gumbel(loads[0])
    assert gumbel.scale >= 0.2
    assert np.isfinite(gumbel.location)
