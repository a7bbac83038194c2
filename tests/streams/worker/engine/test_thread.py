"""The engine without a broker: what it reports, what it repeats, and what ends its thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from detectors.window.admission import Entry
from streams.areas.area import Area
from streams.process.clock import MACHINE, Clock
from streams.worker.engine.publisher import AbortedError, FencedError
from streams.worker.engine.thread import ABORTS, Engine
from streams.worker.inbox import Inbox, Record
from streams.worker.metrics import Metrics
from tests.streams.area_log.recorded import calibration
from tests.streams.worker.engine.ledger import NOW_S, Ledger, partition_of, record, response_record, watched
from tests.streams.worker.stopped_clock import StoppedClock


class Bench:
    """An engine, one partition with a ledger, and what the engine has reported."""

    def __init__(self, area: Area, clock: Clock = MACHINE) -> None:
        self.ledger = Ledger()
        self.covered: list[Mapping[str | None, int]] = []
        self.aborted: list[int] = []
        self.failures: list[BaseException] = []
        self.changed = threading.Event()
        self.area, self.clock = area, clock
        self.inbox = Inbox(100, asyncio.new_event_loop(), lambda _: None)
        self.engine = Engine(
            Metrics(CollectorRegistry()),
            clock,
            covered=lambda _, covered: self._note(self.covered, covered),
            aborted=lambda _, aborts: self._note(self.aborted, aborts),
            failed=lambda failure: self._note(self.failures, failure),
        )

    def _note(self, notes: list[Any], note: object) -> None:
        notes.append(note)
        self.changed.set()

    def adopt(self, has_waited: bool = False) -> None:
        self.engine.adopt(partition_of(self.ledger, self.area, clock=self.clock), self.inbox, has_waited)

    def give(self, *records: Record) -> None:
        self.inbox.waiting.extend(records)
        self.engine.wake()

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < deadline_s, "it did not happen within 10 s"
            self.changed.wait(0.05)
            self.changed.clear()


@contextmanager
def running(area: Area, clock: Clock = MACHINE) -> Iterator[Bench]:
    bench = Bench(area, clock)
    bench.engine.start()
    try:
        yield bench
    finally:
        has_ended = bench.engine.drain(10)
        bench.inbox._loop.close()
    assert has_ended


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running(watched("leeds", "watermark")) as bench:
        yield bench


def rows(number: int, first: int = 0) -> list[Record]:
    return [record(offset, "leeds", NOW_S + offset) for offset in range(first, first + number)]


def test_the_engine_reports_what_is_covered_after_each_transaction(bench: Bench) -> None:
    bench.adopt()
    bench.until(lambda: bench.covered == [{None: 0, "leeds": 0}])
    bench.give(*rows(3))
    bench.until(lambda: bench.covered[-1]["leeds"] == 2)
    assert bench.engine.health()["leeds"].last_record_s == NOW_S + 2


def test_a_partition_that_falls_behind_is_no_longer_caught_up() -> None:
    clock = StoppedClock(NOW_S)
    with running(watched("leeds", "watermark"), clock) as bench:
        bench.adopt()
        bench.give(record(0, "leeds", NOW_S))
        bench.until(lambda: bench.engine.caught_up() == {0})
        assert bench.engine.health()["leeds"].feed == "healthy"
        clock.time_s = NOW_S + 3600
        bench.give(record(1, "leeds", NOW_S + 1))
        bench.until(lambda: bench.engine.caught_up() == set())
        assert bench.engine.health()["leeds"].feed == "catching_up"
        bench.inbox.is_at_end = True
        bench.until(lambda: bench.engine.caught_up() == {0})


def test_an_area_is_learning_until_its_window_holds_enough_history() -> None:
    with running(watched("leeds", "watermark", min_baseline_days=3)) as learning:
        learning.adopt()
        learning.inbox.is_at_end = True
        learning.until(lambda: learning.engine.caught_up() == {0})
        health = learning.engine.health()["leeds"]
        assert (health.feed, health.missing_days) == ("learning", 3.0)
        days = [record(offset, "leeds", NOW_S + offset * 6 * 3600) for offset in range(14)]
        learning.give(*days[:9])  # two days; the hour of the last is not over
        learning.until(lambda: learning.covered[-1].get("leeds") == 8)
        assert learning.engine.health()["leeds"].missing_days == pytest.approx(1, abs=1.01 / 24)
        assert not any(scan.streams for scan in learning.ledger.scans())
        learning.give(*days[9:])
        learning.until(lambda: learning.covered[-1].get("leeds") == 13 and learning.engine.caught_up() == {0})
        health = learning.engine.health()["leeds"]
        assert (health.feed, health.missing_days) == ("healthy", 0.0)
        assert learning.ledger.scans()[-1].streams


def test_nothing_is_begun_while_partitions_move(bench: Bench) -> None:
    bench.adopt()
    bench.until(lambda: bool(bench.covered))
    bench.engine.suspend(10)
    bench.give(*rows(3))
    for _ in range(2):  # the second round begins after the records have come
        beat_s = bench.engine.beat_s
        bench.until(lambda: bench.engine.beat_s > beat_s)  # noqa: B023
    assert (len(bench.inbox.waiting), bench.ledger.transactions) == (3, [])
    bench.engine.resume()
    assert bench.ledger.committed.wait(10)


def test_a_partition_that_is_handed_over_while_partitions_move_writes_nothing_before_they_have() -> None:
    """Then first of all a record that shows the broker's clock."""
    with running(watched("leeds"), StoppedClock(NOW_S)) as bench:
        bench.engine.suspend(10)
        bench.adopt()
        bench.give(*rows(3))
        bench.until(lambda: bool(bench.covered))
        for _ in range(2):  # commands are done before the round, and the clock of the beat stands still
            bench.engine.recalibrate("york", calibration(5.0))
            bench.until(bench.engine._commands.empty)
        assert (bench.ledger.transactions, len(bench.inbox.waiting)) == ([], 3)
        bench.engine.resume()
        bench.until(lambda: len(bench.ledger.transactions) > 1)
        assert [each.key for each in bench.ledger.transactions[0]] == [b"#0"]


