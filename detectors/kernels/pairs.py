"""Counting pairs of incidents by how near they are in space and in time."""

from __future__ import annotations

import numpy as np

from detectors.kernels.ratio import Floats, Offsets, compiled


@compiled
def pairs_by_lag(
    group: Offsets, second: Offsets, points: Floats, within_m: Floats, within_s: Offsets
) -> tuple[Offsets, Offsets]:
    """Pairs of the same group by distance and lag, shape (distances, lags), and by distance at any lag, (distances,).

    ``group`` and ``second``, (n,), in order of group, then of time; ``points`` in metres, (n, 2 or 3). A pair belongs
    to the first of ``within_m`` and of ``within_s``, both rising, that it does not exceed.
    """
    table = np.zeros((len(within_m), len(within_s)), np.int64)
    ever = np.zeros(len(within_m), np.int64)
    square_within = within_m * within_m
    for one in range(len(second)):
        lag = 0
        other = one + 1
        while other < len(second) and group[other] == group[one]:
            apart_s = second[other] - second[one]
            while lag < len(within_s) and apart_s > within_s[lag]:
                lag += 1
            square = 0.0
            for axis in range(points.shape[1]):
                square += (points[one, axis] - points[other, axis]) ** 2
            if square <= square_within[-1]:
                ring = 0
                while square > square_within[ring]:
                    ring += 1
                ever[ring] += 1
                if lag < len(within_s):
                    table[ring, lag] += 1
            other += 1
    return table, ever
