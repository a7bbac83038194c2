"""The machine's clock, the only one that a worker asks for the time. Metrics measure durations on their own."""

from __future__ import annotations

import time
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


MACHINE = Clock()
