"""The discrete Poisson model: expected cases from a population or from known weights (docs/method.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.models.nulls import Null, PoissonNull


class Census(NamedTuple):
    """The population counts of one class at one location.

    ``location``, ``group``: index of the location and of the class.
    ``day``: day of each count, rising.
    ``population``: the counts.
    """

    location: int
    group: int
    day: Sequence[int]
    population: Sequence[float]


def person_time(census: Census, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the person-days of one location and class in each interval between ``edges`` (days, rising), shape (T,).

    The population is linear between two counts, and constant before the first and after the last. Its integral is
    exact. Populations are held in single precision, as in SaTScan.
    """
    population = np.asarray(census.population, np.float32).astype(np.float64)
    if len(population) == 1:
        return np.asarray(population[0] * np.diff(edges))
    days = np.union1d(edges, [day for day in census.day if edges[0] < day < edges[-1]])
    level = np.interp(days, census.day, population)
    until = np.concatenate(([0.0], np.cumsum(np.diff(days) * (level[:-1] + level[1:]) / 2)))
    return np.asarray(np.diff(until[np.searchsorted(days, edges)]))


def standardised(
    censuses: Sequence[Census], edges: NDArray[np.int64], cases_of_group: Mapping[int, int], locations: int
) -> NDArray[np.float64]:
    """Return the expected cases by indirect standardisation, shape (L, T). They add up to all cases.

    ``cases_of_group``: all cases of each class. The risk of a class is its cases divided by its person-time.

    Raises:
        ValueError: A class has cases but no person-time.
    """
    intervals = len(edges) - 1
    expected: NDArray[np.float64] | None = None
    groups: dict[int, list[Census]] = {}
    for census in censuses:
        groups.setdefault(census.group, []).append(census)
    for group in sorted(cases_of_group.keys() | groups.keys()):
        cases = cases_of_group.get(group, 0)
        if not cases:
            continue
        time = np.zeros((locations, intervals))
        for census in groups.get(group, ()):
            time[census.location] += person_time(census, edges)
        whole = time.sum()
        if not whole > 0:
            raise ValueError(f"class {group}: has {cases} cases but no population")
        time *= cases / whole
        if expected is None:
            expected = time
        else:
            expected += time
    return np.zeros((locations, intervals)) if expected is None else expected


class PoissonModel:
    """The Poisson model: cases fall in proportion to ``expected``, (L, T), whose sum is the number of cases.

    With ``is_stratified`` every interval is separate. Its expected cases are scaled to its observed ones,
    ``in_interval``, (T,). A window is compared with the cases of its time span, and replications keep the number of
    cases of each interval.
    """

    def __init__(
        self, expected: NDArray[np.float64], in_interval: NDArray[np.int64], is_stratified: bool = False
    ) -> None:
        self._in_interval, self._is_stratified = in_interval, is_stratified
        if is_stratified:
            whole = expected.sum(axis=0)
            scale = np.divide(in_interval, whole, out=np.zeros(len(whole)), where=whole > 0)
            expected = expected * scale
        self._expected = expected

    @property
    def mass(self) -> NDArray[np.float64]:
        """The expected cases of each location over the whole study, (L,). They take the place of a population."""
        return np.asarray(self._expected.sum(axis=1))

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """Return the expected cases of each location in each interval of a time span, (L, end - begin)."""
        return self._expected[:, begin:end]

    def total(self, begin: int, end: int) -> float:
        """Return the number of cases with which a window of a time span is compared."""
        return float(self._in_interval[begin:end].sum() if self._is_stratified else self._in_interval.sum())

    def null(self, first: int) -> Null:
        """Return the null of the cases in the intervals from ``first`` on."""
        recent = self._expected[:, first:]
        if self._is_stratified:
            fixed = self._in_interval[first:]
            return PoissonNull(recent, lambda _: fixed)
        whole = int(self._in_interval.sum())
        shares = recent.sum(axis=0) / self._expected.sum()
        shares = np.append(shares, max(0.0, 1.0 - shares.sum()))
        return PoissonNull(recent, lambda generator: generator.multinomial(whole, shares)[:-1])
