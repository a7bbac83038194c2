"""Expectation-based Poisson (Neill 2009): each window has its own baseline, so that a surge of the whole area shows.

The baseline is the usual number of a location's cases in a stratum, from the history before the windows. Its prior is
gamma, around what the area, the location and its neighbours make likely, and is updated with the location's own cases
in that stratum (empirical Bayes, Clayton and Kaldor 1987). So locations with few cases follow their neighbours, and
busy locations follow their own cases.

Reports that have not arrived yet lower the observed cases but not the baseline. Where their delays are known, the usual
cases of an interval are multiplied by its completeness, the share that has usually arrived.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.models.nulls import Null, PoissonNull

OWN_CASES = 10.0
"""Number of cases at which a location counts as much as its neighbours."""
STRATUM_CASES = 5.0
"""Expected number of a location's cases in a stratum at which its own cases there count as much as the area's clock."""
NEAREST = 50
"""Largest number of neighbours that count for a location."""


def baseline(
    location: NDArray[np.int32], stratum: NDArray[np.int32], length: NDArray[np.float64], near: Neighbours
) -> NDArray[np.float64]:
    """Return the usual cases of one interval of each stratum at each location, shape (L, S).

    ``location``, ``stratum``: of every case of the history, (cases,).
    ``length``: the sum of the completeness of the history's intervals in each stratum, (S,).

    Shrinking locations to their neighbours and strata to the area's clock both keep the area's total.
    """
    locations, strata = len(near.size), len(length)
    cases = np.zeros((locations, strata))
    np.add.at(cases, (location, stratum), 1.0)
    own = cases.sum(axis=1)
    row_lengths = enumerate(np.diff(near.start).tolist())
    around = np.array([own[near.zone(centre, min(NEAREST, row_length))].mean() for centre, row_length in row_lengths])
    likely = (own + OWN_CASES * around / max(own.mean(), 1e-300)) if own.any() else own
    likely *= own.sum() / max(likely.sum(), 1e-300)
    clock = cases.sum(axis=0) / max(cases.sum(), 1e-300)
    prior = likely[:, None] * clock  # cases that are likely for the location in the stratum
    posterior = prior * (cases + STRATUM_CASES) / (prior + STRATUM_CASES)
    posterior *= cases.sum() / max(posterior.sum(), 1e-300)
    return np.asarray(np.divide(posterior, length, out=np.zeros_like(posterior), where=length > 0))


class ExpectationModel:
    """The expectation-based model of a study.

    ``usual``: usual cases per location and interval, (L, T).
    ``completeness``: share of each interval's cases that has arrived, (T,).
    """

    def __init__(self, usual: NDArray[np.float64], completeness: NDArray[np.float64] | None = None) -> None:
        self._usual = usual if completeness is None else usual * completeness

    @property
    def mass(self) -> NDArray[np.float64]:
        """The expected cases of each location over the whole study, (L,). They take the place of a population."""
        return np.asarray(self._usual.sum(axis=1))

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """Return the expected cases of each interval of a time span, (L, end - begin)."""
        return self._usual[:, begin:end]

    def total(self, begin: int, end: int) -> float:  # noqa: ARG002 (other models need the span)
        """Return infinity, because a window is compared with its own baseline alone."""
        return math.inf

    def null(self, first: int) -> Null:
        """Return the null of the cases in the intervals from ``first`` on."""
        recent = self._usual[:, first:]
        means = recent.sum(axis=0)
        return PoissonNull(recent, lambda generator: generator.poisson(means))
