"""Counts of the cases of a window, and expected cases by location."""

from __future__ import annotations

import numpy as np

from detectors.kernels.ratio import Categories, Counts, Flags, Floats, compiled


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
