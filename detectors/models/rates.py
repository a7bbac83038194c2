"""Usual rates of every location, category and stratum, shrunk towards those of the neighbourhood.

A location's rate is a gamma variable. Its mean is the weighted mean of the neighbours, without the location's own
cases. Its shares of the categories and of the strata are Dirichlet variables around the shares of its neighbourhood.
How far the rate and the shares are shrunk is fitted to the counts by maximum likelihood (empirical Bayes: Clayton and
Kaldor 1987; Minka 2000).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from detectors.kernels.bayes import Level, Prior, Usual, usual_of_zones
from detectors.kernels.ratio import Rows
from detectors.models.shrinkage import concentration, gamma_shape

SMOOTHING_M = 400.0
"""Standard deviation of the Gaussian that weights neighbours, in metres."""
FARTHEST = 3.0
"""Distance beyond which neighbours do not count, in standard deviations."""
AREA_SHARE = 0.05
"""Weight of the area's mean beside that of the neighbours, so that no rate is zero."""
AREA_CASES = 5.0
"""Number of the area's cases that are added to those of a neighbourhood when its shares are worked out."""
RENEWAL_H = 168
"""Time after which the rates are renewed, in hours."""
LEVEL_CASES = 10.0
"""Number of cases at which the observed and the usual level of an area count the same."""
DIGITS = 9
"""Decimal digits to which weights are rounded, so that every machine has the same."""
HOUR_CASES = 20.0
"""Number of cases of a category at which its own shares of the strata and those of all categories count the same."""

_Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The weights with which locations count in each other's neighbourhood.

    ``weight``: the weights in the neighbourhood of each location, (L, L). Each row sums to 1 or is empty.
    ``is_alone``: whether a location has no neighbour, (L,).
    """

    weight: csr_array
    is_alone: NDArray[np.bool_]

    @classmethod
    def of(cls, points: _Floats) -> Neighbourhood:
        """Return the weights of locations. A location has no weight in its own neighbourhood.

        ``points``: the locations in metres, (L, 3).
        """
        tree = cKDTree(points)
        pairs = tree.sparse_distance_matrix(tree, FARTHEST * SMOOTHING_M, output_type="coo_matrix")
        others = pairs.row != pairs.col
        row, col = pairs.row[others], pairs.col[others]
        close = np.round(np.exp(-0.5 * (pairs.data[others] / SMOOTHING_M) ** 2), DIGITS)
        total = np.bincount(row, weights=close, minlength=len(points))
        weight = csr_array((close / total[row], (row, col)), shape=(len(points), len(points)))
        return cls(weight, total == 0)

    def mean(self, cases: _Floats) -> _Floats:
        """Return the mean of the neighbours' ``cases``, both (L, n); the area's mean where there is no neighbour."""
        around = np.asarray(self.weight @ cases)
        around[self.is_alone] = cases.mean(axis=0)
        return around


@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """Usual rates of an area. The streams are the categories and, last, *all*.

    ``rate``: cases an hour by stream, location and stratum, (C + 1, L, S).
    ``shape``: gamma shape of each stream's rate at each location, (C + 1, L).
    ``place``: share of each location in all cases, (L,).
    """

    rate: _Floats
    shape: _Floats
    place: _Floats

    def usual(self, stream: int, near: Rows, prior: Prior) -> Usual:
        """Return the usual rates of a stream in every zone."""
        return usual_of_zones(near, prior.radius, self.rate[stream], self.shape[stream], self.place)

    def level(self, stream: int) -> Level:
        """Return how the level of the area is followed for a stream."""
        of_stream = self.rate.sum(axis=1)
        return Level(of_stream[-1], of_stream[stream] if stream < len(of_stream) - 1 else of_stream[0, :0], LEVEL_CASES)

    @property
    def a_day(self) -> float:
        """Usual cases a day, as a mean over the strata."""
        return float(self.rate[-1].sum(axis=0).mean() * 24)

    @classmethod
    def of(
        cls, cases: NDArray[np.int32], in_bucket: NDArray[np.int32], stratum: NDArray[np.int32], around: Neighbourhood
    ) -> Rates:
        """Return the rates that counts show.

        ``cases``: by category, location and stratum, (C, L, S); at least one case.
        ``in_bucket``, ``stratum``: number of cases and stratum of each bucket, (buckets,). Time counts from the first
            bucket by whose end over 1 % of the cases have occurred, because the oldest case alone can be far earlier.
        """
        until = np.cumsum(in_bucket)
        hours = np.bincount(stratum[int(np.argmax(until * 100 > until[-1])) :], minlength=cases.shape[2])
        number = cases.astype(np.float64)
        of_place, of_stratum = number.sum(axis=2).T, number.sum(axis=0)
        total = of_place.sum(axis=1)
        likely = around.mean(total[:, None])[:, 0]
        likely = (1 - AREA_SHARE) * likely + AREA_SHARE * total.mean()
        likely *= total.sum() / likely.sum()
        shape = _rounded(gamma_shape(total, likely))
        rate = (shape + total) / (shape / likely + 1) / hours.sum()
        mix, mix_cases = _shares(of_place, around)
        clock, _ = _shares(of_stratum, around)
        # How much each stratum differs for each category from all of them together.
        of_both, all_strata = number.sum(axis=1), of_stratum.sum(axis=0)
        usual = (all_strata + 0.5) / (all_strata + 0.5).sum()
        tilt = (of_both + HOUR_CASES * usual) / (of_both.sum(axis=1, keepdims=True) + HOUR_CASES) / usual
        by_both = clock[None] * tilt[:, None]
        by_both /= by_both.sum(axis=2, keepdims=True)
        # A stratum that had no hour yet gets the mean rate.
        of_hour = np.where(hours > 0, by_both * (hours.sum() / np.maximum(hours, 1)), 1.0)
        share = mix.T  # (C, L)
        spread = 1 / (shape + total) + (1 - share) / (share * (mix_cases + total + 1))
        of_category = (rate * share)[:, :, None] * of_hour
        of_all = of_category.sum(axis=0, keepdims=True)
        return cls(np.concatenate((of_category, of_all)), np.vstack((1 / spread, shape + total)), rate / rate.sum())


def _shares(cases: _Floats, around: Neighbourhood) -> tuple[_Floats, float]:
    """Return each location's shrunk shares, (L, n), and the number of cases at which own and prior shares count alike.

    ``cases``: by location and kind, (L, n).
    """
    area = (cases.sum(axis=0) + 0.5) / (cases.sum(axis=0) + 0.5).sum()
    # The mean is for one neighbour; the weights of some hundred add up to about the cases of fifty.
    nearby = 50 * around.mean(cases)
    prior = (nearby + AREA_CASES * area) / (nearby.sum(axis=1, keepdims=True) + AREA_CASES)
    strength = _rounded(concentration(cases, prior))
    return (cases + strength * prior) / (cases.sum(axis=1, keepdims=True) + strength), strength


def _rounded(value: float) -> float:
    """Return a fitted number with three digits, so that every machine finds the same."""
    return float(f"{value:.3g}")
