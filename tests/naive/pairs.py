"""Pairs of incidents counted one by one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Incidents = Sequence[tuple[int, float, float, float]]
"""Second, two coordinates in metres, weight; in order of time."""


def pairs_by_lag(incidents: Incidents, within_m: Sequence[float], within_s: Sequence[int]) -> NDArray[np.float64]:
    """Return the sums of the pairs' weights, and of the squares, by distance and lag."""
    table = np.zeros((2, len(within_m), len(within_s)))
    for one, other in itertools.combinations(incidents, 2):
        place = _first(within_m, np.hypot(one[1] - other[1], one[2] - other[2]))
        lag = _first(within_s, other[0] - one[0])
        if place is not None and lag is not None:
            table[:, place, lag] += (one[3] + other[3], (one[3] + other[3]) ** 2)
    return table


def pairs_periods_apart(
    incidents: Incidents,
    within_m: Sequence[float],
    within_s: Sequence[int],
    period_s: int,
    numbers: Sequence[int],
    long_s: int,
) -> NDArray[np.float64]:
    """Return the same for lags around each number of periods, on either side, averaged over the numbers and sides."""
    table = np.zeros((2, len(within_m), len(within_s)))
    for one, other in itertools.combinations(incidents, 2):
        place = _first(within_m, np.hypot(one[1] - other[1], one[2] - other[2]))
        for number in numbers:
            beside_s = abs(other[0] - one[0] - number * period_s)
            lag = _first(within_s, beside_s)
            if place is not None and lag is not None:
                share = (long_s - beside_s) / (long_s - (other[0] - one[0])) / (2 * len(numbers))
                table[:, place, lag] += (share * (one[3] + other[3]), share * (one[3] + other[3]) ** 2)
    return table


def followed_by(
    incidents: Incidents, within_m: Sequence[float], within_s: Sequence[int], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each incident the sum of the values of the pairs in which it is the later one."""
    total = np.zeros(len(incidents))
    for (_, one), (number, other) in itertools.combinations(enumerate(incidents), 2):
        place = _first(within_m, np.hypot(one[1] - other[1], one[2] - other[2]))
        lag = _first(within_s, other[0] - one[0])
        if place is not None and lag is not None:
            total[number] += value[place, lag]
    return total


def numbers_around(
    centres: Sequence[tuple[float, float]], within_m: Sequence[float], points: Sequence[tuple[float, float]]
) -> list[int]:
    """Return how many points lie within the distance of each centre."""
    return [
        sum(np.hypot(centre[0] - x, centre[1] - y) <= limit for x, y in points)
        for centre, limit in zip(centres, within_m, strict=True)
    ]


def linked_groups(
    kind: Sequence[int], second: Sequence[int], points: Sequence[tuple[float, float]], within_m: float, within_s: int
) -> int:
    """Return the number of groups, each found by walking from one incident to all within reach."""
    left = set(range(len(kind)))
    groups = 0
    while left:
        groups += 1
        reached = [left.pop()]
        for one in reached:
            near = {
                other
                for other in left
                if kind[one] == kind[other]
                and abs(second[one] - second[other]) <= within_s
                and np.hypot(points[one][0] - points[other][0], points[one][1] - points[other][1]) <= within_m
            }
            left -= near
            reached += near
    return groups


def _first(limits: Sequence[float], figure: float) -> int | None:
    return next((number for number, limit in enumerate(limits) if figure <= limit), None)
