"""The likelihood ratio that all kernels share, and how they are compiled.

A kernel calls those of its own file and of this one only: numba's cache notices a change in a kernel's own file
alone (``make setup`` empties it when any of them has changed). No fast-math: the last digit is part of the promise
that alerts are the same byte for byte.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

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