def test_a_worker_that_leaves_while_partitions_move_writes_nothing() -> None:
    with running(watched("leeds"), StoppedClock(NOW_S)) as bench:
        bench.adopt()
        bench.give(record(0, "leeds", NOW_S))
        bench.until(lambda: any(area.last_record_s for area in bench.engine.health().values()))
        bench.engine.suspend(10)
        written = len(bench.ledger.transactions)
    assert len(bench.ledger.transactions) == written
    assert bench.ledger.is_closed


def test_an_aborted_transaction_hands_the_partition_back_to_be_rebuilt(bench: Bench) -> None:
    bench.ledger.errors = [AbortedError("broker says no")]
    bench.adopt()
    bench.give(*rows(2))
    bench.until(lambda: bench.aborted == [1])
    assert bench.ledger.is_closed
    assert bench.engine.health()["leeds"].feed == "catching_up"
    assert bench.engine.caught_up() == set()
    bench.adopt()
    bench.give(*rows(2))
    bench.until(lambda: bench.covered[-1]["leeds"] == 1)


def test_too_many_aborted_transactions_in_a_row_are_a_failure(bench: Bench) -> None:
    bench.ledger.errors = [AbortedError("broker says no") for _ in range(ABORTS)]
    for number in range(ABORTS):
        bench.until(lambda number=number: len(bench.aborted) == number)  # type: ignore[misc]
        bench.adopt()
        bench.give(*rows(2))
    bench.until(lambda: [type(each) for each in bench.failures] == [AbortedError])


def test_aborted_transactions_do_not_count_if_the_rebuild_waited_for_kafka(bench: Bench) -> None:
    bench.ledger.errors = [AbortedError("Kafka is away") for _ in range(ABORTS + 2)]
    for number in range(ABORTS + 2):
        bench.until(lambda number=number: len(bench.aborted) == number)  # type: ignore[misc]
        bench.adopt(has_waited=True)
        bench.give(*rows(2))
    bench.until(lambda: len(bench.aborted) == ABORTS + 2)
    assert bench.failures == []


