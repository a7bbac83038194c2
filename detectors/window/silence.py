"""Silence of a feed: how long no record has arrived, compared with how many usually arrive at these hours.

"No data" must not look like "no alerts": while a feed is silent, no alert ends.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.area.strata import BUCKET_S, bucket_of
from detectors.window.sliding import ALL, SlidingWindow

LONGEST_H = 168
"""Longest silence that is detected, in hours. An area with too few incidents in this time is never silent."""


def silent_from(window: SlidingWindow, heard_s: int, gaps: float) -> int | None:
    """Return when an area becomes silent unless a record comes, in seconds since 1970; None if never.

    ``heard_s``: when the last record came, in seconds since 1970.
    ``gaps``: the number of expected incidents since then at which the silence begins.

    The expected number of an hour is the mean of the window's past hours of the same stratum. If incidents were a
    Poisson process, one record in ``exp(gaps)`` would be followed by such a silence: 1 in 403 for 6.
    """
    begins = window.baseline_begins()
    if begins is None or begins == window.now or not gaps:
        return None
    strata = window.strata(begins, window.now - 1)
    hours = np.bincount(strata)
    usual = np.bincount(strata, window.totals(ALL, begins, window.now - 1)) / np.maximum(hours, 1)
    rates = [each / BUCKET_S for each in usual.tolist()]
    missed, at_s = 0.0, heard_s
    for bucket in range(bucket_of(heard_s), bucket_of(heard_s) + LONGEST_H + 1):
        stratum = window.stratum_of(bucket)
        rate = rates[stratum] if stratum < len(rates) else 0.0
        end_s = (bucket + 1) * BUCKET_S
        until_end = missed + rate * (end_s - at_s)
        if until_end >= gaps:
            return at_s + math.ceil((gaps - missed) / rate)
        missed, at_s = until_end, end_s
    return None
