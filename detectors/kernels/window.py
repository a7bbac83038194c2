"""Counts of the cases of a window, expected cases by location, and the comparison of parts of an area with past days.

For that comparison, ``G`` small districts and 4 categories are counted, and ``P`` parts are compared over ``K``
durations. Day ``i`` of ``N`` ends ``24 i`` hours before the current bucket begins; what was reported by then is known
on that day. The same can be asked of ``H`` hours, the current one and those before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import Categories, Counts, Flags, Floats, Offsets, compiled

CATEGORIES = 4
HOUR_S, DAY_H = 3600, 24


@compiled
def rows_in_buckets(head: Counts, after: Counts, ring: int, first: int, last: int) -> Counts:
    """Return the rows in the linked lists of the buckets ``first`` to ``last``, (rows,)."""
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


@compiled
def arrived(
    delay_s: Counts,
    bucket: Counts,
    location: Counts,
    category: Categories,
    lowest: int,
    highest: int,
    latest: int,
    longest_s: int,
    age_s: int,
) -> tuple[int, int]:
    """Return the number of incidents with a usable reporting delay, and the total time that their reports have existed.

    The total is a sum over these incidents: the seconds between the report and the age ``age_s`` of the incident.
    Incidents are in columns, (rows,):

    ``delay_s``: seconds from occurrence to report, negative if unknown.
    ``location``: negative for an incident that does not count.

    A delay is usable if it is shorter than ``longest_s`` and its incident counts, is of category ``lowest`` to
    ``highest``, and lies in bucket ``latest`` or earlier. There are no branches, and the bounds have the columns'
    types, so that this becomes vector instructions. The sum is of whole numbers, so the order of the rows does not
    matter.
    """
    low, high, last, below_s = np.int8(lowest), np.int8(highest), np.int32(latest), np.int32(longest_s)
    number, seconds = 0, 0
    for row in range(len(delay_s)):
        delay = delay_s[row]
        is_usable = int(
            (bucket[row] <= last)
            & (delay >= 0)
            & (delay < below_s)
            & (location[row] >= 0)
            & (category[row] >= low)
            & (category[row] <= high)
        )
        number += is_usable
        seconds += is_usable * max(0, age_s - int(delay))
    return number, seconds


@compiled
def in_zone(
    bucket: Counts,
    location: Counts,
    category: Categories,
    further: Flags,
    is_in_zone: Flags,
    lowest: int,
    highest: int,
    first: int,
    number: int,
) -> Counts:
    """Return the cases in a zone per bucket, for ``number`` buckets from ``first`` on, (number,).

    A case counts if ``is_in_zone``, (L,), has its location, its category is ``lowest`` to ``highest``, and it is not a
    further record. The location is negative for a case that does not count.
    """
    counts = np.zeros(number, np.int32)
    for case in range(len(bucket)):
        ahead = bucket[case] - first
        if 0 <= ahead < number and location[case] >= 0 and is_in_zone[location[case]] and not further[case]:
            if lowest <= category[case] <= highest:
                counts[ahead] += 1
    return counts


@compiled
def recent_counts(location: Counts, age: Counts, durations: Counts, locations: int) -> Counts:
    """Return the cases per location within each duration, (L, D), from each case's location and age.

    ``age`` is the number of buckets before the current one. A duration of d buckets holds ages 0 to d - 1.
    """
    counts = np.zeros((locations, len(durations)), np.int32)
    for case in range(len(location)):
        for column in range(len(durations)):
            if age[case] < durations[column]:
                counts[location[case], column] += 1
    return counts


@compiled
def stratified_expected(by_stratum: Counts, weight: Floats) -> Floats:
    """Return the expected cases per location and duration, (L, D): ``sum over s of n[l, s] weight[s, d]``.

    Strata are added in rising order, which fixes the last digit.
    """
    expected = np.zeros((by_stratum.shape[0], weight.shape[1]))
    for location in range(by_stratum.shape[0]):
        for stratum in range(by_stratum.shape[1]):
            cases = by_stratum[location, stratum]
            if cases > 0:
                for column in range(weight.shape[1]):
                    expected[location, column] += cases * weight[stratum, column]
    return expected


class Reported(NamedTuple):
    """Incidents in columns, (rows,). ``location`` is negative for one that does not count, ``delay_s`` if unknown."""

    occurred_s: Offsets
    delay_s: Counts
    bucket: Counts
    location: Counts
    category: Categories


@compiled
def count_reports(
    cases: Reported, district: Counts, districts: int, step_of: Counts, days: int, hours: int, first: int, now: int
) -> tuple[Offsets, Counts, Counts]:
    """Return (last, until, late) of the incidents in the buckets ``first`` to before ``now``.

    ``district``: the small district of each location, (L,).
    ``step_of``: the shortest duration, 0 to K - 1, that includes each age in buckets, (longest age + 1,).
    ``days``, ``hours``: how many days and how many hours of each are looked back on. A day of hour ``h`` ends ``h``
        hours earlier than that of hour 0.

    ``last``: second of the last incident of those that were known ``h`` hours ago, but not an hour later, -1 for none;
        in the last hour of all that were known by then, (H, G, 4).
    ``until``: incidents before each bucket and, at the end, of all, (G, 4, buckets + 1).
    ``late``: incidents of each step that were not yet known at the end of each day, (H, G, 4, K, N).
    """
    longest = len(step_of) - 1
    last = np.full((hours, districts, CATEGORIES), -1, np.int64)
    until = np.zeros((districts, CATEGORIES, now - first + 1), np.int32)
    late = np.zeros((hours, districts, CATEGORIES, step_of[longest] + 1, days), np.int32)
    for case in range(len(cases.bucket)):
        bucket, category = cases.bucket[case], cases.category[case]
        if bucket < first or bucket >= now or cases.location[case] < 0 or category >= CATEGORIES:
            continue
        here = district[cases.location[case]]
        until[here, category, bucket - first + 1] += 1
        reported = (cases.occurred_s[case] + max(0, cases.delay_s[case])) // HOUR_S
        if reported < now:
            hour = min(now - 1 - max(bucket, reported), hours - 1)
            last[hour, here, category] = max(last[hour, here, category], cases.occurred_s[case])
        day, hour = (now - bucket - 1) // DAY_H, (now - bucket - 1) % DAY_H
        for age in range(1, min(reported, bucket + longest, now) - bucket + 1):
            if hour < hours and day < days:
                late[hour, here, category, step_of[age], day] += 1
            hour -= 1
            if hour < 0:
                day, hour = day - 1, DAY_H - 1
    for here in range(districts):
        for category in range(CATEGORIES):
            for bucket in range(now - first):
                until[here, category, bucket + 1] += until[here, category, bucket]
    return last, until, late


@compiled
def reports_at(
    end: int, until: Counts, late: Counts, stratum: Counts, strata: int, durations: Counts, days: int
) -> tuple[Counts, Counts]:
    """Return (by stratum, known) at an hour, (G, 4, S) and (G, 4, K, N): what :func:`count_reports` counted.

    ``end``: the number of buckets before the hour. ``late``: of the hour, (G, 4, K, days or more).

    ``by stratum`` are incidents older than the longest duration, ``known`` those in each duration known on each day.
    """
    districts, _, steps, _ = late.shape
    by_stratum = np.zeros((districts, CATEGORIES, strata), np.int32)
    known = np.zeros((districts, CATEGORIES, steps, days), np.int32)
    for here in range(districts):
        for category in range(CATEGORIES):
            before = until[here, category]
            for bucket in range(end - durations[steps - 1]):
                by_stratum[here, category, stratum[bucket]] += before[bucket + 1] - before[bucket]
            for day in range(days):
                last, missing = end - DAY_H * day, 0
                for step in range(steps):
                    missing += late[here, category, step, day]
                    known[here, category, step, day] = before[last] - before[last - durations[step]] - missing
    return by_stratum, known


@compiled
def compare_days(
    rate: Floats,
    known: Counts,
    total: int,
    stratum: Counts,
    durations: Counts,
    past: Counts,
    number: Counts,
    least: float,
) -> tuple[Floats, Floats]:
    """Return (mean, shape) of the number of incidents that each part usually has now, each (P, K).

    ``rate``: usual incidents of each part in an hour of each stratum, (P, S).
    ``known``: incidents of each part in each duration, known on each day, (P, K, N).
    ``total``: the part of which all others are parts.
    ``stratum``: strata of the buckets before now, (buckets,).
    ``past``: the first day that is before each part's silence, (P,); N if too few are.
    ``number``: incidents on which each part's rates rest, (P,).
    ``least``: the mean is 0 if less than this is usual in the hours of the duration.

    On a day the likely number is what is usual, or less if the rest of the total had less than usual. The mean is
    today's likely number times the share of the likely numbers that was known on past days. The shape is that of a
    negative binomial distribution: its variance adds how much numbers varied on past days beyond chance, and the chance
    in the numbers of the rest and of the past.
    """
    parts, steps, days = known.shape
    buckets = len(stratum)
    mean, shape = np.zeros((parts, steps)), np.ones((parts, steps))
    until = np.zeros((2, buckets + 1))
    for bucket in range(buckets):
        until[0, bucket + 1] = until[0, bucket] + rate[total, stratum[bucket]]
    likely = np.zeros(days)
    for part in range(parts):
        if part == total or past[part] >= days:
            continue
        for bucket in range(buckets):
            until[1, bucket + 1] = until[1, bucket] + rate[part, stratum[bucket]]
        for step in range(steps):
            if until[1, buckets] - until[1, buckets - durations[step]] < least:
                continue
            seen, usual = 0, 0.0
            for day in range(days):
                end = buckets - DAY_H * day
                here = until[1, end] - until[1, end - durations[step]]
                rest = max(0.0, until[0, end] - until[0, end - durations[step]] - here)
                rest_known = known[total, step, day] - known[part, step, day]
                likely[day] = min(here, here / rest * rest_known) if rest > 0 else 0.0
                if day >= past[part]:
                    seen += known[part, step, day]
                    usual += likely[day]
            if usual == 0.0:
                continue
            share, excess, squares = seen / usual, 0.0, 0.0
            for day in range(past[part], days):
                square = (share * likely[day]) ** 2
                rest_known = known[total, step, day] - known[part, step, day]
                excess += (known[part, step, day] - share * likely[day]) ** 2 - share * likely[day]
                excess -= square / max(rest_known, 1)
                squares += square
            spread = max(0.0, excess / squares) if squares > 0 else 0.0
            rest_known = known[total, step, 0] - known[part, step, 0]
            mean[part, step] = share * likely[0]
            shape[part, step] = 1 / (spread + 1 / max(rest_known, 1) + 1 / max(number[part], 1))
    return mean, shape
