"""The Monitor of one area: records in, revisions of alerts out. Pure, deterministic, knows no time.

A record is judged when it comes, waits until its tick closes, and is then put into the window with
the others of its tick; one scan follows if something changed. Bring your own input and output:
worker, replay, backtest and calibration drive the same object.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.alerts.alert import Alert
from detectors.alerts.response import Response
from detectors.alerts.tracking import NoSuchAlert, Tracker, TrackerState
from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.area.strata import BUCKET_S, SCHEMES, bucket_of
from detectors.calibration.result import Calibration
from detectors.clusters.cluster import Figures
from detectors.clusters.scorer import NullMaximum, RecentCases, Scorer
from detectors.scan.rescan import NO_PLACE
from detectors.window.admission import UNPLACED, Admission, Entry, Judged, Refusal, TickMark
from detectors.window.completeness import Delays
from detectors.window.silence import silent_from
from detectors.window.sliding import ALL, UNMAPPED, Outcome, SlidingWindow
from detectors.window.zone_profile import ZoneProfile

NO_SUCH_ALERT = Refusal("no_such_alert", "alert: must be the id of an open alert of this area")
"""What is said to a response to any other alert."""


class Accounts(msgspec.Struct):
    """What became of every record: ``read`` is the sum of the seven that follow it.

    ``unmapped`` counts beside the balance: incidents whose category the settings do not know.
    """

    read: int = 0
    added: int = 0
    replaced: int = 0
    removed: int = 0
    duplicate: int = 0
    outside: int = 0
    rejected: int = 0
    ticks: int = 0
    unmapped: int = 0


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """All that a Monitor needs to continue, except the records of its window.

    ``format``: the version of this form; a later program converts what an earlier one wrote. ``clock_s``: the area's
    clock. ``closed_s``: the last closed tick. ``bucket``: the last one scanned. ``lowest_offset`` and
    ``lowest_clock_s``: the first record to read again, and the area's clock when it came. ``next_offset``: the first
    record not yet taken. ``heard_s``: the last tick with a record, None before the first.
    """

    format: Literal[2] = 2
    clock_s: int
    closed_s: int
    bucket: int
    lowest_offset: int
    lowest_clock_s: int
    next_offset: int
    heard_s: int | None = None
    scans: int
    accounts: Accounts
    tracker: TrackerState
    nulls: dict[int, NullMaximum]


class ClosedTick(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one tick, or of a response: the revisions, the refusals, and where to go on.

    ``refusals``: (offset, reason, detail) of every rejected record of the tick. ``streams``: scanned. ``is_silent``:
    nothing has come for so long that the feed may be dead. ``calibration``: digest of the one that it went by, empty
    for none. ``response_offset``: that of the response, None for a tick; ``next_offset`` and ``lowest_offset`` are
    of incidents, and stay where they are at a response.
    """

    tick_s: int
    next_offset: int
    lowest_offset: int
    streams: tuple[Stream, ...]
    changes: tuple[Alert, ...]
    refusals: tuple[tuple[int, str, str], ...]
    is_silent: bool
    calibration: str
    accounts: Accounts
    checkpoint: Checkpoint
    response_offset: int | None = None


