"""A partition under wrong clocks: no hour closes early, every record is scanned soon, and all of it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from detectors.window.admission import TickMark
from streams.areas.area import Area
from streams.messages.alert import PROVENANCE_HEADER, is_delayed
from streams.messages.scan import ScanRecord
from streams.process.clock import Clock
from streams.worker.engine.believed_time import ASK_S, CLOCKS_S
from streams.worker.engine.outgoing import OutgoingRecord
from streams.worker.engine.owned_area import QUIET_S
from streams.worker.engine.partition_clocks import LEAP_S
from streams.worker.engine.rebuild import Restored
from streams.worker.inbox import Record
from tests.streams.worker.engine.ledger import NOW_S, Ledger, incident, partition_of, record, watched

HOUR_S, DAY_S = 3600, 86_400
BEGIN_S = NOW_S // HOUR_S * HOUR_S - 15
"""A quarter of a minute before an hour is over."""
SOON_S = 2 * QUIET_S + 2
"""Longest time from a record's arrival to its scan, in seconds."""


class SkewedClock(Clock):
    """A worker's clock, some seconds ahead of the time."""

    def __init__(self) -> None:
        self.time_s = float(BEGIN_S)
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return self.time_s + self.ahead_s

    def monotonic_s(self) -> float:
        return self.time_s - BEGIN_S


class StampingLedger(Ledger):
    """A ledger whose broker's clock is some seconds ahead of the time."""

    def __init__(self, clock: SkewedClock) -> None:
        super().__init__()
        self.clock = clock
        self.ahead_s = 0.0

    def commit(
        self, messages: Sequence[OutgoingRecord], closing: Callable[[Sequence[int]], OutgoingRecord] | None = None
    ) -> list[int]:
        offsets = super().commit(messages, closing)
        self.stamp_s = self.clock.time_s + self.ahead_s
        return offsets


class Site:
    """A partition as the engine drives it, with a worker's and a broker's clock."""

    def __init__(
        self,
        *areas: Area,
        restored: Restored | None = None,
        skew: Callable[[Site, float], None] = lambda site, ahead_s: None,
        ahead_s: float = 0,
    ) -> None:
        self.clock = SkewedClock()
        self.ledger = StampingLedger(self.clock)
        self.is_ahead_allowed = False
        skew(self, ahead_s)
        self.areas = areas or (watched("leeds"), watched("york"))
        self.offset = 0
        self.partition = partition_of(self.ledger, *self.areas, restored=restored, clock=self.clock)
        self.partition.ask()
        self.partition.commit(self.clock.now_s())

    @property
    def time_s(self) -> float:
        return self.clock.time_s

    def feed(self, area: str, *, delay_s: float = 1.0, leap_s: float = 0.0) -> int:
        """An incident that comes now; the stamp leaps by so much. Returns its offset."""
        self.offset += 1
        stamp_s = self.time_s + self.ledger.ahead_s + leap_s
        entry = incident(self.offset, self.time_s - delay_s)
        self.partition.put(Record(self.offset, stamp_s, area, entry, area.encode(), b"x"), self.clock.now_s())
        return self.offset

    def pass_s(self, seconds: float) -> None:
        """Time passes, at the end of the log."""
        for _ in range(round(seconds * 2)):
            self.clock.time_s += 0.5
            self.partition.quiet(self.clock.now_s())
            self.partition.close_early(self.clock.now_s())
            if self.partition.is_due(self.clock.now_s()):
                self.partition.commit(self.clock.now_s())
                latest_s = max((each.tick_s for each in self.ticks()), default=0)
                assert self.is_ahead_allowed or latest_s <= self.time_s + CLOCKS_S

    def ticks(self, area: str | None = None) -> list[ScanRecord]:
        return [each for each in self.ledger.scans() if area in (None, each.area)]

    def is_wrong(self, area: str = "leeds") -> bool:
        clocks = self.partition.clocks(self.partition.areas[area], self.clock.now_s())
        return clocks is not None and clocks.is_wrong

    def is_scanned(self, area: str, offset: int) -> bool:
        return self.partition.covered[area] > offset


