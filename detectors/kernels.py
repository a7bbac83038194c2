"""All compiled loops, and the likelihood ratio they share.

Compiled code lives in this one file because numba's cache does not notice when a helper in another
file changes. No fast-math: the last digit is part of the promise that alerts are the same byte for
byte. Each kernel has a slow, obvious twin of the same name in ``tests/naive``.

Shapes: ``L`` locations, ``D`` durations (rising), ``S`` strata, ``R`` replications. Neighbour rows
are compressed: the neighbours of centre ``i`` are ``index[start[i]:start[i + 1]]``, itself first.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function")

Counts = NDArray[np.int32]
Floats = NDArray[np.float64]


def _compiled(function: Function) -> Function:
    return cast(Function, numba.njit(cache=True, nogil=True)(cast(Any, function)))


@_compiled
def log_likelihood_ratio(observed: int, expected: float, total: int) -> float:
    """Kulldorff's LLR of a window against all cases; 0 unless the window is high.

    ``n log(n/u) + (N-n) log((N-n)/(N-u))``, natural logarithm, the term with ``n = N`` left out
    (METHOD.md section 1; Kulldorff et al. 2005, equation 3).
    """
    if observed <= expected or expected <= 0.0:
        return 0.0
    inside = observed * math.log(observed / expected)
    if observed == total:
        return inside
    return inside + (total - observed) * math.log((total - observed) / (total - expected))


@_compiled
def rows_in_buckets(head: Counts, after: Counts, ring: int, first: int, last: int) -> Counts:
    """Rows linked into the lists of buckets first..last, shape (rows,)."""
    size = 0
    for bucket in range(first, last + 1):
        row = head[bucket % ring]
        while row >= 0:
            size += 1
            row = after[row]
    rows = np.empty(size, np.int32)
    size = 0
    for bucket in range(first, last + 1):
        row = head[bucket % ring]
        while row >= 0:
            rows[size] = row
            size += 1
            row = after[row]
    return rows


@_compiled
def recent_counts(location: Counts, age: Counts, durations: Counts, locations: int) -> Counts:
    """Cases per location within each duration, shape (L, D), from each case's location and age.

    ``age`` is the number of buckets before the current one; a duration of d holds ages 0 to d - 1.
    """
    counts = np.zeros((locations, len(durations)), np.int32)
    for case in range(len(location)):
        for column in range(len(durations)):
            if age[case] < durations[column]:
                counts[location[case], column] += 1
    return counts


@_compiled
def stratified_expected(by_stratum: Counts, weight: Floats) -> Floats:
    """Expected cases per location and duration, shape (L, D): ``sum over s of n[l, s] weight[s, d]``.

    Strata are added in rising order, so that the last digit never depends on how it is computed.
    """
    expected = np.zeros((by_stratum.shape[0], weight.shape[1]))
    for location in range(by_stratum.shape[0]):
        for stratum in range(by_stratum.shape[1]):
            cases = by_stratum[location, stratum]
            if cases > 0:
                for column in range(weight.shape[1]):
                    expected[location, column] += cases * weight[stratum, column]
    return expected


@_compiled
def _best_of_centre(
    neighbours: Counts,
    counts: Counts,
    expected: Floats,
    total: int,
    min_cases: int,
    within_reach: int,
    floor: float,
    inside: Counts,
    usual: Floats,
) -> tuple[float, int, int]:
    """The best window around one centre above a floor: (LLR, locations, duration column).

    Fewest locations, then the shortest window hold a tie (METHOD.md section 4.1). ``inside`` and
    ``usual`` are work space of length D. A window is only worth a look where a case was added:
    without one the expected count rises and the observed does not. After the last of the
    ``within_reach`` cases among the neighbours nothing better can come.
    """
    durations = len(inside)
    inside[:] = 0
    usual[:] = 0.0
    best, best_size, best_column = floor, 0, 0
    for rank in range(len(neighbours)):
        location = neighbours[rank]
        for column in range(durations):
            inside[column] += counts[location, column]
            usual[column] += expected[location, column]
        if counts[location, durations - 1] == 0:
            continue
        for column in range(durations):
            observed, mean = inside[column], usual[column]
            if observed < min_cases or observed <= mean:
                continue
            # LLR <= (n - u)^2 (N + u) / (2 u (N - u)), since x log x - x + 1 is at most (x - 1)^2 / 2 for the
            # ratio inside (x >= 1) and (x - 1)^2 for the one outside (x <= 1). The hair covers rounding.
            excess = observed - mean
            if excess * excess * (total + mean) * 1.000000001 <= best * 2.0 * mean * (total - mean):
                continue
            ratio = log_likelihood_ratio(observed, mean, total)
            if ratio > best:
                best, best_size, best_column = ratio, rank + 1, column
        if inside[durations - 1] == within_reach:
            break
    return best, best_size, best_column


@_compiled
def _cases_within_reach(start: NDArray[np.int64], index: Counts, counts: Counts, reach: Counts) -> None:
    """Adds to ``reach`` (L,) the cases of the longest duration among each centre's neighbours.

    Being a neighbour is mutual, so each place with cases tells its own neighbours.
    """
    last = counts.shape[1] - 1
    for location in range(counts.shape[0]):
        cases = counts[location, last]
        if cases > 0:
            for position in range(start[location], start[location + 1]):
                reach[index[position]] += cases


@_compiled
def best_per_centre(
    start: NDArray[np.int64], index: Counts, counts: Counts, expected: Floats, total: int, min_cases: int, floor: float
) -> tuple[Floats, Counts, Counts]:
    """The best window around every centre: LLR, locations in the zone, duration column, each (L,).

    LLR and locations are 0 where no window with ``min_cases`` is high and has an LLR above ``floor`` (0 or more).
    """
    locations, durations = counts.shape
    llr = np.zeros(locations)
    size = np.zeros(locations, np.int32)
    column = np.zeros(locations, np.int32)
    reach = np.zeros(locations, np.int32)
    inside, usual = np.zeros(durations, np.int32), np.zeros(durations)
    _cases_within_reach(start, index, counts, reach)
    for centre in range(locations):
        if reach[centre] >= min_cases:
            row = index[start[centre] : start[centre + 1]]
            best, size[centre], column[centre] = _best_of_centre(
                row, counts, expected, total, min_cases, reach[centre], floor, inside, usual
            )
            llr[centre] = best if size[centre] > 0 else 0.0
    return llr, size, column


@_compiled
def without_overlap(
    order: NDArray[np.int64], start: NDArray[np.int64], index: Counts, distance: Floats, size: Counts, most: int
) -> NDArray[np.int64]:
    """Goes down a list of centres and keeps each whose circle meets no circle kept before.

    A circle reaches to the last location of the zone and holds every location at that distance,
    though the zone may leave a tied one out (METHOD.md section 4.4).
    """
    taken = np.zeros(len(start) - 1, np.bool_)
    kept = np.empty(min(most, len(order)), np.int64)
    found = 0
    for centre in order:
        if found == len(kept):
            break
        begin = start[centre]
        end = begin + size[centre]
        while end < start[centre + 1] and distance[end] == distance[end - 1]:
            end += 1
        free = True
        for position in range(begin, end):
            if taken[index[position]]:
                free = False
                break
        if free:
            for position in range(begin, end):
                taken[index[position]] = True
            kept[found] = centre
            found += 1
    return kept[:found]


@_compiled
def redraw(pool: Counts, pool_start: NDArray[np.int64], case_stratum: Counts, draws: Floats, places: Counts) -> None:
    """Redraws the places of the recent cases under the permutation null, into ``places`` (cases,).

    Within each stratum the cases in the pool (places of all its cases in the window, stratum
    ``s`` at ``pool[pool_start[s]:pool_start[s + 1]]``) are shuffled over times: the recent ones get
    a sample without replacement. ``draws`` are uniforms in [0, 1), one a case. Recent cases come
    sorted by stratum. The pool is left as it was.
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


