"""The scorer: finds the clusters of a stream, with their members, their scores and how rare they are."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours
from detectors.area.settings import STREAMS, AreaSettings
from detectors.area.strata import BUCKET_S
from detectors.calibration.margins import load
from detectors.calibration.result import Calibration
from detectors.clusters.artefacts import Artefacts, DenyList, Members, Zone, artefacts
from detectors.clusters.cluster import Cluster, Figures
from detectors.kernels.ratio import TIE, log_likelihood_ratio
from detectors.models.expected import Expected
from detectors.models.nulls import PermutationNull
from detectors.models.permutation import permutation, share_of_duration
from detectors.scan.cylinders import Best, Cylinder, apart
from detectors.scan.replications import largest_by_chance
from detectors.scan.rescan import NO_PLACE, Rescan
from detectors.scan.shells import Shells
from detectors.scan.significance import Chance, Gumbel, Nominal, Tier
from detectors.window.completeness import Delays
from detectors.window.sliding import ALL, NOWHERE, OTHER, SlidingWindow

MARGIN = 2.0
"""Difference in score below the tier ``watch`` within which new replications are made, since the last can be old."""


@dataclasses.dataclass(frozen=True, eq=False)
class RecentCases:
    """The scanned incidents within the longest duration.

    ``row``: row in the window's columns, (cases,).
    ``location``, ``category``: indices, (cases,).
    ``age``: buckets before the current one, (cases,).
    """

    row: NDArray[np.int32]
    location: NDArray[np.int32]
    age: NDArray[np.int32]
    category: NDArray[np.int8]

    @classmethod
    def of(cls, window: SlidingWindow, longest: int) -> RecentCases:
        """Return the incidents of a window within its last ``longest`` buckets."""
        row = window.rows(window.now - longest + 1, window.now)
        columns = window.columns
        row = row[(columns.location[row] != NOWHERE) & (columns.category[row] < OTHER)]
        return cls(row, columns.location[row], window.now - columns.bucket[row], columns.category[row])

    def of_stream(self, stream: int) -> RecentCases:
        """Return the incidents of one stream; the stream ``ALL`` has all of them."""
        if stream == ALL:
            return self
        mine = self.category == stream
        return RecentCases(self.row[mine], self.location[mine], self.age[mine], self.category[mine])


class NullMaximum(msgspec.Struct, frozen=True):
    """The distribution of a stream's largest LLR under the null, and the bucket in which the replications were made."""

    bucket: int
    gumbel: Gumbel


