"""Every scan of a stream over a long history, in the order in which a monitor makes them.

Counts are kept from scan to scan. When a bucket begins, the kernel searches every centre with enough recent cases
around it. After an incident it searches only the centres near the incident, and those whose windows were close to the
floor. The LLR of other windows hardly rises: a case elsewhere adds little to it or lowers it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import HAIR, LANES, Counts, Floats, Offsets, Rows, compiled, log_likelihood_ratio

SLACK = 0.05
"""Difference in LLR below the floor within which a centre is searched after every incident."""

LARGEST = 64
"""Largest number of cases for which the limit of the expected count is computed in advance."""

ROOT_STEPS = 50
"""Upper bound for the steps of Newton's method. Each step nearly doubles the number of correct digits."""

LEAST_SCALE = 0.2
"""Lower bound for the Gumbel scale of a largest LLR, because few cases give no estimate of it."""

MARGIN_HOURS = (2, 8, 24, 48, 168)
"""Spans of time, in hours. The cases in them and in the whole window make up the load of a stream."""
LOADS = len(MARGIN_HOURS) + 1


class Events(NamedTuple):
    """A stream's incidents in order of time.

    ``bucket``: counted from 0, (n,).
    ``location``: index, (n,).
    ``stratum``: of each bucket, (buckets,).
    """

    bucket: Counts
    location: Counts
    stratum: Counts


class Rules(NamedTuple):
    """How scans are made.

    ``first``, ``step``: a scan is made when each ``step``-th bucket from ``first`` on begins.
    ``only_boundaries``: whether these are the only scans. Otherwise there is also one after each event.
    ``window``, ``durations``: in buckets; durations rise, and there are at most ``LANES``.
    ``score``: the lowest score of a window.
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
    """The null distribution of the largest LLR, as polynomials of the loads (see :func:`gumbel_of`).

    ``low``, ``high``: range to which each load is clipped, (LOADS,).
    ``location``, ``scale``: coefficients, (1 + 2 LOADS,).
    """

    low: Floats
    high: Floats
    location: Floats
    scale: Floats


class Found(NamedTuple):
    """The windows above the floor, and the scans that found them.

    ``scan``: number of each window's scan, (found,).
    ``centre``, ``llr``, ``size``, ``column``: each window's centre, LLR, number of locations, duration column,
        (found,).
    ``had``: number of events that had arrived before each scan, (scans,).
    ``bucket``, ``floor``: of each scan, (scans,).
    ``load``: loads of each scan, (scans, LOADS).
    """

    scan: Counts
    centre: Counts
    llr: Floats
    size: Counts
    column: Counts
    had: Counts
    bucket: Counts
    floor: Floats
    load: Floats


class _Tally(NamedTuple):
    """The cases so far.

    ``by_stratum``, ``in_stratum``: in the window, by location and stratum, (L, S), and by stratum, (S,).
    ``in_bucket``: by bucket, (buckets,).
    ``counts``, ``within``: within each duration, by location, (L, LANES), and by stratum, (S, LANES).
    ``reach``: within the longest duration, around each centre, (L,).
    ``length``, ``oldest``: of each duration and then of the window, the length in buckets and the first event, (LANES +
        1,).
    """

    by_stratum: Counts
    in_stratum: Offsets
    in_bucket: Counts
    counts: Counts
    within: Offsets
    reach: Counts
    length: Offsets
    oldest: Offsets


class _Usual(NamedTuple):
    """Expected cases.

    ``mean``: by location and duration, (L, LANES).
    ``scan``: the scan for which each row of ``mean`` holds, (L,).
    ``share``: share of each stratum's cases that falls within each duration, (S, LANES).
    """

    mean: Floats
    scan: Offsets
    share: Floats


class _Bar(NamedTuple):
    """The bar that a window must clear: a number of cases, and an LLR above ``low``.

    ``limits``: a window with ``n`` cases clears ``low`` if fewer than ``limits[n]`` are expected, (LARGEST + 1,).
    ``total``: all cases of the window.
    """

    min_cases: int
    low: float
    limits: Floats
    total: float


@compiled
def _limit(observed: int, total: float, floor: float, guess: float) -> float:
    """Return the expected count at which ``observed`` of ``total`` cases have an LLR of ``floor``, by Newton's method.

    The LLR is convex and falls as the expected count rises, so every step after the first comes from below.
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
    """Return ``log(1 + cases)`` of each span of ``hours`` and of the window, all ending with a bucket, (hours + 1,)."""
    load = np.empty(len(hours) + 1)
    for which in range(len(hours)):
        load[which] = math.log1p(in_bucket[max(0, bucket - min(hours[which], window) + 1) : bucket + 1].sum())
    load[-1] = math.log1p(in_bucket[max(0, bucket - window + 1) : bucket + 1].sum())
    return load


