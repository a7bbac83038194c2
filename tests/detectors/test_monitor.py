"""The Monitor: going on from a checkpoint is the same as running on, and nothing is lost or judged twice."""

from __future__ import annotations

import os
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts.alert import Alert
from detectors.area.incident import Incident
from detectors.area.settings import DeniedPlace
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from detectors.results import ClosedTick, ResponseResult
from detectors.window import completeness
from detectors.window.admission import TickMark
from detectors.window.intake import Accounts
from tests.detectors.monitor_driver import (
    BEGIN,
    LOCATIONS,
    Record,
    area,
    drive,
    incident,
    records,
    repeated,
    responses,
    resumed,
    ticks_of,
)

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "24"))


@pytest.mark.parametrize("statistic", ["permutation", "bayes"])
@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(feed=records(), data=st.data())
def test_going_on_from_a_checkpoint_and_repeating_ticks_is_running_on(
    clock: str, statistic: str, feed: list[Record], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completeness, "NEEDED", 1)  # so few records are enough for completeness
        given_responses = data.draw(responses(feed, clock))
        ticks = drive(Monitor("leeds", area(clock, statistic), LOCATIONS), feed, 0, given_responses)
        if not ticks:
            return
        cut = data.draw(st.integers(1, len(ticks)))
        again = resumed(ticks[:cut], feed, clock, statistic)
        # A response before the first tick is on no record of the area; the driver remembers that it was refused.
        to_come = {tick.offset for tick in ticks[cut:] if isinstance(tick, ResponseResult)}
        done = {number for number in range(len(given_responses)) if number not in to_come}
        went_on = drive(again, feed, again.expected_next, given_responses, done)
        made_again = repeated(resumed(ticks[:cut], feed, clock, statistic), feed, ticks[cut:], given_responses)
    # A wall clock passes boundaries when the driver advances it, and a new driver starts later.
    known = {tick.tick_s for tick in ticks[:cut]}
    following = [msgspec.json.encode(tick) for tick in ticks[cut:]]
    went_on = [tick for tick in went_on if tick.tick_s not in known or isinstance(tick, ResponseResult)]
    assert [msgspec.json.encode(tick) for tick in went_on] == following
    assert [msgspec.json.encode(tick) for tick in made_again] == following


@pytest.mark.parametrize("statistic", ["permutation", "bayes"])
@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(feed=records(), data=st.data())
def test_after_any_responses_incidents_are_found_as_before(
    clock: str, statistic: str, feed: list[Record], data: st.DataObject
) -> None:
    """The same ticks, scans and clusters; responses only add revisions and stop reminders."""

    def found(tick: ClosedTick) -> tuple[object, ...]:
        alerts = [
            (alert.id, alert.state, alert.tier, alert.reason, alert.tick_s, alert.members, alert.figures.score)
            for alert in tick.changes
            if alert.reason != "reminder"
        ]
        return tick.tick_s, tick.next_offset, tick.streams, tick.refusals, tick.accounts, alerts

    without_responses = ticks_of(drive(Monitor("leeds", area(clock, statistic), LOCATIONS), feed, 0))
    ticks = drive(Monitor("leeds", area(clock, statistic), LOCATIONS), feed, 0, data.draw(responses(feed, clock)))
    assert list(map(found, ticks_of(ticks))) == list(map(found, without_responses))
    closed_s = None
    for tick in ticks:
        if isinstance(tick, ResponseResult):
            assert tick.tick_s == closed_s
            assert len(tick.changes) + bool(tick.refusal) <= 1
        closed_s = tick.tick_s
    by_alert: dict[str, list[int]] = {}
    for tick in ticks:
        for alert in tick.changes:
            by_alert.setdefault(alert.id, []).append(alert.revision)
    assert all(revisions == list(range(1, len(revisions) + 1)) for revisions in by_alert.values())


@pytest.mark.parametrize("clock", ["watermark", "wall"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(feed=records())
def test_accounts_balance_and_every_rejection_is_reported_once(clock: str, feed: list[Record]) -> None:
    monitor = Monitor("leeds", area(clock), LOCATIONS)
    ticks = ticks_of(drive(monitor, feed, 0)) + monitor.flush()
    waiting = len(feed) - (ticks[-1].next_offset if ticks else 0)
    accounts = ticks[-1].accounts if ticks else Accounts()
    reported = [offset for tick in ticks for offset, _ in tick.refusals]
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
    assert len(reported) == len(set(reported)) == accounts.rejected
    # Only records that came before the area's clock was ever set may still wait at the end.
    assert waiting == 0 or monitor.clock_s is None


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(feed=records())
def test_every_revision_tells_what_its_zone_has_seen(feed: list[Record]) -> None:
    """The members among it, as the durations are short; that of the revision before, where no cluster is left."""
    last: dict[str, Alert] = {}
    for tick in drive(Monitor("leeds", area("watermark"), LOCATIONS), feed, 0):
        for alert in tick.changes:
            seen = alert.zone_profile
            assert (len(seen.trend), len(seen.profile)) == (14, 168)
            assert sum(seen.profile) == sum(seen.trend)  # the window is shorter than 14 days
            if alert.state == "easing" or alert.reason in ("quiet", "merged", "members_cancelled"):
                assert seen == last[alert.id].zone_profile
            else:
                assert sum(seen.trend[-1:]) >= alert.figures.observed
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
        plainly, found = before.figures.artefacts, after.figures.artefacts
        figures = msgspec.structs.replace(after.figures, artefacts=plainly)
        assert msgspec.structs.replace(after, figures=figures) == before
        (denied,) = [each for each in found.found if each not in plainly.found]
        assert (denied.place, denied.members, denied.score) == ("all over", after.figures.observed, 1.0)
        assert found.score == 1.0


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
        restoring = Restoring("leeds", wider, LOCATIONS, checkpoint=checkpoint, is_reconfigured=is_reconfigured)
        restored = restoring.monitor()
        assert (restored._nulls == checkpoint.nulls) is not is_reconfigured


def test_an_alert_states_how_complete_the_reports_of_its_time_usually_are() -> None:
    """By a plain recount of the records that had come: the older half of the days gives the delays."""
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
    live = [(tick, change) for tick in ticks for change in tick.changes if change.state in ("open", "escalated")]
    assert {change.stream for _, change in live} == {"violence", "all"}
    for tick, change in live:
        now_s = tick.tick_s + 1
        known = [seconds(each) for each in feed[: tick.next_offset]]
        begins_s = sorted(occurred_s // 3600 * 3600 for occurred_s, _ in known)[len(known) // 100]
        longest_s = (now_s - begins_s) // 2
        old = [delay_s for occurred_s, delay_s in known if occurred_s // 3600 * 3600 + 3600 <= now_s - longest_s]
        known_delays = [delay_s for delay_s in old if delay_s < longest_s]
        age_s = now_s - change.figures.start_s
        assert len(known_delays) >= completeness.NEEDED
        mean = sum(max(0, age_s - delay_s) for delay_s in known_delays) / len(known_delays) / age_s
        assert change.figures.completeness == pytest.approx(mean)


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
