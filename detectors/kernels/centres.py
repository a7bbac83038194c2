"""The best window around every centre when all windows end now, and the windows that do not overlap."""

from __future__ import annotations

import math

import numpy as np

from detectors.kernels import ratio
from detectors.kernels.ratio import HAIR, LANES, Cases, Counts, Flags, Floats, Offsets, Rows, compiled

VAST = 1e280
"""Number of cases used for an infinite total in formulas in which infinity gives NaN."""


@compiled
def _best_of_centre(
    neighbours: Counts, cases: Cases, min_cases: int, min_risk: float, floor: float, inside: Counts, usual: Floats
) -> tuple[float, int, int]:
    """Return the best window around one centre above a floor: (LLR, number of locations, duration column).

    In a tie the fewest locations win, then the shortest window (docs/method.md section 4.1). ``inside`` and ``usual``
    are work space of length D. Only windows to which a location with cases was just added are examined. If the location
    has no cases, the expected count rises and the observed count does not, so such a window is never the best.
    """
    counts, expected, totals = cases
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
            # ratio inside (x >= 1) and (x - 1)^2 for the one outside (x <= 1).
            excess, total = observed - mean, totals[column]
            if math.isinf(total):
                is_hopeless = excess * excess * (1 + HAIR) <= best * 2.0 * mean
            else:
                is_hopeless = excess * excess * (total + mean) * (1 + HAIR) <= best * 2.0 * mean * (total - mean)
            if is_hopeless:
                continue
            llr = ratio.log_likelihood_ratio(observed, mean, total, min_risk)
            if llr > best:
                best, best_size, best_column = llr, rank + 1, column
    return best, best_size, best_column


@compiled
def near_any(locations: Offsets, rows: Rows) -> Flags:
    """Return which centres have one of these locations within reach, (L,). Neighbours are mutual."""
    is_near = np.zeros(len(rows.size), np.bool_)
    for location in locations:
        for at in range(rows.start[location], rows.start[location + 1]):
            is_near[rows.neighbour[at]] = True
    return is_near


@compiled
def cases_within(centres: Counts, rows: Rows, cases: Counts) -> Floats:
    """Return the cases within reach of each of these centres, from the cases of each location, (L,)."""
    within = np.zeros(len(centres))
    for number, centre in enumerate(centres):
        for at in range(rows.start[centre], rows.start[centre + 1]):
            within[number] += cases[rows.neighbour[at]]
    return within


@compiled
def hopeful_centres(centres: Counts, rows: Rows, cases: Cases, min_cases: int, floor: float) -> Flags:
    """Return the ``centres`` that can have a window with an LLR above ``floor``. Some of them have no such window.

    It uses the bound of :func:`_best_of_centre`, for up to ``LANES`` durations at once. All sums and comparisons of a
    step are written out, one for each lane. So they become vector instructions, which take a third of the time of a
    loop.
    """
    counts, expected, totals = cases
    locations, durations = counts.shape
    # In each row, the observed counts of a location's lanes and then the expected ones.
    cells = np.zeros((locations, 2 * LANES))
    all_cases = np.zeros(LANES)
    for column in range(durations):
        all_cases[column] = VAST if math.isinf(totals[column]) else totals[column]
    for location in range(locations):
        for column in range(durations):
            cells[location, column] = counts[location, column]
            cells[location, LANES + column] = expected[location, column]
    t0, t1, t2, t3 = all_cases[0], all_cases[1], all_cases[2], all_cases[3]
    t4, t5, t6, t7 = all_cases[4], all_cases[5], all_cases[6], all_cases[7]
    bound = 2.0 * floor * (1 - HAIR)
    least = float(min_cases)
    hopeful = np.zeros(len(centres), np.bool_)
    for which in range(len(centres)):
        first = rows.start[centres[which]]
        n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = 0.0
        u0 = u1 = u2 = u3 = u4 = u5 = u6 = u7 = 0.0
        hit = False
        for position in range(first, first + rows.size[centres[which]]):
            here = rows.neighbour[position]
            n0 += cells[here, 0]
            n1 += cells[here, 1]
            n2 += cells[here, 2]
            n3 += cells[here, 3]
            n4 += cells[here, 4]
            n5 += cells[here, 5]
            n6 += cells[here, 6]
            n7 += cells[here, 7]
            u0 += cells[here, 8]
            u1 += cells[here, 9]
            u2 += cells[here, 10]
            u3 += cells[here, 11]
            u4 += cells[here, 12]
            u5 += cells[here, 13]
            u6 += cells[here, 14]
            u7 += cells[here, 15]
            e0, e1, e2, e3, e4, e5, e6, e7 = n0 - u0, n1 - u1, n2 - u2, n3 - u3, n4 - u4, n5 - u5, n6 - u6, n7 - u7
            hit |= (
                ((e0 * abs(e0) * (t0 + u0) > bound * u0 * (t0 - u0)) & (n0 >= least))
                | ((e1 * abs(e1) * (t1 + u1) > bound * u1 * (t1 - u1)) & (n1 >= least))
                | ((e2 * abs(e2) * (t2 + u2) > bound * u2 * (t2 - u2)) & (n2 >= least))
                | ((e3 * abs(e3) * (t3 + u3) > bound * u3 * (t3 - u3)) & (n3 >= least))
                | ((e4 * abs(e4) * (t4 + u4) > bound * u4 * (t4 - u4)) & (n4 >= least))
                | ((e5 * abs(e5) * (t5 + u5) > bound * u5 * (t5 - u5)) & (n5 >= least))
                | ((e6 * abs(e6) * (t6 + u6) > bound * u6 * (t6 - u6)) & (n6 >= least))
                | ((e7 * abs(e7) * (t7 + u7) > bound * u7 * (t7 - u7)) & (n7 >= least))
            )
        hopeful[which] = hit
    return hopeful


