"""A model of an area without clusters, learnt from its history: a posterior from which null histories are drawn.

Each location has a gamma rate around its neighbours' rate, a Dirichlet mix of categories and a Dirichlet clock over the
strata. The hyperparameters are fitted to the history by maximum likelihood (empirical Bayes: Clayton and Kaldor 1987;
Minka 2000). If raw counts were the rates, null histories would be too uneven and every threshold too low.
"""

from __future__ import annotations

import dataclasses
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.area.strata import BUCKET_S, Blocks
from detectors.calibration.past import CATEGORIES, Past
from detectors.models.shrinkage import concentration, gamma_shape

SMOOTHING_M = 400.0
"""Standard deviation of the Gaussian that weights neighbours, in metres."""
FARTHEST = 3.0
"""Distance beyond which neighbours do not count, in standard deviations."""
CITY_SHARE = 0.05
"""Weight of the area's mean in a location's prior, so that no rate is zero."""
HOUR_CASES = 20.0
"""Number of cases at which the mean of an hour of the week counts as much as the mean of its stratum."""
SWING = 0.2
"""Share by which null histories rise and fall over a year, so that the score covers levels that the past lacks."""
YEAR_H = 365.25 * 24
WEEK_D, DAY_H = 7, 24
MOST_DAY_VARIANCE = 0.1
"""Upper bound for the variance of a day's level. Real cities have 0.01 to 0.03, one odd date gives far more."""
BY_HOUR = Blocks(0, 1, (0, 1, 2, 3, 4, 5, 6))
"""Strata of one hour of the week each."""

_Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """One area that could have produced the history.

    ``rate``: cases per bucket of each location, (L,).
    ``mix``: shares of the categories, (L, 4).
    ``clock``: shares of the strata, (L, S).
    """

    rate: _Floats
    mix: _Floats
    clock: _Floats