class Monitor:
    """Steps 2 to 6 of an incident's path, for one area.

    The alerts follow from the settings, the locations, the records in order and the ticks at which
    it scanned (on a watermark clock from the records alone), and from the responses with the tick of each.
    """

    def __init__(
        self,
        area: str,
        settings: AreaSettings,
        locations: Locations,
        near: Neighbours | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.area, self.settings, self.locations = area, settings, locations
        self.near = near or neighbours(locations.points, settings.max_radius_m)
        self.configuration_id = settings.digest(locations)
        self.window = SlidingWindow(
            locations=len(locations),
            buckets=settings.window_days * 24,
            ahead=settings.max_ahead_s // BUCKET_S + 1,
            blocks=SCHEMES[settings.strata],
            zone=ZoneInfo(settings.timezone),
        )
        self.accounts = Accounts()
        self.scans = 0
        self.expected_next = 0
        self._applied_next = 0
        self._calibration = calibration
        self._coming: Calibration | None = None
        self._tracker = Tracker(area, settings, chance=calibration)
        self._scorer = Scorer(locations, self.near, settings, {}, calibration)
        self._admission = Admission(settings, locations)
        self._open_s: int | None = None
        self._closed_s: int | None = None
        self._bucket: int | None = None
        self._heard_s: int | None = None
        self.silent_from_s: int | None = None
        self._waiting: list[tuple[int, Judged]] = []
        self._standing: Checkpoint | None = None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The open alerts, oldest first."""
        return self._tracker.alerts

    @property
    def clock_s(self) -> int | None:
        """What the area's clock shows, in seconds since 1970; None before the first record."""
        return self._admission.clock_s

    @property
    def missing_days(self) -> float:
        """So much history the window lacks until alerts can open; 0: none."""
        return self._missing_days(self.window.baseline_begins() if self.window.has_time else None)

    def _missing_days(self, begins: int | None) -> float:
        held_h = 0 if begins is None else self.window.now - begins
        return max(0.0, self.settings.min_baseline_days - held_h / 24)

    # Records and ticks

    def put(self, entry: Entry, offset: int, arrival_s: int, merge: bool = False) -> list[ClosedTick]:
        """Take the next record of the area; returns the ticks that it closed.

        ``arrival_s``: when the record reached the log. ``merge`` (wall clock): extend the open tick
        to this record instead of closing it, for a driver that has fallen behind; never across a
        boundary.

        Raises:
            ValueError: the offset was taken before.
        """
        if offset < self.expected_next:
            raise ValueError(f"offset {offset}: already taken, the next is {self.expected_next}")
        before_s = self._admission.clock_s
        judged = self._admission.admit(entry, offset, arrival_s)
        closed: list[ClosedTick] = []
        is_mark = isinstance(judged, TickMark) and self.settings.clock == "watermark"
        if self._admission.clock_s is not None:
            # A tick record belongs to the last tick before the time that it announces.
            tick_s = self._tick(self._admission.clock_s - self.settings.tick_s * is_mark)
            if merge and self._open_s is not None and bucket_of(self._open_s) == bucket_of(tick_s):
                self._open_s = tick_s
            # What closes now is written down with the clock as it was before this record.
            after_s, self._admission.clock_s = self._admission.clock_s, before_s
            closed = self._reach(tick_s)
            self._admission.clock_s, self._open_s = after_s, tick_s
        self._waiting.append((offset, judged))
        self.expected_next = offset + 1
        if isinstance(judged, TickMark) and is_mark and (before_s is None or judged.tick_s >= before_s):
            closed += self.flush()
        return closed

    def repeat(self, records: Iterable[tuple[Entry, int, int]], tick_s: int) -> ClosedTick:
        """Close a tick as it was once closed: by what is on record of it, whatever the clock was.

        ``records``: (entry, offset, arrival in seconds) of the tick, in order.
        """
        for entry, offset, arrival_s in records:
            self._waiting.append((offset, self._admission.admit(entry, offset, arrival_s)))
            self.expected_next = offset + 1
        return self._close(tick_s)

    def respond(self, said: Response | Refusal, offset: int) -> ClosedTick | None:
        """Let a response take effect at the last closed tick; None if none was closed yet, so that no alert is open.

        Nothing is scanned, no waiting record is applied and no clock moves: incidents are found at the same ticks
        whether or not anybody answers. ``offset``: the response's, in a log of its own; a refused one is handed back.
        """
        if self._standing is None:
            return None
        tick_s, changes, refusal = self._standing.closed_s, list[Alert](), None
        if isinstance(said, Refusal):
            refusal = said
        else:
            try:
                alert = self._tracker.respond(said, tick_s)
            except NoSuchAlert:
                refusal = NO_SUCH_ALERT
            else:
                changes = [alert] if alert else []
        self._standing = msgspec.structs.replace(
            self._standing, tracker=self._tracker.state, nulls=dict(self._scorer.nulls)
        )
        refusals = [(offset, refusal.reason, refusal.detail)] if refusal else []
        return self._closed(self._standing, [], changes, refusals, offset)

    def recalibrate(self, calibration: Calibration) -> None:
        """Go by another calibration of these settings and locations from the next boundary on."""
        self._coming = calibration

    def _go_by(self, calibration: Calibration) -> None:
        self._calibration, self._coming = calibration, None
        self._tracker.use(calibration)
        self._scorer = Scorer(self.locations, self.near, self.settings, self._scorer.nulls, calibration)

    def advance(self, time_s: int) -> list[ClosedTick]:
        """Wall clock: time has reached a moment; closes every tick that ended by then."""
        return self._reach(time_s // self.settings.tick_s * self.settings.tick_s)

    def flush(self) -> list[ClosedTick]:
        """Close the open tick now, if there is one."""
        return [] if self._open_s is None else [self._close(self._open_s)]

    def _tick(self, time_s: int) -> int:
        """The tick of a moment: never before the open one, always after the closed ones."""
        tick_s = time_s // self.settings.tick_s * self.settings.tick_s
        if self._open_s is not None:
            return max(tick_s, self._open_s)
        return tick_s if self._closed_s is None else max(tick_s, self._closed_s + self.settings.tick_s)

    def _reach(self, tick_s: int) -> list[ClosedTick]:
        """Close the open tick if it lies before this one, and pass each boundary in between.

        The open tick lies after the one that time is in where that was closed early, by a flush.
        """
        closed = []
        if self._open_s is not None:
            if self._open_s >= tick_s:
                return []
            closed.append(self._close(self._open_s))
        if self._bucket is not None:
            for bucket in range(self._bucket + 1, -(-tick_s // BUCKET_S)):
                if len(self.window) == 0 and not self.alerts:
                    break  # nothing is left that time could change
                closed.append(self._close(bucket * BUCKET_S))
        return closed

    def _close(self, tick_s: int) -> ClosedTick:
        """Put what waits into the window, scan what changed, and write down where things stand."""
        bucket = bucket_of(tick_s)
        self.window.advance(bucket)
        if any(not isinstance(judged, TickMark) for _, judged in self._waiting):
            self._heard_s = tick_s
        refusals = [refusal for offset, judged in self._waiting if (refusal := self._apply(offset, judged))]
        self._waiting = []
        at_boundary = self._bucket is None or bucket > self._bucket
        if at_boundary and self._coming is not None:
            self._go_by(self._coming)
        touched = {stream: np.flatnonzero(places) for stream, places in enumerate(self.window.touched) if places.any()}
        streams = list(range(ALL + 1) if at_boundary else touched)
        self.window.touched[:] = False
        self._open_s, self._closed_s, self._bucket = None, tick_s, bucket
        self.silent_from_s = self._silent_from()
        scanned, changes = self._scan(streams, touched, tick_s, self._is_silent(tick_s))
        self._standing = self._checkpoint(tick_s, bucket)
        return self._closed(self._standing, scanned, changes, refusals)

    def _closed(
        self,
        checkpoint: Checkpoint,
        scanned: list[int],
        changes: list[Alert],
        refusals: list[tuple[int, str, str]],
        response_offset: int | None = None,
    ) -> ClosedTick:
        return ClosedTick(
            tick_s=checkpoint.closed_s,
            next_offset=checkpoint.next_offset,
            lowest_offset=checkpoint.lowest_offset,
            streams=tuple(STREAMS[stream] for stream in scanned),
            changes=tuple(changes),
            refusals=tuple(refusals),
            is_silent=self._is_silent(checkpoint.closed_s),
            calibration=self._calibration.digest if self._calibration else "",
            accounts=checkpoint.accounts,
            checkpoint=checkpoint,
            response_offset=response_offset,
        )

    def _is_silent(self, tick_s: int) -> bool:
        return self.silent_from_s is not None and tick_s >= self.silent_from_s

    def _silent_from(self) -> int | None:
        if self._heard_s is None:
            return None
        return silent_from(self.window, self._heard_s, self.settings.silent_after_gaps)

    def _apply(self, offset: int, judged: Judged) -> tuple[int, str, str] | None:
        """Let one record take effect and count it; a refusal is handed back with its offset."""
        self._applied_next = offset + 1
        self.accounts.read += 1
        if isinstance(judged, TickMark):
            self.accounts.ticks += 1
            return None
        if isinstance(judged, Refusal):
            return self._reject(offset, judged)
        outcome = self.window.put(judged)
        if outcome is Outcome.UNPLACED:
            return self._reject(offset, UNPLACED[judged.location])
        setattr(self.accounts, outcome, getattr(self.accounts, outcome) + 1)
        self.accounts.unmapped += judged.category == UNMAPPED
        return None

    def _reject(self, offset: int, refusal: Refusal) -> tuple[int, str, str]:
        self.accounts.rejected += 1
        return offset, refusal.reason, refusal.detail

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
        recent = RecentCases.of(self.window, self.settings.durations_h[-1])
        delays = None if begins is None else Delays.of(self.window, begins, tick_s + self.settings.tick_s)
        changes: list[Alert] = []
        for stream in streams:
            weakest = self._tracker.weakest_score
            clusters = (
                self._scorer.clusters(self.window, recent, stream, weakest, touched.get(stream, NO_PLACE), delays)
                if held
                else []
            )
            members = {member for alert in self.alerts if alert.stream == STREAMS[stream] for member in alert.members}
            standing = {member for member in members if member in self.window}
            look_back = partial(self._look_back, stream)
            changes += self._tracker.update(STREAMS[stream], tick_s, clusters, standing, is_silent, look_back)
        return streams, changes

    def _look_back(self, stream: int, figures: Figures) -> ZoneProfile:
        zone = self.locations.indices(figures.locations)
        return ZoneProfile.of(self.window, stream, zone, ZoneInfo(self.settings.timezone))

    # Writing down and going on

    def _checkpoint(self, tick_s: int, bucket: int) -> Checkpoint:
        clock_s = tick_s if self._admission.clock_s is None else self._admission.clock_s
        lowest_offset, lowest_clock_s = self.window.lowest() or (self._applied_next, clock_s)
        return Checkpoint(
            clock_s=clock_s,
            closed_s=tick_s,
            bucket=bucket,
            lowest_offset=lowest_offset,
            lowest_clock_s=lowest_clock_s,
            next_offset=self._applied_next,
            heard_s=self._heard_s,
            scans=self.scans,
            accounts=msgspec.structs.replace(self.accounts),
            tracker=self._tracker.state,
            nulls=dict(self._scorer.nulls),
        )

    @classmethod
    def restore(
        cls,
        area: str,
        settings: AreaSettings,
        locations: Locations,
        checkpoint: Checkpoint,
        near: Neighbours | None = None,
        is_reconfigured: bool = False,
        calibration: Calibration | None = None,
    ) -> Monitor:
        """A Monitor at a checkpoint, its window still empty.

        :meth:`refill` it with every record of the area from ``checkpoint.lowest_offset`` to before
        ``checkpoint.next_offset``, in order, then :meth:`resume`. ``is_reconfigured``: the checkpoint was made under
        other settings or locations; its alerts go on, what chance does is found out anew.
        """
        monitor = cls(area, settings, locations, near, calibration)
        monitor.scans = checkpoint.scans
        monitor._tracker = Tracker(area, settings, checkpoint.tracker, is_reconfigured, calibration)
        nulls = {} if is_reconfigured else checkpoint.nulls
        monitor._scorer = Scorer(locations, monitor.near, settings, nulls, calibration)
        monitor._applied_next = checkpoint.lowest_offset
        monitor._admission.clock_s = checkpoint.lowest_clock_s
        return monitor

    def refill(self, entry: Entry, offset: int, arrival_s: int) -> None:
        """Let a record of the past enter the window: no tick, no scan, no revision.

        A Monitor that is to begin with a filled window is refilled and then simply put to.
        """
        judged = self._admission.admit(entry, offset, arrival_s)
        self.expected_next = offset + 1
        # A tick record's own tick may lie in the bucket before the time that it announces.
        if self._admission.clock_s is not None and not isinstance(judged, TickMark):
            self.window.advance(bucket_of(self._admission.clock_s))
        self._waiting.append((offset, judged))
        if self.window.has_time:
            for waiting in self._waiting:
                self._apply(*waiting)
            self._waiting.clear()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint once the window is refilled."""
        self._waiting.clear()
        self.window.advance(checkpoint.bucket)
        self.window.touched[:] = False
        self.accounts = msgspec.structs.replace(checkpoint.accounts)
        self._admission.clock_s, self._closed_s, self._bucket = (
            checkpoint.clock_s,
            checkpoint.closed_s,
            checkpoint.bucket,
        )
        self._heard_s = checkpoint.heard_s
        self.silent_from_s = self._silent_from()
        self._applied_next = self.expected_next = checkpoint.next_offset
        self._standing = checkpoint


OUTCOMES = ("added", "replaced", "removed", "duplicate", "outside", "rejected", "ticks")
"""What can become of a record: these seven add up to the records read."""