@compiled
def gumbel_of(load: Floats, null: Null) -> tuple[float, float]:
    """Return the Gumbel location and scale under a load; location and logarithm of the scale are quadratic in it."""
    a, b = null.location[0], null.scale[0]
    for which in range(len(load)):
        x = min(max(load[which], null.low[which]), null.high[which])
        a += null.location[1 + 2 * which] * x + null.location[2 + 2 * which] * x * x
        b += null.scale[1 + 2 * which] * x + null.scale[2 + 2 * which] * x * x
    return a, max(math.exp(b), LEAST_SCALE)


@compiled
def _usual_of(location: int, by_stratum: Counts, share: Floats, usual: Floats) -> None:
    """Compute the expected cases of one location within ``LANES`` durations. The loop is written out for speed.

    ``share`` is (S, LANES), and ``usual``, which takes the result, (L, LANES). Strata are added in rising order.
    """
    u0 = u1 = u2 = u3 = u4 = u5 = u6 = u7 = 0.0
    for stratum in range(by_stratum.shape[1]):
        cases = float(by_stratum[location, stratum])
        u0 += cases * share[stratum, 0]
        u1 += cases * share[stratum, 1]
        u2 += cases * share[stratum, 2]
        u3 += cases * share[stratum, 3]
        u4 += cases * share[stratum, 4]
        u5 += cases * share[stratum, 5]
        u6 += cases * share[stratum, 6]
        u7 += cases * share[stratum, 7]
    usual[location, 0], usual[location, 1] = u0, u1
    usual[location, 2], usual[location, 3] = u2, u3
    usual[location, 4], usual[location, 5] = u4, u5
    usual[location, 6], usual[location, 7] = u6, u7


@compiled
def _is_hopeful(row: Counts, counts: Counts, usual: Floats, min_cases: int, limits: Floats) -> bool:
    """Return whether a centre has a window above the floor within ``LANES`` rising durations.

    ``counts`` and ``usual`` are (L, LANES).
    """
    n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = 0
    u0 = u1 = u2 = u3 = u4 = u5 = u6 = u7 = 0.0
    for location in row:
        u0 += usual[location, 0]
        u1 += usual[location, 1]
        u2 += usual[location, 2]
        u3 += usual[location, 3]
        u4 += usual[location, 4]
        u5 += usual[location, 5]
        u6 += usual[location, 6]
        u7 += usual[location, 7]
        if counts[location, 7] == 0:
            continue
        n7 += counts[location, 7]
        n6 += counts[location, 6]
        n5 += counts[location, 5]
        n4 += counts[location, 4]
        n3 += counts[location, 3]
        n2 += counts[location, 2]
        n1 += counts[location, 1]
        n0 += counts[location, 0]
        # A shorter duration holds no more cases than the longest.
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
def _best_of_centre(row: Counts, counts: Counts, usual: Floats, bar: _Bar, durations: int) -> tuple[float, int, int]:
    """Return the best window around a centre above a bar: (LLR, number of locations, duration column).

    The number of locations is 0 if there is none.
    """
    inside, mean = np.zeros(durations, np.int32), np.zeros(durations)
    best, best_size, best_column = bar.low, 0, 0
    for rank in range(len(row)):
        location = row[rank]
        for column in range(durations):
            mean[column] += usual[location, column]
        if counts[location, LANES - 1] == 0:
            continue
        for column in range(durations):
            inside[column] += counts[location, column]
            observed = inside[column]
            if observed < bar.min_cases or mean[column] >= bar.limits[min(observed, LARGEST)]:
                continue
            ratio = log_likelihood_ratio(observed, mean[column], bar.total, 0.0)
            if ratio > best:
                best, best_size, best_column = ratio, rank + 1, column
    return best, best_size, best_column


