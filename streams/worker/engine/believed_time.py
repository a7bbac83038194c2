"""The believed time of a partition, from the worker's clock, the broker's clock and the records' own times.

Two clocks that differ cannot both be right. The earlier one is believed, because an hour that was closed too early
cannot be opened again. But if records occurred, or were reported, well after the earlier clock's time, that clock is
behind, and the later one is believed. So no single clock can bring an area ahead of the time.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import NamedTuple

CLOCKS_S = 30.0
"""Largest difference of two clocks that is ignored, in seconds: Kafka can take that long to stamp a record."""
OWN_AHEAD_S = 300.0
"""Time by which the records' own times must be past a clock for it to count as behind, in seconds. A source's clock can
be ahead by as much (``max_ahead_s``)."""
ASK_S = 10.0
"""Interval between two readings of the broker's clock while it differs from the worker's, in seconds."""
STAMPS, OWN_TIMES = 3, 16
"""Number of stamps, and of records' own times, that are compared, so that a single wrong stamp moves no clock."""


class Reading(NamedTuple):
    """The believed time, in seconds since 1970, and by how many seconds either clock is ahead of it."""

    now_s: float
    worker_ahead_s: float = 0.0
    broker_ahead_s: float = 0.0

    @property
    def is_doubtful(self) -> bool:
        """Whether the clocks differ."""
        return max(abs(self.worker_ahead_s), abs(self.broker_ahead_s)) > CLOCKS_S


class BelievedTime:
    """The state of one partition's believed time. All times are in seconds; ``monotonic_s`` never goes back.

    The broker's clock is known from the stamps of records that the worker itself has written, because a record that it
    reads can be old. Before the first such stamp, the worker's clock is believed.
    """

    def __init__(self) -> None:
        # Each of them less the monotonic time at which it was seen.
        self._stamps: deque[float] = deque(maxlen=STAMPS)
        self._own: deque[float] = deque(maxlen=OWN_TIMES)
        self._asked_s = float("-inf")
        self._skew = self._leap = self._way = 0
        self._stamp_s = float("-inf")

    def read(self, worker_s: float, monotonic_s: float) -> Reading:
        """Return the believed time, at a moment of the worker's clock."""
        if not self._stamps:
            return Reading(worker_s)
        broker_s = median_low(self._stamps) + monotonic_s
        earlier_s, later_s = min(worker_s, broker_s), max(worker_s, broker_s)
        is_behind = bool(self._own) and max(self._own) + monotonic_s > earlier_s + OWN_AHEAD_S
        now_s = later_s if is_behind else earlier_s
        return Reading(now_s, worker_s - now_s, broker_s - now_s)

    def stamped(self, stamp_s: float, monotonic_s: float) -> None:
        """Note the broker's stamp of a record that the worker has just written."""
        self._stamps.append(stamp_s - monotonic_s)

    def occurred(self, own_s: float, stamp_s: float, worker_s: float, monotonic_s: float) -> None:
        """Note the time that a record itself has.

        No record arrives before its own time. So that time counts up to the record's stamp. A later time counts up to
        the worker's clock if it is nearer to that clock than to the stamp: then the stamp is behind, and the source is
        not ahead.
        """
        reach_s = max(stamp_s, worker_s) if own_s - stamp_s > worker_s - own_s else stamp_s
        self._own.append(min(own_s, reach_s) - monotonic_s)

    def asks(self, reading: Reading, monotonic_s: float) -> bool:
        """Return whether the broker's clock should be read again, by writing a record."""
        return reading.is_doubtful and monotonic_s - self._asked_s >= ASK_S

    def asked(self, monotonic_s: float) -> None:
        """Note that the broker's clock is being read."""
        self._asked_s = monotonic_s

    def ahead_s(self, stamp_s: float, own_s: float | None, reading: Reading, is_current: bool) -> int:
        """Return by how many seconds a stamp is ahead of the time, or behind if negative; 0 for a small difference.

        ``own_s``: the record's own time. ``is_current``: whether records are read as they arrive. Then a stamp is off
            by as much as the broker's clock. A record of a backlog can be older than the fault of that clock, so its
            stamp can also be right. Of the two arrivals that the record's own time and the present allow, the earlier
            one is believed, and neighbouring records are read alike. A stamp without such an explanation, ahead of the
            time or before the record's own time, is replaced by the present.
        """
        skew = reading.broker_ahead_s
        if abs(skew - self._skew) > CLOCKS_S:
            self._skew = round(skew) if abs(skew) > CLOCKS_S else 0
        latest_s = reading.now_s + CLOCKS_S
        earliest_s = own_s - OWN_AHEAD_S if own_s is not None and own_s <= latest_s else float("-inf")
        ways = [self._skew] if is_current else [self._skew, 0]
        fitting = [ahead_s for ahead_s in ways if earliest_s <= stamp_s - ahead_s <= latest_s]
        is_neighbour = abs(stamp_s - self._stamp_s) < abs(self._skew) / 2
        self._stamp_s = stamp_s
        if fitting:
            self._way = self._way if is_neighbour and self._way in fitting else max(fitting)
            return self._way
        if not is_current and stamp_s - self._skew <= latest_s:
            return self._skew
        if abs(stamp_s - self._leap - reading.now_s) > CLOCKS_S:
            self._leap = round(stamp_s - reading.now_s)
        return self._leap