def test_transactions_that_kafka_cannot_write_now_are_tried_for_as_long_as_it_takes(bench: Bench) -> None:
    times = 3 * ABORTS
    bench.ledger.errors = [AbortedError("too few replicas", is_passing=True) for _ in range(times)]
    for number in range(times):
        bench.until(lambda number=number: len(bench.aborted) == number)  # type: ignore[misc]
        bench.adopt()
        bench.give(*rows(2))
    bench.until(lambda: len(bench.aborted) == times)
    assert (bench.aborted, bench.failures) == (list(range(1, times + 1)), [])
    bench.adopt()
    bench.give(*rows(2))
    bench.until(lambda: bench.covered[-1]["leeds"] == 1)


def test_aborted_transactions_with_a_good_one_between_are_no_failure(bench: Bench) -> None:
    for number in range(1, ABORTS + 2):
        bench.ledger.errors = [AbortedError("broker says no")]
        bench.adopt()
        bench.give(*rows(2))
        bench.until(lambda: len(bench.aborted) == number)  # noqa: B023
        bench.adopt()
        bench.give(*rows(2))
        bench.until(lambda: len(bench.ledger.transactions) == number)  # noqa: B023
        bench.engine.forget(0)
    assert bench.failures == []


def test_a_fenced_engine_fails(bench: Bench) -> None:
    bench.ledger.errors = [FencedError("taken over")]
    bench.adopt()
    bench.give(*rows(2))
    bench.until(lambda: [type(each) for each in bench.failures] == [FencedError])


def test_a_partition_that_was_lost_meanwhile_may_be_fenced(bench: Bench) -> None:
    bench.adopt()
    bench.until(lambda: bool(bench.covered))
    bench.ledger.errors = [FencedError("taken over")]
    bench.inbox.is_closed = True
    bench.give(*rows(2))
    assert bench.ledger.committed.wait(10)  # the thread has gone on after the error
    assert (bench.ledger.errors, bench.failures) == ([], [])


def test_any_other_error_ends_the_thread_and_is_reported(bench: Bench) -> None:
    bench.adopt()
    bench.give(record(0, "leeds", NOW_S, cast(Entry, "no entry")))
    bench.until(lambda: bool(bench.failures))
    assert not isinstance(bench.failures[0], AbortedError | FencedError)


def test_draining_puts_the_open_tick_of_a_wall_clock_on_record() -> None:
    with running(watched("leeds"), StoppedClock(NOW_S)) as draining:
        draining.adopt()
        draining.give(record(0, "leeds", NOW_S))
        draining.until(lambda: any(area.last_record_s for area in draining.engine.health().values()))
        assert draining.ledger.scans() == []
        assert draining.engine.health()["leeds"].lag == 1
    assert [scan.next_offset for scan in draining.ledger.scans()] == [1]
    assert draining.ledger.is_closed


def test_responses_of_a_partition_that_was_rebuilt_meanwhile_are_not_taken(bench: Bench) -> None:
    """They are read again, from where the rebuilt partition stands."""
    bench.adopt()
    bench.until(lambda: bool(bench.covered))
    former = partition_of(Ledger(), watched("leeds"))
    taken = threading.Event()
    bench.engine.respond(former, [response_record(0, "leeds", "0" * 32)], taken.set)
    assert taken.wait(10)
    present = bench.engine._running[0].partition
    bench.engine.respond(present, [response_record(7, "leeds", "0" * 32)], lambda: None)
    bench.until(lambda: bool(bench.ledger.transactions))
    assert [(each.offset, each.reason) for each in bench.ledger.rejections()] == [(7, "no_such_alert")]
    assert (former.next_response, present.next_response) == (0, 8)


def test_a_worker_ahead_shows_the_time_that_it_believes() -> None:
    clock = StoppedClock(NOW_S + 7200)
    with running(watched("leeds"), clock) as bench:
        assert bench.engine.time_s() == NOW_S + 7200
        bench.ledger.stamp_s = NOW_S
        bench.adopt()
        bench.until(lambda: bench.engine.time_s() == NOW_S)
        health = bench.engine.health()["leeds"]
        assert health.clocks is not None and health.clocks.worker_ahead_s == 7200
        bench.inbox.is_at_end = True
        bench.until(lambda: bench.engine.health()["leeds"].feed == "clock")
