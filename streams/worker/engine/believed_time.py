"""The time that a partition believes: compared from the worker's clock, the broker's, and the records' own times.

Two clocks that differ cannot both be right. The earlier one is believed, since an hour that was closed too early cannot
be opened again, unless records occurred, or were reported, well after it: then it is behind. So neither clock alone can
bring an area ahead of the time.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import NamedTuple

CLOCKS_S = 30.0
"""Largest difference of two clocks that counts as none, in seconds: Kafka can take so long to stamp a record."""
OWN_AHEAD_S = 300.0
"""How far the records' own times must be past a clock that is behind, in seconds: a source's clock may be ahead by as
much (``max_ahead_s``)."""
ASK_S = 10.0
"""Time between two looks at the broker's clock while it differs from the worker's, in seconds."""
STAMPS, OWN_TIMES = 3, 16
"""Number of stamps, and of records' own times, that are compared: a single wrong stamp moves no clock."""


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
    """What one partition knows of the time. All times are in seconds; ``monotonic_s`` never goes back.

    The broker's clock is known from the stamps of records that the worker itself wrote, since those of records that it
    reads may be old. Until there is one, the worker's clock is believed.
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

        No record comes before its own time. So it counts up to the record's stamp; and beyond that, up to the worker's
        clock, if it is nearer to that: then the stamp is behind, and not the source ahead.
        """
        reach_s = max(stamp_s, worker_s) if own_s - stamp_s > worker_s - own_s else stamp_s
        self._own.append(min(own_s, reach_s) - monotonic_s)

    def asks(self, reading: Reading, monotonic_s: float) -> bool:
        """Return whether the broker's clock should be looked at again, by writing a record."""
        return reading.is_doubtful and monotonic_s - self._asked_s >= ASK_S

    def asked(self, monotonic_s: float) -> None:
        """Note that the broker's clock is looked at."""
        self._asked_s = monotonic_s

    def ahead_s(self, stamp_s: float, own_s: float | None, reading: Reading, is_current: bool) -> int:
        """Return by how many seconds a stamp is ahead of the time, or behind if negative; 0 for what counts as none.

        ``own_s``: the record's own time. ``is_current``: whether records come as they are read. Then a stamp is off as
        the broker's clock is. A record of a backlog can be older than that, so its stamp may also be right: of the two
        arrivals that its own time and the present allow, the earlier one is believed, and neighbours are read alike.
        A stamp that nothing explains, ahead of the time or to before the record's own, is brought to the present.
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
