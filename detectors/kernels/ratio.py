"""The likelihood ratio, constants and groups of arguments that the kernels share, and how kernels are compiled.

A kernel calls only functions of its own file and of this one. Numba's cache notices a change in a kernel's own file
only: after a change here, ``make setup`` empties the cache. No fast-math: alerts are the same to the last digit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

# Steps that are written out side by side become vector instructions; numba leaves that out unless asked.
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
"""Share by which bounds are widened, so that rounding never hides a window."""
LANES = 8
"""Durations that a kernel looks at together."""


class Rows(NamedTuple):
    """Neighbour rows: those of centre ``i`` are ``start[i]:start[i + 1]`` of ``neighbour`` and ``distance``.

    The centre comes first. The first ``size[i]`` of them can form zones.
    """

    start: Offsets
    size: Counts
    neighbour: Counts
    distance: Floats


class Cases(NamedTuple):
    """Observed and expected cases by location and duration, (L, D), and all cases that each duration is compared with,
    (D,)."""

    counts: Counts
    expected: Floats
    totals: Floats


def compiled(function: Function) -> Function:
    """Compile on the first call for each combination of types; kept in the cache."""
    return cast(Function, numba.njit(cache=True, nogil=True)(cast(Any, function)))


@compiled
def log_likelihood_ratio(observed: int, expected: float, total: float, min_risk: float) -> float:
    """Kulldorff's LLR of a window against all cases; 0 unless the window is high.

    ``n log(n/u) + (N-n) log((N-n)/(N-u))``, natural logarithm, no second term if ``n = N`` (docs/method.md section 1;
    Kulldorff et al. 2005, equation 3). With an infinite ``total`` that is ``n log(n/u) - (n-u)``, the
    expectation-based statistic (Neill 2009, equation 2). High: more cases than expected, and a relative risk
    ``(n/u) / ((N-n)/(N-u))`` of ``min_risk`` or more.
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
    """The positions in the rows, first and one after the last, of the circle that reaches to a zone's last location.

    The circle holds every location at that distance, though the zone may leave a tied one out.
    """
    first = rows.start[centre]
    end = first + size
    while end < rows.start[centre + 1] and rows.distance[end] == rows.distance[end - 1]:
        end += 1
    return first, end
