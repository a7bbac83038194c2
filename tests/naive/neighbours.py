"""Neighbour rows from the full table of distances."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, ...]


def chord(one: Point, other: Point) -> float:
    """Return the straight distance between two points of two or three coordinates."""
    squares = 0.0
    for a, b in zip(one, other, strict=True):
        squares += (a - b) * (a - b)
    return math.sqrt(squares)


def neighbours(points: Sequence[Point], max_radius: float) -> list[list[tuple[int, float]]]:
    """Return (index, distance) of each centre's neighbours; ties: itself, smaller coordinates, then smaller index."""
    rows = []
    for own, centre in enumerate(points):
        row = []
        for index, other in enumerate(points):
            distance = chord(centre, other)
            if distance <= max_radius:
                row.append((distance, index != own, other, index))
        rows.append([(index, distance) for distance, _, _, index in sorted(row)])
    return rows