@_compiled
def largest_ratio(
    start: NDArray[np.int64],
    index: Counts,
    place: Counts,
    age: Counts,
    durations: Counts,
    expected: Floats,
    total: int,
    min_cases: int,
    counts: Counts,
    reach: Counts,
) -> float:
    """The largest LLR over all windows for recent cases at given places, 0 if none is high.

    ``counts`` (L, D) and ``reach`` (L,) are work space of zeros, and are zeros again afterwards.
    """
    columns = len(durations)
    inside, usual = np.zeros(columns, np.int32), np.zeros(columns)
    for case in range(len(place)):
        for column in range(columns):
            if age[case] < durations[column]:
                counts[place[case], column] += 1
    for case in range(len(place)):
        for position in range(start[place[case]], start[place[case] + 1]):
            reach[index[position]] += 1
    best = 0.0
    for case in range(len(place)):
        for position in range(start[place[case]], start[place[case] + 1]):
            centre = index[position]
            if reach[centre] >= min_cases:
                row = index[start[centre] : start[centre + 1]]
                best = _best_of_centre(row, counts, expected, total, min_cases, reach[centre], best, inside, usual)[0]
            reach[centre] = 0
    for case in range(len(place)):
        for column in range(columns):
            counts[place[case], column] = 0
    return best
