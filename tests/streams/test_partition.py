"""The engine and its partitions without a broker: what goes into which transaction, and what stops the thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from detectors.incident import Incident
from detectors.judge import Entry, Refusal, TickMark
from detectors.locations import Locations
from detectors.neighbours import neighbours
from detectors.response import Response
from detectors.settings import AreaSettings
from streams import scan_log
from streams.configuration import Configuration
from streams.decode import Rejection, decode
from streams.engine import ABORTS, Engine
from streams.intake import Intake, Record
from streams.messages import PROVENANCE_HEADER, Provenance, read_alert
from streams.metrics import Metrics
from streams.partition import MERGE_S, QUIET_S, UNOWNED_S, Partition
from streams.publish import AbortedError, FencedError, Message, Messages, Publisher
from streams.rebuild import Restored
from streams.responses import ResponseRecord
from streams.scan_log import ScanRecord
from streams.watched_area import WatchedArea
from streams.wording import figure_words
from tests.streams.recorded import AREA, calibration, feed, town

CELL = "8a195da49b9ffff"
NOW_S = 1_717_200_000.0
AREAS = ("leeds", "york")


class Ledger:
    """Takes a publisher's place: keeps what was committed, or raises what it is told to."""

    def __init__(self) -> None:
        self.transactions: list[list[Message]] = []
        self.errors: list[Exception] = []
        self.is_closed = False
        self.committed = threading.Event()

    def commit(self, messages: Sequence[Message]) -> list[int]:
        if self.errors:
            raise self.errors.pop(0)
        written = sum(map(len, self.transactions))
        self.transactions.append(list(messages))
        self.committed.set()
        return list(range(written, written + len(messages)))

    def close(self) -> None:
        self.is_closed = True

    def scans(self) -> list[ScanRecord]:
        return [scan_log.decode_scan(each.value) for each in self.of("scans") if not (each.key or b"").startswith(b"#")]

    def rejections(self) -> list[Rejection]:
        return [msgspec.json.decode(each.value, type=Rejection) for each in self.of("incidents.rejected")]

    def of(self, topic: str) -> list[Message]:
        return [message for transaction in self.transactions for message in transaction if message.topic == topic]


def watched(name: str, clock: Literal["wall", "watermark"] = "wall", min_baseline_days: int = 0) -> WatchedArea:
    area = AreaSettings(clock=clock, min_baseline_days=min_baseline_days, replications=99)
    locations = Locations.from_cells([CELL])
    near = neighbours(locations.points, area.max_radius_m)
    return WatchedArea(name, area, locations, near, area.digest(locations))


def partition_of(ledger: Ledger, *areas: WatchedArea, restored: Restored | None = None) -> Partition:
    restored = restored or Restored(
        watched={area.name: area for area in areas}, monitors={area.name: area.monitor(None) for area in areas}
    )
    metrics = Metrics(CollectorRegistry())
    return Partition(0, restored, cast(Publisher, ledger), Messages(Configuration(), 0), metrics)


def incident(number: int, at_s: float) -> Incident:
    return Incident(id=str(number), occurred_at=datetime.fromtimestamp(at_s, UTC), category="drugs", location=CELL)


def record(offset: int, area: str | None, at_s: float, entry: Entry | None = None) -> Record:
    entry = entry or incident(offset, at_s)
    return Record(offset, at_s, area, entry, None if area is None else area.encode(), b"x")


# Partitions


def test_a_record_of_one_area_moves_the_clock_of_the_others_on_the_wall() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"), watched("york"), watched("hull", "watermark"))
    partition.put(record(0, "leeds", NOW_S), NOW_S)
    partition.put(record(1, "hull", NOW_S), NOW_S)
    partition.put(record(2, "york", NOW_S + 0.9), NOW_S + 0.9)
    assert not partition.is_due(NOW_S + 0.9)
    partition.put(record(3, "york", NOW_S + 1), NOW_S + 1)
    partition.commit(NOW_S + 1)
    assert {scan.area: scan.next_offset for scan in ledger.scans()} == {"leeds": 1, "york": 3}
    assert len(ledger.transactions) == 1
    assert partition.covered == {None: 0, "leeds": 1, "york": 3, "hull": 0}


def test_a_rejected_record_of_no_area_moves_the_clock_as_well() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    partition.put(record(0, "leeds", NOW_S), NOW_S)
    partition.put(record(1, None, NOW_S + 1, Refusal("no_area", "key: missing")), NOW_S + 1)
    partition.commit(NOW_S + 1)
    assert [scan.tick_s for scan in ledger.scans()] == [NOW_S]


