"""The result of a model: the expected cases, with the observed ones that a scan compares with them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """Expected and observed cases of one stream at one moment.

    ``counts``: observed per location and duration, int32, shape (L, D).
    ``expected``: the same under the null, float64.
    ``totals``: all cases, observed or expected, with which a window of each duration is compared, float64, shape (D,).
        They are infinite for an expectation-based model.
    ``durations``: in buckets, rising, int32, shape (D,). Each ends now and includes the partly filled bucket.
    """

    counts: NDArray[np.int32]
    expected: NDArray[np.float64]
    totals: NDArray[np.float64]
    durations: NDArray[np.int32]