def worker(site: Site, ahead_s: float) -> None:
    site.clock.ahead_s = ahead_s


def broker(site: Site, ahead_s: float) -> None:
    site.ledger.ahead_s = ahead_s


@pytest.mark.parametrize("skew", [worker, broker])
@pytest.mark.parametrize("ahead_s", [58 * 60, 2 * HOUR_S, 3 * DAY_S, -58 * 60, -2 * HOUR_S, -3 * DAY_S])
@pytest.mark.parametrize("is_wrong_from_the_start", [False, True])
def test_one_wrong_clock_closes_no_hour_early_and_delays_and_refuses_nothing(
    skew: Callable[[Site, float], None], ahead_s: float, is_wrong_from_the_start: bool
) -> None:
    if is_wrong_from_the_start:
        site = Site(skew=skew, ahead_s=ahead_s)
    else:
        site = Site()
        for _ in range(3):
            site.feed("leeds")
            site.pass_s(2)
        skew(site, ahead_s)
    for number in range(10):
        area = ("leeds", "york")[number % 2]
        offset = site.feed(area, delay_s=number % 3)
        site.pass_s(SOON_S)
        assert site.is_scanned(area, offset)
        assert site.is_wrong(area) or not number  # a broker's clock counts once two of three stamps have it
    skew(site, 0)
    for _ in range(6):
        offset = site.feed("leeds", delay_s=1)
        site.pass_s(SOON_S)
        assert site.is_scanned("leeds", offset)
    site.pass_s(LEAP_S)
    assert not site.is_wrong()
    assert site.ledger.rejections() == []
    assert {each.accounts.rejected for each in site.ticks()} == {0}
    for area in ("leeds", "york"):
        closed = [each.tick_s for each in site.ticks(area)]
        assert closed == sorted(set(closed))
        assert BEGIN_S // HOUR_S * HOUR_S + HOUR_S in closed


def test_a_worker_ahead_for_a_few_seconds_does_not_blind_a_quiet_area() -> None:
    site = Site()
    site.feed("leeds")
    site.pass_s(4)
    worker(site, 2 * HOUR_S)
    site.pass_s(5)
    assert site.is_wrong()
    worker(site, 0)
    offset = site.feed("leeds")
    site.pass_s(SOON_S)
    assert site.is_scanned("leeds", offset)
    assert not site.is_wrong()