@compiled
def best_per_centre(
    centres: Counts, rows: Rows, cases: Cases, min_cases: int, min_risk: float, floor: float
) -> tuple[Floats, Counts, Counts]:
    """Return the best window around each of the ``centres``: LLR, locations, duration column, each (centres,).

    LLR and number of locations are 0 where no window with ``min_cases`` is high and has an LLR above ``floor`` (0 or
    more).
    """
    durations = cases.counts.shape[1]
    llr = np.zeros(len(centres))
    zone = np.zeros(len(centres), np.int32)
    column = np.zeros(len(centres), np.int32)
    inside, usual = np.zeros(durations, np.int32), np.zeros(durations)
    for which in range(len(centres)):
        first = rows.start[centres[which]]
        row = rows.neighbour[first : first + rows.size[centres[which]]]
        best, zone[which], column[which] = _best_of_centre(row, cases, min_cases, min_risk, floor, inside, usual)
        llr[which] = best if zone[which] > 0 else 0.0
    return llr, zone, column


@compiled
def without_overlap(
    order: Offsets, centre: Counts, zone: Counts, begin: Counts, end: Counts, rows: Rows, most: int
) -> Offsets:
    """Go down a list of windows and keep each that overlaps no kept window (docs/method.md section 4.4).

    Two windows overlap if their circles (:func:`detectors.kernels.ratio.circle_of`) share a location and no whole
    interval lies between their time spans. A time span is ``begin`` to before ``end``.
    """
    # For each location, a linked list of the kept windows whose circles hold it.
    head = np.full(len(rows.start) - 1, -1, np.int64)
    after, owner = np.empty(1024, np.int64), np.empty(1024, np.int64)
    links = 0
    kept = np.empty(min(most, len(order)), np.int64)
    found = 0
    for which in order:
        if found == len(kept):
            break
        first, last = ratio.circle_of(rows, centre[which], zone[which])
        free = True
        for position in range(first, last):
            link = head[rows.neighbour[position]]
            while link >= 0 and free:
                other = owner[link]
                if begin[which] <= end[other] and begin[other] <= end[which]:
                    free = False
                link = after[link]
            if not free:
                break
        if not free:
            continue
        while links + last - first > len(after):
            after, owner = np.concatenate((after, after)), np.concatenate((owner, owner))
        for position in range(first, last):
            after[links], owner[links] = head[rows.neighbour[position]], which
            head[rows.neighbour[position]] = links
            links += 1
        kept[found] = which
        found += 1
    return kept[:found]
