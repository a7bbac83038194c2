"""Neighbour rows: the locations near each location, nearest first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled


@compiled
def rows_of_pairs(
    pairs: NDArray[np.int64], points: Floats, order: Offsets, max_radius: float
) -> tuple[Offsets, Counts, Floats]:
    """Return compressed rows (start, index, distance) from candidate pairs of points.

    Every point comes first in its own row. Others follow by straight distance, up to and including ``max_radius``. At
    exactly equal distances they follow in the order of ``order``, a permutation of the points.
    """
    locations, axes = points.shape
    length = np.empty(len(pairs))
    row_start = np.zeros(locations + 1, np.int64)
    row_start[1:] = 1
    for pair in range(len(pairs)):
        one, other = pairs[pair, 0], pairs[pair, 1]
        squares = 0.0
        for axis in range(axes):
            along = points[one, axis] - points[other, axis]
            squares += along * along
        length[pair] = math.sqrt(squares)
        if length[pair] <= max_radius:
            row_start[one + 1] += 1
            row_start[other + 1] += 1
    for location in range(locations):
        row_start[location + 1] += row_start[location]
    near, far = np.empty(row_start[-1], np.int32), np.empty(row_start[-1])
    filled = row_start[:-1].copy()
    for location in range(locations):
        # Nearer than any other location, even one on the same point.
        near[filled[location]], far[filled[location]] = location, -1.0
        filled[location] += 1
    for pair in range(len(pairs)):
        if length[pair] <= max_radius:
            one, other = pairs[pair, 0], pairs[pair, 1]
            near[filled[one]], far[filled[one]] = other, length[pair]
            near[filled[other]], far[filled[other]] = one, length[pair]
            filled[one] += 1
            filled[other] += 1
    # Rows were filled in the order for ties, and a stable sort by distance keeps it.
    index, distance = np.empty_like(near), np.empty_like(far)
    filled = row_start[:-1].copy()
    for location in order:
        for position in range(row_start[location], row_start[location + 1]):
            row = near[position]
            index[filled[row]], distance[filled[row]] = location, far[position]
            filled[row] += 1
    for location in range(locations):
        first, last = row_start[location], row_start[location + 1]
        nearest = np.argsort(distance[first:last], kind="mergesort")
        index[first:last] = index[first:last][nearest]
        distance[first:last] = distance[first:last][nearest]
        distance[first] = 0.0
    return row_start, index, distance


@compiled
def sizes_within(start: Offsets, index: Counts, mass: Floats, most: float) -> Counts:
    """Return the length of each row up to the first location that takes the sum of ``mass`` above ``most``, (L,)."""
    size = np.zeros(len(start) - 1, np.int32)
    for row in range(len(start) - 1):
        inside = 0.0
        for position in range(start[row], start[row + 1]):
            inside += mass[index[position]]
            if inside > most:
                break
            size[row] += 1
    return size
