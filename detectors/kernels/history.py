"""Every scan of a stream over a long history, in the order in which a monitor makes them.

Counts are kept from scan to scan. When a bucket begins, the kernel searches every centre with enough recent cases
around it. After an incident it searches only the centres near it, and those that were close to the floor: a case
elsewhere makes a window less unusual, or hardly more unusual.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import HAIR, LANES, Counts, Floats, Offsets, Rows, compiled, log_likelihood_ratio

SLACK = 0.05
"""Difference to the floor, as an LLR, within which centres are searched after every incident."""

LARGEST = 64
"""Largest number of cases of a window for which an expected count is worked out beforehand."""

ROOT_STEPS = 50
"""Upper bound for the steps of Newton's method: each nearly doubles the digits."""

LEAST_SCALE = 0.2
"""Lower bound for the Gumbel scale of a largest LLR: too few cases give no estimate."""

MARGIN_HOURS = (2, 8, 24, 48, 168)
"""Spans of time, in hours, whose cases make up the load of a stream, together with the whole window."""
LOADS = len(MARGIN_HOURS) + 1


class Events(NamedTuple):
    """A stream's incidents in order of time: bucket (from 0) and location, (n,); each bucket's stratum, (buckets,)."""

    bucket: Counts
    location: Counts
    stratum: Counts


class Rules(NamedTuple):
    """How scans are made.

    A scan is made when each ``step``-th bucket from ``first`` on begins and, unless ``only_boundaries``, after each
    event. ``window`` and ``durations`` (rising, at most ``LANES``) are in buckets. ``score``: the lowest of a window.
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
    """The null distribution of the largest LLR: polynomials of the loads (:func:`gumbel_of`), each load held between
    ``low`` and ``high``."""

    low: Floats
    high: Floats
    location: Floats
    scale: Floats


class Found(NamedTuple):
    """Windows above the floor: scan, centre, LLR, locations, duration column, each (found,); per scan, (scans,): events
    that had come, bucket, and the floor; per scan the loads, (scans, LOADS)."""

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
    """Cases so far. In the window: by location and stratum, (L, S), and by stratum, (S,). By bucket, (buckets,).

    Within each of ``LANES`` durations: by location, (L, LANES), and by stratum, (S, LANES). Within the longest: around
    each centre, (L,). ``length``, in buckets, and ``oldest``, the first event, of each duration and then of the window,
    (LANES + 1,).
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
    """Expected cases by location and duration, ``mean``, (L, LANES), and the scan for which they hold, (L,).

    ``share``: of each stratum's cases those within each duration, (S, LANES).
    """

    mean: Floats
    scan: Offsets
    share: Floats


class _Bar(NamedTuple):
    """The bar for windows: a number of cases, and an LLR of ``low``. A window with a number of cases exceeds ``low`` if
    fewer than ``limits``, (LARGEST + 1,), are expected. ``total``: all cases of the window."""

    min_cases: int
    low: float
    limits: Floats
    total: float


@compiled
def _limit(observed: int, total: float, floor: float, guess: float) -> float:
    """The expected count at which ``observed`` cases of ``total`` have an LLR of ``floor``, by Newton's method.

    The LLR is convex and falls with the expected count, so every step after the first comes from below.
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
    """``log(1 + cases)`` of each span of ``hours`` and of the window, all ending with a bucket; shape (hours + 1,)."""
    load = np.empty(len(hours) + 1)
    for which in range(len(hours)):
        load[which] = math.log1p(in_bucket[max(0, bucket - min(hours[which], window) + 1) : bucket + 1].sum())
    load[-1] = math.log1p(in_bucket[max(0, bucket - window + 1) : bucket + 1].sum())
    return load


@compiled
def gumbel_of(load: Floats, null: Null) -> tuple[float, float]:
    """Gumbel location and scale under a load; the location and the logarithm of the scale are quadratic in it."""
    a, b = null.location[0], null.scale[0]
    for which in range(len(load)):
        x = min(max(load[which], null.low[which]), null.high[which])
        a += null.location[1 + 2 * which] * x + null.location[2 + 2 * which] * x * x
        b += null.scale[1 + 2 * which] * x + null.scale[2 + 2 * which] * x * x
    return a, max(math.exp(b), LEAST_SCALE)


@compiled
def _usual_of(location: int, by_stratum: Counts, share: Floats, usual: Floats) -> None:
    """Expected cases of one location for ``LANES`` durations, strata in rising order; written out for speed.

    ``share``, (S, LANES); ``usual``, (L, LANES).
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
    """Whether a centre has a window above the floor within ``LANES`` rising durations; both arrays (L, LANES)."""
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
def _best_of_centre(row: Counts, counts: Counts, usual: Floats, bar: _Bar, durations: int) -> tuple[float, int, int]:
    """The best window around a centre above a bar: (LLR, locations, duration column), no locations if there is none."""
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
    """The scans in their order: bucket, events that had come, and location of the event that leads to the scan (-1: the
    bucket begins), each (scans,)."""
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
    """A tally without cases; fewer durations than ``LANES`` are filled up with the longest."""
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
    """Remove those of the first ``had`` events that are too old in a bucket for a duration or for the window."""
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
    """Fill in the limits of a bar for up to ``most`` cases; ``guess``, (LARGEST + 1,): the limits found last."""
    for observed in range(bar.min_cases, min(LARGEST - 1, most) + 1):
        bar.limits[observed] = observed
        if bar.low > 0.0 and observed <= bar.total:
            start_at = guess[observed] if guess[observed] > 0.0 else observed / 8
            guess[observed] = bar.limits[observed] = _limit(observed, bar.total, bar.low, start_at)


@compiled
def _find_usual(usual: _Usual, tally: _Tally, rows: Rows, centres: Counts, scan: int) -> None:
    """Work out what is expected around some centres; everywhere at once if the centres are many."""
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
    """The centres that can have a window above ``low`` with enough cases; ``centres``, (L,), is work space."""
    number = 0
    for centre in range(len(reach)):
        if at_most[centre] > low and reach[centre] >= min_cases:
            centres[number] = centre
            number += 1
    return centres[:number]


@compiled
def scan_history(events: Events, rows: Rows, rules: Rules, null: Null, hours: Counts) -> Found:
    """Every scan of a stream. ``hours``: the spans of time of the loads, as in :func:`load_of`."""
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
        # What a case elsewhere adds at most, as in scan.rescan; the largest window holds all recent cases.
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
        # The search uses a floor just below the real one: the floor at the last scan of all centres.
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
