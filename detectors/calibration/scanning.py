"""All scans of a history as the Monitor makes them, and the alerts to which their clusters lead."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.area.settings import AreaSettings
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.margins import HOURS, Margins
from detectors.calibration.past import Past
from detectors.kernels.history import Events, Found, Rules, scan_history
from detectors.kernels.null_alerts import Clusters, Lifecycle, Lives, Windows, live, members_of, reported_windows

Maxima = tuple[NDArray[np.float64], NDArray[np.float64]]
"""The loads, (scans, loads), and the largest LLRs, (scans,), of some scans of a stream."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scanning:
    """The input of an area's scans: its settings, its locations in metres, (L, 3), and their neighbours.

    ``has_margins``: whether the score depends on the load of the stream, by margins that are learnt first.
    """

    has_margins: ClassVar[bool] = True

    settings: AreaSettings
    points: NDArray[np.float64]
    near: Neighbours

    @property
    def lowest(self) -> float:
        """Lower bound for the score at which alerts open, for any budget. Most scans reach this score by chance."""
        return 0.0

    @property
    def levels(self) -> tuple[float, ...]:
        """Scores down to which the first block is scanned until enough alerts open; the last is the lowest."""
        return (self.lowest,)

    @property
    def window(self) -> int:
        """The length of the window, in buckets. The scans of a history begin when the window is full."""
        return self.settings.window_days * 24

    def stratum(self, first_bucket: int, buckets: int) -> NDArray[np.int32]:
        """Return the stratum of each of ``buckets`` buckets from ``first_bucket`` on."""
        return SCHEMES[self.settings.strata].of_buckets(first_bucket, buckets, ZoneInfo(self.settings.timezone))

    def maxima(self, past: Past, stratum: NDArray[np.int32], step: int) -> list[Maxima]:
        """Return each stream's loads and largest LLRs in the scans at the beginning of every ``step``-th bucket."""
        flat, result = Margins.flat(), []
        for numbers in past.streams():
            found = self._scan(past, numbers, stratum, flat, 0.0, step, True)
            largest = np.zeros(len(found.had))
            np.maximum.at(largest, found.scan, found.llr)
            result.append((found.load, largest))
        return result

    def clusters(
        self, past: Past, stratum: NDArray[np.int32], margins: Sequence[Margins], score: float, step: int | None = None
    ) -> list[Clusters]:
        """Return the clusters that reach a score, in every scan from the first full window on.

        Streams whose alerts depend on each other are together. ``step``: if given, only the beginning of every
        ``step``-th bucket is scanned. Otherwise all scans of the Monitor are made.
        """
        result = []
        for stream, (numbers, each) in enumerate(zip(past.streams(), margins, strict=True)):
            found = self._scan(past, numbers, stratum, each, score, step or 1, step is not None)
            result.append(self._clusters(past, stream, numbers, found, each))
        return result

    def lives(self, clusters: Clusters, open_at: float, tier_at: float) -> Lives:
        """Return the alerts that open at ``open_at`` or more, and when each reached the score ``tier_at``."""
        settings = self.settings
        rules = Lifecycle(
            open_at=open_at,
            ease_below=settings.ease_below,
            end_after_s=settings.end_after_h * 3600.0,
            cool_down_s=settings.cool_down_h * 3600.0,
            cool_down_m=settings.cool_down_m,
            tier_at=tier_at,
            stronger_opens=settings.is_bayesian,
        )
        return live(clusters, self.points, rules)

    def _scan(
        self,
        past: Past,
        numbers: NDArray[np.int64],
        stratum: NDArray[np.int32],
        margins: Margins,
        score: float,
        step: int,
        only_boundaries: bool,
    ) -> Found:
        settings = self.settings
        return scan_history(
            Events(past.bucket[numbers], past.location[numbers], stratum),
            self.near.rows,
            Rules(
                first=self.window - 1,
                step=step,
                only_boundaries=only_boundaries,
                window=self.window,
                durations=np.array(settings.durations_h, np.int32),
                strata=SCHEMES[settings.strata].count,
                min_cases=settings.min_cases,
                score=score,
            ),
            margins.null,
            HOURS,
        )

    def _clusters(
        self, past: Past, stream: int, numbers: NDArray[np.int64], found: Found, margins: Margins
    ) -> Clusters:
        rows, scans = self.near.rows, len(found.had)
        first = np.searchsorted(found.scan, np.arange(scans + 1))
        kept = reported_windows(first, found.centre, found.llr, found.size, rows, self.settings.max_clusters)
        scan = found.scan[kept]
        durations = np.array(self.settings.durations_h, np.int32)
        duration, centre = durations[found.column[kept]], found.centre[kept]
        windows = Windows(found.had[scan], found.bucket[scan], duration, centre, found.size[kept])
        begins, member = members_of(past.bucket[numbers], past.location[numbers], windows, rows)
        is_boundary = np.diff(found.bucket, prepend=-1) > 0
        last = past.second[numbers[np.maximum(found.had, 1) - 1]] if len(numbers) else np.zeros(scans, np.int64)
        tick_s = np.where(is_boundary, found.bucket.astype(np.int64) * BUCKET_S, last)
        gumbel = [margins.gumbel(load) for load in found.load[scan]]
        score = np.array([each.score(float(llr)) for each, llr in zip(gumbel, found.llr[kept], strict=True)])
        first = np.searchsorted(scan, np.arange(scans + 1))
        streams, member = np.full(scans, stream, np.int32), numbers[member].astype(np.int32)
        return Clusters(tick_s, streams, first, score, centre, begins, member)
