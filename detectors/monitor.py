"""The Monitor of one area: records in, revisions of alerts out. Pure and deterministic: it reads no clock.

A record is judged when it arrives, waits until its tick closes, and then enters the window together with the other
records of the tick. A scan follows if something changed. The Monitor does no input or output: worker, replay, backtest
and calibration drive the same object.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, partial
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.alerts.alert import Alert
from detectors.alerts.response import Response
from detectors.alerts.tracking import NoSuchAlert, Tracker
from detectors.area.districts import Districts
from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.area.strata import BUCKET_S, bucket_of
from detectors.calibration.result import Calibration
from detectors.clusters.bayes_scorer import BayesScorer, RatesMark
from detectors.clusters.cluster import Cluster, Figures
from detectors.clusters.scorer import NullMaximum, Scorer
from detectors.results import Checkpoint, ClosedTick, ResponseResult
from detectors.scan.rescan import NO_PLACE
from detectors.window.admission import Entry, Refusal, TickMark
from detectors.window.completeness import Delays
from detectors.window.corrections import Correction, Corrections
from detectors.window.further import FurtherShares, further_shares
from detectors.window.intake import Accounts, Intake
from detectors.window.silence import silent_from
from detectors.window.silent_parts import SilentPart, silent_parts
from detectors.window.sliding import ALL
from detectors.window.zone_profile import ZoneProfile

NO_SUCH_ALERT = Refusal("no_such_alert", "alert: must be the id of an open alert of this area")
"""The refusal of a response to any other alert."""


class Monitor:
    """The monitor of one area: it locates incidents, keeps the window, scans, and tracks alerts.

    The alerts depend only on the settings, the locations, the records in order, the ticks at which the Monitor scanned
    (on a watermark clock the records determine them), and the responses with their ticks. To begin with the past, use
    :class:`~detectors.restoring.Restoring`, which gives the last three arguments.
    """

    def __init__(
        self,
        area: str,
        settings: AreaSettings,
        locations: Locations,
        near: Neighbours | None = None,
        calibration: Calibration | None = None,
        *,
        intake: Intake | None = None,
        scorer: BayesScorer | None = None,
        checkpoint: Checkpoint | None = None,
        is_reconfigured: bool = False,
    ) -> None:
        self.area, self.settings, self.locations = area, settings, locations
        self.near = near or neighbours(locations.points, settings.max_radius_m)
        self.configuration_id = settings.digest(locations)
        self.scans = checkpoint.scans if checkpoint else 0
        self._intake = intake or Intake(settings, locations)
        self.window = self._intake.window
        self._calibration = calibration
        self._coming: Calibration | None = None
        state = checkpoint.tracker if checkpoint else None
        nulls = checkpoint.nulls if checkpoint and not is_reconfigured else {}
        self._scorer: Scorer | BayesScorer
        if settings.is_bayesian:
            self._scorer = scorer or BayesScorer(locations, self.near, settings, calibration)
        else:
            self._scorer = Scorer(locations, self.near, settings, nulls, calibration)
        self._tracker = Tracker(area, settings, state, is_reconfigured, self._scorer.chance)
        self._open_s: int | None = None
        self._last = checkpoint
        self.silent_from_s = self._silent_from(checkpoint.heard_s) if checkpoint else None

    @property
    def accounts(self) -> Accounts:
        """The accounts of every record so far."""
        return self._intake.accounts

    @property
    def expected_next(self) -> int:
        """The offset after the last record that was taken."""
        return self._intake.expected_next

    @property
    def clock_s(self) -> int | None:
        """The time on the area's clock, in seconds since 1970; None before the first record."""
        return self._intake.clock_s

    @property
    def closed_s(self) -> int | None:
        """The last closed tick; None before the first."""
        return self._last.closed_s if self._last else None

    @property
    def open_s(self) -> int | None:
        """The open tick, in which records wait; None if there is none."""
        return self._open_s

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The open alerts, oldest first."""
        return self._tracker.alerts

    @property
    def missing_days(self) -> float:
        """The days of history that the window lacks before alerts can open; 0 if none."""
        return self._missing_days(self.window.baseline_begins() if self.window.has_time else None)

    def silent_parts(self) -> tuple[SilentPart, ...]:
        """Return the parts of the area that were silent when the current hour began. No alert depends on them."""
        if self.missing_days:
            return ()
        return silent_parts(self.window, self._districts, self.settings.silent_parts_per_quarter)

    def further_shares(self) -> FurtherShares | None:
        """Return which share of the records are further records of an event; None without records."""
        return further_shares(self.window)

    @cached_property
    def _districts(self) -> Districts:
        return Districts.of(self.locations)

    def _missing_days(self, begins: int | None) -> float:
        held_h = 0 if begins is None else self.window.now - begins
        return max(0.0, self.settings.min_baseline_days - held_h / 24)

    # Records and ticks

    def put(
        self, entry: Entry, offset: int, stamp_s: int, merge: bool = False, *, ahead_s: int = 0
    ) -> list[ClosedTick]:
        """Take the next record of the area; return the ticks that it closed.

        ``stamp_s``: when the record reached the log, by the stamp in the log. ``ahead_s`` (wall clock): by how much the
        stamp is ahead of the time. ``merge`` (wall clock): extend the open tick to this record instead of closing it,
        for a caller that has fallen behind; never across a boundary.

        Raises:
            ValueError: The offset was taken before.
        """
        if offset < self.expected_next:
            raise ValueError(f"offset {offset}: was already taken; must be {self.expected_next} or higher")
        before_s = self.clock_s
        judged, clock_s = self._intake.judge(entry, offset, stamp_s - ahead_s)
        closed: list[ClosedTick] = []
        is_mark = isinstance(judged, TickMark) and self.settings.clock == "watermark"
        if clock_s is not None:
            # A tick record belongs to the last tick before the time that it announces.
            tick_s = self._tick(clock_s - self.settings.tick_s * is_mark)
            if merge and self._open_s is not None and bucket_of(self._open_s) == bucket_of(tick_s):
                self._open_s = tick_s
            closed = self._reach(tick_s)
            self._open_s = tick_s
        self._intake.corrections.note(offset, ahead_s)
        self._intake.take(judged, offset, clock_s)
        if isinstance(judged, TickMark) and is_mark and (before_s is None or judged.tick_s >= before_s):
            closed += self.flush()
        return closed

    def repeat(
        self, records: Iterable[tuple[Entry, int, int]], tick_s: int, corrections: Iterable[Correction] = ()
    ) -> ClosedTick:
        """Close a recorded tick again, with exactly its records, on either kind of clock.

        ``records``: (entry, offset, arrival stamp in seconds) of the tick, in order. ``corrections``: of its
        checkpoint.
        """
        self._intake.corrections = known = Corrections(tuple(corrections))
        for entry, offset, stamp_s in records:
            judged, clock_s = self._intake.judge(entry, offset, stamp_s - known.at(offset))
            self._intake.take(judged, offset, clock_s)
        return self._close(tick_s)

    def advance(self, time_s: int) -> list[ClosedTick]:
        """Advance a wall clock to a moment; return the ticks that this closed."""
        return self._reach(time_s // self.settings.tick_s * self.settings.tick_s)

    def flush(self) -> list[ClosedTick]:
        """Close the open tick now, if there is one."""
        return [] if self._open_s is None else [self._close(self._open_s)]

    # Responses and calibrations

    def respond(self, response: Response | Refusal, offset: int) -> ResponseResult | None:
        """Apply a response at the last closed tick; None if no tick is closed yet, so that there is no open alert.

        Nothing is scanned, no waiting record is applied and no clock moves: incidents are found at the same ticks with
        and without responses. ``offset``: offset of the response in its own log. If the response is refused, the result
        contains the refusal.
        """
        if self._last is None:
            return None
        change, refusal = None, None
        if isinstance(response, Refusal):
            refusal = response
        else:
            try:
                change = self._tracker.respond(response, self._last.closed_s)
            except NoSuchAlert:
                refusal = NO_SUCH_ALERT
        self._last = msgspec.structs.replace(self._last, tracker=self._tracker.state, nulls=self._nulls)
        return ResponseResult(
            changes=(change,) if change else (),
            is_silent=self._is_silent(self._last.closed_s),
            calibration=self._calibration_id,
            checkpoint=self._last,
            offset=offset,
            refusal=refusal,
        )

    def recalibrate(self, calibration: Calibration) -> None:
        """Use another calibration of these settings and locations from the next boundary on."""
        self._coming = calibration

    @property
    def _calibration_id(self) -> str:
        return self._calibration.digest if self._calibration else ""

    def _use(self, calibration: Calibration) -> None:
        self._calibration, self._coming = calibration, None
        self._tracker.use(calibration)
        self._scorer = self._scorer.with_calibration(calibration)

    # Closing a tick

    def _tick(self, time_s: int) -> int:
        """Return the tick of a moment: never before the open tick, always after the closed ticks."""
        tick_s = time_s // self.settings.tick_s * self.settings.tick_s
        if self._open_s is not None:
            return max(tick_s, self._open_s)
        return tick_s if self._last is None else max(tick_s, self._last.closed_s + self.settings.tick_s)

    def _reach(self, tick_s: int) -> list[ClosedTick]:
        """Close the open tick if it lies before this one, and pass each boundary in between.

        The open tick can lie after this one, if a flush has closed this one early.
        """
        closed = []
        if self._open_s is not None:
            if self._open_s >= tick_s:
                return []
            closed.append(self._close(self._open_s))
        if self._last is not None:
            for bucket in range(self._last.bucket + 1, -(-tick_s // BUCKET_S)):
                if len(self.window) == 0 and not self.alerts:
                    break  # time can change nothing more
                closed.append(self._close(bucket * BUCKET_S))
        return closed

    def _close(self, tick_s: int) -> ClosedTick:
        """Put the waiting records into the window, scan what changed, and make a checkpoint."""
        bucket = bucket_of(tick_s)
        self.window.advance(bucket)
        heard_s = tick_s if self._intake.has_news else self._last.heard_s if self._last else None
        refusals = self._intake.apply()
        at_boundary = self._last is None or bucket > self._last.bucket
        if at_boundary and self._coming is not None:
            self._use(self._coming)
        (changed,) = np.nonzero(self.window.touched.any(axis=1))
        touched = {stream: np.flatnonzero(self.window.touched[stream]) for stream in changed.tolist()}
        streams = list(range(ALL + 1) if at_boundary else touched)
        self.window.touched[:] = False
        self._open_s = None
        self.silent_from_s = self._silent_from(heard_s)
        is_silent = self._is_silent(tick_s)
        scanned, changes = self._scan(streams, touched, tick_s, is_silent)
        self._last = self._checkpoint(tick_s, bucket, heard_s)
        return ClosedTick(
            changes=tuple(changes),
            is_silent=is_silent,
            calibration=self._calibration_id,
            checkpoint=self._last,
            streams=tuple(STREAMS[stream] for stream in scanned),
            refusals=tuple(refusals),
        )

    def _is_silent(self, tick_s: int) -> bool:
        return self.silent_from_s is not None and tick_s >= self.silent_from_s

    def _silent_from(self, heard_s: int | None) -> int | None:
        return None if heard_s is None else silent_from(self.window, heard_s, self.settings.silent_after_gaps)

    def _scan(
        self, streams: list[int], touched: dict[int, NDArray[np.int64]], tick_s: int, is_silent: bool
    ) -> tuple[list[int], list[Alert]]:
        """Scan streams and track their clusters: (streams scanned, new revisions)."""
        begins = self.window.baseline_begins()
        held = begins is not None and not self._missing_days(begins)
        if not held:
            self._scorer.forget()
        if not streams or not (held or self.alerts):
            return [], []
        self.scans += 1
        delays = None if begins is None else Delays.of(self.window, begins, tick_s + self.settings.tick_s)
        if held:
            if isinstance(self._scorer, BayesScorer) and self._scorer.is_due(self.window):
                self._scorer.renew(self.window, self._mark(tick_s))
                self._tracker.use(self._scorer.chance)
            self._scorer.begin(self.window, tick_s, delays)
        weakest = self._tracker.weakest_score
        scanned: dict[Stream, list[Cluster]] = {STREAMS[stream]: [] for stream in streams}
        for stream in streams if held else ():
            places = touched.get(stream, NO_PLACE)
            scanned[STREAMS[stream]] = self._scorer.clusters(self.window, stream, weakest, places, delays)
        self._tracker.see(scanned)
        changes: list[Alert] = []
        for stream in streams:
            members = {member for alert in self.alerts for member in alert.members}
            standing = {member for member in members if member in self.window}
            look_back = partial(self._look_back, stream)
            clusters = scanned[STREAMS[stream]]
            changes += self._tracker.update(STREAMS[stream], tick_s, clusters, standing, is_silent, look_back)
        return streams, changes

    def _look_back(self, stream: int, figures: Figures) -> ZoneProfile:
        zone = self.locations.indices(figures.locations)
        return ZoneProfile.of(self.window, stream, zone, ZoneInfo(self.settings.timezone))

    def _checkpoint(self, tick_s: int, bucket: int, heard_s: int | None) -> Checkpoint:
        intake = self._intake
        clock_s = tick_s if intake.clock_s is None else intake.clock_s
        lowest_offset, lowest_clock_s = self.window.lowest() or (intake.applied_next, clock_s)
        bayes = self._scorer.state if isinstance(self._scorer, BayesScorer) else None
        if bayes is not None and bayes.rates.lowest_offset < lowest_offset:
            lowest_offset, lowest_clock_s = bayes.rates.lowest_offset, bayes.rates.lowest_clock_s
        # Those of the tick's own records too, needed or not: the tick is repeated from this checkpoint.
        needed_from = min(lowest_offset, self._last.next_offset if self._last else 0)
        return Checkpoint(
            clock_s=clock_s,
            closed_s=tick_s,
            bucket=bucket,
            lowest_offset=lowest_offset,
            lowest_clock_s=lowest_clock_s,
            next_offset=intake.applied_next,
            heard_s=heard_s,
            scans=self.scans,
            accounts=msgspec.structs.replace(self.accounts),
            tracker=self._tracker.state,
            nulls=self._nulls,
            corrections=intake.corrections.since(needed_from) or msgspec.UNSET,
            bayes=bayes or msgspec.UNSET,
        )

    @property
    def _nulls(self) -> dict[int, NullMaximum]:
        return {} if isinstance(self._scorer, BayesScorer) else dict(self._scorer.nulls)

    def _mark(self, tick_s: int) -> RatesMark:
        """Return the present moment, at which the window shows the usual rates."""
        intake = self._intake
        clock_s = tick_s if intake.clock_s is None else intake.clock_s
        lowest_offset, lowest_clock_s = self.window.lowest() or (intake.applied_next, clock_s)
        return RatesMark(
            bucket=self.window.now,
            next_offset=intake.applied_next,
            lowest_offset=lowest_offset,
            lowest_clock_s=lowest_clock_s,
        )