@pytest.mark.parametrize("leap_s", [58 * 60, 3 * DAY_S])
def test_one_stamp_that_leaps_ahead_moves_no_clock_of_any_area(leap_s: float, caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    for area in ("leeds", "york"):
        site.feed(area)
    site.pass_s(SOON_S)
    leapt = site.feed("leeds", leap_s=leap_s)
    site.pass_s(SOON_S)
    assert site.is_scanned("leeds", leapt)
    assert site.is_wrong()
    for area in ("leeds", "york"):
        offset = site.feed(area)
        site.pass_s(SOON_S)
        assert site.is_scanned(area, offset)
    assert f"partition 0: an arrival is stamped {leap_s:+} s off the time; it counts as arriving now" in caplog.text
    assert site.ticks("leeds")[-1].checkpoint.corrections == ((leapt, leap_s), (leapt + 1, 0))
    assert site.ticks("york")[-1].checkpoint.corrections is msgspec.UNSET
    site.pass_s(LEAP_S)
    assert not site.is_wrong()


@pytest.mark.parametrize("ahead_s", [58 * 60, 2 * HOUR_S, 3 * DAY_S, -3 * DAY_S])
def test_a_backlog_from_before_a_clock_leapt_is_neither_refused_nor_read_early(ahead_s: float) -> None:
    """The worker was away for ten hours; the broker's clock has leapt after five of them. Some reports come late."""
    site = Site(skew=broker, ahead_s=ahead_s)
    monitor = site.partition.areas["leeds"].monitor
    for number in range(60):
        at_s = BEGIN_S - (60 - number) * 600
        stamp_s = at_s + (ahead_s if number >= 30 else 0)
        entry = incident(number, at_s - (7000 if number % 7 == 3 else 20))
        site.offset += 1
        site.partition.put(Record(site.offset, stamp_s, "leeds", entry, b"leeds", b"x"), site.clock.now_s())
        assert monitor.clock_s is not None and monitor.clock_s <= at_s
    assert monitor.clock_s == at_s
    site.pass_s(SOON_S)
    assert site.is_scanned("leeds", site.offset)
    corrections = site.ticks("leeds")[-1].checkpoint.corrections
    assert corrections is not msgspec.UNSET and len(corrections) <= 2
    assert {each.accounts.rejected for each in site.ticks()} == {0}


def test_leaps_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A backlog whose broker was days ahead, and is not any more."""
    site = Site()

    def leap() -> int:
        for _ in range(200):
            site.clock.time_s += LEAP_S / 100
            site.feed("leeds", leap_s=3 * DAY_S)
        return sum("counts as arriving now" in each for each in caplog.messages)

    assert leap() == 1
    site.clock.time_s += LEAP_S
    assert leap() == 2


def test_a_worker_alone_does_not_know_the_time_before_it_has_written() -> None:
    """It writes once when it begins, before an hour passes by its clock."""
    site = Site()
    assert [each.key for each in site.ledger.of("scans")] == [b"#0"]
    watermark = partition_of(Ledger(), watched("leeds", "watermark"), clock=site.clock)
    watermark.ask()
    assert not watermark.is_due(site.clock.now_s())


def test_while_the_clocks_differ_the_brokers_is_looked_at_again_and_again() -> None:
    """A machine that was suspended: its monotonic time stood still, and its clock is right."""
    site = Site()
    site.feed("leeds")
    site.pass_s(ASK_S)
    site.is_ahead_allowed = True
    site.clock.ahead_s = 2 * HOUR_S
    site.ledger.ahead_s = 2 * HOUR_S  # by the monotonic time, both have leapt
    assert site.partition.look(site.clock.now_s()) == site.time_s
    site.pass_s(3 * ASK_S)
    assert not site.is_wrong()
    assert site.partition.look(site.clock.now_s()) == site.time_s + 2 * HOUR_S


def ahead_site(ahead_s: float, *areas: Area) -> Site:
    """A site whose areas a former version, or two wrong clocks, have brought ahead, rebuilt from their scan records."""
    before = Site(*areas)
    before.is_ahead_allowed = True
    before.clock.ahead_s = before.ledger.ahead_s = ahead_s
    before.partition = partition_of(before.ledger, *before.areas, clock=before.clock)
    for area in before.areas:
        before.feed(area.name)
    passed_s = SOON_S + 2 * before.areas[0].settings.tick_s
    before.pass_s(passed_s)
    last = {area.name: before.ticks(area.name)[-1] for area in before.areas}
    restored = Restored(watched={area.name: area for area in before.areas}, last=last)
    for area in before.areas:
        restoring = area.restoring(last[area.name])
        for offset, name in enumerate([each.name for each in before.areas], 1):
            if name == area.name:
                restoring.refill(incident(offset, BEGIN_S - 1), offset, int(BEGIN_S + ahead_s))
        restored.monitors[area.name] = restoring.monitor()
    site = Site(*before.areas, restored=restored)
    site.is_ahead_allowed = True
    site.clock.time_s, site.offset = before.time_s, before.offset
    return site


def test_an_area_found_ahead_is_scanned_on_and_waits_for_the_time() -> None:
    ahead_s = 60
    site = ahead_site(ahead_s, watched("leeds"), watched("york"))
    assert site.is_wrong("leeds") and site.is_wrong("york")
    while site.partition.areas["leeds"].ahead_s(site.time_s):
        offset = site.feed("leeds")
        site.pass_s(SOON_S)
        assert site.is_scanned("leeds", offset)
        assert site.time_s < BEGIN_S + 3 * ahead_s
    closed = [each.tick_s for each in site.ticks("leeds")]
    assert closed == sorted(set(closed))
    offset = site.feed("leeds")
    site.pass_s(SOON_S)
    assert site.is_scanned("leeds", offset)
    assert site.ticks("leeds")[-1].tick_s <= site.time_s
    assert not site.is_wrong()


def test_a_busy_area_ahead_is_scanned_every_other_second_and_caught_up_with() -> None:
    site = ahead_site(60, watched("leeds"))
    for _ in range(130):
        site.feed("leeds")
        site.pass_s(1)
        assert site.offset - site.partition.covered["leeds"] <= SOON_S
    assert not site.partition.areas["leeds"].ahead_s(site.time_s)


def test_long_ticks_ahead_are_caught_up_with_as_well() -> None:
    minutes = msgspec.structs.replace(watched("leeds").settings, tick_s=60)
    site = ahead_site(600, Area.of("leeds", minutes, watched("leeds").locations))
    for _ in range(25):
        site.feed("leeds")
        site.pass_s(60)
    assert not site.partition.areas["leeds"].ahead_s(site.time_s)
    closed = [each.tick_s for each in site.ticks("leeds")]
    assert closed == sorted(set(closed))


def test_a_watermark_clock_follows_its_records_alone() -> None:
    site = Site(watched("leeds", "watermark"))
    worker(site, 2 * HOUR_S)
    site.is_ahead_allowed = True
    site.feed("leeds", leap_s=3 * DAY_S)
    later_s = site.time_s + 6 * DAY_S
    site.offset += 1
    mark = record(site.offset, "leeds", site.time_s, TickMark(int(later_s)))
    site.partition.put(mark, site.clock.now_s())
    site.pass_s(1)
    assert site.partition.areas["leeds"].monitor.clock_s == int(later_s)
    assert site.ticks("leeds")[-1].checkpoint.corrections is msgspec.UNSET
    assert not site.is_wrong()


def test_an_area_with_nothing_on_record_begins_at_the_time() -> None:
    site = Site()
    site.feed("leeds", leap_s=58 * 60)
    site.pass_s(SOON_S)
    assert site.ticks()[0].tick_s <= BEGIN_S + 1


def test_records_that_wait_for_their_tick_are_not_done() -> None:
    site = Site()
    site.feed("leeds")
    assert site.partition.areas["leeds"].waiting == 1
    site.pass_s(SOON_S)
    assert site.partition.areas["leeds"].waiting == 0


def test_nothing_is_delayed_by_a_worker_whose_clock_is_ahead() -> None:
    """Latency and delay are counted by the time that is believed."""
    site = Site()
    worker(site, 2 * HOUR_S)
    site.feed("leeds")
    site.pass_s(SOON_S)
    area = site.partition.areas["leeds"]
    assert area.last_record_s is not None and area.last_record_s <= site.time_s
    assert area.last_scan_s is not None and area.last_scan_s <= site.time_s


@pytest.mark.parametrize("ahead_s", [2 * HOUR_S, -2 * HOUR_S])
def test_a_scan_record_says_whether_it_is_written_in_time_whatever_the_brokers_clock(ahead_s: float) -> None:
    site = Site(skew=broker, ahead_s=ahead_s)
    site.feed("leeds")
    site.pass_s(SOON_S)
    site.feed("leeds")
    site.clock.time_s += 300  # the worker stands still
    site.pass_s(SOON_S)
    site.feed("leeds")
    site.pass_s(SOON_S)
    written = [each for each in site.ledger.of("scans") if each.key == b"leeds"]
    late = [is_delayed(dict(each.headers)[PROVENANCE_HEADER]) for each in written]
    assert (late[0], late[1], late[-1]) == (False, True, False)
