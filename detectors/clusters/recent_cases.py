"""The records of a window that the longest duration holds, by stream, and the events among them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.window.sliding import ALL, NOWHERE, OTHER, SlidingWindow


@dataclasses.dataclass(frozen=True, eq=False)
class RecentCases:
    """The scanned records within the longest duration.

    ``further``: whether an earlier record of the same event counts, (cases,).
    ``row``: row in the window's columns, (cases,).
    ``location``, ``category``: indices, (cases,).
    ``age``: buckets before the current one, (cases,).
    """

    row: NDArray[np.int32]
    location: NDArray[np.int32]
    age: NDArray[np.int32]
    category: NDArray[np.int8]
    further: NDArray[np.bool_]

    @classmethod
    def of(cls, window: SlidingWindow, longest: int) -> RecentCases:
        """Return the records of a window within its last ``longest`` buckets."""
        row = window.rows(window.now - longest + 1, window.now)
        columns = window.columns
        row = row[(columns.location[row] != NOWHERE) & (columns.category[row] < OTHER)]
        age = window.now - columns.bucket[row]
        return cls(row, columns.location[row], age, columns.category[row], columns.further[row])

    def in_zone(self, zone: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return which records are in a zone of locations, (cases,)."""
        is_in_zone = np.zeros(max(self.location.max(initial=0), zone.max(initial=0)) + 1, np.bool_)
        is_in_zone[zone] = True
        return is_in_zone[self.location]

    def of_stream(self, stream: int) -> RecentCases:
        """Return the records of one stream; the stream ``ALL`` has all of them."""
        return self if stream == ALL else self._part(self.category == stream)

    @property
    def events(self) -> RecentCases:
        """The first record of each event."""
        return self._part(~self.further) if self.further.any() else self

    def _part(self, which: NDArray[np.bool_]) -> RecentCases:
        return RecentCases(
            self.row[which], self.location[which], self.age[which], self.category[which], self.further[which]
        )
