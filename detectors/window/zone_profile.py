"""The profile of a zone, which people see beside an alert. It has no effect on scores."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.strata import HOURS_OF_WEEK, hour_of_week
from detectors.window.sliding import SlidingWindow

DAYS = 14
"""Length of a trend, in days."""


class ZoneProfile(msgspec.Struct, frozen=True):
    """Events of a stream in a zone.

    ``trend``: number on each of the last ``DAYS`` times 24 h; the last one ends with the current bucket.
    ``profile``: number by local hour of the week over the window, 168 numbers from Monday 00:00 on.
    """

    trend: tuple[int, ...] = ()
    profile: tuple[int, ...] = ()

    @classmethod
    def of(cls, window: SlidingWindow, stream: int, zone: NDArray[np.int64], timezone: ZoneInfo) -> ZoneProfile:
        """Return the profile of the zone with these locations, (n,). It looks at every event in the window."""
        in_bucket = window.in_zone(stream, zone)
        days = np.concatenate((np.zeros(DAYS * 24, np.int32), in_bucket))[-DAYS * 24 :].reshape(DAYS, 24)
        profile = [0] * HOURS_OF_WEEK
        for bucket in np.flatnonzero(in_bucket).tolist():
            profile[hour_of_week(window.first + bucket, timezone)] += int(in_bucket[bucket])
        return cls(tuple(days.sum(axis=1).tolist()), tuple(profile))
