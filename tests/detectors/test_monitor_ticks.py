"""When the Monitor closes a tick: by the clock, by a tick record, at a boundary, and never early."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from detectors.alerts.response import Response
from detectors.monitor import Monitor
from detectors.window.admission import TickMark
from detectors.window.intake import Accounts
from tests.detectors.monitor_driver import BEGIN, LOCATIONS, area, incident


def test_no_response_has_effect_before_the_first_tick() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    monitor.put(incident(0, BEGIN), 0, int(BEGIN.timestamp()))
    assert monitor.respond(Response("0" * 32, "take", "ann", 0), 0) is None


def test_a_boundary_is_scanned_even_if_nothing_came() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    begin = int(BEGIN.timestamp())
    monitor.put(incident(1, BEGIN), 0, begin)
    assert [tick.tick_s for tick in monitor.advance(begin + 1)] == [begin]
    assert monitor.advance(begin + 1799) == []
    boundary = monitor.advance(begin + 1801)
    assert [tick.tick_s for tick in boundary] == [begin + 1800]
    assert boundary[0].streams == ("violence", "property", "drugs", "disorder", "all")


def test_time_does_not_run_ahead_after_a_tick_was_closed_early() -> None:
    monitor = Monitor("leeds", msgspec.structs.replace(area("wall"), tick_s=60), LOCATIONS)
    begin = int(BEGIN.timestamp())
    monitor.put(incident(0, BEGIN), 0, begin)
    assert [tick.tick_s for tick in monitor.flush()] == [begin]
    monitor.put(incident(1, BEGIN + timedelta(seconds=10)), 1, begin + 10)
    for passed in (20, 40, 59, 60, 119):
        assert monitor.advance(begin + passed) == []
    assert [tick.tick_s for tick in monitor.advance(begin + 120)] == [begin + 60]


def test_only_touched_streams_are_scanned_within_a_bucket() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    ticks = []
    for number in range(4):
        ticks += monitor.put(incident(number, BEGIN + timedelta(minutes=number)), number, 0)
    assert [tick.streams for tick in ticks[1:]] == [("violence", "all"), ("violence", "all")]


def test_merging_scans_once_for_several_ticks_but_never_across_a_boundary() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    begin = int(BEGIN.timestamp())
    for number in range(3):
        assert monitor.put(incident(number, BEGIN), number, begin + number, merge=True) == []
    closed = monitor.put(incident(3, BEGIN + timedelta(minutes=31)), 3, begin + 1860, merge=True)
    assert [(tick.tick_s, tick.next_offset) for tick in closed] == [(begin + 2, 3), (begin + 1800, 3)]


def test_a_tick_record_closes_what_came_before_it_and_itself() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 0, 0)
    closed = monitor.put(TickMark(int(BEGIN.timestamp()) + 60), 1, 0)
    assert [tick.next_offset for tick in closed] == [1, 2]
    assert closed[-1].accounts == Accounts(read=2, added=1, ticks=1)


def test_a_tick_record_right_after_a_tick_joins_it_and_leaves_the_next_to_the_records_of_that_time() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    begin = int(BEGIN.timestamp())
    monitor.put(incident(1, BEGIN), 0, 0)
    assert [tick.next_offset for tick in monitor.put(TickMark(begin + 1), 1, 0)] == [2]
    monitor.put(incident(2, BEGIN + timedelta(seconds=1)), 2, 0)
    assert [tick.tick_s for tick in monitor.put(TickMark(begin + 2), 3, 0)] == [begin + 1]


def test_a_file_that_is_replayed_again_is_closed_by_its_tick_record_again() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    begin = int(BEGIN.timestamp())
    for again in range(3):
        monitor.put(incident(1, BEGIN), 2 * again, 0)
        closed = monitor.put(TickMark(begin + 1), 2 * again + 1, 0)
        assert closed[-1].next_offset == 2 * again + 2
    assert closed[-1].accounts == Accounts(read=6, added=1, duplicate=2, ticks=3)


def test_a_tick_record_may_announce_any_gap_and_costs_no_more_than_the_window() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 0, 0)
    closed = monitor.put(TickMark(int((BEGIN + timedelta(days=365 * 40)).timestamp())), 1, 0)
    assert len(closed) < 24 * 3 + 3
    later = monitor.put(incident(2, BEGIN + timedelta(days=365 * 40, hours=1)), 2, 0)
    assert later == [] and monitor.flush()[0].accounts.added == 2
