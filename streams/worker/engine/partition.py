"""One owned partition: its areas' Monitors, and the transaction that puts closed ticks and responses on record.

Everything here runs in the engine's thread, or before the engine gets the partition.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast

import msgspec

from detectors.area.incident import Incident
from detectors.monitor import NO_SUCH_ALERT
from detectors.window.admission import Refusal
from streams.area_log.last_records import ADVICE
from streams.area_log.records import LogError
from streams.areas.health import Clocks
from streams.calibration.calibration_file import CalibrationFile
from streams.configuration.kafka import Topic
from streams.messages.response import ResponseRecord
from streams.messages.scan import PartitionRecord
from streams.process.clock import MACHINE, Clock
from streams.worker.engine.believed_time import Reading
from streams.worker.engine.gaps import Gap, Gaps
from streams.worker.engine.outgoing import Outgoing, OutgoingRecord
from streams.worker.engine.owned_area import QUIET_S, DoneResponse, DoneTick, OwnedArea
from streams.worker.engine.partition_clocks import PartitionClocks
from streams.worker.engine.publisher import Publisher
from streams.worker.engine.rebuild import Restored
from streams.worker.inbox import Record
from streams.worker.metrics import Metrics

UNOWNED_S = 1.0
"""Time limit for rejections of no area to wait for the transaction of a tick, in seconds."""

log = logging.getLogger(__name__)


class Position(NamedTuple):
    """The offset up to which a partition of an input topic is read.

    ``topic_id``: the recorded identity of the topic; empty if it is unknown.
    """

    topic: Topic
    partition: int
    offset: int
    topic_id: str


class Partition:
    """One owned partition, from its rebuild until it is lost.

    ``next_offset``: the offset after the last record taken. ``gaps`` receives the offsets without a record.
    """

    def __init__(
        self,
        number: int,
        restored: Restored,
        publisher: Publisher,
        messages: Outgoing,
        metrics: Metrics,
        gaps: Gaps,
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
        self.next_offset = restored.read_from
        self._begins = restored.read_from
        self.next_response = restored.own.next_response
        self._own = restored.own
        self._is_own_due = restored.is_changed
        self._publisher = publisher
        self._messages = messages
        self._metrics = metrics
        self._gaps = gaps
        self._clock = clock
        self._clock_s = 0
        self._clocks = PartitionClocks(number, clock)
        self.last_arrival_s = 0.0
        self._done: list[DoneTick | DoneResponse] = []
        self._settings: list[OutgoingRecord] = []
        self._unowned: list[Record] = []
        self._unowned_since_s = 0.0
        self._early = deque(restored.early)
        self._refused_responses: list[tuple[ResponseRecord, Refusal]] = []

    @property
    def waiting(self) -> int:
        """The number of closed ticks and responses that wait for the transaction."""
        return len(self._done)

    @property
    def time(self) -> Reading:
        """The believed time when the clocks were last compared."""
        return self._clocks.time

    def positions(self) -> list[Position]:
        """Return how far the input topics are read (any thread)."""
        topics = self._own.topics
        return [
            Position("incidents", self.number, self.next_offset, topics.get("incidents", "")),
            Position("responses", self.number, self.next_response, topics.get("responses", "")),
        ]

    def look(self, worker_s: float) -> float:
        """Compare the clocks; return the believed time. ``worker_s``: the worker's clock."""
        return self._clocks.look(worker_s)

    def ask(self) -> None:
        """Read the broker's clock, by the stamp of a record that is written soon. Only wall clocks need it."""
        self._is_own_due |= any(area.is_wall for area in self.areas.values())

    def clocks(self, area: OwnedArea, worker_s: float) -> Clocks | None:
        """Return by how much the clocks of an area are off (any thread); None on a watermark clock."""
        return self._clocks.around(area, worker_s)

    def put(self, record: Record, worker_s: float) -> None:
        """Take the next record, unless a committed transaction covers it."""
        is_copied = record.offset < self._own.copied
        self._respond_until(record.arrival_s)
        if record.offset > self.next_offset:
            self._gaps.note(Gap(self.number, self.next_offset, record.offset, self.next_offset == self._begins))
        self.next_offset = max(self.next_offset, record.offset + 1)
        self._put(record, worker_s, is_copied)
        if self.next_offset >= self._own.copied:
            self._respond_until(math.inf)

    def _put(self, record: Record, worker_s: float, is_copied: bool) -> None:
        self.last_arrival_s = record.arrival_s
        area = None if record.area is None else self.areas[record.area]
        if record.offset < (self._own.next_offset if area is None else area.monitor.expected_next):
            return
        own_s = _own_s(record) if area is not None and area.is_wall else None
        ahead_s = self._clocks.ahead_s(record.arrival_s, own_s, worker_s)
        now_s, arrival_s = self.time.now_s, record.arrival_s - ahead_s
        self.last_arrival_s = arrival_s
        if area is None:
            if not self._unowned:
                self._unowned_since_s = worker_s
            self._unowned.append(record)
            is_behind = now_s - arrival_s > QUIET_S
        else:
            is_behind = area.is_behind(arrival_s, now_s)
            self._done += area.put(record, ahead_s, now_s, self._metrics, may_merge=not is_copied)
        if (is_copied or not is_behind) and int(arrival_s) > self._clock_s:
            self._clock_s = int(arrival_s)
            for other in self.areas.values():
                if other is not area:
                    self._done += other.advance(self._clock_s)

    def respond(self, response: ResponseRecord) -> None:
        """Take the next response, of any area, unless a committed transaction covers it.

        While the incidents are copies, the response waits for the incidents that came before it.
        """
        if response.offset < self.next_response or (self._early and response.offset <= self._early[-1].offset):
            return
        self._early.append(response)
        if self.next_offset >= self._own.copied:
            self._respond_until(math.inf)

    def _respond_until(self, time_s: float) -> None:
        """Apply the responses that arrived before a time, each once the ticks before it are closed."""
        while self._early and self._early[0].arrival_s <= time_s:
            response = self._early.popleft()
            if self.next_offset < self._own.copied:
                self._advance(response.arrival_s)
            self._respond(response)

    def _respond(self, response: ResponseRecord) -> None:
        self.next_response = response.offset + 1
        done = None if response.area is None else self.areas[response.area].respond(response)
        if done is not None:
            self._done.append(done)
            return
        refusal = response.content if isinstance(response.content, Refusal) else NO_SUCH_ALERT
        self._refused_responses.append((response, refusal))

    def quiet(self, worker_s: float) -> None:
        """Advance the wall clocks, because nothing is left to read."""
        self._advance(self._clocks.at_end(worker_s))

    def _advance(self, time_s: float) -> None:
        for area in self.areas.values():
            self._done += area.advance(int(time_s) - QUIET_S)

    def close_early(self, worker_s: float) -> None:
        """Close the ticks that a wrong clock has brought ahead of the time, and that have been open long enough."""
        now_s, monotonic_s = self.look(worker_s), self._clock.monotonic_s()
        for area in self.areas.values():
            self._done += area.close_early(now_s, monotonic_s)

    def recalibrate(self, area: str, calibration: CalibrationFile) -> None:
        """Use another calibration in an area from its next boundary on. It is put on record first."""
        self._settings += self._messages.settings(self.areas[area].recalibrate(calibration))

    def flush(self) -> None:
        """Close every open tick of a wall clock."""
        for area in self.areas.values():
            self._done += area.flush()

    def is_due(self, worker_s: float) -> bool:
        """Return whether there is something to commit."""
        return (
            bool(self._done)
            or bool(self._settings)
            or bool(self._refused_responses)
            or (bool(self._unowned) and not 0 <= worker_s - self._unowned_since_s < UNOWNED_S)
            or self._is_own_due
            or self._clocks.asks()
        )

    def commit(self, worker_s: float) -> None:
        """Put everything that is done on record in one transaction. Afterwards :attr:`covered` is up to date.

        Raises:
            FencedError: The partition has another owner.
            AbortedError: Nothing was written; the partition must be rebuilt.
            LogError: The topic ``scans`` was created again.
        """
        now_s = self.look(worker_s)
        self._clocks.asked()
        done, unowned, responses = self._done, self._unowned, self._refused_responses
        messages = [*self._settings]
        scan_at = {}
        alerts: list[int] = []
        for each in done:
            alerts += range(len(messages), len(messages) + len(each.result.changes))  # a tick's revisions come first
            messages += self._messages_of(each, now_s)
            scan_at[each.area.watched.name] = len(messages) - 1
        messages += [self._messages.rejection("incidents", record, _refusal(record)) for record in unowned]
        messages += [self._messages.rejection("responses", *each) for each in responses]
        own = _with_rejected(self._own, unowned) if unowned else self._own
        own = msgspec.structs.replace(own, next_response=self.next_response, read_from=self._read_from())
        if not alerts:
            offsets = self._publisher.commit([*messages, self._messages.partition(own)])
        else:

            def closing(offsets: Sequence[int]) -> OutgoingRecord:
                return self._messages.partition(_with_alerts(own, offsets[alerts[0]], offsets[alerts[-1]]))

            offsets = self._publisher.commit(messages, closing)
            own = _with_alerts(own, offsets[alerts[0]], offsets[alerts[-1]])
        self._is_own_due = False
        if self._publisher.stamp_s is not None:
            self._clocks.stamped(self._publisher.stamp_s)
        if offsets[-1] <= self._own.previous:
            topic = self._messages.partition(own).topic
            problem = f"ends at offset {offsets[-1] + 1}, but was written up to {self._own.previous + 1}"
            raise LogError(f"{topic}, partition {self.number}: {problem}; the topic was created again. {ADVICE}")
        scans = {name: offsets[index] for name, index in scan_at.items()}
        own = msgspec.structs.replace(own, scans=own.scans | scans, previous=offsets[-1])
        self._done, self._settings, self._unowned, self._refused_responses, self._own = [], [], [], [], own
        self._metrics.transaction("committed")
        committed_s = self.look(self._clock.now_s())
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

    def _read_from(self) -> int:
        """Return the first offset that will not be on record after the next transaction."""
        waiting = (area.first_waiting for area in self.areas.values())
        return min((self.next_offset, *(offset for offset in waiting if offset is not None)))

    def _messages_of(self, done: DoneTick | DoneResponse, now_s: float) -> list[OutgoingRecord]:
        """Return the messages of a closed tick or a response, the scan record last."""
        if isinstance(done, DoneTick):
            messages = self._messages.alerts(done.watched, done.result, done.result.tick_s, now_s)
            records = {record.offset: record for record in done.records} if done.result.refusals else {}
            for offset, refusal in done.result.refusals:
                messages.append(self._messages.rejection("incidents", records[offset], refusal))
        else:
            arrival_s = done.response.arrival_s - self.time.broker_ahead_s
            messages = self._messages.alerts(done.watched, done.result, arrival_s, now_s)
            if done.result.refusal:
                messages.append(self._messages.rejection("responses", done.response, done.result.refusal))
        messages.append(self._messages.scan(done.watched, done.record, now_s))
        return messages

    def close(self) -> None:
        """Give up the partition."""
        self._publisher.close()


def _own_s(record: Record) -> float | None:
    """Return when an incident was reported; without that time, when it occurred."""
    entry = record.entry
    own = (entry.reported_at or entry.occurred) if isinstance(entry, Incident) else None
    return None if own is None else own.timestamp()


def _refusal(record: Record) -> Refusal:
    return cast(Refusal, record.entry)  # a record of no area was refused


def _with_alerts(own: PartitionRecord, first: int, last: int) -> PartitionRecord:
    """Return the partition record after a transaction with revisions, without torn ones of an earlier topic."""
    is_same_topic = own.next_alert is None or first >= own.next_alert
    return msgspec.structs.replace(own, next_alert=last + 1, torn=own.torn if is_same_topic else ())


def _with_rejected(own: PartitionRecord, records: list[Record]) -> PartitionRecord:
    rejected = dict(own.rejected)
    for record in records:
        reason = _refusal(record).reason
        rejected[reason] = rejected.get(reason, 0) + 1
    return msgspec.structs.replace(own, next_offset=records[-1].offset + 1, rejected=rejected)
