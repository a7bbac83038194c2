"""What a model says is usual: the expected cases that a scan compares the observed ones with."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Expected:
    """Expected and observed cases of one stream at one moment.

    ``counts``: observed per location and duration, int32, shape (L, D). ``expected``: the same
    under the null, float64. ``total``: all cases in the window, which is also all that are expected.
    ``durations``: in buckets, rising, int32, shape (D,); each ends now, the partly filled bucket
    included.
    """

    counts: NDArray[np.int32]
    expected: NDArray[np.float64]
    total: int
    durations: NDArray[np.int32]
