"""An area of an owned partition: its Monitor, and the records that are not yet on record."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import msgspec

from detectors.monitor import ClosedTick, Monitor
from streams.areas.area import Area
from streams.calibration.calibration_file import CalibrationFile
from streams.messages.response import ResponseRecord
from streams.messages.scan import ScanRecord, raw, scan_record
from streams.messages.usual import Usual
from streams.messages.wording import figure_words
from streams.worker.inbox import Record
from streams.worker.metrics import Metrics

QUIET_S = 2
"""Wall clock: a tick closes without a later record once it ended so long ago and nothing is left to read."""
MERGE_S = 2.0
"""Behind on the wall clock: so long records are gathered into one tick before it is scanned."""
USUAL_S = 10.0
"""A clock that runs faster than time, as in a replay, passes many hours meanwhile."""

log = logging.getLogger(__name__)


class Done(NamedTuple):
    """A closed tick that waits for its transaction, with its input records, or with the response that it is."""

    area: OwnedArea
    watched: Area
    closed: ClosedTick
    records: list[Record]
    response: ResponseRecord | None
    record: ScanRecord
    scan_s: float


class OwnedArea:
    """An area of an owned partition: its Monitor, and the records that it has not yet put on record."""

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
        self._usual_bucket: int | None = None
        self._usual_s = float("-inf")
        self._last = last
        self._coming: Area | None = None
        self._records: deque[Record] = deque()
        self._open_since_s = 0.0
        self._accounts = msgspec.structs.replace(monitor.accounts)

    def is_behind(self, record: Record, now_s: float) -> bool:
        """Whether a tick that ended before the record's would be closed late."""
        return self.is_wall and now_s - record.arrival_s > QUIET_S + self.watched.settings.tick_s

    def put(self, record: Record, now_s: float, metrics: Metrics) -> list[Done]:
        """Take the area's next record; returns what that closed."""
        merge = self.is_behind(record, now_s) and now_s - self._open_since_s < MERGE_S
        self._records.append(record)
        self.last_record_s = record.arrival_s
        before_s, started = self.monitor.clock_s, time.perf_counter()
        closed = self.monitor.put(record.entry, record.offset, int(record.arrival_s), merge)
        done = self._done(closed, started)
        if len(self._records) == 1:
            self._open_since_s = now_s
        elif merge and not closed and self.monitor.clock_s != before_s:
            metrics.tick_merged(self.watched.name)
        return done

    def advance(self, time_s: int) -> list[Done]:
        """Time has reached a moment; returns what that closed. Only a wall clock follows."""
        clock_s = self.monitor.clock_s
        if not self.is_wall or clock_s is None or time_s <= clock_s:
            return []
        started = time.perf_counter()
        return self._done(self.monitor.advance(time_s), started)

    def flush(self) -> list[Done]:
        """Close the open tick of a wall clock; a watermark's is read again."""
        started = time.perf_counter()
        return self._done(self.monitor.flush(), started) if self.is_wall else []

    def respond(self, response: ResponseRecord) -> list[Done]:
        """Let a response take effect; nothing where no tick was closed yet, so that no alert is open."""
        started = time.perf_counter()
        closed = self.monitor.respond(response.content, response.offset)
        return [] if closed is None else self._done([closed], started, response)

    def recalibrate(self, calibration: CalibrationFile) -> Area:
        """Go by another calibration from the next boundary on; returns the area as it is watched then."""
        self._coming = replace(self.watched, calibration_file=calibration)
        self.monitor.recalibrate(calibration.calibration)
        return self._coming

    def _done(self, ticks: Iterable[ClosedTick], started: float, response: ResponseRecord | None = None) -> list[Done]:
        ticks = list(ticks)
        scan_s = (time.perf_counter() - started) / max(1, len(ticks))
        done = []
        for closed in ticks:
            records = []
            while self._records and self._records[0].offset < closed.next_offset:
                records.append(self._records.popleft())
            if self._coming is not None and closed.calibration == self._coming.ids.calibration:
                self.watched, self._coming = self._coming, None
            read: list[Record | ResponseRecord] = [*records] if response is None else [response]
            inputs = [raw(each.key, each.value, each.headers, round(each.arrival_s * 1000)) for each in read]
            record = scan_record(self.watched.name, self.watched.ids, closed, self._last, inputs)
            self._last = record
            done.append(Done(self, self.watched, closed, records, response, record, scan_s))
        return done

    def see_usual(self, monotonic_s: float) -> None:
        """See anew what is usual, once in each hour of the area's clock, and no more often than every ``USUAL_S``."""
        window = self.monitor.window
        if not window.has_time or window.now == self._usual_bucket or monotonic_s - self._usual_s < USUAL_S:
            return
        self.usual, self._usual_bucket, self._usual_s = Usual.of(self.monitor), window.now, monotonic_s

    def committed(self, done: Done, now_s: float, metrics: Metrics) -> None:
        """A closed tick is on record."""
        name, closed = self.watched.name, done.closed
        if done.response is not None:
            metrics.response_committed(name, done.response.content, closed)
        else:
            metrics.tick_committed(name, self._accounts, closed, done.scan_s)
        if closed.changes and done.records:
            for _ in closed.changes:
                metrics.alert_committed(name, now_s - done.records[-1].arrival_s)
        if closed.streams:
            self.last_scan_s = now_s
        self._accounts = closed.accounts
        self.is_silent = closed.is_silent
        self.missing_days = self.monitor.missing_days
        self.alerts = self.monitor.alerts
        for alert in closed.changes:
            if alert.notice:
                kind = f"{alert.notice}, {alert.tier}, {alert.stream}"
                usual = figure_words(alert.figures.expected)
                log.info(
                    "area %s: alert %s: %s, %d against %s usual", name, alert.id, kind, alert.figures.observed, usual
                )
        for _, reason, _ in closed.refusals:
            what = "record" if done.response is None else "response"
            log.warning("area %s: a %s was rejected: %s", name, what, reason)
