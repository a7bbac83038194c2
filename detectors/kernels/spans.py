"""Windows that can begin and end anywhere: retrospective scans, and replications that allow for earlier analyses.

A time span consists of the intervals from ``begin`` to before ``end``. A window can be the best of its centre only if a
case was just added to it. So after each case only the spans that hold the case's interval are looked at.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import HAIR, Counts, Floats, Offsets, Rows, compiled, log_likelihood_ratio

_ROUNDING = 1e-12
"""Largest relative difference of equal ratios. The order of a sum must not decide between two spans."""


class Search(NamedTuple):
    """The cases with which windows are compared, and the windows that count.

    ``expected``: by location and interval, (L, T).
    ``totals``: all cases, by a span's first interval and its length less one, (T, longest).
    ``first_end``: the lowest end of a window that counts.
    """

    expected: Floats
    totals: Floats
    first_end: int
    min_cases: int
    min_risk: float


class _Best(NamedTuple):
    """The best window of every span, or empty arrays.

    ``llr``, ``size``: its LLR and number of locations, by first interval and length less one, (T, longest).
    """

    llr: Floats
    size: Counts


class _WorkSpace(NamedTuple):
    """Observed and expected cases of a zone by interval, (T,)."""

    inside: Counts
    usual: Floats


@compiled
def cases_by_place(place: Counts, interval: Counts, locations: int, intervals: int) -> tuple[Offsets, Counts]:
    """Return the intervals of every location's cases, in rising order, as compressed rows: (start, interval)."""
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
    row: Counts, by_location: tuple[Offsets, Counts], search: Search, floor: float, work: _WorkSpace, kept: _Best
) -> float:
    """Return the largest LLR around a centre, at least ``floor``; fill in the best window of every span in ``kept``.

    ``by_location``: the result of :func:`cases_by_place`. An empty ``kept`` is left empty. Of zones with the same
    ratio, ``kept`` gets the one with the fewest locations.
    """
    case_start, case_interval = by_location
    expected, totals, first_end, min_cases, min_risk = search
    inside, usual = work
    best_llr, best_size = kept
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
                    if not math.isinf(total) and excess * excess * (total + mean) * (1 + HAIR) <= (
                        known * 2.0 * mean * (total - mean)
                    ):
                        continue
                    ratio = log_likelihood_ratio(cases, mean, total, min_risk)
                    if is_kept and ratio > known * (1 + _ROUNDING):
                        best_llr[begin, length], best_size[begin, length] = ratio, rank + 1
                    best = max(best, ratio)
    return best


@compiled
def largest_of_spans(start: Offsets, location: Counts, interval: Counts, rows: Rows, search: Search) -> Floats:
    """Return the largest LLR of every replication over all spans, (replications,); 0 if none is high.

    Replication ``r`` has the cases from ``start[r]`` to before ``start[r + 1]`` of ``location`` and ``interval``.
    """
    locations, intervals = search.expected.shape
    work = _WorkSpace(np.zeros(intervals, np.int32), np.zeros(intervals))
    nothing = _Best(np.zeros((0, 0)), np.zeros((0, 0), np.int32))
    maxima = np.zeros(len(start) - 1)
    for replication in range(len(maxima)):
        mine = slice(start[replication], start[replication + 1])
        by_location = cases_by_place(location[mine], interval[mine], locations, intervals)
        best = 0.0
        for centre in range(locations):
            row = rows.neighbour[rows.start[centre] : rows.start[centre] + rows.size[centre]]
            best = _of_centre(row, by_location, search, best, work, nothing)
        maxima[replication] = best
    return maxima


@compiled
def _best_within(kept: _Best, low: int, high: int, least: float) -> tuple[int, int]:
    """Return begin (-1: none) and length of the best span in ``[low, high)`` with an LLR above ``least``.

    In a tie the fewest locations win, then the earlier end, then the shorter span.
    """
    best, length, begin = least, 0, -1
    for end in range(low + 1, high + 1):
        for span in range(1, min(kept.llr.shape[1], end - low) + 1):
            ratio, size = kept.llr[end - span, span - 1], kept.size[end - span, span - 1]
            is_greater = ratio > best * (1 + _ROUNDING)
            is_equal = begin >= 0 and ratio >= best * (1 - _ROUNDING)
            if is_greater or (is_equal and size < kept.size[begin, length - 1]):
                best, length, begin = ratio, span, end - span
    return begin, length


@compiled
def best_spans_per_centre(
    location: Counts, interval: Counts, rows: Rows, search: Search, least_after: float
) -> tuple[Floats, Counts, Counts, Counts, Counts]:
    """Return the best windows around every centre: LLR, centre, number of locations, begin, end, each (windows,).

    First comes the best span ``[a, b)`` in ``[0, T)``. The best in ``[0, a - 1)`` and in ``[b + 1, T - 1)`` follow, and
    so on within these, as long as their LLR is above ``least_after`` (docs/method.md section 4.2).
    """
    locations, intervals = search.expected.shape
    by_location = cases_by_place(location, interval, locations, intervals)
    work = _WorkSpace(np.zeros(intervals, np.int32), np.zeros(intervals))
    kept = _Best(np.zeros(search.totals.shape), np.zeros(search.totals.shape, np.int32))
    most = locations * ((intervals + 1) // 2 + 1)
    llr = np.empty(most)
    centres, zone = np.empty(most, np.int32), np.empty(most, np.int32)
    begins, ends = np.empty(most, np.int32), np.empty(most, np.int32)
    found = 0
    for centre in range(locations):
        kept.llr[:] = 0.0
        row = rows.neighbour[rows.start[centre] : rows.start[centre] + rows.size[centre]]
        _of_centre(row, by_location, search, 0.0, work, kept)
        waiting = [(0, intervals)]
        least = 0.0
        while len(waiting) > 0:
            low, high = waiting.pop()
            begin, length = _best_within(kept, low, high, least)
            if begin < 0:
                continue
            llr[found], zone[found] = kept.llr[begin, length - 1], kept.size[begin, length - 1]
            centres[found], begins[found], ends[found] = centre, begin, begin + length
            found += 1
            least = least_after
            if begin + length + 1 < high - 1:
                waiting.append((begin + length + 1, high - 1))
            if low < begin - 1:
                waiting.append((low, begin - 1))
    return llr[:found], centres[:found], zone[:found], begins[:found], ends[:found]
