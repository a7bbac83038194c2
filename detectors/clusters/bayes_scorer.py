"""The Bayesian scorer: scores the cylinders around the locations of new incidents by averaged Bayes factors."""

from __future__ import annotations

import dataclasses
import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours
from detectors.area.settings import STREAMS, AreaSettings
from detectors.area.strata import BUCKET_S
from detectors.calibration.result import Calibration
from detectors.clusters.cluster import Cluster
from detectors.clusters.description import Description, reported
from detectors.clusters.recent_cases import RecentCases
from detectors.kernels.bayes import Level, Usual, at_level, hours_within, scores_at
from detectors.kernels.centres import without_overlap
from detectors.kernels.ratio import log_likelihood_ratio
from detectors.models.cluster_prior import cluster_prior
from detectors.models.rates import RENEWAL_H, Neighbourhood, Rates
from detectors.scan.cylinders import Cylinder, ranked
from detectors.scan.significance import Chance, NominalOdds
from detectors.window.completeness import Delays
from detectors.window.sliding import ALL, SlidingWindow

NO_SCORE = -99.0
"""Score of a location without enough cases."""
LEAST_KNOWN = 0.1
"""Lower bound for the share of reports that is taken to have come, because a few come at once whatever is usual."""


class RatesMark(msgspec.Struct, frozen=True, kw_only=True):
    """The moment at which the usual rates were made, from which they can be made again.

    ``bucket``: the window's current bucket at that moment.
    ``next_offset``: offset of the first record that was not yet in the window.
    ``lowest_offset``, ``lowest_clock_s``: offset of the first record to read again, and the area's clock when it came.
    """

    bucket: int
    next_offset: int
    lowest_offset: int
    lowest_clock_s: int


class BayesState(msgspec.Struct, frozen=True):
    """Everything that the Bayesian scorer needs to continue, except the records of its window.

    ``strong``: by stream, the locations whose last score could keep an alert alive.
    """

    rates: RatesMark
    strong: tuple[tuple[int, ...], ...]


def rates_of(window: SlidingWindow, around: Neighbourhood) -> Rates:
    """Return the usual rates that the whole buckets of a window show. The current bucket does not count."""
    cases = window.by_stratum[:ALL].copy()
    current = RecentCases.of(window, 1).events
    stratum = np.full(len(current.row), window.stratum_of(window.now))
    np.subtract.at(cases, (current.category, current.location, stratum), 1)
    whole = window.first, window.now - 1
    return Rates.of(cases, window.totals(ALL, *whole), window.strata(*whole), around)


@dataclasses.dataclass(frozen=True, eq=False)
class _Moment:
    """The part of a tick's scans that all streams share.

    ``hours``: of each stratum within each duration, (S, D).
    ``within``: events of all categories within each duration, (D,).
    ``known``: share of the reports of all categories that has usually come by now, for each duration, (D,).
    """

    tick_s: int
    cases: RecentCases
    hours: NDArray[np.float64]
    within: NDArray[np.int64]
    known: NDArray[np.float64]


