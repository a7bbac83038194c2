"""The Bayesian scan equals its naive twin, and chance alone does not favour it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings, Stream
from detectors.kernels.bayes import Level, at_level, hours_within, scores_at, usual_of_zones
from detectors.models.cluster_prior import MIXED, cluster_prior
from tests.naive import bayes as naive

SETTINGS = AreaSettings(max_radius_m=400.0)
DURATIONS_S = 3600 * np.array(SETTINGS.durations_h, np.int64)
LOCATIONS, STRATA = 40, 3


@pytest.mark.parametrize("seed", range(8))
def test_a_score_is_the_sum_over_all_cylinders_with_a_case_there(seed: int):
    generator = np.random.default_rng(seed)
    points = np.column_stack((generator.uniform(0, 900, (LOCATIONS, 2)), np.zeros(LOCATIONS)))
    near, prior = neighbours(points, 400.0), cluster_prior(SETTINGS, Stream.DRUGS)
    rate = generator.gamma(0.5, 0.02, (LOCATIONS, STRATA)) + 1e-6
    shape, of_place = generator.uniform(0.2, 5.0, LOCATIONS), generator.uniform(0.01, 0.1, LOCATIONS)
    usual = usual_of_zones(near.rows, prior.radius, rate, shape, of_place)
    cases = [
        (int(location), int(age))
        for location, age in zip(
            generator.choice(12, 25), generator.exponential(30 * 3600, 25).astype(int), strict=True
        )
    ]
    counts = np.zeros((LOCATIONS, len(DURATIONS_S)), np.int32)
    for location, age_s in cases:
        counts[location] += age_s < DURATIONS_S
    hours = hours_within(7_000_000, DURATIONS_S, 1700, generator.integers(0, STRATA, 400).astype(np.int32), STRATA)
    anchors = np.arange(LOCATIONS, dtype=np.int32)
    score, found = scores_at(anchors, near.rows, counts, usual, hours, prior)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    expected = [
        naive.score_at(anchor, distance, cases, DURATIONS_S.tolist(), rate, shape, of_place, hours, prior)
        for anchor in range(LOCATIONS)
    ]
    assert score == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(score).sum() >= 5
    for anchor in np.flatnonzero(np.isfinite(score)):
        zone, column = near.zone(int(found.centre[anchor]), int(found.size[anchor])), found.column[anchor]
        assert anchor in zone and counts[anchor, column] > 0
        assert counts[zone, column].sum() == found.observed[anchor] >= prior.min_cases
        assert (rate[zone] @ hours[:, column]).sum() == pytest.approx(found.expected[anchor])


def test_a_cluster_of_several_categories_has_a_smaller_weight():
    of_one, of_all = cluster_prior(SETTINGS, Stream.DRUGS), cluster_prior(SETTINGS, Stream.ALL)
    near = neighbours(np.zeros((1, 3)), 400.0)
    rates = np.full((1, 1), 1e-3), np.full(1, 0.5), np.full(1, 1.0)
    counts = np.full((1, len(DURATIONS_S)), 4, np.int32)
    score, again = (
        scores_at(
            np.array([0], np.int32),
            near.rows,
            counts,
            usual_of_zones(near.rows, prior.radius, *rates),
            np.tile(DURATIONS_S / 3600, (1, 1)),
            prior,
        )[0]
        for prior in (of_one, of_all)
    )
    assert again - score == pytest.approx(math.log(MIXED))


def test_a_flood_of_cases_at_one_location_has_a_finite_score():
    """The Bayes factor itself is far beyond the largest number."""
    near, prior = neighbours(np.array([[0.0, 0, 0], [9_000.0, 0, 0]]), 400.0), cluster_prior(SETTINGS, Stream.DRUGS)
    usual = usual_of_zones(near.rows, prior.radius, np.full((2, 1), 1e-4), np.full(2, 0.5), np.full(2, 1.0))
    hours = np.tile(DURATIONS_S / 3600, (1, 1)).astype(np.float64)
    scores = []
    for number in (3, 300, 3_000, 300_000):
        counts = np.zeros((2, len(DURATIONS_S)), np.int32)
        counts[0] = number
        score, _ = scores_at(np.array([0], np.int32), near.rows, counts, usual, hours, prior)
        scores.append(float(score[0]))
    assert np.isfinite(scores).all()
    assert scores == sorted(scores) and scores[-1] > 1_000.0


def test_hours_are_those_of_the_clock_to_the_second():
    stratum = np.array([0, 1, 1, 2, 0, 1], np.int32)
    hours = hours_within(5 * 3600 + 900, np.array([3600, 4 * 3600], np.int64), 0, stratum, 3)
    assert hours.tolist() == [[0.75, 1.0], [0.25, 2.0], [0.0, 1.0]]


def test_the_level_of_the_area_and_of_the_stream_scale_what_is_expected():
    level = Level(np.array([2.0]), np.array([0.5]), 10.0)
    hours = np.array([[10.0, 100.0]])
    usual_again = at_level(hours, hours, np.array([20, 200]), np.array([5, 50]), level)
    assert usual_again == pytest.approx(hours)
    doubled = at_level(hours, hours, np.array([40, 400]), np.array([10, 100]), level)
    assert 1.5 < doubled[0, 0] / hours[0, 0] < doubled[0, 1] / hours[0, 1] < 2.0
    # That of all categories has no second factor.
    of_all = at_level(hours, hours, np.array([40, 400]), np.array([40, 400]), Level(np.array([2.0]), np.zeros(0), 10.0))
    assert of_all == pytest.approx(hours * [50 / 30, 410 / 210])
    # Half of the reports have come, as usual at this time: half of the hours are usual, and the level is.
    late = at_level(hours / 2, hours / 2, np.array([10, 100]), np.array([2, 25]), level)
    assert late == pytest.approx(hours / 2, rel=0.05)
    # Twice as many of one category alone: the other categories stay as they were.
    alone = at_level(hours, hours, np.array([25, 250]), np.array([10, 100]), level)
    assert 1.0 < alone[0, 1] / hours[0, 1] < 2.0


def test_under_the_null_a_bayes_factor_is_one_on_average():
    """By simulation with a fixed seed: the mean over gamma rates and Poisson numbers, within four standard errors."""
    generator, shape, mean = np.random.default_rng(5), 2.0, 0.7
    observed = generator.poisson(generator.gamma(shape, mean / shape, 400_000))
    factors = np.array([naive.bayes_factor(n, mean, shape, 2.0) for n in range(int(observed.max()) + 1)])[observed]
    assert abs(factors.mean() - 1.0) < 4 * factors.std() / math.sqrt(len(factors))
