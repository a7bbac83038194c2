"""The records of one partition between Kafka and the engine, and their acknowledgement in offset order.

After a rebalance Faust can deliver records again, from the committed offset. Faust also commits past gaps in the
acknowledged offsets. So the inbox remembers every delivered offset, gives the engine no record twice, and acknowledges
a record only after all records below it. If a scan record covers a record, only its offset is remembered, as part of a
run. So an area whose tick stays open delays the acknowledgement of its neighbours' records, but does not keep these
records in memory.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from detectors.window.admission import Entry
from streams.messages.records import Headers
from streams.process.clock import MACHINE, Clock

SETTLED_S = 1.0
"""Time without a record after which a consumer at the end of the log has delivered everything, in seconds."""
LIMIT_BYTES = 64 * 2**20
"""Largest total size of the waiting records, in bytes."""
BURST = 10_000
"""Largest number of records that are acknowledged at a time."""
PAUSE_S = 0.05
"""Interval between two such bursts, in seconds. Millions of records can have been held back. All at once, they would
block the event loop, and Faust would keep each of their offsets until its next commit."""


class Record(NamedTuple):
    """A decoded record of the topic ``incidents``. ``area``: None if the record belongs to no area of the partition."""

    offset: int
    arrival_s: float
    area: str | None
    entry: Entry
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Inbox:
    """The waiting records of one owned partition. Everything except :attr:`waiting` belongs to the event loop's thread.

    ``waiting`` holds at most ``limit`` records and about ``limit_bytes`` bytes. The engine takes records with
    :meth:`next`, and then calls :meth:`drained`. ``acknowledge`` is called with each offset that can be acknowledged.
    """

    def __init__(
        self,
        limit: int,
        loop: asyncio.AbstractEventLoop,
        acknowledge: Callable[[int], object],
        limit_bytes: int = LIMIT_BYTES,
        clock: Clock = MACHINE,
    ) -> None:
        self.waiting: deque[Record] = deque()
        self.is_closed = False
        self.is_at_end = False
        self.is_full = False
        self.end_offset = 0
        self._limit, self._limit_bytes = limit, limit_bytes
        # Each is written by one thread only; the difference is waiting.
        self._bytes_in = self._bytes_out = 0
        self._loop = loop
        self._clock = clock
        self._room = asyncio.Event()
        self._next_offset = 0
        self._taken_s = 0.0
        self._acknowledge_one = acknowledge
        self._pause: asyncio.TimerHandle | None = None
        # Delivered and not acknowledged: the runs of their offsets, and by area the records that are not covered.
        self._outstanding: deque[range] = deque()
        self._uncovered: dict[str | None, deque[Record]] = {}
        self._covered: Mapping[str | None, int] = {}

    async def take(self, record: Record) -> None:
        """Pass a record on to the engine; wait while the inbox is full."""
        while self._load() >= 1.0 and not self.is_closed:
            self._room.clear()
            self.is_full = True
            if self._load() >= 1.0:
                await self._room.wait()
            self.is_full = False
        self.is_at_end = False
        self._taken_s = self._clock.monotonic_s()
        if self.is_closed:
            return  # the new owner gets it
        if self._outstanding and record.offset < self._outstanding[-1].stop:
            self._forget()  # delivered again from the committed offset; the old deliveries are void
        self._remember(record)
        if record.offset >= self._next_offset:
            self._bytes_in += _length(record)
            self.waiting.append(record)
            self._next_offset = record.offset + 1
        if self._is_covered(record):
            self._acknowledge()

    def observe(self, position: int, end_offset: int, is_held: bool) -> None:
        """Note how far the consumer has read, where the log ends, and whether a full inbox holds records back.

        The log can end in marks of transactions, which are not records. So if a consumer at the end has delivered
        nothing for a while, it has delivered everything.
        """
        self.end_offset = end_offset
        is_settled = position >= end_offset and not is_held and self._clock.monotonic_s() - self._taken_s > SETTLED_S
        self.is_at_end = self._next_offset >= end_offset or is_settled

    def next(self) -> Record:
        """Return the record that has waited longest (engine's thread); raises IndexError if none waits."""
        record = self.waiting.popleft()
        self._bytes_out += _length(record)
        return record

    def drained(self) -> None:
        """Note that the engine has taken records (any thread)."""
        if self.is_full and self._load() <= 0.5:
            self._loop.call_soon_threadsafe(self._room.set)

    def cover(self, covered: Mapping[str | None, int]) -> None:
        """Note, by area, the first offset that no committed scan record covers; acknowledge the records below."""
        self._covered = covered
        for area, records in self._uncovered.items():
            while records and covered.get(area, 0) > records[0].offset:
                records.popleft()
        self._acknowledge()

    def put_back(self) -> None:
        """Give the engine again every record that is not covered, in order. Meanwhile it must not take records."""
        self.waiting.clear()
        self.waiting.extend(heapq.merge(*self._uncovered.values(), key=lambda record: record.offset))
        self._bytes_in, self._bytes_out = sum(map(_length, self.waiting)), 0
        self._next_offset = self._outstanding[-1].stop if self._outstanding else 0

    def close(self) -> None:
        """Give up the partition: no more records are taken or acknowledged."""
        self.is_closed = True
        self._forget()
        self._room.set()

    def _load(self) -> float:
        """Return the share of the limit that the inbox holds."""
        return max(len(self.waiting) / self._limit, (self._bytes_in - self._bytes_out) / self._limit_bytes)

    def _is_covered(self, record: Record) -> bool:
        return self._covered.get(record.area, 0) > record.offset

    def _remember(self, record: Record) -> None:
        last = self._outstanding[-1] if self._outstanding else None
        if last is not None and last.stop == record.offset:
            self._outstanding[-1] = range(last.start, record.offset + 1)
        else:
            self._outstanding.append(range(record.offset, record.offset + 1))
        if not self._is_covered(record):
            self._uncovered.setdefault(record.area, deque()).append(record)

    def _forget(self) -> None:
        self._outstanding.clear()
        self._uncovered.clear()

    def _acknowledge(self) -> None:
        """Acknowledge the delivered offsets below the first that is not covered, in bursts."""
        if self._pause is not None:
            return
        heads = [records[0].offset for records in self._uncovered.values() if records]
        held, left = min(heads, default=None), BURST
        while left and self._outstanding and (held is None or self._outstanding[0].start < held):
            run = self._outstanding.popleft()
            stop = min(run.stop, run.start + left, run.stop if held is None else held)
            for offset in range(run.start, stop):
                self._acknowledge_one(offset)
            left -= stop - run.start
            if stop < run.stop:
                self._outstanding.appendleft(range(stop, run.stop))
        if not left:
            self._pause = self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._acknowledge()


def _length(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
