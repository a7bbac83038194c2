"""The null of each model: how its cases fall by chance, one replication after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.null import deal, guide, redraw


class Drawn(NamedTuple):
    """The recent cases of some replications: those of replication ``r`` at ``start[r]:start[r + 1]``.

    ``place`` and ``age`` (intervals before the last one), int32, shape (cases,).
    """

    start: NDArray[np.int64]
    place: NDArray[np.int32]
    age: NDArray[np.int32]


class Null(Protocol):
    """How recent cases fall by chance."""

    def draw(self, generators: Iterable[np.random.Generator]) -> Drawn:
        """One replication from each generator, before the next is taken."""


class PermutationNull:
    """Times are shuffled over places within each stratum, which keeps both margins.

    ``place`` and ``stratum``: of all cases, (N,); ``age`` and ``recent_stratum``: of the recent ones, (K,), which alone
    are drawn: each stratum's get a sample of its places without replacement.
    """

    def __init__(
        self,
        place: NDArray[np.int32],
        stratum: NDArray[np.int32],
        age: NDArray[np.int32],
        recent_stratum: NDArray[np.int32],
    ) -> None:
        self._pool = place[np.argsort(stratum, kind="stable")]
        self._pool_start = np.concatenate(([0], np.cumsum(np.bincount(stratum), dtype=np.int64)))
        order = np.lexsort((age, recent_stratum))
        self._age, self._stratum = age[order], recent_stratum[order]

    def draw(self, generators: Iterable[np.random.Generator]) -> Drawn:
        """One replication from each generator, before the next is taken."""
        cases = len(self._age)
        places: list[NDArray[np.int32]] = []
        pool = self._pool.copy()  # the kernel writes to it, and another thread may draw at the same time
        for generator in generators:
            place = np.empty(cases, np.int32)
            redraw(pool, self._pool_start, self._stratum, generator.random(cases), place)
            places.append(place)
        start = np.arange(len(places) + 1, dtype=np.int64) * cases
        return Drawn(start, np.concatenate(places), np.tile(self._age, len(places)))


class PoissonNull:
    """Every interval gets its number of cases, and each case a place in proportion to what is expected there.

    ``expected``: of the recent intervals, the last one last, (L, recent). ``numbers``: from a generator to the number
    of cases in each of them: fixed by the data, multinomial or Poisson, as the model has it.
    """

    def __init__(self, expected: NDArray[np.float64], numbers: Numbers) -> None:
        self._cumulative = np.cumsum(expected.T, axis=1)
        self._guide = guide(self._cumulative)
        self._numbers = numbers

    def draw(self, generators: Iterable[np.random.Generator]) -> Drawn:
        """One replication from each generator, before the next is taken."""
        places, intervals = [], []
        recent = np.arange(len(self._cumulative), dtype=np.int32)
        for generator in generators:
            interval = np.repeat(recent, self._numbers(generator))
            place = np.empty(len(interval), np.int32)
            deal(self._cumulative, self._guide, interval, generator.random(len(interval)), place)
            places.append(place)
            intervals.append(interval)
        start = np.concatenate(([0], np.cumsum([len(place) for place in places], dtype=np.int64)))
        return Drawn(start, np.concatenate(places), recent[-1] - np.concatenate(intervals))


class Numbers(Protocol):
    """How many cases a replication has in each recent interval."""

    def __call__(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """The numbers, shape (recent,)."""
