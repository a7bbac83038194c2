"""What an undisturbed run would have put on record, area by area, from the log of incidents alone.

A watermark area's ticks follow from its records. Those of a wall clock depend on when they closed, so the oracle takes
a tick's time from its scan record, and nothing else.
"""

from __future__ import annotations

import io
import operator
import pickle
from collections import deque
from typing import Any

import msgspec
from kafka import TopicPartition

from detectors.monitor import Monitor
from detectors.results import ClosedTick, ResponseResult
from detectors.window.admission import Entry
from streams.areas.area import Area
from streams.messages.incident import decode
from streams.messages.response import decode_response
from streams.messages.scan import ScanRecord, decode_scan, encode, raw, scan_record
from tests.simulation import town
from tests.simulation.broker import SimulatedBroker, Stored

MAX_BYTES = 65_536


class WrongError(AssertionError):
    """An invariant does not hold; the text is one line."""


class Oracle:
    """Repeats an area's scan records in order; each must be what the oracle makes of the same records.

    ``kept``: the Monitor after the record ``last``, by :func:`kept`; without it, the Monitor is made from the log.
    """

    def __init__(self, server: SimulatedBroker, area: Area, last: ScanRecord | None, kept: bytes = b"") -> None:
        self._server, self._area = server, area
        self._at = TopicPartition("incidents", town.home(area.name))
        self._responses = TopicPartition("responses", self._at.partition)
        self._is_wall = area.settings.clock == "wall"
        self.last = last
        self.monitor = _taken_out(kept, area) if kept else self._restored(last)
        self._read_to = last.next_offset if last else 0
        self._waiting: deque[Stored] = deque()
        self._ticks: deque[tuple[ClosedTick, list[Stored]]] = deque()
        self.revisions: deque[tuple[str, bytes]] = deque()  # made, and not seen in the topic yet
        self.refused: list[tuple[str, int]] = []  # topic and offset of what was refused

    def _restored(self, last: ScanRecord | None) -> Monitor:
        restoring = self._area.restoring(last)
        if last is not None:
            for record in self._records(last.lowest_offset, last.next_offset):
                restoring.refill(self._entry(record), record.offset, record.timestamp // 1000)
        return restoring.monitor()

    def _records(self, start: int, end: int) -> list[Stored]:
        """The area's records of a stretch."""
        name = self._area.name.encode()
        found = []
        for record in self._server.log(self._at).from_(start):
            if record.offset >= end:
                break
            if record.key == name and record.offset not in self._server.log(self._at).undecodable:
                found.append(record)
        return found

    def _entry(self, record: Stored) -> Entry:
        at = self._at.partition
        return decode(record.key, record.value, record.headers, at, town.PARTITIONS, {self._area.name}, MAX_BYTES)[1]

    def see(self, value: bytes, offset: int) -> None:
        """Check the area's next scan record.

        Raises:
            WrongError: It is not what an undisturbed run puts on record.
        """
        where = f"{self._area.name}: scan record at offset {offset}"
        record = decode_scan(value)
        number = self.last.number + 1 if self.last else 1
        if record.number != number:
            raise WrongError(f"{where} has the number {record.number}, not {number}: one is lost or doubled")
        result, read = self._result(record, where)
        derived = scan_record(self._area.name, self._area.ids, result, self.last, read)
        if encode(derived) != value:
            raise WrongError(f"{where}: {_difference(record, derived)}")
        self.last = derived
        self.revisions += [(f"{each.id}.{each.revision}", self._area.event(each)) for each in result.changes]

    def _result(
        self, record: ScanRecord, where: str
    ) -> tuple[ClosedTick | ResponseResult, list[tuple[bytes | None, ...]]]:
        if record.next_response != (self.last.next_response if self.last else 0):
            return self._responded(record, where)
        tick, read = self._repeated(record) if self._is_wall else self._next_tick(record, where)
        offsets = {each.offset for each in read}
        self.refused += [("incidents", each) for each, _ in tick.refusals if each in offsets]
        return tick, [raw(each.key, each.value, each.headers, each.timestamp) for each in read]

    def _responded(self, record: ScanRecord, where: str) -> tuple[ResponseResult, list[tuple[bytes | None, ...]]]:
        log = self._server.log(self._responses)
        answer = log.records[record.next_response - 1 - log.base]
        at = self._responses.partition
        _, content = decode_response(answer.key, answer.value, at, town.PARTITIONS, {self._area.name})
        result = self.monitor.respond(content, answer.offset)
        if result is None:
            raise WrongError(f"{where} is of a response before any tick")
        if result.refusal:
            self.refused.append(("responses", answer.offset))
        return result, [raw(answer.key, answer.value, answer.headers, answer.timestamp)]

    def _repeated(self, record: ScanRecord) -> tuple[ClosedTick, list[Stored]]:
        start = self.last.next_offset if self.last else 0
        read = self._records(start, record.next_offset)
        entries = [(self._entry(each), each.offset, each.timestamp // 1000) for each in read]
        return self.monitor.repeat(entries, record.tick_s, record.checkpoint.corrections or ()), read

    def _next_tick(self, record: ScanRecord, where: str) -> tuple[ClosedTick, list[Stored]]:
        """The next tick of a watermark area, from as many records as close it."""
        log = self._server.log(self._at)
        while not self._ticks:
            if self._read_to >= log.end:
                raise WrongError(f"{where} is of a tick that no record closes")
            for each in self._records(self._read_to, self._read_to + 1):
                self._waiting.append(each)
                for tick in self.monitor.put(self._entry(each), each.offset, each.timestamp // 1000):
                    mine = []
                    while self._waiting and self._waiting[0].offset < tick.next_offset:
                        mine.append(self._waiting.popleft())
                    self._ticks.append((tick, mine))
            self._read_to += 1
        return self._ticks.popleft()


class _Keeping(pickle.Pickler):
    """Pickles a Monitor, but not what it shares with its area; a memory view is again one of the same array."""

    def __init__(self, file: io.BytesIO, area: Area) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._place = {id(each): place for place, each in enumerate(_shared(area))}

    def persistent_id(self, obj: Any) -> int | None:
        return self._place.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        return (operator.attrgetter("data"), (obj.obj,)) if isinstance(obj, memoryview) else NotImplemented


class _TakingOut(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, area: Area) -> None:
        super().__init__(file)
        self._shared = _shared(area)

    def persistent_load(self, place: Any) -> Any:
        return self._shared[place]


def kept(monitor: Monitor, area: Area) -> bytes:
    """Return a Monitor of an area in a form of which each day takes a copy; to restore one takes 20 times as long."""
    file = io.BytesIO()
    _Keeping(file, area).dump(monitor)
    return file.getvalue()


def _taken_out(monitor: bytes, area: Area) -> Monitor:
    copy: Monitor = _TakingOut(io.BytesIO(monitor), area).load()
    return copy


def _shared(area: Area) -> tuple[object, ...]:
    return area.settings, area.locations, area.neighbours


def _difference(found: ScanRecord, right: ScanRecord) -> str:
    """The first field in which two scan records differ."""
    both = [msgspec.to_builtins(each) for each in (found, right)]
    for field in both[1]:
        if both[0].get(field) != both[1][field]:
            was, now = (str(each.get(field))[:120] for each in both)
            return f"{field} is {was}, an undisturbed run gives {now}"
    return "it is written in other bytes"
