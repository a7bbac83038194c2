"""Completeness: the share of the reports about a time that has usually arrived by now.

Of recent incidents only those with short delays are known so far: their delays are truncated on the right. Truncated
delays only show how delays up to the longest possible one are distributed, F(a) / F(longest) (Lagakos, Barraj and De
Gruttola 1988, "Nonparametric analysis of truncated survival data", Biometrika 75). So delays are learnt from old
incidents alone, and only delays shorter than the age of the youngest of these. For each of these incidents such a delay
is over, so the plain share is unbiased. Slower reports are ignored. The product-limit estimator of that paper would
learn from recent incidents as well, but sort all of them for every scan.

Further records of an event count here as well: the share is one of reports. Which of several records alike is the first
of its event is not fixed, and their delays differ, so to learn from the first alone could change after a restart.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors.area.strata import BUCKET_S
from detectors.kernels.window import arrived
from detectors.window.sliding import ALL, SlidingWindow

NEEDED = 100
"""Smallest number of delays for a result. With fewer, the standard error of a share can be above .05."""


@dataclasses.dataclass(frozen=True, eq=False)
class Delays:
    """The reporting delays that are known at ``now_s`` (seconds since 1970). Incidents are in columns, (rows,).

    ``delay_s``: seconds from occurrence to report, -1 for unknown, int32.
    ``bucket``: bucket of the occurrence, int32.
    ``location``: negative for an incident that does not count, int32.
    ``category``: int8.
    ``latest``: the last bucket from whose incidents delays are learnt.
    ``longest_s``: only shorter delays are learnt; every incident learnt from is at least this old.
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
        """Return the delays in a window whose incidents begin in bucket ``begins``.

        Delays are learnt from the older half of that time.
        """
        longest_s = (now_s - begins * BUCKET_S) // 2
        columns = window.columns
        latest = (now_s - longest_s) // BUCKET_S - 1
        return cls(columns.delay_s, columns.bucket, columns.location, columns.category, latest, longest_s, now_s)

    def completeness(self, stream: int, begin_s: int, end_s: int) -> float | None:
        """Return the share of a stream's reports that has usually arrived, as a mean over the time from begin to end.

        ``begin_s`` is before ``end_s``, which is not after ``now_s``, in seconds since 1970. The result is None with
        fewer than ``NEEDED`` delays. Of a time that began ``age`` ago, incidents with a delay ``d`` are known by now if
        they occurred in the first ``max(0, age - d)`` seconds. The mean of these seconds over all delays is the
        integral of F over the time, without steps.
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
