"""Completeness: the share of the reports from a time that has usually arrived by now.

Of recent incidents only the quickly reported are known yet, so their delays are too short: they are truncated on the
right. Such data show only how delays are spread up to the longest that was waited for, F(a) / F(longest) (Lagakos,
Barraj and De Gruttola 1988, "Nonparametric analysis of truncated survival data", Biometrika 75). So delays are learnt
from old incidents alone, and only delays shorter than the age of all of these: each of them has arrived, quick or slow,
and their plain share is unbiased. Slower reports are not waited for. The product-limit estimator of that paper would
learn from recent incidents as well, but sort all of them for every scan.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors.area.strata import BUCKET_S
from detectors.kernels.window import arrived
from detectors.window.sliding import ALL, SlidingWindow

NEEDED = 100
"""Smallest number of delays for a statement: with fewer, the standard error of a share can be above .05."""


@dataclasses.dataclass(frozen=True, eq=False)
class Delays:
    """The reporting delays known at ``now_s`` (seconds since 1970): incidents in columns, (rows,).

    ``delay_s``: seconds from occurrence to report, int32, -1 for unknown. ``bucket`` of the occurrence, int32.
    ``location``: int32, negative for an incident that does not stand. ``category``: int8. Delays shorter than
    ``longest_s`` are learnt, from incidents in bucket ``latest`` or earlier, all of which are at least that old.
    """

    delay_s: NDArray[np.int32]
    bucket: NDArray[np.int32]
    location: NDArray[np.int32]
    category: NDArray[np.int8]
    latest: int
    longest_s: int
    now_s: int

    @classmethod
    def of(cls, window: SlidingWindow, begins: int, now_s: int) -> Delays:
        """Return the delays of a window whose incidents begin with a bucket, from the older half of that time."""
        longest_s = (now_s - begins * BUCKET_S) // 2
        columns = window.columns
        latest = (now_s - longest_s) // BUCKET_S - 1
        return cls(columns.delay_s, columns.bucket, columns.location, columns.category, latest, longest_s, now_s)

    def completeness(self, stream: int, begin_s: int, end_s: int) -> float | None:
        """Return the share of a stream's reports that has usually arrived, as a mean over the time from begin to end.

        ``begin_s`` is before ``end_s``, and that is not after ``now_s``, in seconds since 1970. Of a time that began
        ``age`` ago and ends now, reports with a delay ``d`` have arrived for ``max(0, age - d)``; the mean over the
        delays is the mean of F over the time, without steps. None with fewer than ``NEEDED`` delays.
        """
        number, seconds = self._arrived(stream, self.now_s - begin_s)
        if number < NEEDED:
            return None
        _, later = self._arrived(stream, self.now_s - end_s) if end_s < self.now_s else (0, 0)
        return (seconds - later) / (number * (end_s - begin_s))

    def _arrived(self, stream: int, age_s: int) -> tuple[int, int]:
        lowest, highest = (0, ALL - 1) if stream == ALL else (stream, stream)
        columns = self.delay_s, self.bucket, self.location, self.category
        return arrived(*columns, lowest, highest, self.latest, self.longest_s, age_s)
