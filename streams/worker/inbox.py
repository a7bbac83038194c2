"""The records of one partition between Kafka and the engine, and their acknowledgement in offset order.

Faust may deliver records again after any rebalance, from the committed offset, and commits past gaps
in what was acknowledged. So every delivery is remembered here in offset order, a record that the
engine was given already is not given twice, and nothing is acknowledged before all that lies below it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from detectors.window.admission import Entry
from streams.messages.records import Headers

SETTLED_S = 1.0
LIMIT_BYTES = 64 * 2**20
"""No more is taken while the waiting records hold so many bytes."""


class Delivery(Protocol):
    """What a record came with, and what is told when the record is done with: a Faust event."""

    def ack(self) -> object:
        """Acknowledge the record."""


class Record(NamedTuple):
    """A decoded record of the topic ``incidents``; ``area`` is None for one that belongs to none of the partition."""

    offset: int
    arrival_s: float
    area: str | None
    entry: Entry
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Inbox:
    """One owned partition. Everything but :attr:`inbox` belongs to the thread of the event loop.

    ``inbox`` holds at most ``limit`` records and about ``limit_bytes`` bytes. The engine takes them by :meth:`next`,
    and calls :meth:`drained` when it has taken some.
    """

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop, limit_bytes: int = LIMIT_BYTES) -> None:
        self.inbox: deque[Record] = deque()
        self.is_closed = False
        self.is_at_end = False
        self.is_full = False
        self.end_offset = 0
        self._limit, self._limit_bytes = limit, limit_bytes
        # Each is written by one thread only; what waits is the difference.
        self._bytes_in = self._bytes_out = 0
        self._loop = loop
        self._room = asyncio.Event()
        self._next_offset = 0
        self._taken_s = 0.0
        self._outstanding: deque[tuple[Record, Delivery]] = deque()
        self._covered: Mapping[str | None, int] = {}

    async def take(self, record: Record, delivery: Delivery) -> None:
        """Pass a record on to the engine; waits while the inbox is full."""
        while self._load() >= 1.0 and not self.is_closed:
            self._room.clear()
            self.is_full = True
            if self._load() >= 1.0:
                await self._room.wait()
            self.is_full = False
        self.is_at_end = False
        self._taken_s = time.monotonic()
        if self.is_closed:
            return  # it is delivered to the new owner
        if self._outstanding and record.offset <= self._outstanding[-1][0].offset:
            self._outstanding.clear()  # delivered again from the committed offset: the old deliveries are void
        self._outstanding.append((record, delivery))
        if record.offset >= self._next_offset:
            self._bytes_in += _length(record)
            self.inbox.append(record)
            self._next_offset = record.offset + 1
        if self._is_covered(record):
            self._acknowledge()

    def observe(self, position: int, end_offset: int, is_held: bool) -> None:
        """How far the consumer has read, where the log ends, and whether a full inbox holds back what it has read.

        The log may end in marks of transactions, which are no records: then a consumer at the end from which
        nothing has come for a while has brought everything.
        """
        self.end_offset = end_offset
        is_settled = position >= end_offset and not is_held and time.monotonic() - self._taken_s > SETTLED_S
        self.is_at_end = self._next_offset >= end_offset or is_settled

    def next(self) -> Record:
        """The record that has waited longest (the engine's thread); IndexError if none waits."""
        record = self.inbox.popleft()
        self._bytes_out += _length(record)
        return record

    def drained(self) -> None:
        """The engine has taken records (any thread)."""
        if self.is_full and self._load() <= 0.5:
            self._loop.call_soon_threadsafe(self._room.set)

    def cover(self, covered: Mapping[str | None, int]) -> None:
        """By area, the first offset that no committed scan record covers; acknowledges what may be."""
        self._covered = covered
        self._acknowledge()

    def put_back(self) -> None:
        """Give the engine again, in order, every record that is not acknowledged; it must not be taking any now."""
        self.inbox.clear()
        self.inbox.extend(record for record, _ in self._outstanding)
        self._bytes_in, self._bytes_out = sum(map(_length, self.inbox)), 0
        self._next_offset = self.inbox[-1].offset + 1 if self.inbox else 0

    def close(self) -> None:
        """The partition is no longer ours: nothing more is taken or acknowledged."""
        self.is_closed = True
        self._outstanding.clear()
        self._room.set()

    def _load(self) -> float:
        """How much the inbox holds of what it may."""
        return max(len(self.inbox) / self._limit, (self._bytes_in - self._bytes_out) / self._limit_bytes)

    def _is_covered(self, record: Record) -> bool:
        return self._covered.get(record.area, 0) > record.offset

    def _acknowledge(self) -> None:
        while self._outstanding and self._is_covered(self._outstanding[0][0]):
            self._outstanding.popleft()[1].ack()


def _length(record: Record) -> int:
    return len(record.value or b"") + len(record.key or b"")
