"""The space-time permutation model with strata (Kulldorff et al. 2005; docs/method.md section 2).

A location's cases are spread over time like those of the whole area. Its expected cases within a duration are ``mu[l,
d] = sum over s of n[l, s] D[d, s] / T[s]``. Here ``n`` is the number of the location's cases in stratum ``s`` over the
window, ``D`` that of the area's within the duration and ``T`` that of the area's over the window. With one stratum this
is the plain model. The model uses only cases. So a location that is always busy and a surge of the whole area cancel
out, and the partly filled bucket needs no correction.
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
    """Return the share of each stratum's cases that falls into each duration, shape (S, D).

    ``in_bucket``: the area's cases in each bucket of the window, the current one last, shape (buckets,).
    ``stratum``: each bucket's stratum, shape (buckets,).

    A stratum without cases has share 0.
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
    """Return the observed and expected cases of one stream.

    ``by_stratum``: cases of the window per location and stratum, shape (L, S).
    ``share``: the result of :func:`share_of_duration`.
    ``total``: all cases of the window.
    ``location``, ``age``: location, and buckets before the current one, of each case within the longest duration.
    """
    return Expected(
        counts=recent_counts(location, age, durations, by_stratum.shape[0]),
        expected=stratified_expected(by_stratum, share),
        totals=np.full(len(durations), float(total)),
        durations=durations,
    )


class PermutationModel:
    """The permutation model of a study. Its strata are classes of cases; times are shuffled within each class.

    ``location``, ``interval`` and ``stratum`` are those of every case, int32, (N,).
    """

    def __init__(
        self,
        location: NDArray[np.int32],
        interval: NDArray[np.int32],
        stratum: NDArray[np.int32],
        locations: int,
        intervals: int,
    ) -> None:
        self._location, self._interval, self._stratum = location, interval, stratum
        strata = int(stratum.max(initial=0)) + 1
        self._by_stratum = np.zeros((locations, strata), np.int32)
        np.add.at(self._by_stratum, (location, stratum), 1)
        self._in_interval = np.zeros((strata, intervals), np.int64)
        np.add.at(self._in_interval, (stratum, interval), 1)

    @property
    def mass(self) -> NDArray[np.float64]:
        """The cases of each location over the whole study, (L,). They take the place of a population."""
        return np.asarray(self._by_stratum.sum(axis=1), np.float64)

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """Return the expected cases of each interval of a time span, (L, end - begin)."""
        whole = self._in_interval.sum(axis=1, keepdims=True)
        share = np.divide(
            self._in_interval[:, begin:end], whole, out=np.zeros((len(whole), end - begin)), where=whole > 0
        )
        return stratified_expected(self._by_stratum, share)

    def total(self, begin: int, end: int) -> float:  # noqa: ARG002 (other models need the span)
        """Return the number of all cases, with which every window is compared."""
        return float(len(self._location))

    def null(self, first: int) -> Null:
        """Return the null of the cases in the intervals from ``first`` on."""
        last = self._in_interval.shape[1] - 1
        is_recent = self._interval >= first
        age = (last - self._interval)[is_recent]
        return PermutationNull(self._location, self._stratum, age, self._stratum[is_recent])
