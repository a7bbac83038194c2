"""Replications: the distribution of the largest LLR, over all windows that end now, by chance alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels import shells as kernels
from detectors.kernels.window import recent_counts
from detectors.models.expected import Expected
from detectors.models.nulls import Drawn, Null
from detectors.scan.cylinders import best_windows
from detectors.scan.shells import Shells

AT_ONCE = 32
"""Number of replications that one thread makes in one batch."""
LOW = 0.05
"""Approximate share of the replications that stay below the floor. They are searched again with a lower floor."""
LOWER = 0.7
"""Factor by which the floor is lowered for these replications."""
JUMP = 210306068529402873165736369884012333109
"""Number of random numbers between two replications: the jump of :meth:`numpy.random.PCG64DXSM.jumped`."""
LANE_BITS = (8, 16)
"""Widths of the lanes in which cases are counted. A word holds eight durations, or four if a lane overflows."""

Maxima = NDArray[np.float64]


def largest_by_chance(
    model: Expected,
    null: Null,
    near: Neighbours,
    shells: Shells,
    min_cases: int,
    replications: int,
    seed: Sequence[int],
    min_risk: float = 0.0,
    threads: int = 1,
) -> Maxima:
    """Return the largest LLR of each replication, float64, shape (replications,); 0 if no window is high.

    Replication ``k`` has its own random numbers (:func:`generators`), so the result does not depend on the threads.
    """
    largest = LargestNow(model, near, shells, min_cases, min_risk)
    return np.concatenate([np.empty(0), *in_batches(null, largest, replications, seed, threads)])


def in_batches(
    null: Null, largest: Callable[[Drawn], Maxima], replications: int, seed: Sequence[int], threads: int
) -> Iterator[Maxima]:
    """Yield the largest LLR of each replication, a batch at a time, in order."""

    def batch(first: int) -> Maxima:
        numbers = range(first, min(first + AT_ONCE, replications))
        return largest(null.draw(generators(seed, numbers)))

    firsts = range(0, replications, AT_ONCE)
    yield from map(batch, firsts[:1])
    if threads == 1:
        yield from map(batch, firsts[1:])
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(batch, firsts[1:])


def generators(seed: Sequence[int], numbers: Iterable[int]) -> Iterator[np.random.Generator]:
    """Yield the generator of each of these replications, ``PCG64DXSM(seed).jumped(number)``.

    A generator is valid until the next one is taken. There is only one generator, which is moved, because making a new
    one takes longer than a small replication.
    """
    bits = np.random.PCG64DXSM(seed)
    begin, generator = bits.state, np.random.Generator(bits)
    for number in numbers:
        bits.state = begin
        bits.advance(number * JUMP)
        yield generator


class LargestNow:
    """Finds the largest LLR of drawn cases over all windows that end now, for :func:`in_batches`.

    The first batch sets the floor above which later batches are searched.
    """

    def __init__(self, model: Expected, near: Neighbours, shells: Shells, min_cases: int, min_risk: float) -> None:
        self._model, self._near, self._shells = model, near, shells
        self._min_cases, self._min_risk = min_cases, min_risk
        # A first guess: the largest LLR grows with the number of more or less independent windows.
        self._floor = 0.6 * math.log(len(shells.first) * len(model.durations))
        self._packed: dict[int, list[_Packed]] = {}
        self._is_first = True

    def __call__(self, drawn: Drawn) -> Maxima:
        """Return the largest LLR of each replication, (replications,)."""
        maxima = np.full(len(drawn.start) - 1, -1.0)
        floor = self._floor
        while (left := np.flatnonzero(maxima < 0)).size:
            found = self._search(_of(drawn, left), floor)
            is_done = (found > floor) | (floor == 0.0)
            maxima[left[is_done]] = found[is_done]
            floor = _lower(floor)
        if self._is_first:
            self._is_first, self._floor = False, float(np.quantile(maxima, LOW))
        return maxima

    def _search(self, drawn: Drawn, floor: float) -> Maxima:
        """Return the largest LLR of each replication, or the floor if no LLR exceeds it."""
        found = np.full(len(drawn.start) - 1, math.nan)
        for bits in LANE_BITS:
            left = np.flatnonzero(np.isnan(found))
            if not len(left):
                return found
            if bits not in self._packed:
                columns = range(0, len(self._model.durations), kernels.WORD // bits)
                model, shells, limits = self._model, self._shells, (self._min_cases, self._min_risk)
                self._packed[bits] = [_Packed(model, shells, *limits, bits, first) for first in columns]
            some = _of(drawn, left)
            # The largest over all words of durations; NaN if a lane overflowed.
            found[left] = np.max([word.largest(some, floor) for word in self._packed[bits]], axis=0)
        for which in np.flatnonzero(np.isnan(found)):
            found[which] = self._unpacked(drawn, int(which))
        return found

    def _unpacked(self, drawn: Drawn, which: int) -> float:
        """Return the largest LLR of one replication with too many cases even for the widest lanes."""
        mine = slice(drawn.start[which], drawn.start[which + 1])
        durations = self._model.durations
        counts = recent_counts(drawn.place[mine], drawn.age[mine], durations, len(self._near.size))
        model = dataclasses.replace(self._model, counts=counts)
        return float(best_windows(model, self._near, self._min_cases, 0.0, self._min_risk).llr.max(initial=0.0))


class _Packed:
    """The durations of a model from the ``first`` on, as many as fit into a word with lanes of ``bits``."""

    def __init__(self, model: Expected, shells: Shells, min_cases: int, min_risk: float, bits: int, first: int) -> None:
        some = slice(first, first + kernels.WORD // bits)
        expected = np.ascontiguousarray(model.expected[shells.order, some])
        before = kernels.expected_before(shells.of, shells.first, shells.member, expected)
        durations = model.durations[some, None]
        ones = np.uint64(1) << np.uint64(bits) * np.arange(len(durations), dtype=np.uint64)
        is_within = durations > np.arange(model.durations[-1])
        self._word_of_age = (is_within * ones[:, None]).sum(axis=0, dtype=np.uint64)
        self._shells, self._words = shells, dict[float, NDArray[np.uint64]]()
        guard, totals = np.uint64(kernels.guard_of(bits)), model.totals[some]
        self._packed = kernels.Packed(bits, guard, expected, before, totals, min_cases, min_risk)

    def largest(self, drawn: Drawn, floor: float) -> Maxima:
        """Return the largest LLR of each replication: the floor if no LLR exceeds it, NaN if a lane overflowed."""
        if floor not in self._words:
            self._words[floor] = kernels.requirements(self._shells, self._packed, floor)
        words = self._words[floor]
        return kernels.largest_ratios(*drawn, self._word_of_age, self._shells, self._packed, words, floor)


def _lower(floor: float) -> float:
    return floor * LOWER if floor > 1.0 else 0.0


def _of(drawn: Drawn, which: NDArray[np.int64]) -> Drawn:
    """Return the replications with these numbers."""
    if len(which) == len(drawn.start) - 1:
        return drawn
    parts: Iterable[slice] = [slice(drawn.start[each], drawn.start[each + 1]) for each in which]
    rows = np.concatenate([np.arange(part.start, part.stop) for part in parts])
    start = np.concatenate(([0], np.cumsum(np.diff(drawn.start)[which])))
    return Drawn(start, drawn.place[rows], drawn.age[rows])