class Scorer:
    """Scans one stream of the window at a time and scores its clusters.

    With a calibration, the score depends on the load of the stream. Without a calibration it depends on replications,
    which ``nulls`` keeps by stream index. They are made at most once for each stream and bucket, and only if a cluster
    scored by the last ones comes within ``MARGIN`` of the tier ``watch``.
    """

    def __init__(
        self,
        locations: Locations,
        near: Neighbours,
        settings: AreaSettings,
        nulls: dict[int, NullMaximum],
        calibration: Calibration | None = None,
    ) -> None:
        self.nulls = dict(nulls)
        self._locations, self._near, self._settings = locations, near, settings
        self._durations = np.array(settings.durations_h, np.int32)
        self._deny_list = DenyList.of(settings.deny_list)
        self._rescans = [Rescan(near, settings.min_cases) for _ in STREAMS]
        self._bucket: int | None = None
        self._calibration = calibration
        self._chance: Chance = calibration or Nominal(settings.tiers)
        self._fresh_from = self._chance.score_of(Tier.WATCH) - MARGIN

    def forget(self) -> None:
        """Forget earlier scans, because the window has changed without a scan."""
        for rescan in self._rescans:
            rescan.forget()

    def clusters(
        self,
        window: SlidingWindow,
        recent: RecentCases,
        stream: int,
        weakest_score: float,
        touched: NDArray[np.int64],
        delays: Delays | None = None,
    ) -> list[Cluster]:
        """Return the stream's clusters with ``weakest_score`` or more, best first.

        ``touched``: the locations whose incidents of the stream have changed since its last scan, (n,).
        ``delays``: the reporting delays from which completeness is learnt.
        """
        rescan = self._rescans[stream]
        cases = recent.of_stream(stream)
        if len(cases.row) < self._settings.min_cases:
            rescan.forget()
            return []
        if window.now != self._bucket:  # every window has moved
            self.forget()
            self._bucket = window.now
        in_bucket = window.totals(window.first, window.now)[stream]
        strata = window.strata(window.first, window.now)
        by_stratum = window.by_stratum[stream]
        share = share_of_duration(in_bucket, strata, by_stratum.shape[1], self._durations)
        model = permutation(by_stratum, share, int(in_bucket.sum()), cases.location, cases.age, self._durations)
        if self._calibration is not None:
            gumbel = self._calibration.margins[stream].gumbel(load(in_bucket))
            best = rescan.best(model, share, touched, _floor(gumbel, weakest_score))
        else:
            best, gumbel = self._replicated_best(window, cases, stream, model, share, touched, weakest_score)
        return [
            self._cluster(window, cases, stream, cylinder, float(model.totals[0]), gumbel, delays)
            for cylinder in apart(best, model, self._near, self._settings.max_clusters)
            if gumbel.score(cylinder.llr) >= weakest_score
        ]

    def _replicated_best(
        self,
        window: SlidingWindow,
        cases: RecentCases,
        stream: int,
        model: Expected,
        share: NDArray[np.float64],
        touched: NDArray[np.int64],
        weakest_score: float,
    ) -> tuple[Best, Gumbel]:
        """Return the best windows down to a score, and the replicated distribution of the largest LLR."""
        rescan, null = self._rescans[stream], self.nulls.get(stream)
        is_fresh = null is not None and null.bucket == window.now
        # A lower score has no effect: it is not returned and is no reason for fresh replications.
        lowest = weakest_score if is_fresh else min(weakest_score, self._fresh_from)
        floor = _floor(null.gumbel if null else None, lowest)
        best = rescan.best(model, share, touched, floor)
        if not len(best.llr):
            return best, Gumbel(0.0, 1.0)
        if null is None or (not is_fresh and null.gumbel.score(float(best.llr.max())) >= self._fresh_from):
            null = self.nulls[stream] = NullMaximum(window.now, self._replicated(window, cases, stream, model))
            if _floor(null.gumbel, weakest_score) < floor:
                best = rescan.best(model, share, NO_PLACE, _floor(null.gumbel, weakest_score))
        return best, null.gumbel

    def _replicated(self, window: SlidingWindow, cases: RecentCases, stream: int, model: Expected) -> Gumbel:
        age = cases.age
        by_stratum = window.by_stratum[stream]
        place, of_stratum = np.nonzero(by_stratum)
        number = by_stratum[place, of_stratum]
        recent_stratum = window.strata(window.now - int(self._durations[-1]) + 1, window.now)[::-1][age]
        null = PermutationNull(
            np.repeat(place, number).astype(np.int32), np.repeat(of_stratum, number), age, recent_stratum
        )
        maxima = largest_by_chance(
            model,
            null,
            self._near,
            Shells.cut(self._near, model.expected[:, -1]),
            self._settings.min_cases,
            self._settings.replications,
            (self._settings.seed, stream, window.now),
        )
        return Gumbel.fit(maxima)

    def _cluster(
        self,
        window: SlidingWindow,
        cases: RecentCases,
        stream: int,
        cylinder: Cylinder,
        total: float,
        gumbel: Gumbel,
        delays: Delays | None,
    ) -> Cluster:
        zone = self._near.zone(cylinder.centre, cylinder.size)
        inside = np.isin(cases.location, zone) & (cases.age < cylinder.duration)
        score = gumbel.score(cylinder.llr)
        rows = cases.row[inside]
        reported = cylinder.observed - int(window.columns.discovered[rows].sum())
        triggering = cylinder.observed if self._settings.discovered_may_trigger else reported
        trigger_llr = log_likelihood_ratio(triggering, cylinder.expected, total, 0.0)
        start_s = (window.now - cylinder.duration + 1) * BUCKET_S
        category, number = np.unique(cases.category[inside], return_counts=True)
        figures = Figures(
            centre=self._locations.ids[cylinder.centre],
            longitude=float(self._locations.longitude[cylinder.centre]),
            latitude=float(self._locations.latitude[cylinder.centre]),
            radius_m=self._near.radius(cylinder.centre, cylinder.size),
            locations=tuple(self._locations.ids[location] for location in zone),
            duration_h=cylinder.duration,
            start_s=start_s,
            observed=cylinder.observed,
            expected=cylinder.expected,
            llr=cylinder.llr,
            score=score,
            recurrence_interval_days=self._chance.interval_days(score),
            breakdown={STREAMS[which].value: int(n) for which, n in zip(category, number, strict=True)},
            interval_times=int(window.columns.interval[rows].sum()),
            reported=reported,
            trigger_score=score if triggering == cylinder.observed else gumbel.score(trigger_llr),
            calibration=self._calibration.digest if self._calibration else "",
            budget_per_week=self._calibration.budget if self._calibration else None,
            artefacts=self._artefacts(window, stream, cylinder, zone, rows),
            completeness=None if delays is None else delays.completeness(stream, start_s, delays.now_s),
        )
        return Cluster(figures, tuple(window.ids(rows)))

    def _artefacts(
        self, window: SlidingWindow, stream: int, cylinder: Cylinder, zone: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> Artefacts:
        """Return the artefacts of a cylinder whose members are in these ``rows`` of the window."""
        columns, near, centre = window.columns, self._near, cylinder.centre
        longitude_e7, latitude_e7 = columns.longitude_e7[rows], columns.latitude_e7[rows]
        has_point = (longitude_e7 != 0) | (latitude_e7 != 0)  # an incident that names only its location has none
        if not has_point.all():
            location = columns.location[rows[~has_point]]
            longitude_e7[~has_point] = np.rint(self._locations.longitude[location] * 1e7)
            latitude_e7[~has_point] = np.rint(self._locations.latitude[location] * 1e7)
        members = Members(
            longitude_e7,
            latitude_e7,
            has_point,
            columns.occurred_s[rows],
            columns.category[rows],
            columns.interval[rows],
        )
        # Locations divide the ground between them, so one alone is as wide as the distance to its nearest neighbour.
        has_next = cylinder.size < near.size[centre]
        next_m = near.radius(centre, cylinder.size + 1) if has_next else self._settings.max_radius_m

        def cases_at(longitude_e7: int, latitude_e7: int) -> int:
            there = window.rows_at(longitude_e7, latitude_e7)
            category = columns.category[there]
            is_mine = category < OTHER if stream == ALL else category == stream
            in_zone = (columns.location[there][:, None] == zone).any(axis=1)  # numpy.isin takes four times as long
            return int(np.count_nonzero(is_mine & in_zone))

        width_m = max(2.0 * near.radius(centre, cylinder.size), next_m)
        return artefacts(members, Zone(width_m, int(window.by_stratum[stream][zone].sum()), cases_at), self._deny_list)


def _floor(gumbel: Gumbel | None, lowest_score: float) -> float:
    """Return the LLR of a score, slightly lowered, so that ties are ranked as in a full scan."""
    return 0.0 if gumbel is None else max(0.0, gumbel.llr(lowest_score) - 1000 * TIE)
