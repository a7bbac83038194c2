"""Windows that may begin and end anywhere: retrospective scans, and replications that adjust for earlier analyses.

A time span is that of the intervals ``begin`` to before ``end``. A window is only worth a look when a case has just
been added to it, so each case is followed by the few spans that hold its interval.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled, log_likelihood_ratio

_HAIR = 1e-9
_ROUNDING = 1e-12
"""Ratios that differ by so small a share are equal: the order of a sum is not to decide between two spans."""


@compiled
def cases_by_place(place: Counts, interval: Counts, locations: int, intervals: int) -> tuple[Offsets, Counts]:
    """The intervals of every place's cases, in rising order, as compressed rows: (start, interval)."""
    cells = np.zeros((locations, intervals), np.int32)
    start = np.zeros(locations + 1, np.int64)
    for case in range(len(place)):
        cells[place[case], interval[case]] += 1
        start[place[case] + 1] += 1
    sorted_interval = np.empty(len(place), np.int32)
    filled = 0
    for location in range(locations):
        start[location + 1] += start[location]
        for which in range(intervals):
            for _ in range(cells[location, which]):
                sorted_interval[filled] = which
                filled += 1
    return start, sorted_interval


@compiled
def _of_centre(
    row: Counts,
    case_start: Offsets,
    case_interval: Counts,
    expected: Floats,
    totals: Floats,
    first_end: int,
    min_cases: int,
    min_risk: float,
    floor: float,
    inside: Counts,
    usual: Floats,
    best_llr: Floats,
    best_size: Counts,
) -> float:
    """The largest LLR above ``floor`` around a centre, else ``floor``.

    With tables ``best_llr`` and ``best_size`` (T, longest) also the best of every span, by its begin and its length
    less one, and its locations; of zones with the same ratio the one with the fewest. ``inside`` and ``usual`` (T,)
    are work space.
    """
    intervals, longest = totals.shape
    inside[:] = 0
    usual[:] = 0.0
    best = floor
    is_kept = len(best_llr) > 0
    for rank in range(len(row)):
        location = row[rank]
        for which in range(intervals):
            usual[which] += expected[location, which]
        first, last = case_start[location], case_start[location + 1]
        for case in range(first, last):
            inside[case_interval[case]] += 1
        for case in range(first, last):
            at = case_interval[case]
            if case > first and case_interval[case - 1] == at:
                continue
            from_cases, from_usual = 0, 0.0
            for begin in range(at, max(-1, at - longest), -1):
                from_cases += inside[begin]
                from_usual += usual[begin]
                cases, mean = from_cases, from_usual
                for end in range(at + 1, min(intervals, begin + longest) + 1):
                    if end > at + 1:
                        cases += inside[end - 1]
                        mean += usual[end - 1]
                    if end < first_end or cases < min_cases or cases <= mean:
                        continue
                    length = end - begin - 1
                    total = totals[begin, length]
                    known = best_llr[begin, length] if is_kept else best
                    excess = cases - mean
                    if not math.isinf(total) and excess * excess * (total + mean) * (1 + _HAIR) <= (
                        known * 2.0 * mean * (total - mean)
                    ):
                        continue
                    ratio = log_likelihood_ratio(cases, mean, total, min_risk)
                    if is_kept and ratio > known * (1 + _ROUNDING):
                        best_llr[begin, length], best_size[begin, length] = ratio, rank + 1
                    best = max(best, ratio)
    return best


@compiled
def largest_of_spans(
    case_start: Offsets,
    place: Counts,
    interval: Counts,
    start: Offsets,
    size: Counts,
    index: Counts,
    expected: Floats,
    totals: Floats,
    first_end: int,
    min_cases: int,
    min_risk: float,
) -> Floats:
    """The largest LLR of every replication over all spans that end at ``first_end`` or later, 0 if none is high.

    Replication ``r`` has the cases ``case_start[r]`` to before ``case_start[r + 1]``, with their ``place`` and
    ``interval``. ``expected``: (L, T); ``totals``: by begin and length less one, (T, longest).
    """
    locations, intervals = expected.shape
    inside, usual = np.zeros(intervals, np.int32), np.zeros(intervals)
    no_llr, no_size = np.zeros((0, 0)), np.zeros((0, 0), np.int32)
    maxima = np.zeros(len(case_start) - 1)
    for replication in range(len(maxima)):
        first, last = case_start[replication], case_start[replication + 1]
        by_place, at = cases_by_place(place[first:last], interval[first:last], locations, intervals)
        best = 0.0
        for centre in range(locations):
            row = index[start[centre] : start[centre] + size[centre]]
            best = _of_centre(
                row,
                by_place,
                at,
                expected,
                totals,
                first_end,
                min_cases,
                min_risk,
                best,
                inside,
                usual,
                no_llr,
                no_size,
            )
        maxima[replication] = best
    return maxima


@compiled
def best_spans_per_centre(
    place: Counts,
    interval: Counts,
    start: Offsets,
    size: Counts,
    index: Counts,
    expected: Floats,
    totals: Floats,
    min_cases: int,
    min_risk: float,
    least_after: float,
) -> tuple[Floats, Counts, Counts, Counts, Counts]:
    """The best windows around every centre: LLR, centre, locations, begin, end, each (windows,).

    After the best span ``[a, b)`` in ``[0, T)``, the best in ``[0, a - 1)`` and in ``[b + 1, T - 1)`` follow, and so on
    in those, while their LLR is above ``least_after`` (docs/method.md section 4.2). Equal ratios: fewest locations,
    then the earlier end, then the shorter span.
    """
    locations, intervals = expected.shape
    longest = totals.shape[1]
    by_place, at = cases_by_place(place, interval, locations, intervals)
    inside, usual = np.zeros(intervals, np.int32), np.zeros(intervals)
    best_llr, best_size = np.zeros((intervals, longest)), np.zeros((intervals, longest), np.int32)
    most = locations * ((intervals + 1) // 2 + 1)
    llr = np.empty(most)
    centres, zone = np.empty(most, np.int32), np.empty(most, np.int32)
    begins, ends = np.empty(most, np.int32), np.empty(most, np.int32)
    found = 0
    for centre in range(locations):
        best_llr[:] = 0.0
        row = index[start[centre] : start[centre] + size[centre]]
        _of_centre(row, by_place, at, expected, totals, 0, min_cases, min_risk, 0.0, inside, usual, best_llr, best_size)
        waiting = [(0, intervals)]
        least = 0.0
        while len(waiting) > 0:
            low, high = waiting.pop()
            best, length, begin = least, 0, -1
            for end in range(low + 1, high + 1):
                for span in range(1, min(longest, end - low) + 1):
                    ratio = best_llr[end - span, span - 1]
                    is_greater = ratio > best * (1 + _ROUNDING)
                    is_smaller = (
                        begin >= 0
                        and ratio >= best * (1 - _ROUNDING)
                        and best_size[end - span, span - 1] < best_size[begin, length - 1]
                    )
                    if is_greater or is_smaller:
                        best, length, begin = ratio, span, end - span
            if begin < 0:
                continue
            llr[found], centres[found], zone[found] = best, centre, best_size[begin, length - 1]
            begins[found], ends[found] = begin, begin + length
            found += 1
            least = least_after
            if begin + length + 1 < high - 1:
                waiting.append((begin + length + 1, high - 1))
            if low < begin - 1:
                waiting.append((low, begin - 1))
    return llr[:found], centres[:found], zone[:found], begins[:found], ends[:found]
