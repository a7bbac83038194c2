"""The machine's clock, the only one that a worker asks for the time; durations for metrics have a stopwatch."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The time of the machine; a test can hand in another."""

    def now_s(self) -> float:
        """Return the wall-clock time, in seconds since 1970."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return a time that never goes back, in seconds from some moment."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return datetime.fromtimestamp(self.now_s(), UTC)


MACHINE = Clock()
