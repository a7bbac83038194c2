"""The scorer: finds the clusters of a stream, with their members, their scores and how rare they are."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours
from detectors.area.settings import STREAMS, AreaSettings
from detectors.area.strata import BUCKET_S
from detectors.calibration.margins import load
from detectors.calibration.result import Calibration
from detectors.clusters.cluster import Cluster
from detectors.clusters.description import Description, reported
from detectors.clusters.recent_cases import RecentCases
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
from detectors.window.sliding import SlidingWindow

MARGIN = 2.0
"""Difference in score below the tier ``watch`` within which new replications are made, since the last can be old."""


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
        self._description = Description(locations, near, settings, calibration)
        self._rescans = [Rescan(near, settings.min_cases) for _ in STREAMS]
        self._bucket: int | None = None
        self._calibration = calibration
        self.chance: Chance = calibration or Nominal(settings.tiers)
        self._fresh_from = self.chance.score_of(Tier.WATCH) - MARGIN
        self._recent: RecentCases | None = None

    def forget(self) -> None:
        """Forget earlier scans, because the window has changed without a scan."""
        for rescan in self._rescans:
            rescan.forget()

    def with_calibration(self, calibration: Calibration) -> Scorer:
        """Return a scorer that continues from here with another calibration."""
        return Scorer(self._locations, self._near, self._settings, self.nulls, calibration)

    def begin(self, window: SlidingWindow, _: int, __: Delays | None = None) -> None:
        """Begin the scans of a tick, in a window that does not change meanwhile. They end with the current bucket."""
        self._recent = RecentCases.of(window, self._settings.durations_h[-1])

    def clusters(
        self,
        window: SlidingWindow,
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
        if self._recent is None:
            return []
        records = self._recent.of_stream(stream)
        cases = records.events
        if len(cases.row) < self._settings.min_cases:
            rescan.forget()
            return []
        if window.now != self._bucket:  # every window has moved
            self.forget()
            self._bucket = window.now
        in_bucket = window.totals(stream, window.first, window.now)
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
            self._cluster(window, records, stream, cylinder, float(model.totals[0]), gumbel, delays)
            for cylinder in apart(best, model, self._near, self._settings.max_clusters)
            if gumbel.score(cylinder.llr) >= weakest_score
        ]

    def _cluster(
        self,
        window: SlidingWindow,
        records: RecentCases,
        stream: int,
        cylinder: Cylinder,
        total: float,
        gumbel: Gumbel,
        delays: Delays | None,
    ) -> Cluster:
        zone = self._near.zone(cylinder.centre, cylinder.size)
        rows = records.row[records.in_zone(zone) & (records.age < cylinder.duration)]
        score = trigger_score = gumbel.score(cylinder.llr)
        triggering = cylinder.observed if self._settings.discovered_may_trigger else reported(window, rows)
        if triggering < cylinder.observed:
            trigger_score = gumbel.score(log_likelihood_ratio(triggering, cylinder.expected, total, 0.0))
        return self._description.cluster(
            window,
            stream,
            cylinder,
            rows,
            start_s=(window.now - cylinder.duration + 1) * BUCKET_S,
            score=score,
            trigger_score=trigger_score,
            interval=self.chance.interval(score),
            delays=delays,
        )

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


def _floor(gumbel: Gumbel | None, lowest_score: float) -> float:
    """Return the LLR of a score, slightly lowered, so that ties are ranked as in a full scan."""
    return 0.0 if gumbel is None else max(0.0, gumbel.llr(lowest_score) - 1000 * TIE)
