"""The scan by trying every window, in the order and with the ties of docs/method.md section 4."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.naive.neighbours import Point, chord

Rows = Sequence[Sequence[int]]


def log_likelihood_ratio(observed: int, expected: float, total: float) -> float:
    """Return ``n log(n/u) + (N-n) log((N-n)/(N-u))``, 0 unless ``n > u``; ``n log(n/u) - (n-u)`` for an infinite N."""
    if not (expected > 0 and observed > expected):
        return 0.0
    if total == math.inf:
        return observed * math.log(observed / expected) - (observed - expected)
    ratio = observed * math.log(observed / expected)
    if total > observed:
        ratio += (total - observed) * math.log((total - observed) / (total - expected))
    return ratio


def best_per_centre(
    rows: Rows, counts: Sequence[Sequence[int]], expected: Sequence[Sequence[float]], total: float, min_cases: int
) -> list[tuple[float, int, int]]:
    """Return (LLR, locations, duration column) of every centre, (0, 0, 0) where no window is high."""
    found = []
    for row in rows:
        best = (0.0, 0, 0)
        for size in range(1, len(row) + 1):
            for column in range(len(counts[0])):
                observed, usual = 0, 0.0
                for location in row[:size]:
                    observed += counts[location][column]
                    usual += expected[location][column]
                if observed >= min_cases:
                    ratio = log_likelihood_ratio(observed, usual, total)
                    if ratio > best[0]:
                        best = (ratio, size, column)
        found.append(best)
    return found


def largest_ratio(
    rows: Rows, counts: Sequence[Sequence[int]], expected: Sequence[Sequence[float]], total: float, min_cases: int
) -> float:
    """Return the largest LLR of all windows."""
    return max(best[0] for best in best_per_centre(rows, counts, expected, total, min_cases))


def ranked(best: Sequence[tuple[float, int, int]], tie: float = 1e-9) -> list[int]:
    """Return the centres with a high window: falling LLR; among equals fewer locations, then the smaller centre."""
    falling = sorted((centre for centre in range(len(best)) if best[centre][0] > 0), key=lambda c: -best[c][0])
    groups: list[list[int]] = []
    for centre in falling:
        if groups and best[groups[-1][-1]][0] - best[centre][0] <= tie:
            groups[-1].append(centre)
        else:
            groups.append([centre])
    order: list[int] = []
    for group in groups:
        order += sorted(group, key=lambda c: (best[c][1], c))
    return order


def without_overlap(
    order: Sequence[int], points: Sequence[Point], rows: Rows, size: Sequence[int], most: int
) -> list[int]:
    """Return the centres that are kept: no location lies in both their circle and that of one kept before."""
    kept: list[int] = []
    for centre in order:
        circles = [_circle(one, points, rows, size) for one in kept]
        if all(not (_circle(centre, points, rows, size) & circle) for circle in circles) and len(kept) < most:
            kept.append(centre)
    return kept


def _circle(centre: int, points: Sequence[Point], rows: Rows, size: Sequence[int]) -> set[int]:
    radius = chord(points[centre], points[rows[centre][size[centre] - 1]])
    return {index for index, point in enumerate(points) if chord(points[centre], point) <= radius}


def scan(
    points: Sequence[Point],
    rows: Rows,
    counts: Sequence[Sequence[int]],
    expected: Sequence[Sequence[float]],
    total: float,
    min_cases: int,
    most: int,
) -> list[tuple[int, int, int, float]]:
    """Return (centre, locations, duration column, LLR) of the clusters without overlap, best first."""
    best = best_per_centre(rows, counts, expected, total, min_cases)
    kept = without_overlap(ranked(best), points, rows, [size for _, size, _ in best], most)
    return [(centre, best[centre][1], best[centre][2], best[centre][0]) for centre in kept]