def test_a_quiet_wall_clock_closes_a_tick_when_it_ended_long_enough_ago() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    partition.put(record(0, "leeds", NOW_S), NOW_S)
    partition.quiet(NOW_S + QUIET_S + 0.9)
    assert not partition.is_due(NOW_S + QUIET_S + 0.9)
    partition.quiet(NOW_S + QUIET_S + 1)
    partition.commit(NOW_S + QUIET_S + 1)
    assert partition.covered["leeds"] == 1


def test_a_quiet_feed_passes_the_boundary_of_the_hour() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    partition.put(record(0, "leeds", NOW_S), NOW_S)
    partition.quiet(NOW_S + 3600 + QUIET_S + 1)
    partition.commit(NOW_S)
    assert [scan.tick_s for scan in ledger.scans()] == [NOW_S, NOW_S + 3600]


def test_an_engine_that_is_behind_takes_many_records_in_one_tick() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    late_s = NOW_S + 600
    for offset in range(50):
        partition.put(record(offset, "leeds", NOW_S + offset), late_s)
    partition.put(record(50, "leeds", late_s), late_s)
    partition.commit(late_s)
    assert [scan.accounts.read for scan in ledger.scans()] == [50]


def test_a_record_that_is_late_does_not_close_the_tick_of_another_area() -> None:
    """Both are of a backlog, which is gathered."""
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"), watched("york"))
    partition.put(record(0, "leeds", NOW_S), NOW_S + 600)
    partition.put(record(1, "york", NOW_S + 1), NOW_S + 600)
    partition.put(record(2, None, NOW_S + 2, Refusal("no_area", "key: missing")), NOW_S + 600)
    assert partition.waiting == 0


def test_an_engine_that_stays_behind_scans_all_the_same() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    for offset in range(50):
        partition.put(record(offset, "leeds", NOW_S + offset), NOW_S + 600 + offset / 10)
    partition.commit(NOW_S + 605)
    gathered = int(MERGE_S * 10)
    assert [scan.accounts.read for scan in ledger.scans()] == [gathered, 2 * gathered]


def test_a_watermark_clock_never_merges_ticks() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds", "watermark"))
    for offset in range(50):
        partition.put(record(offset, "leeds", NOW_S + offset), NOW_S + 600)
    partition.commit(NOW_S + 600)
    assert [scan.accounts.read for scan in ledger.scans()] == list(range(1, 50))


def test_rejections_of_no_area_wait_for_a_tick_but_not_longer_than_a_second() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds", "watermark"))
    partition.put(record(0, None, NOW_S, Refusal("no_area", "key: missing")), NOW_S)
    partition.put(record(1, None, NOW_S, Refusal("malformed_json", "value: empty")), NOW_S + 0.5)
    assert not partition.is_due(NOW_S + UNOWNED_S - 0.1)
    assert partition.is_due(NOW_S + UNOWNED_S)
    partition.commit(NOW_S + UNOWNED_S)
    assert not partition.is_due(NOW_S + 10)
    (own,) = [scan_log.decode_partition(each.value) for each in ledger.of("scans")]
    assert (own.next_offset, own.rejected) == (2, {"no_area": 1, "malformed_json": 1})
    assert partition.covered[None] == 2


def test_what_a_committed_transaction_covers_is_not_taken_again() -> None:
    ledger = Ledger()
    area = watched("leeds", "watermark")
    partition = partition_of(ledger, area)
    refused = record(1, None, NOW_S, Refusal("no_area", "key: missing"))
    for each in (record(0, "leeds", NOW_S), refused, record(2, "leeds", NOW_S + 1)):
        partition.put(each, NOW_S)
    partition.commit(NOW_S)
    own = next(scan_log.decode_partition(each.value) for each in ledger.of("scans") if each.key == b"#0")
    last = ledger.scans()[-1]
    monitor = area.monitor(last)
    monitor.refill(incident(0, NOW_S), 0, 0)
    monitor.resume(last.checkpoint)
    again = Ledger()
    restored = Restored(watched={"leeds": area}, monitors={"leeds": monitor}, last={"leeds": last}, own=own)
    taken_over = partition_of(again, area, restored=restored)
    for each in (record(0, "leeds", NOW_S), refused, record(2, "leeds", NOW_S + 1), record(3, "leeds", NOW_S + 2)):
        taken_over.put(each, NOW_S + 5)
    taken_over.commit(NOW_S + 5)
    assert again.rejections() == []
    assert [(scan.next_offset, scan.accounts.read) for scan in again.scans()] == [(3, 2)]


