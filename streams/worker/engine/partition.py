"""One owned partition: its areas' Monitors, and the transaction that puts closed ticks and responses on record.

Everything here runs in the engine's thread, or before the partition is handed to it.
"""

from __future__ import annotations

import logging
from typing import cast

import msgspec

from detectors.monitor import NO_SUCH_ALERT
from detectors.window.admission import Refusal
from streams.calibration.calibration_file import CalibrationFile
from streams.messages.response import ResponseRecord
from streams.messages.scan import PartitionRecord
from streams.process.clock import MACHINE, Clock
from streams.worker.engine.outgoing import Outgoing, OutgoingRecord
from streams.worker.engine.owned_area import QUIET_S, DoneResponse, DoneTick, OwnedArea
from streams.worker.engine.publisher import Publisher
from streams.worker.engine.rebuild import Restored
from streams.worker.inbox import Record
from streams.worker.metrics import Metrics

UNOWNED_S = 1.0
"""Time limit for rejections of no area to wait for the transaction of a tick, in seconds."""


log = logging.getLogger(__name__)


class Partition:
    """One owned partition, from its rebuild until it is lost."""

    def __init__(
        self,
        number: int,
        restored: Restored,
        publisher: Publisher,
        messages: Outgoing,
        metrics: Metrics,
        clock: Clock = MACHINE,
    ) -> None:
        self.number = number
        self.areas = {
            name: OwnedArea(restored.watched[name], monitor, restored.last.get(name))
            for name, monitor in restored.monitors.items()
        }
        for name, calibration in restored.coming.items():
            self.areas[name].recalibrate(calibration)
        self.covered: dict[str | None, int] = {None: restored.own.next_offset}
        self.covered.update({name: monitor.expected_next for name, monitor in restored.monitors.items()})
        self.next_offset = max(self.covered.values())
        self.next_response = restored.own.next_response
        self._own = restored.own
        self._publisher = publisher
        self._messages = messages
        self._metrics = metrics
        self._clock = clock
        self._clock_s = 0
        self._done: list[DoneTick | DoneResponse] = []
        self._settings: list[OutgoingRecord] = []
        self._unowned: list[Record] = []
        self._unowned_since_s = 0.0
        self._refused_responses: list[tuple[ResponseRecord, Refusal]] = []

    @property
    def waiting(self) -> int:
        """The number of closed ticks and responses that wait for the transaction."""
        return len(self._done)

    def put(self, record: Record, now_s: float) -> None:
        """Take the next record, unless a committed transaction covers it."""
        self.next_offset = max(self.next_offset, record.offset + 1)
        if record.area is None:
            if record.offset < self._own.next_offset:
                return
            if not self._unowned:
                self._unowned_since_s = now_s
            self._unowned.append(record)
            area, is_behind = None, now_s - record.arrival_s > QUIET_S
        else:
            area = self.areas[record.area]
            if record.offset < area.monitor.expected_next:
                return
            is_behind = area.is_behind(record, now_s)
            self._done += area.put(record, now_s, self._metrics)
        if not is_behind and int(record.arrival_s) > self._clock_s:
            self._clock_s = int(record.arrival_s)
            for other in self.areas.values():
                if other is not area:
                    self._done += other.advance(self._clock_s)

    def respond(self, response: ResponseRecord) -> None:
        """Take the next response, of any area, unless a committed transaction covers it."""
        if response.offset < self.next_response:
            return
        self.next_response = response.offset + 1
        done = None if response.area is None else self.areas[response.area].respond(response)
        if done is not None:
            self._done.append(done)
            return
        refusal = response.content if isinstance(response.content, Refusal) else NO_SUCH_ALERT
        self._refused_responses.append((response, refusal))

    def quiet(self, now_s: float) -> None:
        """Advance the wall clocks: nothing is left to read."""
        for area in self.areas.values():
            self._done += area.advance(int(now_s) - QUIET_S)

    def recalibrate(self, area: str, calibration: CalibrationFile) -> None:
        """Use another calibration in an area from its next boundary on; it is put on record before."""
        self._settings += self._messages.settings(self.areas[area].recalibrate(calibration))

    def flush(self) -> None:
        """Close every open tick of a wall clock."""
        for area in self.areas.values():
            self._done += area.flush()

    def is_due(self, now_s: float) -> bool:
        """Return whether there is something to commit."""
        return (
            bool(self._done)
            or bool(self._settings)
            or bool(self._refused_responses)
            or (bool(self._unowned) and now_s - self._unowned_since_s >= UNOWNED_S)
        )

    def commit(self, now_s: float) -> None:
        """Put everything that is done on record, in one transaction; afterwards :attr:`covered` is up to date.

        Raises:
            FencedError: The partition has another owner.
            AbortedError: Nothing was written; the partition must be rebuilt.
        """
        done, unowned, responses = self._done, self._unowned, self._refused_responses
        messages = [*self._settings]
        scan_at = {}
        last_alert = None
        for each in done:
            if each.result.changes:
                last_alert = len(messages) + len(each.result.changes) - 1  # a tick's revisions come first
            messages += self._messages_of(each, now_s)
            scan_at[each.area.watched.name] = len(messages) - 1
        messages += [self._messages.rejection("incidents", record, _refusal(record)) for record in unowned]
        messages += [self._messages.rejection("responses", *each) for each in responses]
        own = _with_rejected(self._own, unowned) if unowned else self._own
        own = msgspec.structs.replace(own, next_response=self.next_response)
        if last_alert is None:
            offsets = self._publisher.commit([*messages, self._messages.partition(own)])
        else:
            offsets = self._publisher.commit(
                messages, lambda offsets: self._messages.partition(_with_alerts(own, offsets[last_alert]))
            )
            own = _with_alerts(own, offsets[last_alert])
        scans = {name: offsets[index] for name, index in scan_at.items()}
        own = msgspec.structs.replace(own, scans=own.scans | scans, previous=offsets[-1])
        self._done, self._settings, self._unowned, self._refused_responses, self._own = [], [], [], [], own
        self._metrics.transaction("committed")
        committed_s = self._clock.now_s()
        for each in done:
            if isinstance(each, DoneTick):
                each.area.tick_committed(each, committed_s, self._metrics)
            else:
                each.area.response_committed(each, self._metrics)
            self.covered[each.area.watched.name] = each.result.next_offset
        for record in unowned:
            self._metrics.rejected(_refusal(record).reason)
            log.warning("partition %d: a record was rejected: %s", self.number, _refusal(record).reason)
        for response, refusal in responses:
            self._metrics.rejected(refusal.reason, response.area or "")
            log.warning("partition %d: a response was rejected: %s", self.number, refusal.reason)
        self.covered[None] = own.next_offset

    def _messages_of(self, done: DoneTick | DoneResponse, now_s: float) -> list[OutgoingRecord]:
        """The messages of a closed tick or a response; the scan record comes last."""
        if isinstance(done, DoneTick):
            messages = self._messages.alerts(done.watched, done.result, done.result.tick_s, now_s)
            records = {record.offset: record for record in done.records} if done.result.refusals else {}
            for offset, refusal in done.result.refusals:
                messages.append(self._messages.rejection("incidents", records[offset], refusal))
        else:
            messages = self._messages.alerts(done.watched, done.result, done.response.arrival_s, now_s)
            if done.result.refusal:
                messages.append(self._messages.rejection("responses", done.response, done.result.refusal))
        messages.append(self._messages.scan(done.record))
        return messages

    def close(self) -> None:
        """Let go of the partition."""
        self._publisher.close()


def _refusal(record: Record) -> Refusal:
    return cast(Refusal, record.entry)  # a record of no area was refused


def _with_alerts(own: PartitionRecord, last: int) -> PartitionRecord:
    return msgspec.structs.replace(own, next_alert=last + 1)


def _with_rejected(own: PartitionRecord, records: list[Record]) -> PartitionRecord:
    rejected = dict(own.rejected)
    for record in records:
        reason = _refusal(record).reason
        rejected[reason] = rejected.get(reason, 0) + 1
    return msgspec.structs.replace(own, next_offset=records[-1].offset + 1, rejected=rejected)
