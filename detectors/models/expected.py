"""What a model says is usual: the expected cases that a scan compares the observed ones with."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """Expected and observed cases of one stream at one moment.

    ``counts``: observed per location and duration, int32, shape (L, D). ``expected``: the same under the null, float64.
    ``totals``: the cases that a window of each duration is compared with, observed and expected alike, float64, shape
    (D,); infinite for an expectation-based model. ``durations``: in buckets, rising, int32, shape (D,); each ends now,
    the partly filled bucket included.
    """

    counts: NDArray[np.int32]
    expected: NDArray[np.float64]
    totals: NDArray[np.float64]
    durations: NDArray[np.int32]