class BayesScorer:
    """Scores the clusters of one stream at a time.

    It scores the locations whose cases have changed, and those whose last score could keep an alert alive. The usual
    rates are renewed at the first boundary that is at least a week after the last renewal.
    """

    def __init__(
        self,
        locations: Locations,
        near: Neighbours,
        settings: AreaSettings,
        calibration: Calibration | None,
        around: Neighbourhood | None = None,
        rates: Rates | None = None,
        state: BayesState | None = None,
    ) -> None:
        self.around = around or Neighbourhood.of(locations.points)
        self._locations, self._near, self._settings = locations, near, settings
        self._durations_s = BUCKET_S * np.array(settings.durations_h, np.int64)
        self._priors = [cluster_prior(settings, each) for each in STREAMS]
        self._description = Description(locations, near, settings, calibration)
        self._calibration = calibration
        self._mark = state.rates if state else None
        self.forget()
        if state:
            self._strong[: len(state.strong)] = state.strong  # an older state lacks the stream *all*
        self._usual: list[Usual] = []
        self._levels: list[Level] = []
        self._tick_s: int | None = None
        self._moment: _Moment | None = None
        self._use(rates)

    @property
    def state(self) -> BayesState | None:
        """Everything needed to continue from here; None if no rates have been made yet."""
        return None if self._mark is None else BayesState(self._mark, tuple(self._strong))

    def with_calibration(self, calibration: Calibration) -> BayesScorer:
        """Return a scorer that continues from here with another calibration."""
        return BayesScorer(
            self._locations, self._near, self._settings, calibration, self.around, self.rates, self.state
        )

    def forget(self) -> None:
        """Forget which locations stood out, because the window holds too little."""
        self._strong: list[tuple[int, ...]] = [() for _ in STREAMS]

    def is_due(self, window: SlidingWindow) -> bool:
        """Return whether the rates must be renewed from a window before it is scanned."""
        is_old = self._mark is None or window.now >= self._mark.bucket + RENEWAL_H
        return is_old and bool(window.totals(ALL, window.first, window.now - 1).any())

    def renew(self, window: SlidingWindow, mark: RatesMark) -> None:
        """Make the usual rates from a window."""
        self._mark = mark
        self._use(rates_of(window, self.around))

    def _use(self, rates: Rates | None) -> None:
        self.rates = rates
        a_day = rates.a_day if rates else 1.0
        self.chance: Chance = self._calibration or NominalOdds(self._settings.tiers, a_day)
        if rates is not None:
            self._usual = [rates.usual(each, self._near.rows, prior) for each, prior in enumerate(self._priors)]
            self._levels = [rates.level(each) for each in range(len(STREAMS))]

    def begin(self, _: SlidingWindow, tick_s: int, __: Delays | None = None) -> None:
        """Begin the scans of a tick. The window must not change until they are done.

        ``tick_s``: the end of all cylinders, in seconds since 1970.
        """
        self._tick_s, self._moment = tick_s, None

    def _moment_of(self, window: SlidingWindow, tick_s: int, delays: Delays | None) -> _Moment:
        longest_h = self._settings.durations_h[-1]
        cases = RecentCases.of(window, longest_h + 1)  # a duration that ends within a bucket begins within one
        ages_s = tick_s - window.columns.occurred_s[cases.row]
        is_in = (ages_s[:, None] < self._durations_s) & ~cases.further[:, None]
        within = is_in.sum(axis=0, dtype=np.int64)
        first = window.now - longest_h
        strata = window.strata(first, window.now)
        hours = hours_within(tick_s, self._durations_s, first, strata, window.by_stratum.shape[2])
        known = np.ones(len(self._durations_s)) if delays is None else self._known(delays, ALL)
        return _Moment(tick_s, cases, hours, within, known)

    def _known(self, delays: Delays, stream: int) -> NDArray[np.float64]:
        """Return the share of a stream's reports that has usually come by now, for each duration, (D,); or 1."""
        shares = [delays.completeness(stream, delays.now_s - each, delays.now_s) for each in self._durations_s.tolist()]
        return np.array([1.0 if each is None else max(each, LEAST_KNOWN) for each in shares])

    def clusters(
        self,
        window: SlidingWindow,
        stream: int,
        weakest_score: float,
        touched: NDArray[np.int64],
        delays: Delays | None,
    ) -> list[Cluster]:
        """Return the stream's clusters with ``weakest_score`` or more, best first.

        ``touched``: the locations whose incidents of the stream have changed since its last scan, (n,).
        ``delays``: the reporting delays in the window, None if unknown.
        """
        strong = self._strong[stream]
        if self.rates is None or self._tick_s is None or not (strong or len(touched)):
            return []
        if self._moment is None:  # most ticks have nothing to score
            self._moment = self._moment_of(window, self._tick_s, delays)
        now = self._moment
        anchors = np.array([*strong, *(each for each in touched.tolist() if each not in strong)], np.int32)
        mine, prior = now.cases.of_stream(stream), self._priors[stream]
        ages_s = now.tick_s - window.columns.occurred_s[mine.row]
        counts = self._counted(mine, ages_s)
        known = now.known if delays is None else self._known(delays, stream)
        case = counts.sum(axis=0, dtype=np.int64)
        hours = at_level(now.hours * now.known, now.hours * known, now.within, case, self._levels[stream])
        score, found = scores_at(anchors, self._near.rows, counts, self._usual[stream], hours, prior)
        is_strong = score >= weakest_score
        self._strong[stream] = tuple(anchors[is_strong].tolist())
        order = ranked(score[is_strong], found.size[is_strong], found.centre[is_strong])
        above = np.flatnonzero(is_strong)
        ends = np.zeros(len(score), np.int32)  # all cylinders end now
        kept = without_overlap(
            above[order], found.centre, found.size, ends, ends, self._near.rows, self._settings.max_clusters
        )
        discovered = window.columns.discovered[mine.row]
        clusters = []
        for which in kept.tolist():
            zone = self._near.zone(int(found.centre[which]), int(found.size[which]))
            duration = self._settings.durations_h[found.column[which]]
            rows = mine.row[mine.in_zone(zone) & (ages_s < duration * BUCKET_S)]
            trigger_score = float(score[which])
            observed, expected = int(found.observed[which]), float(found.expected[which])
            if not self._settings.discovered_may_trigger and reported(window, rows) < observed:
                alone = self._counted(mine, ages_s, ~discovered)
                at = anchors[which : which + 1]
                scored, _ = scores_at(at, self._near.rows, alone, self._usual[stream], hours, prior)
                trigger_score = max(NO_SCORE, float(scored[0]))
            cylinder = Cylinder(
                centre=int(found.centre[which]),
                size=int(found.size[which]),
                duration=duration,
                observed=observed,
                expected=expected,
                llr=log_likelihood_ratio(observed, expected, math.inf, 0.0),
            )
            clusters.append(
                self._description.cluster(
                    window,
                    stream,
                    cylinder,
                    rows,
                    start_s=now.tick_s - duration * BUCKET_S,
                    score=float(score[which]),
                    trigger_score=trigger_score,
                    interval=self.chance.interval(float(score[which])),
                    delays=delays,
                )
            )
        return clusters

    def _counted(
        self, cases: RecentCases, ages_s: NDArray[np.int64], which: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int32]:
        """Return the number of events by location and duration, (L, D)."""
        counts = np.zeros((len(self._locations), len(self._durations_s)), np.int32)
        is_in = (ages_s[:, None] < self._durations_s) & ~cases.further[:, None]
        if which is not None:
            is_in &= which[:, None]
        np.add.at(counts, cases.location, is_in.astype(np.int32))
        return counts
