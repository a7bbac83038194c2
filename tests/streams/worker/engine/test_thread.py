"""The engine without a broker: what it reports, what it does again, and what stops the thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from detectors.window.admission import Entry
from streams.areas.area import Area
from streams.worker.engine.publisher import AbortedError, FencedError
from streams.worker.engine.thread import ABORTS, Engine
from streams.worker.inbox import Inbox, Record
from streams.worker.metrics import Metrics
from tests.streams.worker.engine.ledger import NOW_S, Ledger, answer, partition_of, record, watched


class Bench:
    """An engine that runs, one partition with a ledger, and what the engine reported."""

    def __init__(self, area: Area) -> None:
        self.ledger = Ledger()
        self.covered: list[Mapping[str | None, int]] = []
        self.aborted: list[int] = []
        self.failures: list[BaseException] = []
        self.changed = threading.Event()
        self.area = area
        self.intake = Inbox(100, asyncio.new_event_loop())
        self.engine = Engine(
            Metrics(CollectorRegistry()),
            covered=lambda _, covered: self._note(self.covered, covered),
            aborted=lambda number, _: self._note(self.aborted, number),
            failed=lambda failure: self._note(self.failures, failure),
        )

    def _note(self, notes: list[Any], note: object) -> None:
        notes.append(note)
        self.changed.set()

    def adopt(self) -> None:
        self.engine.adopt(partition_of(self.ledger, self.area), self.intake)

    def give(self, *records: Record) -> None:
        self.intake.inbox.extend(records)
        self.engine.wake()

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < deadline_s, "it did not happen within 10 s"
            self.changed.wait(0.05)
            self.changed.clear()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(watched("leeds", "watermark"))
    made.engine.start()
    yield made
    assert made.engine.drain(10)
    made.intake._loop.close()


def rows(number: int, first: int = 0) -> list[Record]:
    return [record(offset, "leeds", NOW_S + offset) for offset in range(first, first + number)]


def test_the_engine_says_what_is_covered_after_each_transaction(bench: Bench) -> None:
    bench.adopt()
    bench.until(lambda: bench.covered == [{None: 0, "leeds": 0}])
    bench.give(*rows(3))
    bench.until(lambda: bench.covered[-1]["leeds"] == 2)
    assert bench.engine.health()["leeds"].last_record_s == NOW_S + 2


def test_a_partition_that_falls_behind_is_no_longer_caught_up(bench: Bench) -> None:
    bench.adopt()
    bench.give(record(0, "leeds", time.time()))
    bench.until(lambda: bench.engine.caught_up() == {0})
    assert bench.engine.health()["leeds"].feed == "healthy"
    bench.give(record(1, "leeds", time.time() - 3600))
    bench.until(lambda: bench.engine.caught_up() == set())
    assert bench.engine.health()["leeds"].feed == "catching_up"
    bench.intake.is_at_end = True
    bench.until(lambda: bench.engine.caught_up() == {0})


def test_an_area_is_learning_until_its_window_holds_enough_history() -> None:
    bench = Bench(watched("leeds", "watermark", min_baseline_days=3))
    bench.engine.start()
    bench.adopt()
    bench.intake.is_at_end = True
    bench.until(lambda: bench.engine.caught_up() == {0})
    assert (bench.engine.health()["leeds"].feed, bench.engine.health()["leeds"].missing_days) == ("learning", 3.0)
    days = [record(offset, "leeds", NOW_S + offset * 6 * 3600) for offset in range(14)]
    bench.give(*days[:9])  # two days; the hour of the last is not over
    bench.until(lambda: bench.covered[-1].get("leeds") == 8)
    assert bench.engine.health()["leeds"].missing_days == pytest.approx(1, abs=1.01 / 24)
    assert not any(scan.streams for scan in bench.ledger.scans())
    bench.give(*days[9:])
    bench.until(lambda: bench.covered[-1].get("leeds") == 13 and bench.engine.caught_up() == {0})
    assert (bench.engine.health()["leeds"].feed, bench.engine.health()["leeds"].missing_days) == ("healthy", 0.0)
    assert bench.ledger.scans()[-1].streams
    assert bench.engine.drain(10)
    bench.intake._loop.close()


def test_nothing_is_begun_while_partitions_move(bench: Bench) -> None:
    bench.adopt()
    bench.until(lambda: bool(bench.covered))
    bench.engine.suspend(10)
    bench.give(*rows(3))
    assert not bench.ledger.committed.wait(0.5)
    bench.engine.resume()
    assert bench.ledger.committed.wait(10)


def test_an_aborted_transaction_hands_the_partition_back_to_be_rebuilt(bench: Bench) -> None:
    bench.ledger.errors = [AbortedError("broker says no")]
    bench.adopt()
    bench.give(*rows(2))
    bench.until(lambda: bench.aborted == [0])
    assert bench.ledger.is_closed
    assert bench.engine.health() == {}
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


def test_aborted_transactions_with_a_good_one_between_are_no_failure(bench: Bench) -> None:
    for number in range(ABORTS + 1):
        bench.ledger.errors = [AbortedError("broker says no")]
        for attempt in range(2):
            before = len(bench.covered)
            bench.adopt()
            bench.give(*rows(2))
            bench.until(lambda: len(bench.aborted) == number + 1)  # noqa: B023
            if attempt:
                bench.until(lambda: len(bench.covered) == before + 2)  # noqa: B023
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
    bench.intake.is_closed = True
    bench.give(*rows(2))
    assert bench.ledger.committed.wait(10)  # the thread has gone on after the error
    assert (bench.ledger.errors, bench.failures) == ([], [])


def test_any_other_error_ends_the_thread_and_is_reported(bench: Bench) -> None:
    bench.adopt()
    bench.give(record(0, "leeds", NOW_S, cast(Entry, "no entry")))
    bench.until(lambda: bool(bench.failures))
    assert not isinstance(bench.failures[0], AbortedError | FencedError)


def test_draining_puts_the_open_tick_of_a_wall_clock_on_record() -> None:
    made = Bench(watched("leeds"))
    made.engine.start()
    made.adopt()
    now = datetime.now(UTC) + timedelta(seconds=30)  # not closed by a later record, nor by silence
    made.give(record(0, "leeds", now.timestamp()))
    deadline_s = time.monotonic() + 10
    while not any(area.last_record_s for area in made.engine.health().values()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert made.ledger.transactions == []
    assert made.engine.drain(10)
    made.intake._loop.close()
    assert [scan.next_offset for scan in made.ledger.scans()] == [1]
    assert made.ledger.is_closed


def test_responses_of_a_partition_that_was_rebuilt_meanwhile_are_not_taken(bench: Bench) -> None:
    """They are read again from where the new one stands."""
    bench.adopt()
    bench.until(lambda: bool(bench.covered))
    other = partition_of(Ledger(), watched("leeds"))
    taken = threading.Event()
    bench.engine.respond(other, [answer(0, "leeds", "0" * 32)], taken.set)
    assert taken.wait(10)
    assert other.next_response == 0
    bench.until(lambda: not bench.ledger.rejections())
    mine = bench.engine._running[0].partition
    bench.engine.respond(mine, [answer(0, "leeds", "0" * 32)], taken.set)
    bench.until(lambda: [each.reason for each in bench.ledger.rejections()] == ["no_such_alert"])
