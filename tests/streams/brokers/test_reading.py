"""Reading ends when it is cancelled, or when its position has not moved for too long."""

from __future__ import annotations

import threading

import pytest

from streams.brokers.reading import STALLED_S, Cancelled, Progress, StalledError
from tests.streams.worker.stopped_clock import StoppedClock


def test_reading_that_stands_still_for_too_long_has_stalled() -> None:
    clock = StoppedClock(1000.0)
    progress = Progress("alerts, partition 1", threading.Event(), clock)
    for position in (5, 6):
        progress.at(position)
        clock.time_s += STALLED_S
        progress.at(position)
    clock.time_s += 1
    with pytest.raises(StalledError, match="alerts, partition 1: nothing was read for 60 s at offset 6"):
        progress.at(6)


def test_cancelled_reading_ends() -> None:
    cancelled = threading.Event()
    progress = Progress("alerts, partition 1", cancelled, StoppedClock(0.0))
    progress.at(0)
    cancelled.set()
    with pytest.raises(Cancelled):
        progress.at(1)
