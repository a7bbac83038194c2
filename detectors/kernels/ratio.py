"""The likelihood ratio, constants and groups of arguments that the kernels share, and how kernels are compiled.

A kernel calls only functions of its own file and of this one. Numba's cache notices changes only in a kernel's own
file, so after a change here ``make setup`` empties the cache. Fast-math is off, so that alerts are the same to the last
digit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

# Lets numba make vector instructions of steps that are written out side by side.
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]

Function = TypeVar("Function")

Counts = NDArray[np.int32]
Categories = NDArray[np.int8]
Floats = NDArray[np.float64]
Offsets = NDArray[np.int64]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

TIE = 1e-9
"""Largest difference between two LLRs that count as equal (docs/method.md section 4.3)."""
HAIR = 1e-9
"""Share by which bounds are widened, so that rounding hides no window."""
LANES = 8
"""Number of durations that a kernel looks at together."""


class Rows(NamedTuple):
    """Neighbour rows. The row of centre ``i`` is ``start[i]:start[i + 1]`` of ``neighbour`` and ``distance``.

    The centre itself comes first. The first ``size[i]`` neighbours of a row can form zones.
    """

    start: Offsets
    size: Counts
    neighbour: Counts
    distance: Floats


class Cases(NamedTuple):
    """Observed and expected cases.

    ``counts``, ``expected``: by location and duration, (L, D).
    ``totals``: all cases with which windows of each duration are compared, (D,).
    """

    counts: Counts
    expected: Floats
    totals: Floats


def compiled(function: Function) -> Function:
    """Compile a function on its first call with each combination of types, and keep the result in the cache."""
    return cast(Function, numba.njit(cache=True, nogil=True)(cast(Any, function)))


@compiled
def log_likelihood_ratio(observed: int, expected: float, total: float, min_risk: float) -> float:
    """Return Kulldorff's LLR of a window against all cases; 0 unless the window is high.

    It is ``n log(n/u) + (N-n) log((N-n)/(N-u))``, without the second term if ``n = N`` (docs/method.md section 1;
    Kulldorff et al. 2005, equation 3). With an infinite ``total`` it is the expectation-based statistic ``n log(n/u) -
    (n-u)`` (Neill 2009, equation 2). A window is high if it has more cases than expected and its relative risk ``(n/u)
    / ((N-n)/(N-u))`` is at least ``min_risk``.
    """
    if observed <= expected or expected <= 0.0:
        return 0.0
    inside = observed * math.log(observed / expected)
    if math.isinf(total):
        return inside - (observed - expected) if observed >= min_risk * expected else 0.0
    if observed == total:
        return inside
    if observed * (total - expected) < min_risk * expected * (total - observed):
        return 0.0
    return inside + (total - observed) * math.log((total - observed) / (total - expected))


@compiled
def circle_of(rows: Rows, centre: int, size: int) -> tuple[int, int]:
    """Return where in the rows the circle around a zone lies: its first position, and the one after its last.

    The circle holds every location up to the distance of the zone's last one, also those that a tie keeps out of the
    zone.
    """
    first = rows.start[centre]
    end = first + size
    while end < rows.start[centre + 1] and rows.distance[end] == rows.distance[end - 1]:
        end += 1
    return first, end
