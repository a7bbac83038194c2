"""Random locations of cases under the null of a model."""

from __future__ import annotations

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled


@compiled
def redraw(pool: Counts, pool_start: Offsets, case_stratum: Counts, draws: Floats, places: Counts) -> None:
    """Draw new locations for the recent cases under the permutation null, into ``places`` (cases,).

    ``pool``: locations of all cases in the window, those of stratum ``s`` at ``pool[pool_start[s]:pool_start[s + 1]]``.
    ``case_stratum``: strata of the recent cases, in rising order.
    ``draws``: uniforms in [0, 1), one per case.

    Within each stratum the locations are shuffled over the times. So the recent cases of a stratum get a sample of its
    locations without replacement. The pool is restored at the end.
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
    """Return where a search in rows of cumulative sums can begin (Chen and Asau 1974).

    ``cumulative``: (intervals, L); the last column is the row's total, which is divided into L equal steps. The result
    has the same shape: the first location whose sum exceeds each step.
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

    ``cumulative``, ``begin``: argument and result of :func:`guide`.
    ``interval``: row of each case.
    ``draws``: uniforms in [0, 1), one per case.
    """
    locations = cumulative.shape[1]
    for case in range(len(places)):
        row = interval[case]
        wanted = draws[case] * cumulative[row, locations - 1]
        # One step back, because the product can be rounded up into the next step.
        place = begin[row, max(0, int(draws[case] * locations) - 1)]
        while place < locations - 1 and cumulative[row, place] <= wanted:
            place += 1
        places[case] = place