def answer(offset: int, area: str, alert: str, user: str = "ann") -> ResponseRecord:
    said = Response(alert, "acknowledge", user, 0)
    return ResponseRecord(offset, NOW_S + 9 * 3600, area, said, area.encode(), b"y")


def with_an_alert(partition: Partition, area: str) -> str:
    """The feed of a town until it has opened one, which is on record; returns the alert's id."""
    for offset, ((_, value, headers), arrival_ms) in enumerate(feed(100, 5.0)):
        _, entry = decode(AREA.encode(), value, headers, 0, 1, {AREA}, 65_536)
        partition.put(Record(offset, arrival_ms / 1000, area, entry, area.encode(), value, headers), NOW_S)
        if partition.is_due(NOW_S):
            partition.commit(NOW_S)
        if partition.areas[area].alerts:
            return partition.areas[area].alerts[0].id
    raise AssertionError("the feed opens an alert")


def test_the_log_tells_of_alerts_and_of_rejections_after_they_are_on_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "streams")
    ledger = Ledger()
    partition = partition_of(ledger, town("watermark"))
    alert = with_an_alert(partition, "leeds")
    partition.put(record(1_000, None, NOW_S, Refusal("no_area", "key: missing")), NOW_S)
    partition.commit(NOW_S + UNOWNED_S)
    opened = next(read_alert(each.value).data.properties for each in ledger.of("alerts"))
    assert opened.notice
    assert next(line for line in caplog.messages if line.startswith("area leeds: alert ")) == (
        f"area leeds: alert {alert}: {opened.notice}, {opened.tier}, {opened.category}, "
        f"{opened.observed} against {figure_words(opened.expected)} usual"
    )
    assert "partition 0: a record was rejected: no_area" in caplog.messages


def test_a_response_goes_on_record_by_itself_and_once() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, town("watermark"), watched("york", "watermark"))
    alert = with_an_alert(partition, "leeds")
    before = ledger.scans()[-1]
    for _ in range(2):  # handed over twice, as after a change of partitions
        partition.respond(answer(0, "york", alert))
        partition.respond(answer(3, "leeds", alert))
        partition.respond(answer(4, "leeds", alert, "bob"))
        partition.respond(answer(5, "leeds", alert, "bob"))
        partition.respond(answer(6, "leeds", "0" * 32))
    assert partition.is_due(NOW_S)
    partition.commit(NOW_S + 9 * 3600 + 1)
    answered = ledger.scans()[-4:]
    assert [scan.next_offsets for scan in answered] == [
        {"incidents": before.next_offset, "responses": following} for following in (4, 5, 6, 7)
    ]
    assert [(scan.number, scan.tick_s, scan.streams) for scan in answered] == [
        (before.number + 1 + more, before.tick_s, ()) for more in range(4)
    ]
    assert [len(scan.revisions) for scan in answered] == [1, 1, 0, 0]
    assert scan_log.chain(before.digest, [scan_log.raw(b"leeds", b"y", (), 1_717_232_400_000)], answered[0]) == (
        answered[0].digest
    )
    events = [read_alert(each.value) for each in ledger.of("alerts")[-2:]]
    assert [each.data.properties.reason for each in events] == ["acknowledged", "acknowledged"]
    provenance = msgspec.json.decode(dict(ledger.of("alerts")[-1].headers)[PROVENANCE_HEADER], type=Provenance)
    assert (provenance.latency_s, provenance.delayed) == (1.0, False)
    # Where no tick was ever closed, nothing is open; that goes on record as the partition's own.
    rejected = [each for each in ledger.rejections() if each.topic == "responses"]
    assert sorted((each.area, each.offset, each.reason) for each in rejected) == [
        ("leeds", 6, "no_such_alert"),
        ("york", 0, "no_such_alert"),
    ]
    own = scan_log.decode_partition(ledger.of("scans")[-1].value)
    assert own.next_response == 7
    again = partition_of(
        ledger,
        restored=Restored(
            watched={"leeds": watched("leeds")}, monitors={"leeds": watched("leeds").monitor(None)}, own=own
        ),
    )
    again.respond(answer(6, "leeds", alert))
    assert not again.is_due(NOW_S)


