"""A yardstick for machines: the time of one of the steps that a scan consists of."""

from __future__ import annotations

import time

import numba
import numpy as np
from numpy.typing import NDArray

CELLS = 1 << 17
"""Number of cells of four words, 4 MiB in all: about the shells of a large problem."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _add(cells: NDArray[np.uint64], where: NDArray[np.int32], times: int) -> None:
    one = np.uint64(1)
    for _ in range(times):
        for which in where:
            c0, c1, c2, c3 = cells[which, 0] + one, cells[which, 1] + one, cells[which, 2] + one, cells[which, 3] + one
            cells[which, 0], cells[which, 1], cells[which, 2], cells[which, 3] = c0, c1, c2, c3


def nanoseconds() -> float:
    """Return the best of five timings of adding to a cell's four words, in runs of ten cells at random positions."""
    chance = np.random.default_rng(1)
    where = (chance.integers(0, CELLS - 10, 20_000)[:, None] + np.arange(10)).ravel().astype(np.int32)
    cells = np.zeros((CELLS, 4), np.uint64)
    _add(cells, where, 1)
    best = np.inf
    for _ in range(5):
        started = time.perf_counter()
        _add(cells, where, 5)
        best = min(best, time.perf_counter() - started)
    return float(best / (5 * len(where)) * 1e9)
