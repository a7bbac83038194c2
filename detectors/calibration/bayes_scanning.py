"""All Bayesian scans of a history, as the Monitor makes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.area.settings import STREAMS
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.margins import Margins
from detectors.calibration.past import CATEGORIES, Past
from detectors.calibration.scanning import Scanning
from detectors.kernels.bayes import Events, Scans, Span, scan_span
from detectors.kernels.null_alerts import Clusters, Windows, members_of, reported_windows
from detectors.models.cluster_prior import cluster_prior
from detectors.models.rates import RENEWAL_H, Neighbourhood, Rates

LEAST_FACTOR = 1.5
"""Lower bound for the logarithm of the weighted Bayes factor at which alerts open. Most hours have a greater one."""

LEVELS = (6.0, 4.0, 2.0, 0.0)
"""Differences from the lowest score at which the opening score is sought, one after another."""


@dataclasses.dataclass(frozen=True, eq=False)
class BayesScanning(Scanning):
    """What the Bayesian scans of an area need. The alerts of its streams depend on each other."""

    has_margins: ClassVar[bool] = False

    @property
    def lowest(self) -> float:
        """See :class:`Scanning`. The prior weight of a mean location is 2 / L."""
        return LEAST_FACTOR + math.log(2 / len(self.points))

    @property
    def levels(self) -> tuple[float, ...]:
        """See :class:`Scanning`. From the lowest score on, twenty times as many locations are followed."""
        return tuple(self.lowest + each for each in LEVELS)

    @cached_property
    def around(self) -> Neighbourhood:
        """The neighbourhood of each location."""
        return Neighbourhood.of(self.points)

    def clusters(
        self,
        past: Past,
        stratum: NDArray[np.int32],
        margins: Sequence[Margins],  # noqa: ARG002 (the score needs none)
        score: float,
        step: int | None = None,  # noqa: ARG002 (all scans are made)
    ) -> list[Clusters]:
        """Return the clusters of all streams that reach a score, in every scan from the first full window on."""
        streams = list(past.streams())
        durations_s = BUCKET_S * np.array(self.settings.durations_h, np.int64)
        priors, longest_s = [cluster_prior(self.settings, each) for each in STREAMS], int(durations_s[-1])
        found: list[list[tuple[Scans, int]]] = [[] for _ in streams]
        # The first scan looks everywhere, as a Monitor's first one does.
        begin_s = (self.window - 1) * BUCKET_S
        first, last = np.searchsorted(past.second, (begin_s - longest_s, begin_s))
        strong = [np.unique(past.location[numbers[(numbers >= first) & (numbers < last)]]) for numbers in streams]
        for begin in range(self.window - 1, past.buckets, RENEWAL_H):
            rates = self.rates(past, stratum, begin)
            begin_s, end_s = begin * BUCKET_S, min(begin + RENEWAL_H, past.buckets) * BUCKET_S
            span = Span(begin_s, end_s, stratum, durations_s, score)
            every_second = past.second[slice(*np.searchsorted(past.second, (begin_s - longest_s, end_s)))]
            for stream, (numbers, prior) in enumerate(zip(streams, priors, strict=True)):
                second = past.second[numbers]
                first, last = np.searchsorted(second, (begin_s - longest_s, end_s))
                events = Events(second[first:last], past.location[numbers[first:last]], every_second)
                usual, level = rates.usual(stream, self.near.rows, prior), rates.level(stream)
                scans = scan_span(events, span, self.near.rows, usual, level, prior, strong[stream])
                strong[stream] = scans.strong
                found[stream].append((scans, int(first)))
        of_streams = [
            self._joined(past, stream, numbers, found[stream], durations_s) for stream, numbers in enumerate(streams)
        ]
        return [_in_order(of_streams)]

    def rates(self, past: Past, stratum: NDArray[np.int32], bucket: int) -> Rates:
        """Return the usual rates as the window shows them when a bucket begins."""
        first = bucket - self.window + 1
        inside = slice(*np.searchsorted(past.second, (first * BUCKET_S, bucket * BUCKET_S)))
        of_bucket = past.bucket[inside]
        cases = np.zeros((CATEGORIES, len(self.points), SCHEMES[self.settings.strata].count), np.int32)
        np.add.at(cases, (past.category[inside], past.location[inside], stratum[of_bucket]), 1)
        in_bucket = np.bincount(of_bucket - first, minlength=self.window - 1).astype(np.int32)
        return Rates.of(cases, in_bucket, stratum[first:bucket], self.around)

    def _joined(
        self,
        past: Past,
        stream: int,
        numbers: NDArray[np.int64],
        parts: Sequence[tuple[Scans, int]],
        durations_s: NDArray[np.int64],
    ) -> Clusters:
        """Return the clusters of a stream's scans, given for each part of the history."""
        tick_s = np.concatenate([each.tick_s for each, _ in parts])
        had = np.concatenate([each.had + before for each, before in parts])
        number = np.concatenate([np.diff(each.first) for each, _ in parts])
        score, centre, size, column = (
            np.concatenate([getattr(each, name) for each, _ in parts]) for name in ("score", "centre", "size", "column")
        )
        first, rows = np.concatenate(([0], np.cumsum(number))), self.near.rows
        kept = reported_windows(first, centre, score, size, rows, self.settings.max_clusters)
        scan = np.repeat(np.arange(len(tick_s)), number)[kept]
        windows = Windows(had[scan], tick_s[scan], durations_s[column[kept]], centre[kept], size[kept])
        begins, member = members_of(past.second[numbers], past.location[numbers], windows, rows)
        first = np.searchsorted(scan, np.arange(len(tick_s) + 1))
        streams, member = np.full(len(tick_s), stream, np.int32), numbers[member].astype(np.int32)
        return Clusters(tick_s, streams, first, score[kept], centre[kept], begins, member)


def _in_order(parts: Sequence[Clusters]) -> Clusters:
    """Return the clusters of several streams as one, with the scans in order of time and then of stream."""
    tick_s, stream, score, centre, member = (
        np.concatenate([getattr(each, name) for each in parts])
        for name in ("tick_s", "stream", "score", "centre", "member")
    )
    first, begins = (
        np.concatenate(([0], np.cumsum(np.concatenate([np.diff(getattr(each, name)) for each in parts]))))
        for name in ("first", "begins")
    )
    scan = np.lexsort((stream, tick_s))
    first, cluster = _picked(first, scan)
    begins, event = _picked(begins, cluster)
    return Clusters(tick_s[scan], stream[scan], first, score[cluster], centre[cluster], begins, member[event])


def _picked(begins: NDArray[np.int64], runs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return some runs one after another: where each begins, (runs + 1,), and the old place of every entry.

    ``begins``: run ``i`` has the old places ``begins[i]:begins[i + 1]``.
    """
    length = np.diff(begins)[runs]
    now = np.concatenate(([0], np.cumsum(length)))
    return now, np.arange(now[-1]) + np.repeat(begins[runs] - now[:-1], length)
