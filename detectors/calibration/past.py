"""A history of an area, real or null, as columns of incidents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.area.settings import STREAMS
from detectors.area.strata import BUCKET_S

CATEGORIES = len(STREAMS) - 1
"""Number of scanned categories."""


class LeftOut(NamedTuple):
    """Incidents that are no part of a history: their number, and when the first and the last occurred (since 1970)."""

    number: int
    first_s: int
    last_s: int


@dataclasses.dataclass(frozen=True, eq=False)
class Past:
    """Incidents of an area in order of time.

    ``first_bucket``, ``buckets``: first bucket, counted from 1970, and number of buckets; all incidents lie within
        them.
    ``second``: seconds from the beginning of the first bucket to each incident, (n,).
    ``location``, ``category``: index of each incident's location and of its category, (n,).
    ``left_out``: incidents before and after it that are no part of it, because their dates are wrong or too sparse.
    """

    first_bucket: int
    buckets: int
    second: NDArray[np.int64]
    location: NDArray[np.int32]
    category: NDArray[np.int8]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(
        cls,
        first_bucket: int,
        buckets: int,
        second: NDArray[np.int64],
        location: NDArray[np.int32],
        category: NDArray[np.int8],
    ) -> Past:
        """Return the incidents in order, without those outside the buckets."""
        inside = (second >= 0) & (second < buckets * BUCKET_S)
        order = np.flatnonzero(inside)[np.argsort(second[inside], kind="stable")]
        return cls(
            first_bucket,
            buckets,
            second[order].astype(np.int64),
            location[order].astype(np.int32),
            category[order].astype(np.int8),
        )

    def __len__(self) -> int:
        return len(self.second)

    @property
    def bucket(self) -> NDArray[np.int32]:
        """The bucket of each incident, counted from the first bucket, (n,)."""
        return (self.second // BUCKET_S).astype(np.int32)

    def streams(self) -> Iterator[NDArray[np.int64]]:
        """Yield the row numbers of the incidents of each stream."""
        for category in range(CATEGORIES):
            yield np.flatnonzero(self.category == category)
        yield np.arange(len(self))
