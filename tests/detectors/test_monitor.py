"""The Monitor: going on from a checkpoint is the same as running on, and nothing is lost or judged twice."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from typing import Any

import h3
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import completeness
from detectors.incident import Incident, Status
from detectors.judge import Entry, Refusal, TickMark
from detectors.locations import Locations
from detectors.monitor import Accounts, Checkpoint, ClosedTick, Monitor
from detectors.response import Response
from detectors.settings import STREAMS, AreaSettings, DeniedPlace, TierSettings
from detectors.tracking import Alert
from detectors.window import ALL

BEGIN = datetime(2024, 3, 1, 21, 30, tzinfo=UTC)
CENTRE = h3.latlng_to_cell(53.8, -1.55, 10)
CELLS = h3.grid_disk(CENTRE, 4)
LOCATIONS = Locations.from_cells(CELLS)
BUSY = [h3.cell_to_latlng(cell) for cell in h3.grid_disk(CENTRE, 1)[:3]]
AWAY = (10.0, 10.0)
KINDS = ["incident"] * 8 + ["cancelled", "refusal", "mark", "future", "jump", "away", "lost"]
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "24"))


def area(clock: str) -> AreaSettings:
    """A tiny window and low tiers, so that a few records open, ease and end alerts."""
    return AreaSettings(
        clock=clock,  # type: ignore[arg-type]
        window_days=2,
        min_baseline_days=0,
        durations_h=(1, 2, 6, 12),
        max_radius_m=300,
        replications=99,
        min_cases=2,
        tiers=TierSettings(watch=0.05, advisory=0.06, alert=0.08, urgent=0.5),
        end_after_h=1,
        cool_down_h=2,
    )


@dataclasses.dataclass(frozen=True)
class Record:
    """What a driver hands to the Monitor: the entry and when it arrived."""

    entry: Entry
    arrival_s: int


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    now = BEGIN
    made = []
    for _ in range(draw(st.integers(1, 40))):
        now += timedelta(seconds=draw(st.sampled_from([0, 0, 1, 20, 600, 1800, 3600, 5 * 3600, 60 * 3600])))
        kind = draw(st.sampled_from(KINDS))
        occurred = now - timedelta(minutes=draw(st.sampled_from([0, 0, 1, 30, 120, 900, 3 * 1440])))
        latitude, longitude = AWAY if kind == "away" else draw(st.sampled_from(BUSY))
        incident = Incident(
            id=draw(st.sampled_from("abcdefghijklmnopqrst")),
            occurred_at=occurred,
            reported_at=now if draw(st.booleans()) else None,
            category=draw(st.sampled_from(["violence", "violence", "property", "burglary", "other", "unheard-of"])),
            longitude=longitude,
            latitude=latitude,
            revision=draw(st.sampled_from([None, None, 0, 1, 2])),
        )
        entry: Entry = incident
        if kind == "lost":
            entry = msgspec.structs.replace(incident, longitude=None, latitude=None)
        elif kind == "refusal":
            entry = Refusal("malformed_json", "value: must be JSON")
        elif kind == "mark":
            # Full hours are boundaries, where a tick and the time after it lie in different buckets.
            hour = int(now.timestamp()) // 3600 * 3600 + 3600
            entry = TickMark(draw(st.sampled_from([hour, hour + 7200]) | st.integers(hour - 7200, hour + 7200)))
        elif kind == "cancelled":
            timed = draw(st.booleans())
            entry = Incident(id=incident.id, status=Status.CANCELLED, occurred_at=occurred if timed else None)
        elif kind == "future":
            entry = msgspec.structs.replace(incident, occurred_at=now + timedelta(hours=2), reported_at=now)
        elif kind == "jump":
            entry = msgspec.structs.replace(incident, occurred_at=now + timedelta(days=900), reported_at=None)
        made.append(Record(entry, int(now.timestamp())))
    return made


Answers = list[tuple[int, Response | Refusal]]
"""Responses in order, each after the record at an offset."""


@st.composite
def answers(draw: st.DrawFn, feed: list[Record], clock: str) -> Answers:
    """Responses to the alerts that a feed opens, while they are open and at any other time, and one that is none."""
    opened = {alert.id for tick in drive(Monitor("leeds", area(clock), LOCATIONS), feed, 0) for alert in tick.changes}
    made: Answers = []
    for after in sorted(draw(st.lists(st.integers(0, len(feed) - 1), max_size=8))):
        action = draw(st.sampled_from(["acknowledge", "take", "outcome", "broken"]))
        if action == "broken":
            made.append((after, Refusal("bad_response", "value: must be JSON")))
            continue
        alert = draw(st.sampled_from([*sorted(opened), "unheard-of"]))
        outcome = draw(st.sampled_from(["venue", "unknown"])) if action == "outcome" else ""
        fields: Any = (alert, action, draw(st.sampled_from(["ann", "bob"])), after, outcome)
        made.append((after, Response(*fields)))
    return made


def drive(
    monitor: Monitor, feed: list[Record], first: int, said: Answers | None = None, done: Container[int] = ()
) -> list[ClosedTick]:
    """Put records from an offset on; a wall clock closes what ended before each arrival.

    Each response follows its record, or comes first where that was put before; those that are ``done`` are left out.
    """
    closed: list[ClosedTick] = []
    left = [(after, number, response) for number, (after, response) in enumerate(said or []) if number not in done]

    def respond(until: int) -> None:
        while left and left[0][0] < until:
            _, number, response = left.pop(0)
            answer = monitor.respond(response, number)
            closed.extend([answer] if answer else [])

    respond(first)
    for offset, record in enumerate(feed[first:], first):
        if monitor.settings.clock == "wall" and first < offset:
            closed += monitor.advance(feed[offset - 1].arrival_s)
        closed += monitor.put(record.entry, offset, record.arrival_s)
        respond(offset + 1)
    return closed


def repeated(
    monitor: Monitor, feed: list[Record], ticks: list[ClosedTick], said: Answers | None = None
) -> list[ClosedTick]:
    """Ticks made once more from what is on record of each: its time, and which records or which response is in it."""
    again = []
    for tick in ticks:
        if tick.response_offset is not None and said:
            answer = monitor.respond(said[tick.response_offset][1], tick.response_offset)
            again += [answer] if answer else []
            continue
        offsets = range(monitor.expected_next, tick.next_offset)
        records = [(feed[offset].entry, offset, feed[offset].arrival_s) for offset in offsets]
        again.append(monitor.repeat(records, tick.tick_s))
    return again


def resumed(ticks: list[ClosedTick], feed: list[Record], clock: str) -> Monitor:
    """A Monitor rebuilt from the last of some ticks, the checkpoint having been written and read."""
    checkpoint = msgspec.json.decode(msgspec.json.encode(ticks[-1].checkpoint), type=Checkpoint)
    monitor = Monitor.restore("leeds", area(clock), LOCATIONS, checkpoint)
    for offset in range(checkpoint.lowest_offset, checkpoint.next_offset):
        monitor.refill(feed[offset].entry, offset, feed[offset].arrival_s)
    monitor.resume(checkpoint)
    return monitor


@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(feed=records(), data=st.data())
def test_going_on_from_a_checkpoint_and_repeating_ticks_is_running_on(
    clock: str, feed: list[Record], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completeness, "NEEDED", 1)  # so few records tell of completeness, too
        said = data.draw(answers(feed, clock))
        ticks = drive(Monitor("leeds", area(clock), LOCATIONS), feed, 0, said)
        if not ticks:
            return
        cut = data.draw(st.integers(1, len(ticks)))
        again = resumed(ticks[:cut], feed, clock)
        # A response before the first tick is on no record of the area; the driver keeps in mind that it was refused.
        to_come = {tick.response_offset for tick in ticks[cut:]}
        done = {number for number in range(len(said)) if number not in to_come}
        went_on = drive(again, feed, again.expected_next, said, done)
        made_again = repeated(resumed(ticks[:cut], feed, clock), feed, ticks[cut:], said)
    # A wall clock passes boundaries when the driver says so, and a new driver starts later.
    known = {tick.tick_s for tick in ticks[:cut]}
    following = [msgspec.json.encode(tick) for tick in ticks[cut:]]
    went_on = [tick for tick in went_on if tick.tick_s not in known or tick.response_offset is not None]
    assert [msgspec.json.encode(tick) for tick in went_on] == following
    assert [msgspec.json.encode(tick) for tick in made_again] == following


@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(feed=records(), data=st.data())
def test_whatever_is_answered_incidents_are_found_as_before(
    clock: str, feed: list[Record], data: st.DataObject
) -> None:
    """The same ticks, scans and clusters; revisions are counted on, and of what is acknowledged nobody is reminded."""

    def found(tick: ClosedTick) -> tuple[object, ...]:
        alerts = [
            (alert.id, alert.state, alert.tier, alert.reason, alert.tick_s, alert.members, alert.score)
            for alert in tick.changes
            if alert.reason != "reminder"
        ]
        return tick.tick_s, tick.next_offset, tick.lowest_offset, tick.streams, tick.refusals, tick.accounts, alerts

    unanswered = drive(Monitor("leeds", area(clock), LOCATIONS), feed, 0)
    ticks = drive(Monitor("leeds", area(clock), LOCATIONS), feed, 0, data.draw(answers(feed, clock)))
    assert [found(tick) for tick in ticks if tick.response_offset is None] == list(map(found, unanswered))
    closed_s = None
    for tick in ticks:
        if tick.response_offset is not None:
            assert (tick.tick_s, tick.streams) == (closed_s, ())
            assert len(tick.changes) + len(tick.refusals) <= 1
        closed_s = tick.tick_s
    by_alert: dict[str, list[int]] = {}
    for tick in ticks:
        for alert in tick.changes:
            by_alert.setdefault(alert.id, []).append(alert.revision)
    assert all(revisions == list(range(1, len(revisions) + 1)) for revisions in by_alert.values())


def test_nothing_can_be_answered_before_the_first_tick() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    monitor.put(incident(0, BEGIN), 0, int(BEGIN.timestamp()))
    assert monitor.respond(Response("0" * 32, "take", "ann", 0), 0) is None


@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(feed=records())
def test_accounts_balance_and_every_rejection_is_told_once(clock: str, feed: list[Record]) -> None:
    monitor = Monitor("leeds", area(clock), LOCATIONS)
    ticks = drive(monitor, feed, 0) + monitor.flush()
    waiting = len(feed) - (ticks[-1].next_offset if ticks else 0)
    accounts = ticks[-1].accounts if ticks else Accounts()
    told = [offset for tick in ticks for offset, _, _ in tick.refusals]
    assert accounts.read == len(feed) - waiting
    assert accounts.read == (
        accounts.added
        + accounts.replaced
        + accounts.removed
        + accounts.duplicate
        + accounts.outside
        + accounts.rejected
        + accounts.ticks
    )
    assert len(told) == len(set(told)) == accounts.rejected
    # Only records that came before the area's clock was ever set may still wait at the end.
    assert waiting == 0 or monitor.clock_s is None


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(feed=records())
def test_every_revision_tells_what_its_zone_has_seen(feed: list[Record]) -> None:
    """The members among it, as the durations are short; that of the revision before, where no cluster is left."""
    last: dict[str, Alert] = {}
    for tick in drive(Monitor("leeds", area("watermark"), LOCATIONS), feed, 0):
        for alert in tick.changes:
            assert (len(alert.trend), len(alert.profile)) == (14, 168)
            assert sum(alert.profile) == sum(alert.trend)  # the window is shorter than 14 days
            if alert.state == "easing" or alert.reason in ("quiet", "merged", "members_cancelled"):
                assert (alert.trend, alert.profile) == (last[alert.id].trend, last[alert.id].profile)
            else:
                assert sum(alert.trend[-1:]) >= alert.observed
            last[alert.id] = alert


@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(feed=records())
def test_ticks_only_move_forward_and_are_written_once(clock: str, feed: list[Record]) -> None:
    ticks = [tick.tick_s for tick in drive(Monitor("leeds", area(clock), LOCATIONS), feed, 0)]
    assert ticks == sorted(set(ticks))


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(feed=records())
def test_a_deny_list_labels_alerts_and_hides_none(feed: list[Record]) -> None:
    everywhere = DeniedPlace(name="all over", longitude=-1.55, latitude=53.8, radius_m=1000.0)
    denying = msgspec.structs.replace(area("watermark"), deny_list=(everywhere,))
    plain, labelled = (
        [alert for tick in drive(Monitor("leeds", rules, LOCATIONS), feed, 0) for alert in tick.changes]
        for rules in (area("watermark"), denying)
    )
    for before, after in zip(plain, labelled, strict=True):
        assert msgspec.structs.replace(after, artefacts=before.artefacts) == before
        (denied,) = [each for each in after.artefacts.found if each not in before.artefacts.found]
        assert (denied.place, denied.members, denied.score) == ("all over", after.observed, 1.0)
        assert after.artefacts.score == 1.0


def incident(number: int, at: datetime, place: int = 0) -> Incident:
    latitude, longitude = BUSY[place]
    return Incident(id=f"i{number}", occurred_at=at, category="violence", longitude=longitude, latitude=latitude)


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


def test_another_configuration_finds_out_anew_what_chance_does() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    closed = []
    for number in range(24):
        at = BEGIN + timedelta(hours=number) if number < 12 else BEGIN + timedelta(hours=12, minutes=number)
        closed += monitor.put(incident(number, at, number % 2 if number < 12 else 0), number, 0)
    checkpoint = closed[-1].checkpoint
    assert checkpoint.nulls
    wider = msgspec.structs.replace(area("watermark"), max_radius_m=600)
    for is_reconfigured in (False, True):
        restored = Monitor.restore("leeds", wider, LOCATIONS, checkpoint, is_reconfigured=is_reconfigured)
        assert (restored._scorer.nulls == checkpoint.nulls) is not is_reconfigured


def test_only_touched_streams_are_scanned_within_a_bucket() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    ticks = []
    for number in range(4):
        ticks += monitor.put(incident(number, BEGIN + timedelta(minutes=number)), number, 0)
    assert [tick.streams for tick in ticks[1:]] == [("violence", "all"), ("violence", "all")]


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


def test_one_row_dated_years_ahead_is_refused_and_does_not_empty_the_window() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 0, 0)
    monitor.put(incident(2, BEGIN.replace(year=2099)), 1, 0)
    monitor.put(incident(3, BEGIN + timedelta(seconds=5)), 2, 0)
    monitor.flush()
    assert "i1" in monitor.window and "i3" in monitor.window and "i2" not in monitor.window


def test_a_refused_record_moves_no_watermark() -> None:
    """However often such a row comes, it can empty no window."""
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 0, 0)
    reported = BEGIN + timedelta(days=6)
    early = msgspec.structs.replace(incident(2, reported + timedelta(hours=1)), reported_at=reported)
    for offset in range(1, 20):
        monitor.put(early, offset, 0)
    assert monitor.clock_s == int(BEGIN.timestamp())
    (closed,) = monitor.flush()
    assert closed.accounts.rejected == 19 and "i1" in monitor.window


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ({"longitude": None, "latitude": None}, "wrong_type"),
        ({"longitude": AWAY[1], "latitude": AWAY[0]}, "out_of_area"),
        ({"longitude": None, "latitude": None, "location": "nowhere"}, "out_of_area"),
    ],
)
def test_a_version_without_a_usable_place_keeps_the_last_good_one(lost: dict[str, Any], reason: str) -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    first, second, third = (incident(number, BEGIN, place=number) for number in range(3))
    amended = msgspec.structs.replace(first, category="drugs", occurred_at=BEGIN - timedelta(hours=1), **lost)
    feed = [
        msgspec.structs.replace(second, **lost),
        first,
        amended,
        third,
        Incident(id=third.id, status=Status.CANCELLED),
        msgspec.structs.replace(third, **lost),
    ]
    for offset, entry in enumerate(feed):
        monitor.put(entry, offset, 0)
    (closed,) = monitor.flush()
    assert [(offset, why) for offset, why, _ in closed.refusals] == [(0, reason), (5, reason)]
    assert closed.accounts == Accounts(read=6, added=2, replaced=1, removed=1, rejected=2)
    window = monitor.window
    drugs, place = STREAMS.index("drugs"), LOCATIONS.locate(first)
    assert np.argwhere(window.by_stratum.sum(axis=2)).tolist() == [[drugs, place], [ALL, place]]
    assert window.totals(window.now - 1, window.now)[ALL].tolist() == [1, 0]
    # The place is in the log where the first version said it, and nowhere later.
    assert closed.checkpoint.lowest_offset == 1


def test_what_comes_before_any_time_is_refilled_when_time_begins() -> None:
    withdrawn = Incident(id="gone", status=Status.CANCELLED)
    feed: list[Entry] = [Refusal("wrong_type", "id: missing"), withdrawn, incident(1, BEGIN), incident(2, BEGIN)]
    monitor, filled = Monitor("leeds", area("watermark"), LOCATIONS), Monitor("leeds", area("watermark"), LOCATIONS)
    for offset, entry in enumerate(feed):
        monitor.put(entry, offset, 0)
        if offset < 3:
            filled.refill(entry, offset, 0)
    filled.put(feed[3], 3, 0)
    assert monitor.flush()[0].accounts == filled.flush()[0].accounts
    assert filled.accounts.read == 4 and len(filled.window) == 3


def test_merging_scans_once_for_several_ticks_but_never_across_a_boundary() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    begin = int(BEGIN.timestamp())
    for number in range(3):
        assert monitor.put(incident(number, BEGIN), number, begin + number, merge=True) == []
    closed = monitor.put(incident(3, BEGIN + timedelta(minutes=31)), 3, begin + 1860, merge=True)
    assert [(tick.tick_s, tick.next_offset) for tick in closed] == [(begin + 2, 3), (begin + 1800, 3)]


def test_an_offset_is_taken_once() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 5, 0)
    with pytest.raises(ValueError, match="offset 5: already taken, the next is 6"):
        monitor.put(incident(1, BEGIN), 5, 0)


def test_an_alert_states_how_complete_the_reports_of_its_time_usually_are() -> None:
    """By a plain recount of the records that had come: the older half of the days tells of the delays."""
    end = BEGIN + timedelta(days=11)
    quiet = [incident(number, BEGIN + timedelta(hours=number), number % 3) for number in range(11 * 24)]
    crowd = [incident(1000 + number, end + timedelta(minutes=number)) for number in range(9)]
    delays = [timedelta(minutes=minutes) for minutes in (0, 10, 0, 55, 120, 3000)]
    feed = [
        msgspec.structs.replace(each, reported_at=each.occurred_at + delays[number % 6])
        for number, each in enumerate(quiet + crowd)
        if each.occurred_at is not None
    ]
    feed.sort(key=lambda each: (each.reported_at, each.id))
    rules = msgspec.structs.replace(area("watermark"), window_days=14, min_baseline_days=10)
    monitor = Monitor("leeds", rules, LOCATIONS)
    ticks = [tick for offset, each in enumerate(feed) for tick in monitor.put(each, offset, 0)]
    # While an alert eases and when it ends, the figures are those of the revision before.
    told = [(tick, change) for tick in ticks for change in tick.changes if change.state in ("open", "escalated")]
    assert {change.stream for _, change in told} == {"violence", "all"}
    for tick, change in told:
        now_s = tick.tick_s + 1
        known = [seconds(each) for each in feed[: tick.next_offset]]
        begins_s = sorted(occurred_s // 3600 * 3600 for occurred_s, _ in known)[len(known) // 100]
        longest_s = (now_s - begins_s) // 2
        old = [delay_s for occurred_s, delay_s in known if occurred_s // 3600 * 3600 + 3600 <= now_s - longest_s]
        telling = [delay_s for delay_s in old if delay_s < longest_s]
        age_s = now_s - change.start_s
        assert len(telling) >= completeness.NEEDED
        mean = sum(max(0, age_s - delay_s) for delay_s in telling) / len(telling) / age_s
        assert change.completeness == pytest.approx(mean)


def seconds(incident: Incident) -> tuple[int, int]:
    """When it occurred, since 1970, and how long after that it was reported."""
    assert incident.occurred_at is not None and incident.reported_at is not None
    return int(incident.occurred_at.timestamp()), int((incident.reported_at - incident.occurred_at).total_seconds())


def test_the_feeds_do_raise_alerts() -> None:
    """The properties above would be empty if nothing ever opened."""
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    ticks = []
    for number in range(12):
        at = BEGIN + timedelta(hours=3 * number) if number < 8 else BEGIN + timedelta(hours=22, minutes=number)
        ticks += monitor.put(incident(number, at, place=number % 3 if number < 8 else 0), number, 0)
    ticks += monitor.put(TickMark(int((BEGIN + timedelta(hours=40)).timestamp())), 12, 0)
    assert {"open", "easing", "ended"} <= {change.state for tick in ticks for change in tick.changes}
