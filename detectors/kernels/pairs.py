"""Pairs of incidents by their distance in space and in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled


@compiled
def _square_apart(points: Floats, one: int, others: Floats, other: int) -> float:
    """Return the squared distance of two points."""
    square = 0.0
    for axis in range(points.shape[1]):
        square += (points[one, axis] - others[other, axis]) ** 2
    return square


@compiled
def _ring(points: Floats, one: int, other: int, square_within: Floats) -> int:
    """Return the index of the first limit in ``square_within`` that two points do not exceed; -1 if they exceed all."""
    square = _square_apart(points, one, points, other)
    if square > square_within[-1]:
        return -1
    ring = 0
    while square > square_within[ring]:
        ring += 1
    return ring


@compiled
def pairs_by_lag(
    group: Offsets, second: Offsets, points: Floats, weight: Floats, within_m: Floats, within_s: Offsets
) -> Floats:
    """Sum the pairs of the same group by distance and lag: their weights and squared weights, (2, distances, lags).

    ``group``, ``second``: of each incident, in order of group, then of time, (n,).
    ``points``: of each incident, in metres, (n, 2 or 3).
    ``weight``: of each incident, (n,); the weight of a pair is the sum of its two.
    ``within_m``, ``within_s``: upper limits of distance and lag, rising; a pair belongs to the first that it does not
        exceed.
    """
    table = np.zeros((2, len(within_m), len(within_s)))
    square_within = within_m * within_m
    for one in range(len(second)):
        lag = 0
        other = one + 1
        while other < len(second) and group[other] == group[one]:
            apart_s = second[other] - second[one]
            while lag < len(within_s) and apart_s > within_s[lag]:
                lag += 1
            if lag == len(within_s):
                break
            ring = _ring(points, one, other, square_within)
            if ring >= 0:
                both = weight[one] + weight[other]
                table[0, ring, lag] += both
                table[1, ring, lag] += both * both
            other += 1
    return table


@compiled
def pairs_periods_apart(
    second: Offsets,
    points: Floats,
    weight: Floats,
    within_m: Floats,
    within_s: Offsets,
    period_s: int,
    first: int,
    last: int,
    long_s: int,
) -> Floats:
    """Sum pairs about a whole number of periods apart, by distance and by the difference from that number.

    The result estimates that of :func:`pairs_by_lag` as it would be if no incident led to another: pairs that are whole
    periods apart have the same locations and hours. It is the mean over ``first`` to ``last`` periods. ``second`` is in
    order of time, within 0 to ``long_s``. The more often a pair's lag fits into that time, the less the pair counts.
    """
    table = np.zeros((2, len(within_m), len(within_s)))
    square_within = within_m * within_m
    number = 2 * (last - first + 1)  # a pair can be a little less or a little more than the periods apart
    for one in range(len(second)):
        for other in range(one + 1, len(second)):
            apart_s = second[other] - second[one]
            if apart_s > last * period_s + within_s[-1]:
                break
            if apart_s < first * period_s - within_s[-1]:
                continue
            ring = _ring(points, one, other, square_within)
            if ring < 0:
                continue
            both = weight[one] + weight[other]
            for periods in range(first, last + 1):
                beside_s = abs(apart_s - periods * period_s)
                if beside_s <= within_s[-1]:
                    lag = 0
                    while beside_s > within_s[lag]:
                        lag += 1
                    share = (long_s - beside_s) / (long_s - apart_s) / number
                    table[0, ring, lag] += share * both
                    table[1, ring, lag] += share * both * both
    return table


@compiled
def followed_by(second: Offsets, points: Floats, within_m: Floats, within_s: Offsets, value: Floats) -> Floats:
    """Sum ``value``, (distances, lags), over the pairs in which each incident is the later one, (n,)."""
    total = np.zeros(len(second))
    square_within = within_m * within_m
    for one in range(len(second)):
        lag = 0
        for other in range(one + 1, len(second)):
            apart_s = second[other] - second[one]
            while lag < len(within_s) and apart_s > within_s[lag]:
                lag += 1
            if lag == len(within_s):
                break
            ring = _ring(points, one, other, square_within)
            if ring >= 0:
                total[other] += value[ring, lag]
    return total


@compiled
def numbers_around(centres: Floats, within_m: Floats, points: Floats) -> Counts:
    """Return the number of points within each centre's own distance ``within_m``, (c,).

    ``centres`` and ``points`` are in metres, (c, 2 or 3) and (n, 2 or 3).
    """
    numbers = np.zeros(len(centres), np.int32)
    for centre in range(len(centres)):
        for point in range(len(points)):
            if _square_apart(centres, centre, points, point) <= within_m[centre] ** 2:
                numbers[centre] += 1
    return numbers


@compiled
def linked_groups(kind: NDArray[np.int8], second: Offsets, points: Floats, within_m: float, within_s: int) -> int:
    """Link incidents of one kind that lie within ``within_m`` metres and ``within_s`` seconds of each other.

    Return the number of groups, in which all incidents are linked directly or in a chain. ``kind``, ``second`` and
    ``points`` are of each incident, (n,), (n,) and (n, 2 or 3).
    """
    group = np.arange(len(second))
    number = len(second)
    for one in range(len(second)):
        for other in range(one):
            if (
                group[one] != group[other]
                and kind[one] == kind[other]
                and abs(second[one] - second[other]) <= within_s
                and _square_apart(points, one, points, other) <= within_m**2
            ):
                joined = group[other]
                for each in range(one + 1):
                    if group[each] == joined:
                        group[each] = group[one]
                number -= 1
    return number
