"""Reading a log forwards or from its end; it is cancelled, or given up when nothing comes for too long."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from streams.brokers.connection import is_passing
from streams.brokers.reading import FIRST_STEP, STALLED_S, Cancelled, Progress, StalledError, records_from_end
from tests.streams.brokers.kept_log import KeptLog, kept
from tests.streams.worker.stopped_clock import StoppedClock


def test_reading_that_stands_still_for_too_long_has_stalled() -> None:
    clock = StoppedClock(1000.0)
    progress = Progress("alerts, partition 1", threading.Event(), clock=clock)
    for position in (5, 6):
        progress.at(position)
        clock.time_s += STALLED_S
        progress.at(position)
    clock.time_s += 1
    with pytest.raises(StalledError, match="alerts, partition 1: nothing was read for 60 s at offset 6") as stalled:
        progress.at(6)
    assert is_passing(stalled.value)


def test_cancelled_reading_ends() -> None:
    cancelled = threading.Event()
    progress = Progress("alerts, partition 1", cancelled, clock=StoppedClock(0.0))
    progress.at(0)
    cancelled.set()
    with pytest.raises(Cancelled):
        progress.at(1)


@given(st.sets(st.integers(0, 20 * FIRST_STEP), max_size=200), st.integers(0, 5))
def test_from_its_end_a_log_is_read_as_far_as_is_wanted(offsets: set[int], marks: int) -> None:
    at = TopicPartition("scans", 0)
    records = [kept(at, offset, b"", b"") for offset in sorted(offsets)]
    log = KeptLog(at, records, max(offsets, default=0) + 1 + marks)
    assert list(records_from_end(log, at, threading.Event())) == records[::-1]


def test_little_is_read_of_a_long_log() -> None:
    at = TopicPartition("scans", 0)
    log = KeptLog(at, [kept(at, offset, b"", b"") for offset in range(100 * FIRST_STEP)])
    found = records_from_end(log, at, threading.Event())
    assert next(found).offset == 100 * FIRST_STEP - 1
    assert log.position(at) == 100 * FIRST_STEP
    log.is_frozen = True  # what was read is at hand
    assert [next(found).offset for _ in range(FIRST_STEP - 1)][-1] == 99 * FIRST_STEP