@compiled
def _schedule(events: Events, rules: Rules) -> tuple[Counts, Counts, Counts]:
    """Return the scans in their order: bucket, number of events that had arrived, and location, each (scans,).

    The location is that of the event that leads to the scan, or -1 if a bucket begins.
    """
    most = (len(events.stratum) - rules.first) // rules.step + 1 + (0 if rules.only_boundaries else len(events.bucket))
    bucket, had, touched = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    scans, came = 0, 0
    for now in range(len(events.stratum)):
        if now >= rules.first and (now - rules.first) % rules.step == 0:
            bucket[scans], had[scans], touched[scans] = now, came, -1
            scans += 1
        while came < len(events.bucket) and events.bucket[came] == now:
            came += 1
            if now >= rules.first and not rules.only_boundaries:
                bucket[scans], had[scans], touched[scans] = now, came, events.location[came - 1]
                scans += 1
    return bucket[:scans], had[:scans], touched[:scans]


@compiled
def _empty_tally(events: Events, rules: Rules, locations: int) -> _Tally:
    """Return a tally without cases. If there are fewer than ``LANES`` durations, the longest fills the other lanes."""
    length = np.full(LANES + 1, rules.durations[-1], np.int64)
    length[: len(rules.durations)] = rules.durations
    length[LANES] = rules.window
    return _Tally(
        np.zeros((locations, rules.strata), np.int32),
        np.zeros(rules.strata, np.int64),
        np.zeros(len(events.stratum), np.int32),
        np.zeros((locations, LANES), np.int32),
        np.zeros((rules.strata, LANES), np.int64),
        np.zeros(locations, np.int32),
        length,
        np.zeros(LANES + 1, np.int64),
    )


@compiled
def _add_events(tally: _Tally, events: Events, rows: Rows, first: int, last: int) -> None:
    """Count the events from ``first`` to before ``last``."""
    for event in range(first, last):
        location, stratum = events.location[event], events.stratum[events.bucket[event]]
        tally.by_stratum[location, stratum] += 1
        tally.in_stratum[stratum] += 1
        tally.in_bucket[events.bucket[event]] += 1
        for column in range(LANES):
            tally.counts[location, column] += 1
            tally.within[stratum, column] += 1
        for position in range(rows.start[location], rows.start[location] + rows.size[location]):
            tally.reach[rows.neighbour[position]] += 1


@compiled
def _drop_events(tally: _Tally, events: Events, rows: Rows, bucket: int, had: int) -> None:
    """Remove, of the first ``had`` events, those too old for a duration or for the window that ends with a bucket."""
    for column in range(LANES + 1):
        while tally.oldest[column] < had:
            then = events.bucket[tally.oldest[column]]
            if then > bucket - tally.length[column]:
                break
            location, stratum = events.location[tally.oldest[column]], events.stratum[then]
            tally.oldest[column] += 1
            if column == LANES:
                tally.by_stratum[location, stratum] -= 1
                tally.in_stratum[stratum] -= 1
                continue
            tally.counts[location, column] -= 1
            tally.within[stratum, column] -= 1
            if column == LANES - 1:
                for position in range(rows.start[location], rows.start[location] + rows.size[location]):
                    tally.reach[rows.neighbour[position]] -= 1


@compiled
def _find_limits(guess: Floats, bar: _Bar, most: int) -> None:
    """Fill in the limits of a bar for up to ``most`` cases. ``guess`` holds the limits found last, (LARGEST + 1,)."""
    for observed in range(bar.min_cases, min(LARGEST - 1, most) + 1):
        bar.limits[observed] = observed
        if bar.low > 0.0 and observed <= bar.total:
            start_at = guess[observed] if guess[observed] > 0.0 else observed / 8
            guess[observed] = bar.limits[observed] = _limit(observed, bar.total, bar.low, start_at)


