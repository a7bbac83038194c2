"""Expectation-based Poisson (Neill 2009): windows against their own baselines, so that a surge of the area shows.

The baseline is the usual number of cases of a place at such hours of the week, from the history before the windows:
a gamma prior around what the area, the place and its neighbours make likely, and the place's own cases in that stratum
(empirical Bayes, Clayton and Kaldor 1987). Thin places follow their neighbours, busy ones themselves.

Nothing else cancels reports that have not come yet, so that where their delays are known, only that share of the usual
cases is expected of an interval which has usually arrived: its completeness.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.models.nulls import Null, PoissonNull

OWN_CASES = 10.0
"""From so many cases of its own on a place counts for more than its neighbours do."""
STRATUM_CASES = 5.0
"""From so many cases in a stratum on it counts for more than the area's clock does."""
NEAREST = 50
"""So many neighbours are asked at most."""


def baseline(
    place: NDArray[np.int32], stratum: NDArray[np.int32], length: NDArray[np.float64], near: Neighbours
) -> NDArray[np.float64]:
    """Usual cases of one interval of each stratum in each place, shape (L, S).

    ``place`` and ``stratum`` of every case of the history, (cases,); ``length``: intervals of the history in each
    stratum, each as far as it is complete, (S,). Both shrinkages keep the area's total.
    """
    locations, strata = len(near.size), len(length)
    cases = np.zeros((locations, strata))
    np.add.at(cases, (place, stratum), 1.0)
    own = cases.sum(axis=1)
    around = np.array([own[near.zone(centre, min(NEAREST, len_))].mean() for centre, len_ in _rows(near)])
    likely = (own + OWN_CASES * around / max(own.mean(), 1e-300)) if own.any() else own
    likely *= own.sum() / max(likely.sum(), 1e-300)
    clock = cases.sum(axis=0) / max(cases.sum(), 1e-300)
    prior = likely[:, None] * clock  # cases that the place would have had in the stratum
    posterior = prior * (cases + STRATUM_CASES) / (prior + STRATUM_CASES)
    posterior *= cases.sum() / max(posterior.sum(), 1e-300)
    return np.asarray(np.divide(posterior, length, out=np.zeros_like(posterior), where=length > 0))


def _rows(near: Neighbours) -> list[tuple[int, int]]:
    return list(enumerate(np.diff(near.start).tolist()))


class ExpectationModel:
    """``usual``: cases per location and interval, (L, T); the share of them that has come: ``completeness``, (T,)."""

    def __init__(self, usual: NDArray[np.float64], completeness: NDArray[np.float64] | None = None) -> None:
        self._usual = usual if completeness is None else usual * completeness

    @property
    def mass(self) -> NDArray[np.float64]:
        """What counts as the population of a location: its expected cases over the whole study, (L,)."""
        return np.asarray(self._usual.sum(axis=1))

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """The expected cases of each interval of a time span, (L, end - begin)."""
        return self._usual[:, begin:end]

    def total(self, begin: int, end: int) -> float:  # noqa: ARG002 (other models need the span)
        """A window is compared with nothing but its own baseline."""
        return math.inf

    def null(self, first: int) -> Null:
        """How the cases of the intervals from ``first`` on fall by chance."""
        recent = self._usual[:, first:]
        means = recent.sum(axis=0)
        return PoissonNull(recent, lambda generator: generator.poisson(means))
