"""Windows over any time span, by trying every one (docs/method.md section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.naive.neighbours import Point
from tests.naive.scan import Rows, _circle, log_likelihood_ratio

Window = tuple[float, int, int, int, int]
"""(LLR, centre, locations, begin, end)."""


def every_window(
    rows: Rows,
    counts: Sequence[Sequence[int]],
    expected: Sequence[Sequence[float]],
    longest: int,
    total: float,
    min_cases: int,
    first_end: int = 0,
) -> list[Window]:
    """Return all windows with a positive ratio; ``counts`` and ``expected`` by location and interval."""
    found = []
    intervals = len(counts[0])
    for centre, row in enumerate(rows):
        for size in range(1, len(row) + 1):
            for end in range(1, intervals + 1):
                for begin in range(end - 1, max(-1, end - longest - 1), -1):
                    cells = [(location, t) for location in row[:size] for t in range(begin, end)]
                    observed = sum(counts[location][t] for location, t in cells)
                    usual = sum(expected[location][t] for location, t in cells)
                    ratio = log_likelihood_ratio(observed, usual, total) if observed >= min_cases else 0.0
                    if ratio > 0 and end >= first_end:
                        found.append((ratio, centre, size, begin, end))
    return found


def best_of_centre(windows: Sequence[Window], low: int, high: int, least: float, after: float) -> list[Window]:
    """Return the best window within ``[low, high)``, then the best before and after it, and so on."""
    inside = [window for window in windows if low <= window[3] and window[4] <= high and window[0] > least]
    if not inside:
        return []
    # Rounding must not decide between equally good windows.
    best = min(inside, key=lambda w: (-round(w[0], 9), w[2], w[4], w[4] - w[3]))
    earlier = best_of_centre(windows, low, best[3] - 1, after, after)
    later = best_of_centre(windows, best[4] + 1, high - 1, after, after)
    return [best, *earlier, *later]


def without_overlap(
    centre: Sequence[int],
    size: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    points: Sequence[Point],
    rows: Rows,
    most: int,
) -> list[int]:
    """Return the windows that are kept: each shares no location with one kept before, or is an interval apart."""
    kept: list[int] = []
    sizes = [1] * len(rows)

    def circle(which: int) -> set[int]:
        sizes[centre[which]] = size[which]
        return _circle(centre[which], points, rows, sizes)

    for which in range(len(centre)):
        if len(kept) < most and all(
            not (circle(which) & circle(other)) or begin[which] > end[other] or begin[other] > end[which]
            for other in kept
        ):
            kept.append(which)
    return kept
