"""Every scan of a stream over a long history, in the order in which a monitor would make them.

Counts are kept from scan to scan. When a bucket begins, every centre with enough recent cases around it is looked at;
after an incident only the centres near it, and those that were close to the floor: a case elsewhere makes a window
less unusual, or more so by next to nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled, log_likelihood_ratio

HAIR = 1e-9
"""Bounds are widened by this share, so that rounding never hides a window."""

SLACK = 0.05
"""Centres this close below the floor are looked at after every incident."""

LANES = 8
"""At most so many durations; fewer are filled up with the longest."""

LARGEST = 64
"""Windows with more cases than this are not held against the table of limits."""

ROOT_STEPS = 50
"""More steps than any limit takes: each nearly doubles its digits."""

LEAST_SCALE = 0.2
"""No Gumbel scale of a largest LLR is smaller: that of a stream with hardly any cases cannot be told."""

MARGIN_HOURS = (2, 8, 24, 48, 168)
"""The load of a stream is told by its cases of so many hours, and of the whole window."""
LOADS = len(MARGIN_HOURS) + 1


class Events(NamedTuple):
    """A stream's incidents in order of time: bucket (from 0) and location, (n,); each bucket's stratum, (buckets,)."""

    bucket: Counts
    location: Counts
    stratum: Counts


class Zones(NamedTuple):
    """Neighbour rows, as :class:`detectors.area.neighbours.Neighbours` has them."""

    start: Offsets
    size: Counts
    place: Counts


class Rules(NamedTuple):
    """How scans are made.

    When each ``step``-th bucket from ``first`` on begins and, unless ``only_boundaries``, after each event; ``window``
    and ``durations`` in buckets, at most ``LANES`` of them, rising; windows of a score below ``score`` are left out.
    """

    first: int
    step: int
    only_boundaries: bool
    window: int
    durations: Counts
    strata: int
    min_cases: int
    score: float


class Null(NamedTuple):
    """What a score is: polynomials of the load (:func:`gumbel_of`), each load held between ``low`` and ``high``."""

    low: Floats
    high: Floats
    location: Floats
    scale: Floats


class Found(NamedTuple):
    """Windows above the floor: scan, centre, LLR, locations, duration column, each (found,); per scan, (scans,): events
    that had come, bucket, and the floor; per scan the load, (scans, LOADS)."""

    scan: Counts
    centre: Counts
    llr: Floats
    size: Counts
    column: Counts
    had: Counts
    bucket: Counts
    floor: Floats
    load: Floats


@compiled
def _limit(observed: int, total: float, floor: float, guess: float) -> float:
    """The expected count at which ``observed`` cases of ``total`` have an LLR of ``floor``, by Newton's method.

    The LLR is convex and falls in the expected count, so that every step but the first comes from below.
    """
    root = min(max(guess, 1e-12), 0.999999 * observed)
    for _ in range(ROOT_STEPS):
        over = observed * math.log(observed / root) - floor
        slope = -observed / root
        if observed < total:
            over += (total - observed) * math.log((total - observed) / (total - root))
            slope += (total - observed) / (total - root)
        step = over / slope
        after = root - step
        if after <= 0.0:
            after = root / 16
        elif after >= observed:
            after = (root + observed) / 2
        if abs(after - root) <= 1e-12 * root:
            break
        root = after
    return root * (1 + HAIR)


@compiled
def load_of(in_bucket: Counts, bucket: int, window: int, hours: Counts) -> Floats:
    """``log(1 + cases)`` of the last hours of each number, and of the window that ends with a bucket; (hours + 1,)."""
    load = np.empty(len(hours) + 1)
    for which in range(len(hours)):
        load[which] = math.log1p(in_bucket[max(0, bucket - min(hours[which], window) + 1) : bucket + 1].sum())
    load[-1] = math.log1p(in_bucket[max(0, bucket - window + 1) : bucket + 1].sum())
    return load


@compiled
def gumbel_of(load: Floats, null: Null) -> tuple[float, float]:
    """Gumbel location and scale under a load: polynomials of the second degree, that of the scale in logarithms."""
    a, b = null.location[0], null.scale[0]
    for which in range(len(load)):
        x = min(max(load[which], null.low[which]), null.high[which])
        a += null.location[1 + 2 * which] * x + null.location[2 + 2 * which] * x * x
        b += null.scale[1 + 2 * which] * x + null.scale[2 + 2 * which] * x * x
    return a, max(math.exp(b), LEAST_SCALE)


@compiled
def _usual_of(place: int, by_stratum: Counts, share: Floats, usual: Floats) -> None:
    """Expected cases of one location for ``LANES`` durations, strata in rising order; written out for speed.

    ``share``, (S, LANES); ``usual``, (L, LANES).
    """
    u0 = u1 = u2 = u3 = u4 = u5 = u6 = u7 = 0.0
    for stratum in range(by_stratum.shape[1]):
        cases = float(by_stratum[place, stratum])
        u0 += cases * share[stratum, 0]
        u1 += cases * share[stratum, 1]
        u2 += cases * share[stratum, 2]
        u3 += cases * share[stratum, 3]
        u4 += cases * share[stratum, 4]
        u5 += cases * share[stratum, 5]
        u6 += cases * share[stratum, 6]
        u7 += cases * share[stratum, 7]
    usual[place, 0], usual[place, 1] = u0, u1
    usual[place, 2], usual[place, 3] = u2, u3
    usual[place, 4], usual[place, 5] = u4, u5
    usual[place, 6], usual[place, 7] = u6, u7


@compiled
def _is_hopeful(row: Counts, counts: Counts, usual: Floats, min_cases: int, limits: Floats) -> bool:
    """Whether a centre has a window above the floor within ``LANES`` rising durations; both arrays (L, LANES)."""
    n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = 0
    u0 = u1 = u2 = u3 = u4 = u5 = u6 = u7 = 0.0
    for place in row:
        u0 += usual[place, 0]
        u1 += usual[place, 1]
        u2 += usual[place, 2]
        u3 += usual[place, 3]
        u4 += usual[place, 4]
        u5 += usual[place, 5]
        u6 += usual[place, 6]
        u7 += usual[place, 7]
        if counts[place, 7] == 0:
            continue
        n7 += counts[place, 7]
        n6 += counts[place, 6]
        n5 += counts[place, 5]
        n4 += counts[place, 4]
        n3 += counts[place, 3]
        n2 += counts[place, 2]
        n1 += counts[place, 1]
        n0 += counts[place, 0]
        # A longer duration holds no fewer cases.
        if n7 < min_cases:
            continue
        if u7 < limits[min(n7, LARGEST)] or (n6 >= min_cases and u6 < limits[min(n6, LARGEST)]):
            return True
        if n5 < min_cases:
            continue
        if u5 < limits[min(n5, LARGEST)] or (n4 >= min_cases and u4 < limits[min(n4, LARGEST)]):
            return True
        if n3 < min_cases:
            continue
        if u3 < limits[min(n3, LARGEST)] or (n2 >= min_cases and u2 < limits[min(n2, LARGEST)]):
            return True
        if n1 >= min_cases and u1 < limits[min(n1, LARGEST)]:
            return True
        if n0 >= min_cases and u0 < limits[min(n0, LARGEST)]:
            return True
    return False


@compiled
def _best_of_centre(
    row: Counts,
    counts: Counts,
    usual: Floats,
    total: float,
    min_cases: int,
    floor: float,
    limits: Floats,
    inside: Counts,
    mean: Floats,
) -> tuple[float, int, int]:
    """The best window around a centre above a floor, as :mod:`detectors.kernels.centres` finds it."""
    longest = counts.shape[1] - 1
    inside[:] = 0
    mean[:] = 0.0
    best, best_size, best_column = floor, 0, 0
    for rank in range(len(row)):
        place = row[rank]
        for column in range(len(inside)):
            mean[column] += usual[place, column]
        if counts[place, longest] == 0:
            continue
        for column in range(len(inside)):
            inside[column] += counts[place, column]
            observed = inside[column]
            if observed < min_cases or mean[column] >= limits[min(observed, LARGEST)]:
                continue
            ratio = log_likelihood_ratio(observed, mean[column], total, 0.0)
            if ratio > best:
                best, best_size, best_column = ratio, rank + 1, column
    return best, best_size, best_column


@compiled
def scan_history(events: Events, zones: Zones, rules: Rules, null: Null, hours: Counts) -> Found:
    """Every scan of a stream. ``hours``: of the loads, as :func:`load_of` takes them."""
    first, window, durations = rules.first, rules.window, rules.durations
    strata, min_cases = rules.strata, rules.min_cases
    places, columns = len(zones.size), LANES
    hours_of = np.full(columns, durations[-1], np.int32)
    hours_of[: len(durations)] = durations
    number, buckets = len(events.bucket), len(events.stratum)
    by_stratum = np.zeros((places, strata), np.int32)
    counts = np.zeros((places, columns), np.int32)
    usual = np.zeros((places, columns))
    known = np.full(places, -1, np.int64)  # the scan for which a location's usual cases were worked out
    reach = np.zeros(places, np.int32)  # recent cases around each centre
    in_stratum = np.zeros(strata, np.int64)
    in_bucket = np.zeros(buckets, np.int32)
    within = np.zeros((strata, columns), np.int64)
    share = np.zeros((strata, columns))
    at_most = np.full(places, -1.0)
    limits = np.zeros(LARGEST + 1)
    guess = np.zeros(LARGEST + 1)
    inside, mean = np.zeros(len(durations), np.int32), np.zeros(len(durations))
    centres = np.empty(places, np.int32)

    room = 4096
    out_scan, out_centre = np.empty(room, np.int32), np.empty(room, np.int32)
    out_llr, out_size, out_column = np.empty(room), np.empty(room, np.int32), np.empty(room, np.int32)
    found = 0
    most_scans = (buckets - first) // rules.step + 1 + (0 if rules.only_boundaries else number)
    had, at_bucket = np.empty(most_scans, np.int32), np.empty(most_scans, np.int32)
    floors, loads = np.empty(most_scans), np.empty((most_scans, len(hours) + 1))
    scans = 0

    oldest, leaves = 0, np.zeros(columns, np.int64)  # the first event in the window, and in each duration
    after = 0  # the next event
    low_before, drift = -1.0, 0.0
    for bucket in range(buckets):
        while oldest < after and events.bucket[oldest] <= bucket - window:
            by_stratum[events.location[oldest], events.stratum[events.bucket[oldest]]] -= 1
            in_stratum[events.stratum[events.bucket[oldest]]] -= 1
            oldest += 1
        for column in range(columns):
            while leaves[column] < after and events.bucket[leaves[column]] <= bucket - hours_of[column]:
                place, then = events.location[leaves[column]], events.bucket[leaves[column]]
                counts[place, column] -= 1
                within[events.stratum[then], column] -= 1
                if column == columns - 1:
                    for position in range(zones.start[place], zones.start[place] + zones.size[place]):
                        reach[zones.place[position]] -= 1
                leaves[column] += 1
        is_boundary = True
        while True:
            touched = -1
            if not is_boundary:
                if after == number or events.bucket[after] != bucket:
                    break
                touched, stratum = events.location[after], events.stratum[bucket]
                by_stratum[touched, stratum] += 1
                in_stratum[stratum] += 1
                in_bucket[bucket] += 1
                for column in range(columns):
                    counts[touched, column] += 1
                    within[stratum, column] += 1
                for position in range(zones.start[touched], zones.start[touched] + zones.size[touched]):
                    reach[zones.place[position]] += 1
                after += 1
            is_scan = bucket >= first and (
                not rules.only_boundaries if touched >= 0 else (bucket - first) % rules.step == 0
            )
            if is_scan:
                total = float(after - oldest)
                load = load_of(in_bucket, bucket, window, hours)
                place_of_null, scale_of_null = gumbel_of(load, null)
                floor = max(0.0, place_of_null + rules.score * scale_of_null)
                had[scans], at_bucket[scans], floors[scans] = after, bucket, floor
                loads[scans] = load
                for stratum in range(strata):
                    for column in range(columns):
                        share[stratum, column] = (
                            within[stratum, column] / in_stratum[stratum] if in_stratum[stratum] > 0 else 0.0
                        )
                # What a case elsewhere adds at most, as in scan.rescan; the largest window holds all recent cases.
                most = float(after - leaves[columns - 1])
                drift += (most / (total - most)) ** 2 if total > 2 * most else math.inf
                few = 0
                if is_boundary or floor < low_before + drift:
                    low_before, drift = max(0.0, floor - SLACK), 0.0
                    for centre in range(places):
                        if reach[centre] >= min_cases:
                            centres[few] = centre
                            few += 1
                        at_most[centre] = low_before
                else:
                    for position in range(zones.start[touched], zones.start[touched] + zones.size[touched]):
                        at_most[zones.place[position]] = math.inf
                    for centre in range(places):
                        if at_most[centre] > low_before and reach[centre] >= min_cases:
                            centres[few] = centre
                            few += 1
                # From here on a floor just below the real one serves: that of the last scan of all centres.
                lowest = low_before
                for observed in range(min_cases, LARGEST):
                    if observed > most:
                        break
                    start_at = guess[observed] if guess[observed] > 0.0 else observed / 8
                    if lowest > 0.0 and observed <= total:
                        guess[observed] = _limit(observed, total, lowest, start_at)
                        limits[observed] = guess[observed]
                    else:
                        limits[observed] = observed
                limits[LARGEST] = math.inf
                if 4 * few > places:
                    for place in range(places):
                        _usual_of(place, by_stratum, share, usual)
                for which in range(few):
                    centre = centres[which]
                    row = zones.place[zones.start[centre] : zones.start[centre] + zones.size[centre]]
                    for place in row:
                        if 4 * few > places:
                            break
                        if known[place] != scans:
                            known[place] = scans
                            _usual_of(place, by_stratum, share, usual)
                    if not _is_hopeful(row, counts, usual, min_cases, limits):
                        at_most[centre] = lowest
                        continue
                    best, size, best_column = _best_of_centre(
                        row, counts, usual, total, min_cases, lowest, limits, inside, mean
                    )
                    at_most[centre] = best if size > 0 else lowest
                    if size > 0 and best > floor:
                        if found == room:
                            room *= 2
                            out_scan = np.concatenate((out_scan, out_scan))
                            out_centre = np.concatenate((out_centre, out_centre))
                            out_llr = np.concatenate((out_llr, out_llr))
                            out_size = np.concatenate((out_size, out_size))
                            out_column = np.concatenate((out_column, out_column))
                        out_scan[found], out_centre[found] = scans, centre
                        out_llr[found], out_size[found], out_column[found] = best, size, best_column
                        found += 1
                scans += 1
            is_boundary = False
    return Found(
        out_scan[:found],
        out_centre[:found],
        out_llr[:found],
        out_size[:found],
        out_column[:found],
        had[:scans],
        at_bucket[:scans],
        floors[:scans],
        loads[:scans],
    )
