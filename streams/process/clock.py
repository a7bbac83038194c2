"""The machine's clock. It is the only source of the time in a worker; metrics measure durations themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """The time of the machine. A test can use another clock."""

    def now_s(self) -> float:
        """Return the wall-clock time, in seconds since 1970."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return a time in seconds that never goes back. Only differences of it mean something."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return datetime.fromtimestamp(self.now_s(), UTC)


class BelievedClock(Clock):
    """A clock that shows the believed time, ``time_s()``, because the machine's clock can be wrong."""

    def __init__(self, time_s: Callable[[], float]) -> None:
        self._time_s = time_s

    def now_s(self) -> float:
        """Return the believed time, in seconds since 1970."""
        return self._time_s()


MACHINE = Clock()
