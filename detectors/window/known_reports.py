"""How many incidents of each part of an area were known at the beginning of the last hours, and on past days.

The parts are the streams in the districts, in the order of ``DISTRICTS`` and ``STREAMS``. All hours are counted in one
pass over the window.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.area.districts import DISTRICTS, SMALLEST, Districts
from detectors.area.settings import STREAMS
from detectors.kernels.window import DAY_H, Reported, count_reports, reports_at
from detectors.window.sliding import SlidingWindow


class Known(NamedTuple):
    """What was known when an hour began, and on past days at the same hour.

    ``bucket``: the bucket of that hour.
    ``last_s``: time of each part's last incident, in seconds since 1970, -1 for none, (P,).
    ``by_stratum``: incidents older than the longest duration, by stratum, (P, S).
    ``known``: incidents in each duration, on each day, (P, K, N).
    """

    bucket: int
    last_s: NDArray[np.int64]
    by_stratum: NDArray[np.int32]
    known: NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class KnownReports:
    """The counts of :func:`detectors.kernels.window.count_reports`.

    ``first``, ``now``: the first bucket that counts, and the first that does not.
    ``stratum``: the stratum of each of these buckets, (buckets,).
    ``strata``: number of strata.
    ``durations``: in hours, rising, (K,).
    """

    first: int
    now: int
    stratum: NDArray[np.int32]
    strata: int
    durations: NDArray[np.int32]
    _last_s: NDArray[np.int64]
    _until: NDArray[np.int32]
    _late: NDArray[np.int32]

    @classmethod
    def of(
        cls, window: SlidingWindow, districts: Districts, durations: NDArray[np.int32], hours: int
    ) -> KnownReports | None:
        """Return the reports of a window known at the beginning of the last ``hours`` hours; None without any."""
        first, now, longest = window.baseline_begins(), window.now, int(durations[-1])
        if first is None or now - first <= longest:
            return None
        columns = window.columns
        cases = Reported(columns.occurred_s, columns.delay_s, columns.bucket, columns.location, columns.category)
        step_of = np.searchsorted(durations, np.arange(longest + 1)).astype(np.int32)
        days = (now - first - longest) // DAY_H + 1
        counted = count_reports(cases, districts.smallest, SMALLEST, step_of, days, hours, first, now)
        return cls(first, now, window.strata(first, now - 1), window.by_stratum.shape[2], durations, *counted)

    def days(self, ago: int) -> int:
        """Return how many days can be compared, today included, at the hour that began ``ago`` hours ago."""
        return (self.now - ago - self.first - int(self.durations[-1])) // DAY_H + 1

    def at(self, ago: int) -> Known:
        """Return what was known at the beginning of the hour that began ``ago`` hours ago."""
        end = self.now - ago - self.first
        days, late = self.days(ago), self._late[ago]
        counted = reports_at(end, self._until, late, self.stratum, self.strata, self.durations, days)
        by_stratum, known = (of_parts(np.add, each) for each in counted)
        return Known(self.now - ago, of_parts(np.maximum, self._last_s[ago:].max(axis=0)), by_stratum, known)


def of_parts(add: np.ufunc, counts: NDArray[Any]) -> NDArray[Any]:
    """Return the counts of all parts, (P, ...), from those by smallest district and category, (16, 4, ...)."""
    smallest = np.concatenate((counts, add.reduce(counts, axis=1, keepdims=True)), axis=1)
    large = add.reduce(smallest.reshape(4, 4, *smallest.shape[1:]), axis=1)
    whole = add.reduce(large, axis=0, keepdims=True)
    parts = np.concatenate((whole, large, smallest)).reshape(len(DISTRICTS) * len(STREAMS), *counts.shape[2:])
    return parts.astype(counts.dtype)
