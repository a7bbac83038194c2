"""The null of each model: draws cases by chance, one replication after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.null import deal, guide, redraw


class Drawn(NamedTuple):
    """The recent cases of some replications: those of replication ``r`` are at ``start[r]:start[r + 1]``.

    ``place``: index of each case's location, int32, (cases,).
    ``age``: intervals before the last one, int32, (cases,).
    """

    start: NDArray[np.int64]
    place: NDArray[np.int32]
    age: NDArray[np.int32]


class Null(Protocol):
    """A way to draw recent cases by chance."""

    def draw(self, generators: Iterable[np.random.Generator]) -> Drawn:
        """Draw one replication from each generator. A replication is complete before the next generator is used."""


class PermutationNull:
    """Times shuffled over locations within each stratum, which keeps both margins.

    ``location``, ``stratum``: of all cases, (N,).
    ``age``, ``recent_stratum``: of the recent cases, (K,).

    Only recent cases are drawn. The recent cases of a stratum get a sample of its locations without replacement.
    """

    def __init__(
        self,
        location: NDArray[np.int32],
        stratum: NDArray[np.int32],
        age: NDArray[np.int32],
        recent_stratum: NDArray[np.int32],
    ) -> None:
        self._pool = location[np.argsort(stratum, kind="stable")]
        self._pool_start = np.concatenate(([0], np.cumsum(np.bincount(stratum), dtype=np.int64)))
        order = np.lexsort((age, recent_stratum))
        self._age, self._stratum = age[order], recent_stratum[order]

    def draw(self, generators: Iterable[np.random.Generator]) -> Drawn:
        """Draw one replication from each generator. A replication is complete before the next generator is used."""
        cases = len(self._age)
        drawn: list[NDArray[np.int32]] = []
        pool = self._pool.copy()  # the kernel writes to the pool, and threads draw at the same time
        for generator in generators:
            location = np.empty(cases, np.int32)
            redraw(pool, self._pool_start, self._stratum, generator.random(cases), location)
            drawn.append(location)
        start = np.arange(len(drawn) + 1, dtype=np.int64) * cases
        return Drawn(start, np.concatenate(drawn), np.tile(self._age, len(drawn)))


class PoissonNull:
    """A number of cases for every interval, and a location for each case in proportion to the expected cases.

    ``expected``: of the recent intervals, in order of time, (L, recent).
    ``numbers``: draws the number of cases of each recent interval. The model decides whether these numbers are those of
        the data, multinomial or Poisson.
    """

    def __init__(self, expected: NDArray[np.float64], numbers: Numbers) -> None:
        self._cumulative = np.cumsum(expected.T, axis=1)
        self._guide = guide(self._cumulative)
        self._numbers = numbers

    def draw(self, generators: Iterable[np.random.Generator]) -> Drawn:
        """Draw one replication from each generator. A replication is complete before the next generator is used."""
        locations, intervals = [], []
        recent = np.arange(len(self._cumulative), dtype=np.int32)
        for generator in generators:
            interval = np.repeat(recent, self._numbers(generator))
            location = np.empty(len(interval), np.int32)
            deal(self._cumulative, self._guide, interval, generator.random(len(interval)), location)
            locations.append(location)
            intervals.append(interval)
        start = np.concatenate(([0], np.cumsum([len(location) for location in locations], dtype=np.int64)))
        return Drawn(start, np.concatenate(locations), recent[-1] - np.concatenate(intervals))


class Numbers(Protocol):
    """Draws how many cases a replication has in each recent interval."""

    def __call__(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return the numbers, shape (recent,)."""
