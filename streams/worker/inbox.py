"""The records of one partition between Kafka and the engine, and their acknowledgement in offset order.

After a rebalance Faust can deliver records again, from the committed offset; and it commits past gaps in what was
acknowledged. So the inbox remembers every delivery in offset order, gives the engine no record twice, and
acknowledges a record only after all records below it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from detectors.window.admission import Entry
from streams.messages.records import Headers
from streams.process.clock import MACHINE, Clock

SETTLED_S = 1.0
"""Time without a record after which a consumer at the end of the log has brought everything, in seconds."""
LIMIT_BYTES = 64 * 2**20
"""Largest total size of the waiting records, in bytes."""


class Delivery(Protocol):
    """The delivery of a record: a Faust event, which acknowledges it."""

    def ack(self) -> object:
        """Acknowledge the record."""


class Record(NamedTuple):
    """A decoded record of the topic ``incidents``; ``area`` is None for one of no area of the partition."""

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
    :meth:`next`, and then calls :meth:`drained`.
    """

    def __init__(
        self, limit: int, loop: asyncio.AbstractEventLoop, limit_bytes: int = LIMIT_BYTES, clock: Clock = MACHINE
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
        self._outstanding: deque[tuple[Record, Delivery]] = deque()
        self._covered: Mapping[str | None, int] = {}

    async def take(self, record: Record, delivery: Delivery) -> None:
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
        if self._outstanding and record.offset <= self._outstanding[-1][0].offset:
            self._outstanding.clear()  # delivered again from the committed offset; the old deliveries are void
        self._outstanding.append((record, delivery))
        if record.offset >= self._next_offset:
            self._bytes_in += _length(record)
            self.waiting.append(record)
            self._next_offset = record.offset + 1
        if self._is_covered(record):
            self._acknowledge()

    def observe(self, position: int, end_offset: int, is_held: bool) -> None:
        """Note how far the consumer has read, where the log ends, and whether a full inbox holds records back.

        The log can end in marks of transactions, which are not records. Then a consumer at the end that has brought
        nothing for a while has brought everything.
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
        self._acknowledge()

    def put_back(self) -> None:
        """Give the engine every unacknowledged record again, in order; it must not be taking records now."""
        self.waiting.clear()
        self.waiting.extend(record for record, _ in self._outstanding)
        self._bytes_in, self._bytes_out = sum(map(_length, self.waiting)), 0
        self._next_offset = self.waiting[-1].offset + 1 if self.waiting else 0

    def close(self) -> None:
        """Let go of the partition: no more records are taken or acknowledged."""
        self.is_closed = True
        self._outstanding.clear()
        self._room.set()

    def _load(self) -> float:
        """Return the share of the limit that the inbox holds."""
        return max(len(self.waiting) / self._limit, (self._bytes_in - self._bytes_out) / self._limit_bytes)

    def _is_covered(self, record: Record) -> bool:
        return self._covered.get(record.area, 0) > record.offset

    def _acknowledge(self) -> None:
        while self._outstanding and self._is_covered(self._outstanding[0][0]):
            self._outstanding.popleft()[1].ack()


def _length(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
