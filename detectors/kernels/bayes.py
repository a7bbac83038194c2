"""The Bayesian scan around one location: the averaged Bayes factor of the cylinders that contain one of its cases.

For ``n`` cases where a negative binomial number with mean ``mu`` and shape ``alpha`` is usual, the Bayes factor of a
relative risk ``r`` is ``r^n ((alpha + mu) / (alpha + r mu))^(n + alpha)``. It is averaged over relative risks, and its
weighted sum over durations, radii and centres is the score (Chan 2009; Neill, Moore and Cooper 2006).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, Rows, compiled

BUCKET_S = 3600
"""Length of a bucket in seconds."""


class Prior(NamedTuple):
    """The prior of clusters.

    ``radius``: radii of zones in metres, rising, (R,).
    ``of_radius``: weight of each radius, (R,).
    ``of_duration``: weight of each duration, (D,).
    ``risk``: relative risks, (K,).
    ``of_risk``: weight of each risk for a cluster that lies where cases are usual, and for one that lies anywhere,
        (2, K).
    ``min_cases``: least number of cases of the strongest cylinder.
    """

    radius: Floats
    of_radius: Floats
    of_duration: Floats
    risk: Floats
    of_risk: Floats
    min_cases: int


class Usual(NamedTuple):
    """The usual rates of a stream in every zone, a centre and one of the radii.

    ``size``: number of locations, (L, R).
    ``rate``: cases an hour by stratum, (L, R, S).
    ``shape``: gamma shape of the rate, (L, R).
    ``of_place``: share of each centre in all usual cases, (L,).
    """

    size: Counts
    rate: Floats
    shape: Floats
    of_place: Floats


class Level(NamedTuple):
    """How the level of an area is followed.

    ``rate_of_all``, ``rate``: usual cases an hour of all categories and of the stream, by stratum, (S,). The second is
        empty for *all*.
    ``cases``: number of cases at which the observed and the usual level count the same.
    """

    rate_of_all: Floats
    rate: Floats
    cases: float


@compiled
def usual_of_zones(rows: Rows, radius: Floats, rate: Floats, shape: Floats, of_place: Floats) -> Usual:
    """Return the usual rates of all zones from those of the locations.

    ``rate``: cases an hour by location and stratum, (L, S). ``shape``: gamma shape of each location's rate, (L,).

    The rate of a zone is a sum of gamma variables; its shape is that of the gamma variable with the same mean and
    variance, strata taken together.
    """
    locations, strata, radii = rate.shape[0], rate.shape[1], len(radius)
    size, by_stratum = np.zeros((locations, radii), np.int32), np.zeros((locations, radii, strata))
    of_zone = np.zeros((locations, radii))
    for centre in range(locations):
        inside, mean, variance = np.zeros(strata), 0.0, 0.0
        place, end = rows.start[centre], rows.start[centre + 1]
        for ring in range(radii):
            while place < end and rows.distance[place] <= radius[ring]:
                location = rows.neighbour[place]
                here = rate[location].sum()
                inside += rate[location]
                mean += here
                variance += here * here / shape[location]
                place += 1
            size[centre, ring] = place - rows.start[centre]
            by_stratum[centre, ring] = inside
            of_zone[centre, ring] = mean * mean / variance
    return Usual(size, by_stratum, of_zone, of_place)


class Cylinders(NamedTuple):
    """The strongest cylinder of each of some locations, (n,): number of cases, expected number, centre, number of
    locations, duration column. The centre is -1 if there is none.
    """

    observed: Counts
    expected: Floats
    centre: Counts
    size: Counts
    column: Counts


class _Zones(NamedTuple):
    """The zones of the centres seen so far, which all locations of one call share.

    ``place``: place of each centre in the arrays below, -1 if it has not been seen, (L,). Empty for a single location,
        which sees each centre once.
    ``cases``: number of cases, (centres, R, D).
    ``mean``, ``log``: mean number, and logarithm of the weighted Bayes factor, (centres, R, D). NaN until worked out.
    ``log_risk``: logarithms of the relative risks, (K,).
    """

    place: Counts
    cases: Counts
    mean: Floats
    log: Floats
    log_risk: Floats


@compiled
def _log_averaged(observed: int, mean: float, shape: float, risk: Floats, log_risk: Floats, of_risk: Floats) -> float:
    """Return the logarithm of the Bayes factor times the weights of the relative risks. The factor can overflow.

    ``log_risk``: logarithm of each relative risk, (K,). ``of_risk``: its weight, (K,).
    """
    largest, total = -math.inf, 0.0
    for which in range(len(risk)):
        usual_part = (observed + shape) * math.log((shape + mean) / (shape + risk[which] * mean))
        log = observed * log_risk[which] + usual_part
        if log > largest:
            total = total * math.exp(largest - log) + of_risk[which]
            largest = log
        else:
            total += of_risk[which] * math.exp(log - largest)
    return largest + math.log(total)


@compiled
def _see(centre: int, at: int, rows: Rows, counts: Counts, usual: Usual, zones: _Zones) -> None:
    """Count the cases in the zones of a centre, and note them at place ``at``."""
    _, radii, durations = zones.cases.shape
    place = rows.start[centre]
    zones.cases[at], zones.log[at] = 0, np.nan
    for ring in range(radii):
        if ring > 0:
            zones.cases[at, ring] = zones.cases[at, ring - 1]
        while place < rows.start[centre] + usual.size[centre, ring]:
            location = rows.neighbour[place]
            if counts[location, durations - 1] > 0:
                for column in range(durations):
                    zones.cases[at, ring, column] += counts[location, column]
            place += 1
    if len(zones.place) > 0:
        zones.place[centre] = at


@compiled
def _score(
    anchor: int,
    seen: int,
    rows: Rows,
    counts: Counts,
    usual: Usual,
    hours: Floats,
    prior: Prior,
    zones: _Zones,
    found: Cylinders,
    which: int,
) -> tuple[float, int]:
    """Return the score of a location, minus infinity without enough cases, and the number of centres then seen.

    See :func:`scores_at`. ``seen``: number of centres seen before.
    """
    durations, strata, radii = counts.shape[1], hours.shape[0], len(prior.radius)
    total, largest, strongest = 0.0, -math.inf, -math.inf
    found.centre[which] = -1
    for position in range(rows.start[anchor], rows.start[anchor + 1]):
        away = rows.distance[position]
        if away > prior.radius[radii - 1]:
            break
        centre = rows.neighbour[position]
        at = zones.place[centre] if len(zones.place) > 0 else -1
        if at < 0:
            at = seen
            _see(centre, at, rows, counts, usual, zones)
            seen += 1
        for ring in range(radii):
            inside = zones.cases[at, ring]
            if away > prior.radius[ring] or inside[durations - 1] < 2:
                continue
            for column in range(durations):
                if inside[column] < 2 or counts[anchor, column] == 0:
                    continue
                log = zones.log[at, ring, column]
                if math.isnan(log):
                    # A cluster lies where cases are usual or, as likely, anywhere.
                    of_risk = usual.of_place[centre] * prior.of_risk[0] + prior.of_risk[1] / len(usual.of_place)
                    mean = 0.0
                    for stratum in range(strata):
                        mean += usual.rate[centre, ring, stratum] * hours[stratum, column]
                    log = math.log(prior.of_radius[ring] * prior.of_duration[column])
                    log += _log_averaged(
                        inside[column], mean, usual.shape[centre, ring], prior.risk, zones.log_risk, of_risk
                    )
                    zones.mean[at, ring, column], zones.log[at, ring, column] = mean, log
                if log > largest:
                    total = total * math.exp(largest - log) + 1.0
                    largest = log
                else:
                    total += math.exp(log - largest)
                if inside[column] >= prior.min_cases and log > strongest:
                    strongest = log
                    found.observed[which], found.expected[which] = inside[column], zones.mean[at, ring, column]
                    found.centre[which], found.size[which] = centre, usual.size[centre, ring]
                    found.column[which] = column
    return (largest + math.log(total) if strongest > -math.inf else -math.inf), seen


@compiled
def scores_at(
    anchors: Counts, rows: Rows, counts: Counts, usual: Usual, hours: Floats, prior: Prior
) -> tuple[Floats, Cylinders]:
    """Return the score, (n,), and the strongest cylinder of some locations.

    ``counts``: cases of the stream by location and duration, (L, D), durations rising.
    ``hours``: hours of each stratum within each duration, times the level of the area, (S, D).

    The score is minus infinity if no cylinder has enough cases.
    """
    number, radii, durations = len(anchors), len(prior.radius), counts.shape[1]
    found = Cylinders(
        np.zeros(number, np.int32),
        np.zeros(number),
        np.zeros(number, np.int32),
        np.zeros(number, np.int32),
        np.zeros(number, np.int32),
    )
    most = 0
    for anchor in anchors:
        most += rows.start[anchor + 1] - rows.start[anchor]
    most = min(most, len(counts))
    zones = _Zones(
        np.full(len(counts) if number > 1 else 0, -1, np.int32),
        np.empty((most, radii, durations), np.int32),
        np.empty((most, radii, durations)),
        np.empty((most, radii, durations)),
        np.log(prior.risk),
    )
    score, seen = np.empty(number), 0
    for which in range(number):
        score[which], seen = _score(anchors[which], seen, rows, counts, usual, hours, prior, zones, found, which)
    return score, found


@compiled
def hours_within(now_s: int, durations_s: Offsets, first_bucket: int, stratum: Counts, strata: int) -> Floats:
    """Return the hours of each stratum within each duration that ends now, (S, D).

    ``stratum``: of each bucket from ``first_bucket`` on, (buckets,).
    """
    hours = np.zeros((strata, len(durations_s)))
    for column in range(len(durations_s)):
        at = now_s - durations_s[column]
        while at < now_s:
            bucket = at // BUCKET_S
            until = min((bucket + 1) * BUCKET_S, now_s)
            hours[stratum[bucket - first_bucket], column] += (until - at) / BUCKET_S
            at = until
    return hours


@compiled
def at_level(hours_of_all: Floats, hours: Floats, every_case: Offsets, case: Offsets, level: Level) -> Floats:
    """Return hours times the present level of the area and of the category within each duration, (S, D).

    ``hours_of_all``, ``hours``: of each stratum within each duration, times the share of the reports of all categories
        and of the stream that has usually come by now, (S, D).
    ``every_case``, ``case``: cases of all categories and of the stream within each duration, (D,).
    """
    strata, durations = hours.shape
    result = np.empty((strata, durations))
    has_own = len(level.rate) > 0
    for column in range(durations):
        usual_of_all, usual = 0.0, 0.0
        for stratum in range(strata):
            usual_of_all += level.rate_of_all[stratum] * hours_of_all[stratum, column]
            if has_own:
                usual += level.rate[stratum] * hours[stratum, column]
        factor = (level.cases + every_case[column]) / (level.cases + usual_of_all)
        if has_own:
            factor *= (level.cases + case[column]) / (level.cases + factor * usual)
        for stratum in range(strata):
            result[stratum, column] = factor * hours[stratum, column]
    return result


class Events(NamedTuple):
    """A stream's incidents in order of time: second, (n,), and location, (n,).

    ``every_second``: second of each incident of all categories, (m,).
    """

    second: Offsets
    location: Counts
    every_second: Offsets


class Span(NamedTuple):
    """A time with the same usual rates, ``begin_s`` to before ``end_s``, and how it is scanned.

    ``stratum``: of each bucket from the first one of the history on, (buckets,).
    ``durations_s``: rising, (D,).
    ``lowest``: lowest score of a window that is kept.
    """

    begin_s: int
    end_s: int
    stratum: Counts
    durations_s: Offsets
    lowest: float


class Scans(NamedTuple):
    """The scans of a span and the windows that stand out in them.

    ``tick_s``: second of each scan, (scans,).
    ``had``: events that had come by then, (scans,).
    ``first``: windows of scan ``i`` are ``first[i]:first[i + 1]``, (scans + 1,).
    ``score``, ``centre``, ``size``, ``column``: of each window, (windows,).
    ``strong``: locations whose score was at least the lowest in the last scan, (strong,).
    """

    tick_s: Offsets
    had: Counts
    first: Offsets
    score: Floats
    centre: Counts
    size: Counts
    column: Counts
    strong: Counts


@compiled
def _forget(
    second: Offsets, oldest: Offsets, came: int, now_s: int, durations_s: Offsets, location: Counts, counts: Counts
) -> None:
    """Move ``oldest``, the first event within each duration, and take the others from ``counts`` if it has rows."""
    for column in range(len(durations_s)):
        while oldest[column] < came and second[oldest[column]] <= now_s - durations_s[column]:
            if len(counts) > 0:
                counts[location[oldest[column]], column] -= 1
            oldest[column] += 1


@compiled
def _with(strong: Counts, location: int) -> Counts:
    """Return the strong locations and one more, unless that one is negative or already among them."""
    if location < 0:
        return strong
    for each in strong:
        if each == location:
            return strong
    anchors = np.empty(len(strong) + 1, np.int32)
    anchors[: len(strong)] = strong
    anchors[len(strong)] = location
    return anchors


@compiled
def scan_span(
    events: Events, span: Span, rows: Rows, usual: Usual, level: Level, prior: Prior, strong: Counts
) -> Scans:
    """Scan a stream at every hour and after every event of a span, as the Monitor does.

    Only the location of the event and the strong ones are looked at. ``strong``: those of the scan before the span.
    """
    second, location, every_second = events
    locations, _, strata = usual.rate.shape
    durations = len(span.durations_s)
    counts, nothing = np.zeros((locations, durations), np.int32), np.zeros((0, durations), np.int32)
    oldest, every_oldest = np.zeros(durations, np.int64), np.zeros(durations, np.int64)
    came = int(np.searchsorted(second, span.begin_s))
    for event in range(came):
        counts[location[event]] += 1
    every_came = 0
    most = (span.end_s - span.begin_s) // BUCKET_S + 2 + len(second) - came
    tick_s, had, first = np.zeros(most, np.int64), np.zeros(most, np.int32), np.zeros(most + 1, np.int64)
    score, window = np.zeros(256), np.zeros((256, 3), np.int32)
    scan, found, hour_s = 0, 0, -(-span.begin_s // BUCKET_S) * BUCKET_S
    while True:
        event_s = second[came] if came < len(second) else span.end_s
        now_s, touched = min(hour_s, event_s), -1
        if now_s >= span.end_s:
            break
        if hour_s <= event_s:
            hour_s += BUCKET_S
        else:
            touched = location[came]
            counts[touched] += 1
            came += 1
        while every_came < len(every_second) and every_second[every_came] <= now_s:
            every_came += 1
        _forget(second, oldest, came, now_s, span.durations_s, location, counts)
        _forget(every_second, every_oldest, every_came, now_s, span.durations_s, location, nothing)
        anchors = _with(strong, touched)
        if len(anchors) > 0:
            hours = hours_within(now_s, span.durations_s, 0, span.stratum, strata)
            hours = at_level(hours, hours, every_came - every_oldest, came - oldest, level)
            scored, cylinders = scores_at(anchors, rows, counts, usual, hours, prior)
            is_strong = scored >= span.lowest
            strong = anchors[is_strong]
            while found + len(strong) > len(score):
                score, window = np.concatenate((score, score)), np.concatenate((window, window))
            score[found : found + len(strong)] = scored[is_strong]
            window[found : found + len(strong), 0] = cylinders.centre[is_strong]
            window[found : found + len(strong), 1] = cylinders.size[is_strong]
            window[found : found + len(strong), 2] = cylinders.column[is_strong]
            found += len(strong)
        tick_s[scan], had[scan] = now_s, came
        scan += 1
        first[scan] = found
    columns = window[:found].T.copy()
    return Scans(
        tick_s[:scan], had[:scan], first[: scan + 1], score[:found], columns[0], columns[1], columns[2], strong
    )
