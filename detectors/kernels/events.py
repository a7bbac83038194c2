"""Records of the same event: the first record of each event counts, and the others are further records.

Records are ordered by time. Records of one time are ordered by whether patrols discovered them and by coordinates, so
that the order does not depend on their arrival. In this order, a record is a further record if one that counts came
before it, of its category, within given limits of distance and time. So an event is never longer than the limit of
time, and a busy evening at one address remains several events.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import Categories, Counts, Flags, Offsets, compiled

M_PER_E7 = math.pi * 6_371_008.8 / 180e7
"""Length of 1e-7 degrees of latitude, in metres."""
CIRCLE_E7 = 3_600_000_000
"""The whole circle in units of 1e-7 degrees."""
HIGHEST_CATEGORY = 3
"""Highest category index of records that can be of one event."""


class Records(NamedTuple):
    """Columns of records, each (n,).

    ``location``: negative for a record that does not count at all.
    ``longitude_e7``, ``latitude_e7``: in units of 1e-7 degrees; both 0 for a record that names only its location.
    ``interval``: whether ``occurred_s`` is a moment of an interval.
    ``further``: whether an earlier record of the same event counts.
    """

    occurred_s: Offsets
    location: Counts
    category: Categories
    longitude_e7: Counts
    latitude_e7: Counts
    discovered: Flags
    interval: Flags
    further: Flags


class Same(NamedTuple):
    """Limits of distance, in metres, and of time, in seconds, between two records of one event."""

    within_m: float
    within_s: int


@compiled
def _is_before(records: Records, one: int, other: int) -> bool:
    """Return whether a record comes before another one."""
    if records.occurred_s[one] != records.occurred_s[other]:
        return bool(records.occurred_s[one] < records.occurred_s[other])
    if records.discovered[one] != records.discovered[other]:
        return bool(records.discovered[other])
    if records.longitude_e7[one] != records.longitude_e7[other]:
        return bool(records.longitude_e7[one] < records.longitude_e7[other])
    if records.latitude_e7[one] != records.latitude_e7[other]:
        return bool(records.latitude_e7[one] < records.latitude_e7[other])
    if records.location[one] != records.location[other]:
        return bool(records.location[one] < records.location[other])
    return one < other  # they are alike, so it does not matter which of them counts


@compiled
def _has_point(records: Records, one: int) -> bool:
    """Return whether a record has coordinates of its own."""
    return bool(records.longitude_e7[one] != 0 or records.latitude_e7[one] != 0)


@compiled
def _are_same(records: Records, one: int, other: int, same: Same) -> bool:
    """Return whether two records can be of one event. Of intervals, only equal moments at equal coordinates can be."""
    if records.location[one] < 0 or records.location[other] < 0:
        return False
    if records.category[one] != records.category[other] or records.category[one] > HIGHEST_CATEGORY:
        return False
    apart_s = abs(records.occurred_s[one] - records.occurred_s[other])
    if apart_s > same.within_s or records.interval[one] != records.interval[other]:
        return False
    if records.interval[one] and apart_s > 0:
        return False
    north_e7 = np.int64(records.latitude_e7[one]) - np.int64(records.latitude_e7[other])
    east_e7 = abs(np.int64(records.longitude_e7[one]) - np.int64(records.longitude_e7[other]))
    if north_e7 == 0 and east_e7 == 0:
        # Without coordinates of their own, records of one location are at the same place.
        return _has_point(records, one) or bool(records.location[one] == records.location[other])
    if records.interval[one]:
        return False
    if not (_has_point(records, one) and _has_point(records, other)):
        return bool(records.location[one] == records.location[other])
    east_e7 = min(east_e7, CIRCLE_E7 - east_e7)
    middle = math.radians((np.int64(records.latitude_e7[one]) + np.int64(records.latitude_e7[other])) / 2e7)
    north_m, east_m = north_e7 * M_PER_E7, east_e7 * M_PER_E7 * math.cos(middle)
    return bool(north_m * north_m + east_m * east_m <= same.within_m * same.within_m)


@compiled
def _further_in_order(records: Records, order: Offsets, same: Same) -> Flags:
    """Return which records are further records, (n,). ``order``: their order, (n,)."""
    further = np.zeros(len(order), np.bool_)
    oldest = 0
    for place in range(len(order)):
        each = order[place]
        while records.occurred_s[order[oldest]] < records.occurred_s[each] - same.within_s:
            oldest += 1
        for earlier in range(oldest, place):
            other = order[earlier]
            if not further[other] and _are_same(records, each, other, same):
                further[each] = True
                break
    return further


def further_records(records: Records, same: Same) -> Flags:
    """Return which records are further records, (n,). ``records.further`` is not used."""
    order = np.lexsort(
        (records.location, records.latitude_e7, records.longitude_e7, records.discovered, records.occurred_s)
    )
    return _further_in_order(records, order, same)


@compiled
def _is_any_same(records: Records, one: int, others: list[int], same: Same) -> bool:
    """Return whether a record can be of one event with any of some others."""
    is_same = False
    for other in others:
        is_same = is_same or _are_same(records, one, other, same)
    return is_same


@compiled
def settle(
    changed: int,
    leaves: bool,
    records: Records,
    bucket: Counts,
    head: Counts,
    after: Counts,
    buckets_near: int,
    same: Same,
) -> Offsets:
    """Judge a record that enters or leaves and all that depend on it, and return the rows whose ``further`` changes.

    ``changed``: row of the record. One that enters is marked as a further record and linked; one that ``leaves`` is
        still linked, and marked as a further record at the end.
    ``bucket``: bucket of each row. ``head``, ``after``: linked lists of the rows of each bucket.
    ``buckets_near``: number of buckets before and after a record's own that can hold records of its event.
    """
    waiting, turned = [changed], [0 for _ in range(0)]
    known = [0 for _ in range(0)]  # rows that count, all of them before those that wait
    while len(waiting) > 0:
        row = waiting[0]
        for each in waiting:
            if _is_before(records, each, row):
                row = each
        earlier = -1
        further = leaves and row == changed
        later = [0 for _ in range(0)]
        for near in range(bucket[row] - buckets_near, bucket[row] + buckets_near + 1):
            other = int(head[near % len(head)])
            while other >= 0 and not (further and records.further[row]):
                if other != row and bucket[other] == near and _are_same(records, row, other, same):
                    if _is_before(records, row, other):
                        later.append(other)
                    elif not records.further[other]:
                        earlier, further = other, True
                other = int(after[other])
        if earlier >= 0:
            known.append(earlier)
        elif not further:
            known.append(row)
        if further != records.further[row]:
            records.further[row] = further
            turned.append(row)
            # Of the later ones, only those in the same state can change.
            waiting += [other for other in later if records.further[other] == further]
        # A further record of one that is known to count stays one, so a crowd is not judged one by one.
        waiting = [
            each
            for each in waiting
            if each != row and not (records.further[each] and _is_any_same(records, each, known, same))
        ]
    return np.array(turned, np.int64) if len(turned) > 0 else np.zeros(0, np.int64)
