"""Usual rates keep the totals, shrink towards the neighbourhood, and predict later weeks better than raw counts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.models.rates import Neighbourhood, Rates

LOCATIONS, STRATA, BUCKETS = 150, 4, 90 * 24
STRATUM = (np.arange(BUCKETS) // 6 % STRATA).astype(np.int32)


def town(generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points in metres and true rates an hour by category, location and stratum."""
    points = np.column_stack((generator.uniform(0, 3_000, (LOCATIONS, 2)), np.zeros(LOCATIONS)))
    slope = np.exp(-points[:, 0] / 1_500)
    level = slope * generator.gamma(0.6, 1.0, LOCATIONS) + 1e-4
    mix = generator.dirichlet((2.0, 4.0, 1.0, 3.0), LOCATIONS).T
    clock = generator.dirichlet((6.0, 3.0, 2.0, 4.0), LOCATIONS)
    rate = level[None, :, None] * mix[:, :, None] * clock[None] * STRATA
    return points, 0.3 * rate / rate.sum(axis=(0, 1)).mean()


def drawn(rate: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int32]:
    """Return counts of the whole time."""
    return generator.poisson(rate * np.bincount(STRATUM)).astype(np.int32)


def rates(cases: NDArray[np.int32], points: NDArray[np.float64]) -> Rates:
    return Rates.of(cases, np.full(BUCKETS, 1, np.int32), STRATUM, Neighbourhood.of(points))


@pytest.mark.parametrize("seed", range(4))
def test_rates_keep_totals_and_predict_better_than_raw_counts(seed: int):
    generator = np.random.default_rng(seed)
    points, truth = town(generator)
    cases, later = drawn(truth, generator), drawn(truth, generator)
    found, hours = rates(cases, points), np.bincount(STRATUM)
    expected = found.rate[:-1] * hours
    assert expected.sum() == pytest.approx(cases.sum(), rel=0.05)
    assert expected.sum(axis=(1, 2)) == pytest.approx(cases.sum(axis=(1, 2)), rel=0.15)
    assert (found.rate > 0).all() and (found.shape > 0).all()
    assert found.place.sum() == pytest.approx(1.0)
    assert found.rate[-1] == pytest.approx(found.rate[:-1].sum(axis=0))
    # The cases of all categories at a location are known at least as well as those of each.
    assert (found.shape[-1] >= found.shape[:-1].max(axis=0)).all()

    def deviance(mean: NDArray[np.float64]) -> float:
        """Return minus twice the Poisson log-likelihood of the later counts, less a constant."""
        return float(2 * (mean - later * np.log(mean)).sum())

    of_place = cases.sum(axis=(0, 2))
    share = cases.sum(axis=(1, 2)) / cases.sum()
    raw = (of_place[None, :, None] + 0.01) * share[:, None, None] * hours / hours.sum()
    even = np.full(cases.shape, cases.sum() / cases.size)
    assert deviance(expected) < min(deviance(raw), deviance(even))
    assert deviance(expected) - deviance(truth * hours) < 0.5 * (deviance(raw) - deviance(truth * hours))


def test_an_empty_location_takes_the_rate_of_its_neighbours():
    """A busy and a quiet neighbourhood 20 km apart, each with an empty location, and a location with no neighbour."""
    across = np.arange(40) * 50.0
    east = np.concatenate((across, 20_000 + across, [50_000.0]))
    points = np.column_stack((east, np.zeros((81, 2))))
    cases = np.zeros((4, 81, STRATA), np.int32)
    cases[:, :40] = np.random.default_rng(2).poisson(2.0, (4, 40, STRATA))
    cases[0, 40:80:5, 0] = 1
    cases[:, [20, 61]] = 0
    found = rates(cases, points).rate[-1].sum(axis=1)
    assert found[20] > 3 * found[61] > 0
    assert found[80] > 0


def test_a_stratum_without_hours_has_the_mean_rate():
    points = np.array([[0.0, 0, 0], [100, 0, 0]])
    cases = np.zeros((4, 2, STRATA), np.int32)
    cases[:, :, :3] = 4
    found = Rates.of(
        cases, np.full(72, 1, np.int32), (np.arange(72) // 6 % 3).astype(np.int32), Neighbourhood.of(points)
    )
    assert found.rate[:, :, 3] == pytest.approx(found.rate[:, :, :3].mean(axis=2), rel=0.1)


def test_time_counts_from_the_first_percent_of_cases_on():
    """A feed that began lately with one old case: its rates are those of the time since it began."""
    generator = np.random.default_rng(1)
    points, truth = town(generator)
    cases = drawn(truth, generator)
    number = np.zeros(BUCKETS, np.int32)
    number[0], number[BUCKETS // 2 :] = 1, 10
    late = Rates.of(cases, number, STRATUM, Neighbourhood.of(points))
    assert late.rate.sum() == pytest.approx(2 * rates(cases, points).rate.sum(), rel=0.03)
