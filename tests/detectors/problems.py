"""Small scan problems: locations on a grid (ties, shared points), and cases in space, time and stratum."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.models.expected import Expected
from detectors.models.permutation import permutation, share_of_duration
from tests.naive import neighbours as naive
from tests.naive.neighbours import Point


def compressed(rows: list[list[tuple[int, float]]]) -> Neighbours:
    """Return rows of (index, distance) as the kernels take them."""
    lengths = [len(row) for row in rows]
    return Neighbours(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.array(lengths, np.int32),
        np.array([index for row in rows for index, _ in row], np.int32),
        np.array([distance for row in rows for _, distance in row], np.float64),
        np.arange(len(rows))[::-1].copy(),
    )


@dataclasses.dataclass(frozen=True)
class Problem:
    """``cases`` are (location, age in buckets); ``stratum`` is that of each bucket, the current one last."""

    points: Sequence[Point]
    max_radius: float
    cases: list[tuple[int, int]]
    stratum: list[int]
    strata: int
    durations: list[int]

    @functools.cached_property
    def rows(self) -> list[list[int]]:
        return [[index for index, _ in row] for row in naive.neighbours(self.points, self.max_radius)]

    @functools.cached_property
    def near(self) -> Neighbours:
        return compressed(naive.neighbours(self.points, self.max_radius))

    @property
    def recent(self) -> list[tuple[int, int]]:
        return [(location, age) for location, age in self.cases if age < self.durations[-1]]

    @property
    def dealt(self) -> list[tuple[int, int, int]]:
        """(location, age, stratum) of every case."""
        return [(location, age, self.stratum[len(self.stratum) - 1 - age]) for location, age in self.cases]

    @property
    def by_stratum(self) -> NDArray[np.int32]:
        counts = np.zeros((len(self.points), self.strata), np.int32)
        for location, _, stratum in self.dealt:
            counts[location, stratum] += 1
        return counts

    @property
    def in_bucket(self) -> NDArray[np.int32]:
        counts = np.zeros(len(self.stratum), np.int32)
        for _, age in self.cases:
            counts[len(self.stratum) - 1 - age] += 1
        return counts

    @functools.cached_property
    def model(self) -> Expected:
        location, age = (int32([case[which] for case in self.recent]) for which in (0, 1))
        return permutation(self.by_stratum, self.share, len(self.cases), location, age, int32(self.durations))

    @property
    def share(self) -> NDArray[np.float64]:
        """The share of each stratum's cases that falls into each duration."""
        return share_of_duration(self.in_bucket, int32(self.stratum), self.strata, int32(self.durations))


def int32(values: Any) -> NDArray[np.int32]:
    return np.array(values, np.int32)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw up to 9 locations on a 3 x 3 grid, so that distances tie and locations may share a point.

    Each location and each case is drawn as one number: that is faster than pairs and shrinks as well.
    """
    points = [(float(n // 3), float(n % 3)) for n in draw(st.lists(st.integers(0, 8), min_size=1, max_size=9))]
    strata, buckets = draw(st.integers(1, 3)), draw(st.integers(2, 10))
    # One case in three is recent and at the first location, or hardly any window would be high.
    crowd = len(points) * buckets
    numbers = draw(st.lists(st.integers(0, crowd + crowd // 2), min_size=draw(st.sampled_from([1, 15])), max_size=30))
    cases = [divmod(n, buckets) if n < crowd else (0, n % min(buckets, 2)) for n in numbers]
    return Problem(
        points=points,
        max_radius=draw(st.sampled_from([0.0, 1.0, 1.5, 2.5])),
        cases=cases,
        stratum=draw(st.lists(st.integers(0, strata - 1), min_size=buckets, max_size=buckets)),
        strata=strata,
        durations=sorted(draw(st.sets(st.integers(1, buckets), min_size=1, max_size=3))),
    )
