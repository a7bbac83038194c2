"""An area of an owned partition: its Monitor, and the records that no scan record covers yet."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from detectors.area.districts import District
from detectors.area.settings import Stream
from detectors.monitor import Monitor
from detectors.results import ClosedTick, ResponseResult
from detectors.window.further import FurtherShares
from detectors.window.silent_parts import SilentPart
from streams.areas.area import Area
from streams.calibration.calibration_file import CalibrationFile
from streams.messages.response import ResponseRecord
from streams.messages.scan import ScanRecord, raw, scan_record
from streams.messages.usual import Usual
from streams.messages.wording import figure_words, further_words, part_words, silence_words
from streams.worker.inbox import Record
from streams.worker.metrics import Metrics

QUIET_S = 2
"""Time after which an ended tick of a wall clock closes without a later record, in seconds."""
MERGE_S = 2.0
"""Time over which an area on a wall clock that is behind gathers records into one tick, in seconds."""
USUAL_S = 10.0
"""Shortest time between two counts of the usual figures and looks for silent parts, in seconds. In a replay, hours pass
within it."""

log = logging.getLogger(__name__)


class DoneTick(NamedTuple):
    """A closed tick that waits for its transaction, with its input records and its scan record.

    ``arrived_s``: when the last record of the area arrived.
    """

    area: OwnedArea
    watched: Area
    result: ClosedTick
    records: list[Record]
    record: ScanRecord
    scan_s: float
    arrived_s: float | None


class DoneResponse(NamedTuple):
    """A response that waits for its transaction, with its result and its scan record."""

    area: OwnedArea
    watched: Area
    result: ResponseResult
    response: ResponseRecord
    record: ScanRecord


class OwnedArea:
    """An area of an owned partition: its Monitor, and the records that no scan record covers yet."""

    def __init__(self, watched: Area, monitor: Monitor, last: ScanRecord | None) -> None:
        self.watched = watched
        self.monitor = monitor
        self.is_wall = watched.settings.clock == "wall"
        self.alerts = monitor.alerts
        self.last_record_s: float | None = None
        self.last_scan_s: float | None = None
        self.is_silent = False
        self.missing_days = monitor.missing_days
        self.usual: Usual | None = None
        self.silent_parts: tuple[str, ...] = ()
        self.further_shares: FurtherShares | None = None
        self._silent: dict[tuple[District, Stream], SilentPart] = {}
        self._usual_bucket: int | None = None
        self._usual_s = float("-inf")
        self._last = last
        self._coming: Area | None = None
        self._records: deque[Record] = deque()
        self._open_since_s = 0.0
        self._early: tuple[int | None, float] = (None, 0.0)
        self._accounts = msgspec.structs.replace(monitor.accounts)

    @property
    def waiting(self) -> int:
        """The number of records that wait for their tick."""
        return len(self._records)

    @property
    def first_waiting(self) -> int | None:
        """The offset of the first record whose tick is open; None if there is none."""
        return self._records[0].offset if self._records else None

    def is_behind(self, arrival_s: float, now_s: float) -> bool:
        """Return whether a tick that ended before this arrival is closed late."""
        return self.is_wall and now_s - arrival_s > QUIET_S + self.watched.settings.tick_s

    def put(
        self, record: Record, ahead_s: int, now_s: float, metrics: Metrics, *, may_merge: bool = True
    ) -> list[DoneTick]:
        """Take the area's next record; return the ticks that it closed. ``ahead_s``: how far its stamp is ahead."""
        arrival_s = record.arrival_s - ahead_s
        merge = may_merge and self.is_behind(arrival_s, now_s) and 0 <= now_s - self._open_since_s < MERGE_S
        self._records.append(record)
        before_s, started = self.monitor.clock_s, time.perf_counter()
        stamp_s, ahead_s = int(record.arrival_s), ahead_s if self.is_wall else 0
        closed = self.monitor.put(record.entry, record.offset, stamp_s, merge, ahead_s=ahead_s)
        done = self._done(closed, started)
        self.last_record_s = arrival_s
        if ahead_s:
            metrics.stamp_corrected(self.watched.name)
        if len(self._records) == 1:
            self._open_since_s = now_s
        elif merge and not closed and self.monitor.clock_s != before_s:
            metrics.tick_merged(self.watched.name)
        return done

    def advance(self, time_s: int) -> list[DoneTick]:
        """Advance a wall clock to a moment; return the ticks that this closed. A watermark clock does not change."""
        clock_s = self.monitor.clock_s
        if not self.is_wall or clock_s is None or time_s <= clock_s:
            return []
        started = time.perf_counter()
        return self._done(self.monitor.advance(time_s), started)

    def close_early(self, now_s: float, monotonic_s: float) -> list[DoneTick]:
        """Close the open tick of a wall clock that is ahead, without waiting until the believed time reaches it.

        The tick stays open for two ticks. So an area that a wrong clock has brought ahead is still scanned, and the
        believed time, which passes twice as fast as the area's ticks, catches up. No tick is taken back.
        """
        open_s = self.monitor.open_s if self.is_wall else None
        if open_s is None or open_s <= now_s:
            self._early = (None, 0.0)
            return []
        if self._early[0] != open_s:
            self._early = (open_s, monotonic_s)
        waited_s = monotonic_s - self._early[1]
        return self.flush() if waited_s >= max(QUIET_S, 2 * self.watched.settings.tick_s) else []

    def ahead_s(self, now_s: float) -> float:
        """Return by how many seconds the closed ticks of a wall clock are ahead of the time; 0 if they are not."""
        closed_s = self.monitor.closed_s if self.is_wall else None
        return 0.0 if closed_s is None else max(0.0, closed_s - now_s)

    def flush(self) -> list[DoneTick]:
        """Close the open tick of a wall clock. A tick of a watermark clock is read again later."""
        started = time.perf_counter()
        return self._done(self.monitor.flush(), started) if self.is_wall else []

    def respond(self, response: ResponseRecord) -> DoneResponse | None:
        """Apply a response; None if no tick is closed yet, so that no alert is open."""
        result = self.monitor.respond(response.content, response.offset)
        if result is None:
            return None
        return DoneResponse(self, self.watched, result, response, self._scan_record(result, [response]))

    def recalibrate(self, calibration: CalibrationFile) -> Area:
        """Use another calibration from the next boundary on; return the area with it."""
        self._coming = replace(self.watched, calibration_file=calibration)
        self.monitor.recalibrate(calibration.calibration)
        return self._coming

    def _done(self, ticks: list[ClosedTick], started: float) -> list[DoneTick]:
        scan_s = (time.perf_counter() - started) / max(1, len(ticks))
        done = []
        for tick in ticks:
            records = []
            while self._records and self._records[0].offset < tick.next_offset:
                records.append(self._records.popleft())
            if self._coming is not None and tick.calibration == self._coming.ids.calibration:
                self.watched, self._coming = self._coming, None
            record = self._scan_record(tick, records)
            done.append(DoneTick(self, self.watched, tick, records, record, scan_s, self.last_record_s))
        return done

    def _scan_record(
        self, result: ClosedTick | ResponseResult, read: Sequence[Record] | Sequence[ResponseRecord]
    ) -> ScanRecord:
        inputs = [raw(each.key, each.value, each.headers, round(each.arrival_s * 1000)) for each in read]
        self._last = scan_record(self.watched.name, self.watched.ids, result, self._last, inputs)
        return self._last

    def look_around(self, monotonic_s: float) -> None:
        """Count the usual figures and further records, and look for silent parts.

        This is done once in each hour of the area's clock, at most every ``USUAL_S`` seconds.
        """
        window = self.monitor.window
        if not window.has_time or window.now == self._usual_bucket or monotonic_s - self._usual_s < USUAL_S:
            return
        self.usual, self._usual_bucket, self._usual_s = Usual.of(self.monitor), window.now, monotonic_s
        self._show_silent_parts(self.monitor.silent_parts())
        self._show_further_records(self.monitor.further_shares())

    def _show_further_records(self, shares: FurtherShares | None) -> None:
        before, self.further_shares = self.further_shares, shares
        is_changed = shares is not None and shares.is_changed
        if shares is not None and is_changed != (before is not None and before.is_changed):
            log.log(
                logging.WARNING if is_changed else logging.INFO, "area %s: %s", self.watched.name, further_words(shares)
            )

    def _show_silent_parts(self, parts: Sequence[SilentPart]) -> None:
        timezone = ZoneInfo(self.watched.settings.timezone)
        before, self._silent = self._silent, {(part.district, part.stream): part for part in parts}
        self.silent_parts = tuple(silence_words(part, timezone) for part in parts)
        for part, words in zip(self._silent, self.silent_parts, strict=True):
            if part not in before:
                log.warning("area %s: %s", self.watched.name, words)
        for district, stream in sorted(before.keys() - self._silent.keys()):
            log.info("area %s: no longer silent: %s", self.watched.name, part_words(district, stream))

    def tick_committed(self, done: DoneTick, now_s: float, metrics: Metrics) -> None:
        """Note that a closed tick is on record."""
        name, tick = self.watched.name, done.result
        metrics.tick_committed(name, self._accounts, tick, done.scan_s)
        if done.records and done.arrived_s is not None:
            for _ in tick.changes:
                metrics.alert_committed(name, max(0.0, now_s - done.arrived_s))
        if tick.streams:
            self.last_scan_s = now_s
        self._accounts = tick.accounts
        self.missing_days = self.monitor.missing_days
        self._show(tick)
        for _, refusal in tick.refusals:
            log.warning("area %s: a record was rejected: %s", name, refusal.reason)

    def response_committed(self, done: DoneResponse, metrics: Metrics) -> None:
        """Note that a response is on record."""
        metrics.response_committed(self.watched.name, done.response.content, done.result)
        self._show(done.result)
        if done.result.refusal:
            log.warning("area %s: a response was rejected: %s", self.watched.name, done.result.refusal.reason)

    def _show(self, result: ClosedTick | ResponseResult) -> None:
        self.is_silent = result.is_silent
        self.alerts = self.monitor.alerts
        for alert in result.changes:
            if alert.notice:
                kind = f"{alert.notice}, {alert.tier}, {alert.stream}"
                observed, usual = alert.figures.observed, figure_words(alert.figures.expected)
                log.info("area %s: alert %s: %s, %d against %s usual", alert.area, alert.id, kind, observed, usual)
