"""Simple rules to compare the scan with: they count the cases of a category in fixed cells, against the same rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import h3
import numpy as np
from numpy.typing import NDArray

from benchmarks._case import SETTINGS, Site
from detectors.area.strata import BUCKET_S
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.past import CATEGORIES, Past
from detectors.kernels.null_alerts import Clusters
from detectors.models.rates import RENEWAL_H

DAY_S = 86_400
LEAST_USUAL = 1e-9
RISK = 4.0
"""Relative risk that the CUSUM is made for."""


Scored = list[tuple[int, int, float]]
"""Number of an incident of a cell, number of the first member, and score."""
Rule = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]], Scored]
"""Scores the incidents of a cell, from the second of each, the usual number of cases from the beginning to each, and
the usual number in the 24 hours before each, (n,)."""


def count_of_day(second: NDArray[np.int64], _: NDArray[np.float64], usual: NDArray[np.float64]) -> Scored:
    """Return the Poisson LLR of the last 24 hours, with at least ``LEAST_USUAL`` cases usual."""
    since = np.searchsorted(second, second - DAY_S, side="right")
    number, usual = np.arange(len(second)) - since + 1, np.maximum(usual, LEAST_USUAL)
    llr = np.where(number > usual, number * np.log(number / usual) - number + usual, 0.0)
    return list(zip(range(len(second)), since.tolist(), llr.tolist(), strict=True))


def cusum(_: NDArray[np.int64], usual_at: NDArray[np.float64], __: NDArray[np.float64]) -> Scored:
    """Return the Poisson CUSUM for a relative risk of ``RISK`` (Lucas 1985). Members are the cases since it was 0."""
    result, total, since, before = [], 0.0, 0, 0.0
    for number, usual in enumerate(usual_at.tolist()):
        total -= (RISK - 1) * (usual - before)
        if total <= 0.0:
            total, since = 0.0, number
        total, before = total + float(np.log(RISK)), usual
        result.append((number, since, total))
    return result


class Cells:
    """A rule that scores the H3 cell of each incident after that incident. ``resolution``: of the cells."""

    def __init__(self, site: Site, scanning: BayesScanning, resolution: int, rule: Rule) -> None:
        parents = [h3.cell_to_parent(each, resolution) for each in site.locations.ids]
        self._scanning, self._rule = scanning, rule
        self._cell_of = np.unique(parents, return_inverse=True)[1]

    def clusters(self, past: Past, lowest: float) -> list[Clusters]:
        """Return the clusters of each category, with a score of ``lowest`` or more."""
        first_s = (self._scanning.window - 1) * BUCKET_S
        rates = self._rates(past)
        result = []
        for category, numbers in enumerate(list(past.streams())[:CATEGORIES]):
            second, cell = past.second[numbers], self._cell_of[past.location[numbers]]
            usual_until = self._usual_until(past, rates, category)
            scores = np.full(len(numbers), -1.0)
            members: list[NDArray[np.int64]] = [numbers[:0]] * len(numbers)
            for each in np.unique(cell).tolist():
                mine = np.flatnonzero(cell == each)
                of_cell = partial(np.interp, xp=np.arange(past.buckets + 1), fp=usual_until[each])
                usual_at, day_before = of_cell(second[mine] / BUCKET_S), of_cell((second[mine] - DAY_S) / BUCKET_S)
                for last, since, score in self._rule(second[mine], usual_at, usual_at - day_before):
                    if last - since + 1 >= SETTINGS.min_cases and score >= lowest:
                        scores[mine[last]], members[mine[last]] = score, numbers[mine[since : last + 1]]
            scans = np.flatnonzero(second >= first_s)
            result.append(_as_clusters(past, category, second[scans], scores[scans], [members[each] for each in scans]))
        return result

    def _rates(self, past: Past) -> list[tuple[NDArray[np.float64], NDArray[np.int32]]]:
        """Return the rates that hold one after another, with the stratum of each bucket for which they hold."""
        stratum, first = self._scanning.stratum(past.first_bucket, past.buckets), self._scanning.window - 1
        begins = list(range(first, past.buckets, RENEWAL_H))
        spans = zip([0, *begins[1:]], [*begins[1:], past.buckets], strict=True)  # the first rates hold before as well
        every = (self._scanning.rates(past, stratum, each).rate for each in begins)
        return [(rate, stratum[begin:end]) for rate, (begin, end) in zip(every, spans, strict=True)]

    def _usual_until(
        self, past: Past, rates: Sequence[tuple[NDArray[np.float64], NDArray[np.int32]]], category: int
    ) -> NDArray[np.float64]:
        """Return the usual number of cases in each cell from the beginning to each bucket, (cells, buckets + 1)."""
        cells = self._cell_of.max() + 1
        usual = np.zeros((cells, past.buckets + 1))
        begin = 1
        for rate, stratum in rates:
            of_cell = np.zeros((cells, rate.shape[2]))
            np.add.at(of_cell, self._cell_of, rate[category])
            usual[:, begin : begin + len(stratum)] = of_cell[:, stratum]
            begin += len(stratum)
        return np.cumsum(usual, axis=1)


def at_days(clusters: Clusters) -> Clusters:
    """Return the clusters of the scans at midnight alone."""
    scans = np.flatnonzero(clusters.tick_s % DAY_S == 0)
    kept = _runs(clusters.first, scans)
    return Clusters(
        clusters.tick_s[scans],
        clusters.stream[scans],
        _lengths_to_begins(np.diff(clusters.first)[scans]),
        clusters.score[kept],
        clusters.centre[kept],
        _lengths_to_begins(np.diff(clusters.begins)[kept]),
        clusters.member[_runs(clusters.begins, kept)],
    )


def _runs(begins: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of the chosen runs; run ``i`` has the places ``begins[i]:begins[i + 1]``."""
    return np.concatenate([np.array([], np.int64), *(np.arange(begins[each], begins[each + 1]) for each in chosen)])


def _lengths_to_begins(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def _as_clusters(
    past: Past,
    category: int,
    tick_s: NDArray[np.int64],
    scores: NDArray[np.float64],
    members: Sequence[NDArray[np.int64]],
) -> Clusters:
    """Return one scan for each incident, with its cluster if the score is 0 or more."""
    kept = np.flatnonzero(scores >= 0.0)
    return Clusters(
        tick_s,
        np.full(len(tick_s), category, np.int32),
        np.searchsorted(kept, np.arange(len(tick_s) + 1)).astype(np.int64),
        scores[kept],
        np.array([past.location[members[each][-1]] for each in kept], np.int32),
        _lengths_to_begins(np.array([len(members[each]) for each in kept], np.int64)),
        np.concatenate([np.array([], np.int32), *(members[each] for each in kept)]).astype(np.int32),
    )
