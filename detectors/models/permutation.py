"""The space-time permutation model, stratified (Kulldorff et al. 2005; DESIGN of the strata there).

A place's expected cases within a duration are its own total shared out as the whole area's cases
are: ``mu[l, d] = sum over s of n[l, s] D[d, s] / T[s]`` with ``n`` the place's cases in stratum
``s`` over the window, ``D`` the area's within the duration, ``T`` the area's over the window. One
stratum gives the plain model. Only cases enter: a fixed attraction of a place and a surge of the
whole area cancel, and the partly filled bucket needs no correction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.window import recent_counts, stratified_expected
from detectors.models.expected import Expected
from detectors.models.nulls import Null, PermutationNull


def share_of_duration(
    in_bucket: NDArray[np.int32], stratum: NDArray[np.int32], strata: int, durations: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The share of each stratum's cases that falls into each duration, shape (S, D).

    ``in_bucket``: the area's cases per bucket of the window, shape (buckets,), the current one
    last; ``stratum``: each bucket's stratum, same shape. A stratum without cases has share 0.
    """
    whole = np.bincount(stratum, weights=in_bucket, minlength=strata)
    share = np.zeros((strata, len(durations)))
    for column, duration in enumerate(durations):
        within = np.bincount(stratum[-duration:], weights=in_bucket[-duration:], minlength=strata)
        np.divide(within, whole, out=share[:, column], where=whole > 0)
    return share


def permutation(
    by_stratum: NDArray[np.int32],
    share: NDArray[np.float64],
    total: int,
    location: NDArray[np.int32],
    age: NDArray[np.int32],
    durations: NDArray[np.int32],
) -> Expected:
    """Observed and expected of one stream.

    ``by_stratum``: cases of the window per location and stratum, shape (L, S); ``share`` from
    :func:`share_of_duration`; ``total``: all cases of the window; ``location`` and ``age`` (buckets before the
    current one) of the cases within the longest duration.
    """
    return Expected(
        counts=recent_counts(location, age, durations, by_stratum.shape[0]),
        expected=stratified_expected(by_stratum, share),
        totals=np.full(len(durations), float(total)),
        durations=durations,
    )


class PermutationModel:
    """The permutation model of a study with its own strata: classes of cases, whose times are shuffled apart.

    ``place``, ``interval`` and ``stratum`` of every case, int32, (N,).
    """

    def __init__(
        self,
        place: NDArray[np.int32],
        interval: NDArray[np.int32],
        stratum: NDArray[np.int32],
        locations: int,
        intervals: int,
    ) -> None:
        self._place, self._interval, self._stratum = place, interval, stratum
        strata = int(stratum.max(initial=0)) + 1
        self._by_stratum = np.zeros((locations, strata), np.int32)
        np.add.at(self._by_stratum, (place, stratum), 1)
        self._in_interval = np.zeros((strata, intervals), np.int64)
        np.add.at(self._in_interval, (stratum, interval), 1)

    @property
    def mass(self) -> NDArray[np.float64]:
        """What counts as the population of a location: its cases over the whole study, (L,)."""
        return np.asarray(self._by_stratum.sum(axis=1), np.float64)

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """The expected cases of each interval of a time span, (L, end - begin)."""
        whole = self._in_interval.sum(axis=1, keepdims=True)
        share = np.divide(
            self._in_interval[:, begin:end], whole, out=np.zeros((len(whole), end - begin)), where=whole > 0
        )
        return stratified_expected(self._by_stratum, share)

    def total(self, begin: int, end: int) -> float:  # noqa: ARG002 (other models need the span)
        """The cases that a window is compared with: all."""
        return float(len(self._place))

    def null(self, first: int) -> Null:
        """How the cases of the intervals from ``first`` on fall by chance."""
        last = self._in_interval.shape[1] - 1
        is_recent = self._interval >= first
        return PermutationNull(self._place, self._stratum, (last - self._interval)[is_recent], self._stratum[is_recent])
