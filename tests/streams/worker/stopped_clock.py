"""A clock that stands still until a test moves it."""

from __future__ import annotations

from streams.process.clock import Clock


class StoppedClock(Clock):
    def __init__(self, time_s: float) -> None:
        self.time_s = time_s

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s
