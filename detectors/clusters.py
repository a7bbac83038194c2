"""Clusters: cylinders that stand out, with their members, their score and how rare they are."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.inference import Gumbel, recurrence_interval_days, score_for_interval
from detectors.locations import Locations
from detectors.models.expected import Expected
from detectors.models.permutation import permutation
from detectors.neighbours import Neighbours
from detectors.replications import largest_by_chance
from detectors.scan import Cylinder, scan
from detectors.settings import STREAMS, AreaSettings
from detectors.strata import BUCKET_S
from detectors.window import ALL, NOWHERE, OTHER, SlidingWindow

MARGIN = 2.0
"""A score this far below the tier ``watch`` is worth fresh replications: the last ones may be old."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cylinder that stands out, in the words of the area: what the scan found and how rare it is.

    ``centre`` and ``locations`` (the zone in rank order) are location ids; ``members`` incident ids
    in byte order; ``breakdown`` the members by category; ``interval_times`` how many members' time is
    the end of an interval. Times in seconds since 1970.
    """

    centre: str
    longitude: float
    latitude: float
    radius_m: float
    locations: tuple[str, ...]
    duration_h: int
    start_s: int
    observed: int
    expected: float
    llr: float
    score: float
    recurrence_interval_days: float
    members: tuple[str, ...]
    breakdown: dict[str, int]
    interval_times: int


@dataclasses.dataclass(frozen=True, eq=False)
class RecentCases:
    """The scanned incidents of the longest duration: row, location, age in buckets, category; (cases,)."""

    row: NDArray[np.int32]
    location: NDArray[np.int32]
    age: NDArray[np.int32]
    category: NDArray[np.int8]

    @classmethod
    def of(cls, window: SlidingWindow, longest: int) -> RecentCases:
        """Those that a window now holds."""
        row = window.rows(window.now - longest + 1, window.now)
        columns = window.columns
        row = row[(columns.location[row] != NOWHERE) & (columns.category[row] < OTHER)]
        return cls(row, columns.location[row], window.now - columns.bucket[row], columns.category[row])

    def of_stream(self, stream: int) -> RecentCases:
        """Those of one stream; ``ALL`` has every one."""
        if stream == ALL:
            return self
        mine = self.category == stream
        return RecentCases(self.row[mine], self.location[mine], self.age[mine], self.category[mine])


class NullMaximum(msgspec.Struct, frozen=True):
    """What chance does to the largest LLR of a stream, and the bucket in which it was found out."""

    bucket: int
    gumbel: Gumbel


class Scorer:
    """Scans one stream of the window at a time and says how rare its clusters are.

    Without a calibration the scores rest on replications, made at most once for each stream and
    bucket, and only when a cluster comes within ``MARGIN`` of the tier ``watch`` under the last ones.
    ``nulls`` remembers them by stream index.
    """

    def __init__(
        self, locations: Locations, near: Neighbours, settings: AreaSettings, nulls: dict[int, NullMaximum]
    ) -> None:
        self.nulls = dict(nulls)
        self._locations, self._near, self._settings = locations, near, settings
        self._durations = np.array(settings.durations_h, np.int32)
        self._fresh_from = score_for_interval(settings.tiers.watch) - MARGIN

    def clusters(self, window: SlidingWindow, recent: RecentCases, stream: int, weakest_score: float) -> list[Cluster]:
        """The stream's clusters of a score or more, best first."""
        cases = recent.of_stream(stream)
        if len(cases.row) < self._settings.min_cases:
            return []
        model = permutation(
            window.by_stratum[stream],
            window.totals(window.first, window.now)[stream],
            window.strata(window.first, window.now),
            cases.location,
            cases.age,
            self._durations,
        )
        null = self.nulls.get(stream)
        is_fresh = null is not None and null.bucket == window.now
        # What lies below has no effect: it is not told, and it is no reason for fresh replications.
        lowest = weakest_score if is_fresh else min(weakest_score, self._fresh_from)
        cylinders = self._scan(model, null, lowest)
        if not cylinders:
            return []
        if null is None or (not is_fresh and null.gumbel.score(cylinders[0].llr) >= self._fresh_from):
            null = self.nulls[stream] = NullMaximum(window.now, self._replicated(window, cases, stream, model))
            cylinders = self._scan(model, null, weakest_score)
        return [
            self._cluster(window, cases, cylinder, null.gumbel)
            for cylinder in cylinders
            if null.gumbel.score(cylinder.llr) >= weakest_score
        ]

    def _scan(self, model: Expected, null: NullMaximum | None, lowest_score: float) -> list[Cylinder]:
        floor = 0.0 if null is None else null.gumbel.llr(lowest_score)
        return scan(model, self._near, self._settings.min_cases, self._settings.max_clusters, floor)

    def _replicated(self, window: SlidingWindow, cases: RecentCases, stream: int, model: Expected) -> Gumbel:
        maxima = largest_by_chance(
            model,
            self._near,
            window.by_stratum[stream],
            cases.age,
            window.strata(window.now - int(self._durations[-1]) + 1, window.now)[::-1][cases.age],
            self._settings.min_cases,
            self._settings.replications,
            (self._settings.seed, stream, window.now),
        )
        return Gumbel.fit(maxima)

    def _cluster(self, window: SlidingWindow, cases: RecentCases, cylinder: Cylinder, gumbel: Gumbel) -> Cluster:
        zone = self._near.zone(cylinder.centre, cylinder.size)
        inside = np.isin(cases.location, zone) & (cases.age < cylinder.duration)
        score = gumbel.score(cylinder.llr)
        category, number = np.unique(cases.category[inside], return_counts=True)
        return Cluster(
            centre=self._locations.ids[cylinder.centre],
            longitude=float(self._locations.longitude[cylinder.centre]),
            latitude=float(self._locations.latitude[cylinder.centre]),
            radius_m=self._near.radius_m(cylinder.centre, cylinder.size),
            locations=tuple(self._locations.ids[location] for location in zone),
            duration_h=cylinder.duration,
            start_s=(window.now - cylinder.duration + 1) * BUCKET_S,
            observed=cylinder.observed,
            expected=cylinder.expected,
            llr=cylinder.llr,
            score=score,
            recurrence_interval_days=recurrence_interval_days(score),
            members=tuple(window.ids(cases.row[inside])),
            breakdown={STREAMS[which]: int(n) for which, n in zip(category, number, strict=True)},
            interval_times=int(window.columns.interval[cases.row[inside]].sum()),
        )