class CityModel:
    """The posterior of an area.

    ``points``: the locations in metres, (L, 3).
    ``weight``: how much each incident of the past counts, (n,), by default 1. An incident that followed another reveals
        little about its location.
    ``stratum``: the stratum of each bucket of the past, (buckets,).
    ``day_variance``: variance of a day's level, as a share of the squared mean.

    Raises:
        ValueError: The history has no incident, or is shorter than a week.
    """

    def __init__(
        self, past: Past, points: _Floats, blocks: Blocks, zone: ZoneInfo, weight: _Floats | None = None
    ) -> None:
        if past.buckets < BY_HOUR.count:
            raise ValueError(f"history: {past.buckets / 24:.1f} days; must be at least 7 days; 26 weeks are better")
        if not len(past):
            raise ValueError("history: no incident of the four categories within the area")
        self._blocks, self._zone, self._buckets = blocks, zone, past.buckets
        locations, strata = len(points), blocks.count
        stratum, hour = self._calendar(past.first_bucket, past.buckets)
        self.stratum, self.day_variance = stratum, _day_variance(past)
        weight = np.ones(len(past)) if weight is None else weight
        of_category = np.zeros((locations, CATEGORIES))
        np.add.at(of_category, (past.location, past.category), weight)
        of_stratum = np.zeros((locations, strata))
        np.add.at(of_stratum, (past.location, stratum[past.bucket]), weight)
        self.cases = of_category.sum(axis=1)
        self.likely = _around(self.cases, points)
        self.shape = gamma_shape(self.cases, self.likely)
        self._of_category, self._of_stratum = of_category, of_stratum
        self._mix, self._clock = _shares(of_category.sum(axis=0)), _shares(of_stratum.sum(axis=0))
        self.mix_cases = concentration(of_category, self._mix)
        self.clock_cases = concentration(of_stratum, self._clock)
        clock_of_category = np.zeros((CATEGORIES, strata))
        np.add.at(clock_of_category, (past.category, stratum[past.bucket]), weight)
        clock_of_category += HOUR_CASES * self._clock
        self._tilt = clock_of_category / clock_of_category.sum(axis=1, keepdims=True) / self._clock
        self._hour = _hours(stratum, hour, past.bucket)

    def _calendar(self, first_bucket: int, buckets: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the stratum and the local hour of the week of buckets from ``first_bucket`` on, each (buckets,)."""
        stratum = self._blocks.of_buckets(first_bucket, buckets, self._zone)
        return stratum, BY_HOUR.of_buckets(first_bucket, buckets, self._zone)

    def draw(self, generator: np.random.Generator) -> Drawn:
        """Draw one area from the posterior."""
        rate = generator.gamma(self.shape + self.cases) / (self.shape / self.likely + 1) / self._buckets
        mix = _dirichlet(generator, self.mix_cases * self._mix + self._of_category)
        clock = _dirichlet(generator, self.clock_cases * self._clock + self._of_stratum)
        return Drawn(rate, mix, clock)

    def usual(self, past: Past) -> _Floats:
        """Return how many incidents are usual in the category, location and hour of each incident, (n,)."""
        rate = (self.shape + self.cases) / (self.shape / self.likely + 1) / self._buckets
        mix = self.mix_cases * self._mix + self._of_category
        clock = self.clock_cases * self._clock + self._of_stratum
        share = np.bincount(self.stratum, minlength=self._blocks.count) / self._buckets
        here, stratum = past.location, self.stratum[past.bucket]
        of_category = mix[here, past.category] / mix.sum(axis=1)[here]
        return np.asarray(rate[here] * of_category * clock[here, stratum] / clock.sum(axis=1)[here] / share[stratum])

    def history(
        self, drawn: Drawn, first_bucket: int, buckets: int, part: _Floats, generator: np.random.Generator
    ) -> Past:
        """Draw a history of independent incidents in an area.

        ``part``: the share of each category's usual number that is drawn, (4,).
        """
        stratum, hour = self._calendar(first_bucket, buckets)
        level = 1 + SWING * np.sin(2 * np.pi * (np.arange(buckets) / YEAR_H + generator.random()))
        if self.day_variance:
            # Weather, events and holidays make whole days busy or quiet.
            days = generator.gamma(1 / self.day_variance, self.day_variance, -(-buckets // DAY_H))
            level *= np.repeat(days, DAY_H)[:buckets]
        of_category = drawn.mix * part
        number = generator.poisson(drawn.rate * of_category.sum(axis=1) * level.sum())
        location = np.repeat(np.arange(len(number)), number)
        category = _pick(generator, of_category[location])
        of_stratum = _pick(generator, drawn.clock[location] * self._tilt[category])
        weight = level * self._hour[hour]
        bucket = np.empty(len(location), np.int64)
        for each in range(self._blocks.count):
            incidents = np.flatnonzero(of_stratum == each)
            its_buckets = np.flatnonzero(stratum == each)
            bucket[incidents] = its_buckets[_pick_one_of(generator, weight[its_buckets], len(incidents))]
        second = bucket * BUCKET_S + generator.integers(0, BUCKET_S, len(location))
        return Past.of(first_bucket, buckets, second, location.astype(np.int32), category.astype(np.int8))


def _day_variance(past: Past) -> float:
    """Return the variance of the factor, of mean 1, by which the level of a whole day differs from what is usual.

    Each day is compared with the same weekday a week later. Of two Poisson numbers with the same mean and independent
    factors, the squared difference exceeds the sum by twice the variance times the squared mean.
    """
    days = past.buckets // DAY_H
    day = np.bincount(past.second // (DAY_H * BUCKET_S), minlength=days)[:days].astype(float)
    one, other = day[:-WEEK_D], day[WEEK_D:]
    squares = 2 * (one * other).sum()
    return float(np.clip(((one - other) ** 2 - one - other).sum() / squares, 0, MOST_DAY_VARIANCE)) if squares else 0.0


def _around(cases: _Floats, points: _Floats) -> _Floats:
    """Return the cases that are likely at each location, by the cases of its neighbours alone, (L,)."""
    tree = cKDTree(points)
    pairs = tree.sparse_distance_matrix(tree, FARTHEST * SMOOTHING_M, output_type="coo_matrix")
    others = pairs.row != pairs.col
    row, col, close = pairs.row[others], pairs.col[others], np.exp(-0.5 * (pairs.data[others] / SMOOTHING_M) ** 2)
    weight = np.bincount(row, weights=close, minlength=len(cases))
    mean = cases.mean()
    around = np.bincount(row, weights=close * cases[col], minlength=len(cases))
    smooth = np.divide(around, weight, out=np.full(len(cases), mean), where=weight > 0)
    likely = (1 - CITY_SHARE) * smooth + CITY_SHARE * mean
    return np.asarray(likely * cases.sum() / likely.sum())


def _shares(cases: _Floats) -> _Floats:
    return np.asarray((cases + 0.5) / (cases + 0.5).sum())


def _hours(stratum: NDArray[np.int32], hour: NDArray[np.int32], bucket: NDArray[np.int32]) -> _Floats:
    """Return how busy each hour of the week is, relative to its stratum, (168,)."""
    length = np.bincount(hour, minlength=BY_HOUR.count)
    cases = np.bincount(hour[bucket], minlength=BY_HOUR.count)
    of_stratum = np.bincount(stratum[bucket], minlength=int(stratum.max()) + 1) / np.maximum(np.bincount(stratum), 1)
    stratum_of = np.zeros(BY_HOUR.count, np.int64)
    stratum_of[hour] = stratum
    usual = np.maximum(of_stratum[stratum_of], 1e-9)  # cases per bucket if all hours of a stratum were alike
    return np.asarray((cases + HOUR_CASES) / (usual * length + HOUR_CASES))


def _dirichlet(generator: np.random.Generator, weight: _Floats) -> _Floats:
    drawn = np.maximum(generator.standard_gamma(weight), 1e-300)
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def _pick(generator: np.random.Generator, weight: _Floats) -> NDArray[np.int64]:
    """Draw a column of each row, with a probability in proportion to its weight."""
    until = weight.cumsum(axis=1)
    return np.asarray((generator.random(len(weight))[:, None] * until[:, -1:] >= until[:, :-1]).sum(axis=1))


def _pick_one_of(generator: np.random.Generator, weight: _Floats, number: int) -> NDArray[np.int64]:
    until = weight.cumsum()
    chosen = np.searchsorted(until, generator.random(number) * until[-1], side="right")
    return np.asarray(np.minimum(chosen, len(weight) - 1), np.int64)
