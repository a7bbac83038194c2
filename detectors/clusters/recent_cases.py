"""The incidents of a window that the longest duration holds, by stream."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors.window.sliding import ALL, NOWHERE, OTHER, SlidingWindow


@dataclasses.dataclass(frozen=True, eq=False)
class RecentCases:
    """The scanned incidents within the longest duration.

    ``row``: row in the window's columns, (cases,).
    ``location``, ``category``: indices, (cases,).
    ``age``: buckets before the current one, (cases,).
    """

    row: NDArray[np.int32]
    location: NDArray[np.int32]
    age: NDArray[np.int32]
    category: NDArray[np.int8]

    @classmethod
    def of(cls, window: SlidingWindow, longest: int) -> RecentCases:
        """Return the incidents of a window within its last ``longest`` buckets."""
        row = window.rows(window.now - longest + 1, window.now)
        columns = window.columns
        row = row[(columns.location[row] != NOWHERE) & (columns.category[row] < OTHER)]
        return cls(row, columns.location[row], window.now - columns.bucket[row], columns.category[row])

    def of_stream(self, stream: int) -> RecentCases:
        """Return the incidents of one stream; the stream ``ALL`` has all of them."""
        if stream == ALL:
            return self
        mine = self.category == stream
        return RecentCases(self.row[mine], self.location[mine], self.age[mine], self.category[mine])
