"""What a zone has seen of late and over the window, for people to look at beside an alert; nothing is scored by it."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detectors.strata import HOURS_OF_WEEK, hour_of_week
from detectors.window import ALL, OTHER, SlidingWindow

DAYS = 14


class Past(NamedTuple):
    """Incidents of a stream in a zone.

    ``trend``: on each of the last ``DAYS`` times 24 h, the last of which ends with the current bucket; ``profile``: by
    local hour of the week over the window, 168 of them from Monday 00:00 on.
    """

    trend: tuple[int, ...] = ()
    profile: tuple[int, ...] = ()

    @classmethod
    def of(cls, window: SlidingWindow, stream: int, zone: NDArray[np.integer], timezone: ZoneInfo) -> Past:
        """That of the zone with these locations, (n,); looks at every incident in the window."""
        rows = window.rows(window.first, window.now)
        columns = window.columns
        category = columns.category[rows]
        is_mine = category < OTHER if stream == ALL else category == stream
        # What stands nowhere has no location, and is in no zone.
        bucket = columns.bucket[rows[is_mine & np.isin(columns.location[rows], zone)]]
        days_ago = (window.now - bucket) // 24
        trend = np.bincount(days_ago[days_ago < DAYS], minlength=DAYS)[::-1]
        buckets, number = np.unique(bucket, return_counts=True)
        profile = [0] * HOURS_OF_WEEK
        for each, cases in zip(buckets.tolist(), number.tolist(), strict=True):
            profile[hour_of_week(each, timezone)] += cases
        return cls(tuple(trend.tolist()), tuple(profile))
