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

from detectors import kernels
from detectors.models.expected import Expected


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
    in_bucket: NDArray[np.int32],
    stratum: NDArray[np.int32],
    location: NDArray[np.int32],
    age: NDArray[np.int32],
    durations: NDArray[np.int32],
) -> Expected:
    """Observed and expected of one stream.

    ``by_stratum``: cases of the window per location and stratum, shape (L, S); ``in_bucket`` and
    ``stratum`` as in :func:`share_of_duration`; ``location`` and ``age`` (buckets before the
    current one) of the cases within the longest duration.
    """
    share = share_of_duration(in_bucket, stratum, by_stratum.shape[1], durations)
    return Expected(
        counts=kernels.recent_counts(location, age, durations, by_stratum.shape[0]),
        expected=kernels.stratified_expected(by_stratum, share),
        total=int(in_bucket.sum()),
        durations=durations,
    )
