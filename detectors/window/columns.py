"""The columns of the sliding window: one row for each incident, as arrays and as memory views of the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {
    "occurred_s": np.int64,
    "offset": np.int64,
    "clock_s": np.int64,
    "bucket": np.int32,
    "remembered": np.int32,
    "location": np.int32,
    "revision": np.int32,
    "longitude_e7": np.int32,
    "latitude_e7": np.int32,
    "after": np.int32,
    "before": np.int32,
    "delay_s": np.int32,
    "category": np.int8,
    "discovered": np.bool_,
    "interval": np.bool_,
    "further": np.bool_,
}


class Cells:
    """The columns as memory views. They are for access to single cells, for which numpy takes twice as long."""

    occurred_s: memoryview
    offset: memoryview
    clock_s: memoryview
    bucket: memoryview
    remembered: memoryview
    location: memoryview
    revision: memoryview
    longitude_e7: memoryview
    latitude_e7: memoryview
    after: memoryview
    before: memoryview
    delay_s: memoryview
    category: memoryview
    discovered: memoryview
    interval: memoryview
    further: memoryview


class Columns:
    """The columns as arrays, each (rows,), and as cells, ``at``. A free row belongs to no incident.

    ``occurred_s``, ``clock_s``: seconds since 1970.
    ``bucket``: the bucket in whose list the row is linked.
    ``after``, ``before``: the next and the previous row of that list, -1 for none.
    ``remembered``: the last bucket in which the id is needed.
    ``delay_s``: seconds from occurrence to report, -1 for unknown.
    ``interval``: whether ``occurred_s`` is a moment of an interval.
    ``further``: whether an earlier record of the same event counts (:mod:`detectors.kernels.events`).
    ``longitude_e7``, ``latitude_e7``: in units of 1e-7 degrees.
    """

    occurred_s: NDArray[np.int64]
    offset: NDArray[np.int64]
    clock_s: NDArray[np.int64]
    bucket: NDArray[np.int32]
    remembered: NDArray[np.int32]
    location: NDArray[np.int32]
    revision: NDArray[np.int32]
    longitude_e7: NDArray[np.int32]
    latitude_e7: NDArray[np.int32]
    after: NDArray[np.int32]
    before: NDArray[np.int32]
    delay_s: NDArray[np.int32]
    category: NDArray[np.int8]
    discovered: NDArray[np.bool_]
    interval: NDArray[np.bool_]
    further: NDArray[np.bool_]

    NO_OFFSET = int(np.iinfo(np.int64).max)
    NO_BUCKET = int(np.iinfo(np.int32).min)
    LONGEST_DELAY_S = int(np.iinfo(np.int32).max)

    def __init__(self, rows: int) -> None:
        self.at = Cells()
        for name, dtype in _TYPES.items():
            self._set(name, np.zeros(rows, dtype))
        self._clear(0)

    def __len__(self) -> int:
        """Return the number of rows, free ones included."""
        return len(self.offset)

    def grow(self) -> None:
        """Double the number of rows."""
        rows = len(self)
        for name, dtype in _TYPES.items():
            column: NDArray[Any] = np.zeros(2 * rows, dtype)
            column[:rows] = getattr(self, name)
            self._set(name, column)
        self._clear(rows)

    def free(self, row: int) -> None:
        """Forget the offset and the times of a row."""
        self.at.offset[row], self.at.remembered[row], self.at.delay_s[row] = self.NO_OFFSET, self.NO_BUCKET, -1

    def _set(self, name: str, column: NDArray[Any]) -> None:
        setattr(self, name, column)
        setattr(self.at, name, column.data)

    def _clear(self, first: int) -> None:
        self.offset[first:] = self.NO_OFFSET
        self.remembered[first:] = self.NO_BUCKET
        self.delay_s[first:] = -1
