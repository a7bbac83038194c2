"""A partition without a broker: when the ticks of its areas close, and what goes into which transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.window.admission import Refusal, TickMark
from streams.messages import scan
from streams.messages.alert import read_alert
from streams.messages.wording import figure_words
from streams.worker.engine.gaps import Gaps
from streams.worker.engine.owned_area import MERGE_S, QUIET_S
from streams.worker.engine.partition import UNOWNED_S
from streams.worker.engine.rebuild import Restored
from tests.streams.area_log.recorded import calibration, town
from tests.streams.worker.engine.ledger import NOW_S, Ledger, incident, partition_of, record, watched, with_an_alert

AREAS = ("leeds", "york")


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
    (own,) = [scan.decode_partition(each.value) for each in ledger.of("scans")]
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
    own = next(scan.decode_partition(each.value) for each in ledger.of("scans") if each.key == b"#0")
    last = ledger.scans()[-1]
    restoring = area.restoring(last)
    restoring.refill(incident(0, NOW_S), 0, 0)
    again = Ledger()
    restored = Restored(watched={"leeds": area}, monitors={"leeds": restoring.monitor()}, last={"leeds": last}, own=own)
    taken_over = partition_of(again, area, restored=restored)
    for each in (record(0, "leeds", NOW_S), refused, record(2, "leeds", NOW_S + 1), record(3, "leeds", NOW_S + 2)):
        taken_over.put(each, NOW_S + 5)
    taken_over.commit(NOW_S + 5)
    assert again.rejections() == []
    assert [(scan.next_offset, scan.accounts.read) for scan in again.scans()] == [(3, 2)]


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


def test_copied_records_are_applied_tick_by_tick_however_late_they_are() -> None:
    """As they were live: another area's arrival closes a tick, and no two are merged."""
    ledger = Ledger()
    areas = {name: watched(name) for name in AREAS}
    restored = Restored(
        watched=areas,
        monitors={name: area.monitor() for name, area in areas.items()},
        own=scan.PartitionRecord(read_from=0, copied=4),
    )
    partition = partition_of(ledger, restored=restored)
    late_s = NOW_S + 86_400
    for offset, (area, at_s) in enumerate([("leeds", 0), ("york", 1), ("york", 1.5), ("leeds", 5), ("leeds", 6)]):
        partition.put(record(offset, area, NOW_S + at_s), late_s)
    partition.commit(late_s)
    assert [(each.area, each.tick_s - NOW_S, each.next_offset) for each in ledger.scans()] == [
        ("leeds", 0, 1),
        ("york", 1, 3),
    ]
    assert partition.areas["leeds"].monitor.clock_s == NOW_S + 6  # the first record behind the copies is gathered again


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["leeds", "york", None]), st.integers(0, 2), st.booleans()), max_size=40))
def test_the_partition_notes_the_first_offset_that_is_not_on_record(
    feed: list[tuple[str | None, int, bool]],
) -> None:
    """Of a wall clock, a watermark clock and no area; whatever a transaction covers."""
    ledger = Ledger()
    partition = partition_of(ledger, watched("leeds"), watched("york", "watermark"))
    now_s, areas = NOW_S, list[str | None]()
    for offset, (area, pause_s, ends) in enumerate(feed):
        now_s += pause_s
        areas.append(area)
        entry = None if area else Refusal("no_area", "key: missing")
        partition.put(record(offset, area, now_s, entry), now_s)
        if not ends or not partition.is_due(now_s + UNOWNED_S):
            continue
        partition.commit(now_s)
        open_ = [number for number, each in enumerate(areas) if partition.covered[each] <= number]
        own = scan.decode_partition(ledger.of("scans")[-1].value)
        assert own.read_from == min([*open_, len(areas)])


def test_what_a_rebuild_has_found_out_is_put_on_record_at_once() -> None:
    """Without a tick, and on a watermark clock."""
    ledger, area = Ledger(), watched("leeds", "watermark")
    own = scan.PartitionRecord(next_alert=9, torn=((7, 9),), topics={"incidents": "a"})
    for is_changed in (False, True):
        restored = Restored(watched={"leeds": area}, monitors={"leeds": area.monitor()}, own=own, is_changed=is_changed)
        partition = partition_of(ledger, restored=restored)
        assert partition.is_due(NOW_S) == is_changed
    partition.commit(NOW_S)
    written = scan.decode_partition(ledger.of("scans")[-1].value)
    assert (written.torn, written.topics) == (own.torn, own.topics)
    assert not partition.is_due(NOW_S)


@pytest.mark.parametrize(("next_alert", "is_kept"), [(0, True), (1_000_000, False)])
def test_torn_revisions_are_forgotten_with_their_topic(next_alert: int, is_kept: bool) -> None:
    ledger, area = Ledger(), town("watermark")
    restored = Restored(
        watched={"leeds": area},
        monitors={"leeds": area.monitor()},
        own=scan.PartitionRecord(next_alert=next_alert, torn=((0, 1),)),
    )
    with_an_alert(partition_of(ledger, restored=restored), "leeds")
    own = [scan.decode_partition(each.value) for each in ledger.of("scans") if each.key == b"#0"][-1]
    assert own.torn == (((0, 1),) if is_kept else ())
    assert own.next_alert is not None and own.next_alert < 1_000_000


def test_the_partition_says_how_far_both_inputs_are_read() -> None:
    area = watched("leeds", "watermark")
    own = scan.PartitionRecord(next_response=3, topics={"responses": "b"})
    restored = Restored(watched={"leeds": area}, monitors={"leeds": area.monitor()}, own=own)
    partition = partition_of(Ledger(), restored=restored)
    partition.put(record(4, "leeds", NOW_S), NOW_S)
    assert partition.positions() == [("incidents", 0, 5, ""), ("responses", 0, 3, "b")]


def test_offsets_without_a_record_are_noted() -> None:
    gaps = Gaps()
    partition = partition_of(Ledger(), watched("leeds"), gaps=gaps)
    for offset in (2, 3, 5, 9):
        partition.put(record(offset, "leeds", NOW_S), NOW_S)
    assert gaps.take() == [(0, 0, 2, True), (0, 6, 9, False), (0, 4, 5, False)]