@compiled
def _find_usual(usual: _Usual, tally: _Tally, rows: Rows, centres: Counts, scan: int) -> None:
    """Compute the expected cases around these centres, or everywhere if there are many centres."""
    for stratum in range(len(tally.in_stratum)):
        for column in range(LANES):
            cases = tally.in_stratum[stratum]
            usual.share[stratum, column] = tally.within[stratum, column] / cases if cases > 0 else 0.0
    start, size, neighbour, by_stratum = rows.start, rows.size, rows.neighbour, tally.by_stratum
    mean, known, share = usual
    if 4 * len(centres) > len(size):
        for location in range(len(size)):
            _usual_of(location, by_stratum, share, mean)
        return
    for centre in centres:
        for location in neighbour[start[centre] : start[centre] + size[centre]]:
            if known[location] != scan:
                known[location] = scan
                _usual_of(location, by_stratum, share, mean)


@compiled
def _centres_in_question(at_most: Floats, low: float, reach: Counts, min_cases: int, centres: Counts) -> Counts:
    """Return the centres that can have a window above ``low`` with enough cases. ``centres`` is work space, (L,)."""
    number = 0
    for centre in range(len(reach)):
        if at_most[centre] > low and reach[centre] >= min_cases:
            centres[number] = centre
            number += 1
    return centres[:number]


@compiled
def scan_history(events: Events, rows: Rows, rules: Rules, null: Null, hours: Counts) -> Found:
    """Return the findings of every scan of a stream. ``hours``: the time spans of the loads, as in :func:`load_of`."""
    start, size, neighbour, _ = rows
    locations, min_cases, durations = len(size), rules.min_cases, len(rules.durations)
    bucket, had, touched = _schedule(events, rules)
    floors, loads = np.empty(len(had)), np.empty((len(had), len(hours) + 1))
    tally = _empty_tally(events, rules, locations)
    usual = _Usual(np.zeros((locations, LANES)), np.full(locations, -1, np.int64), np.zeros((rules.strata, LANES)))
    limits, guess = np.full(LARGEST + 1, math.inf), np.zeros(LARGEST + 1)
    at_most, work_space = np.empty(locations), np.empty(locations, np.int32)
    found, llr, window = 0, np.empty(4096), np.empty((4096, 4), np.int32)
    low, drift = -1.0, 0.0
    for scan in range(len(had)):
        _add_events(tally, events, rows, had[scan - 1] if scan > 0 else 0, had[scan])
        _drop_events(tally, events, rows, bucket[scan], had[scan])
        loads[scan] = load_of(tally.in_bucket, bucket[scan], rules.window, hours)
        gumbel_location, gumbel_scale = gumbel_of(loads[scan], null)
        floors[scan] = max(0.0, gumbel_location + rules.score * gumbel_scale)
        # Bound what a case elsewhere adds, as scan.rescan does. No window holds more than all recent cases.
        total, most = float(had[scan] - tally.oldest[LANES]), float(had[scan] - tally.oldest[LANES - 1])
        drift += (most / (total - most)) ** 2 if total > 2 * most else math.inf
        if touched[scan] < 0 or floors[scan] < low + drift:
            low, drift = max(0.0, floors[scan] - SLACK), 0.0
            at_most[:] = math.inf
        else:
            first = rows.start[touched[scan]]
            for position in range(first, first + rows.size[touched[scan]]):
                at_most[rows.neighbour[position]] = math.inf
        centres = _centres_in_question(at_most, low, tally.reach, rules.min_cases, work_space)
        # The search uses the floor at the last scan of all centres, which is just below the real one.
        bar = _Bar(rules.min_cases, low, limits, total)
        _find_limits(guess, bar, int(most))
        _find_usual(usual, tally, rows, centres, scan)
        while found + len(centres) > len(llr):
            llr, window = np.concatenate((llr, llr)), np.concatenate((window, window))
        counts, mean, floor = tally.counts, usual.mean, floors[scan]
        for centre in centres:
            at_most[centre] = low
            row = neighbour[start[centre] : start[centre] + size[centre]]
            if not _is_hopeful(row, counts, mean, min_cases, limits):
                continue
            best, zone, column = _best_of_centre(row, counts, mean, bar, durations)
            at_most[centre] = best
            if zone > 0 and best > floor:
                llr[found], window[found, 0], window[found, 1] = best, scan, centre
                window[found, 2], window[found, 3] = zone, column
                found += 1
    columns = window[:found].T.copy()
    return Found(columns[0], columns[1], llr[:found], columns[2], columns[3], had, bucket, floors, loads)
