"""Random locations of cases under the null of a model."""

from __future__ import annotations

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled


@compiled
def redraw(pool: Counts, pool_start: Offsets, case_stratum: Counts, draws: Floats, places: Counts) -> None:
    """Draw new locations for the recent cases under the permutation null, into ``places`` (cases,).

    The pool holds the locations of all cases in the window, those of stratum ``s`` at
    ``pool[pool_start[s]:pool_start[s + 1]]``. They are shuffled over times within each stratum: its recent cases get a
    sample without replacement. ``draws`` are uniforms in [0, 1), one per case. Recent cases are sorted by stratum. The
    pool is restored.
    """
    first = np.empty(len(places), np.int64)
    chosen = np.empty(len(places), np.int64)
    left, previous = pool_start[0], -1
    for case in range(len(places)):
        stratum = case_stratum[case]
        if stratum != previous:
            left, previous = pool_start[stratum], stratum
        first[case] = left
        chosen[case] = left + int(draws[case] * (pool_start[stratum + 1] - left))
        places[case] = pool[chosen[case]]
        pool[left], pool[chosen[case]] = pool[chosen[case]], pool[left]
        left += 1
    for case in range(len(places) - 1, -1, -1):
        pool[first[case]], pool[chosen[case]] = pool[chosen[case]], pool[first[case]]


@compiled
def guide(cumulative: Floats) -> Counts:
    """Where a search in rows of rising sums can begin: the first location whose sum exceeds each of L equal steps.

    ``cumulative``: (intervals, L), the last column the row's total; returns the same shape. Chen and Asau 1974.
    """
    rows, locations = cumulative.shape
    begin = np.zeros((rows, locations), np.int32)
    for row in range(rows):
        place, whole = 0, cumulative[row, locations - 1]
        for step in range(locations):
            while place < locations - 1 and cumulative[row, place] <= whole * step / locations:
                place += 1
            begin[row, step] = place
    return begin


@compiled
def deal(cumulative: Floats, begin: Counts, interval: Counts, draws: Floats, places: Counts) -> None:
    """Draw a location for each case, into ``places`` (cases,), in proportion to the expected cases in its interval.

    ``cumulative`` and ``begin``: as in :func:`guide`; ``interval``: row of each case; ``draws``: uniforms in [0, 1).
    """
    locations = cumulative.shape[1]
    for case in range(len(places)):
        row = interval[case]
        wanted = draws[case] * cumulative[row, locations - 1]
        # One step back, since a rounded product can fall into the step before.
        place = begin[row, max(0, int(draws[case] * locations) - 1)]
        while place < locations - 1 and cumulative[row, place] <= wanted:
            place += 1
        places[case] = place