def test_a_response_of_no_area_is_rejected_at_once() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"))
    partition.respond(ResponseRecord(2, NOW_S, None, Refusal("unknown_area", "key: must be one"), b"hull", b"y"))
    assert partition.is_due(NOW_S)
    partition.commit(NOW_S)
    (rejected,) = ledger.rejections()
    assert (rejected.topic, rejected.offset, rejected.reason) == ("responses", 2, "unknown_area")
    assert scan_log.decode_partition(ledger.of("scans")[-1].value).next_response == 3


def test_every_rejection_goes_with_its_tick_and_holds_the_original_bytes() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds", "watermark"))
    partition.put(record(0, "leeds", NOW_S), NOW_S)
    partition.put(record(1, "leeds", NOW_S, Refusal("wrong_type", "id: missing")), NOW_S)
    partition.put(record(2, "leeds", NOW_S + 86_400 * 30), NOW_S)
    partition.put(record(3, "leeds", NOW_S, TickMark(int(NOW_S) + 60)), NOW_S)
    partition.commit(NOW_S)
    (transaction,) = ledger.transactions
    assert [message.topic for message in transaction] == ["incidents.rejected"] * 2 + ["scans"] * 3
    assert [message.key for message in transaction][2:] == [b"leeds", b"leeds", b"#0"]
    assert [(each.offset, each.reason, each.value) for each in ledger.rejections()] == [
        (1, "wrong_type", b"x"),
        (2, "clock_jump", b"x"),
    ]


def test_leaving_closes_the_open_tick_of_a_wall_clock_only() -> None:
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"), watched("york", "watermark"))
    partition.put(record(0, "leeds", NOW_S), NOW_S)
    partition.put(record(1, "york", NOW_S), NOW_S)
    partition.flush()
    partition.commit(NOW_S)
    assert partition.covered == {None: 0, "leeds": 1, "york": 0}


@given(
    steps=st.lists(st.tuples(st.sampled_from(AREAS), st.integers(0, 5000)), min_size=1, max_size=30),
    commits=st.sets(st.integers(0, 30)),
)
@settings(deadline=None, max_examples=25)
def test_how_ticks_share_transactions_changes_nothing_that_is_written(
    steps: list[tuple[str, int]], commits: set[int]
) -> None:
    at_s, records = NOW_S, []
    for offset, (area, gap_s) in enumerate(steps):
        at_s += gap_s
        records.append(record(offset, area, at_s))

    def written(after: Callable[[int], bool]) -> dict[str, list[bytes]]:
        ledger = Ledger()
        partition = partition_of(ledger, *(watched(area, "watermark") for area in AREAS))
        for number, each in enumerate(records):
            partition.put(each, NOW_S)
            if after(number):
                partition.commit(NOW_S)
        partition.commit(NOW_S)
        return {area: [each.value for each in ledger.of("scans") if each.key == area.encode()] for area in AREAS}

    assert written(lambda number: number in commits) == written(lambda _: True)


# The thread


class Bench:
    """An engine that runs, one partition with a ledger, and what the engine reported."""

    def __init__(self, area: WatchedArea) -> None:
        self.ledger = Ledger()
        self.covered: list[Mapping[str | None, int]] = []
        self.aborted: list[int] = []
        self.failures: list[BaseException] = []
        self.changed = threading.Event()
        self.area = area
        self.intake = Intake(100, asyncio.new_event_loop())
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


def test_another_calibration_is_put_on_record_and_then_named_from_a_boundary_on() -> None:
    ledger, area = Ledger(), watched("leeds")
    partition = partition_of(ledger, area)
    for number in range(3):
        partition.put(record(number, "leeds", NOW_S + number), NOW_S + number)
    partition.commit(NOW_S + 3)
    made = calibration(5.0)
    partition.recalibrate("leeds", made)
    assert partition.is_due(NOW_S + 3)
    partition.commit(NOW_S + 3)
    assert [each.key for each in ledger.of("settings")] == [
        f"leeds:{area.configuration_id}".encode(),
        f"leeds:{made.id}".encode(),
    ]
    boundary_s = (NOW_S // 3600 + 1) * 3600
    for number, at_s in enumerate((NOW_S + 4, boundary_s - 2, boundary_s + 1, boundary_s + 5), 3):
        partition.put(record(number, "leeds", at_s), at_s)
    partition.commit(boundary_s + 5)
    assert len(ledger.of("settings")) == 2
    by_tick = {scan.tick_s: scan.calibration for scan in ledger.scans()}
    assert {tick_s >= boundary_s for tick_s, id_ in by_tick.items() if id_ == made.id} == {True}
    assert {tick_s < boundary_s for tick_s, id_ in by_tick.items() if not id_} == {True}


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
