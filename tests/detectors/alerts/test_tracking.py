"""Tracking: rules that hold for every alert after any scans."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.alerts.alert import Alert, alert_id
from detectors.alerts.lifecycle import TERMINAL, TRANSITIONS, AlertState
from detectors.alerts.response import Action, Response
from detectors.alerts.tracking import NoSuchAlert, Tracker, TrackerState
from detectors.area.settings import AreaSettings
from detectors.scan.significance import TIERS
from tests.detectors.alerts.scans_by_hand import (
    BAYESIAN,
    HOUR,
    OPEN_AT,
    SETTINGS,
    DrawnScans,
    always,
    drawn_scans,
    has_moved,
    quiet,
    revisions_of,
    run,
)


@always
@given(scans=drawn_scans())
def test_revisions_count_from_one_without_gaps_and_nothing_follows_the_terminal_one(scans: DrawnScans):
    for life in revisions_of(run(Tracker("leeds", SETTINGS), scans + quiet(scans))).values():
        assert [revision.revision for revision in life] == list(range(1, len(life) + 1))
        assert life[0].reason == "opened"
        assert [revision.state in TERMINAL for revision in life] == [False] * (len(life) - 1) + [True]
        assert [revision.ended_s for revision in life] == [None] * (len(life) - 1) + [life[-1].tick_s]
        moves = {(before, after) for (before, _), (after, reason) in TRANSITIONS.items() if reason}
        for before, after in itertools.pairwise(life):
            assert (before.state, after.state) in moves
            assert before.tick_s < after.tick_s


@always
@given(scans=drawn_scans())
def test_what_an_alert_is_stays_and_its_tier_never_falls(scans: DrawnScans):
    for life in revisions_of(run(Tracker("leeds", SETTINGS), scans)).values():
        assert len({(one.area, one.stream, one.opened_s) for one in life}) == 1
        assert life[0].id == alert_id(
            "leeds", life[0].stream, life[0].opened_s, life[0].figures.centre, life[0].members
        )
        ranks = [TIERS.index(one.tier) for one in life]
        assert ranks == sorted(ranks)
        first = next((one.tick_s for one in life if one.tier in ("alert", "urgent")), None)
        for one in life:
            assert one.alerted_s == (first if first is not None and one.tick_s >= first else None)


@always
@given(scans=drawn_scans())
def test_every_revision_has_news(scans: DrawnScans):
    for life in revisions_of(run(Tracker("leeds", SETTINGS), scans)).values():
        assert life[0].new_members == life[0].members
        shown = set(life[0].members)
        for before, after in itertools.pairwise(life):
            assert set(after.new_members) == set(after.members) - shown
            shown.update(after.members)
            assert (
                after.new_members
                or after.tier != before.tier
                or after.state != before.state
                or after.notice == "reminder"
                or (after.reason == "relocated" and has_moved(before, after))
            )


@always
@given(scans=drawn_scans())
def test_a_cluster_that_is_half_an_open_alert_s_opens_no_other(scans: DrawnScans):
    for scan in run(Tracker("leeds", SETTINGS), scans):
        open_members = set().union(*scan.known.values())
        for change in scan.changes:
            assert change.stream == scan.stream
            assert change.tick_s == scan.tick_s
            if change.reason == "opened":
                shared = open_members & set(change.members)
                assert 2 * len(shared) < len(change.members)
                assert bool(shared) == bool(change.split_from)
                assert not shared or shared & scan.known[change.split_from]
                assert change.figures.score >= OPEN_AT


@always
@given(scans=drawn_scans())
def test_no_two_open_alerts_of_a_stream_have_the_same_members(scans: DrawnScans):
    tracker = Tracker("leeds", SETTINGS)
    for told_ in scans:
        run(tracker, [told_])
        sets = [(alert.stream, alert.members) for alert in tracker.alerts]
        assert len(set(sets)) == len(sets)


@always
@given(scans=drawn_scans())
def test_a_strong_new_cluster_opens_unless_its_place_cools_down(scans: DrawnScans):
    ended: list[Alert] = []
    for scan in run(Tracker("leeds", SETTINGS), scans):
        ended += [change for change in scan.changes if change.state in TERMINAL and change.reason != "merged"]
        open_members = set().union(*scan.known.values())
        opened = {change.members for change in scan.changes if change.reason == "opened"}
        for one in scan.clusters:
            cooling = any(
                old.stream == scan.stream
                and scan.tick_s < old.tick_s + 24 * HOUR
                and (old.figures.longitude == 1.0) == (one.figures.longitude == 1.0)
                for old in ended
            )
            strong = one.figures.score >= OPEN_AT and not cooling
            if not open_members & set(one.members):
                assert (one.members in opened) == strong
            assert one.members not in opened or strong


@always
@given(scans=drawn_scans())
def test_an_alert_ends_after_the_whole_quiet_time_and_not_before(scans: DrawnScans):
    done = run(Tracker("leeds", SETTINGS), scans)
    for life in revisions_of(done).values():
        if life[-1].reason == "merged":
            assert life[-1].merged_into
        elif life[-1].state == AlertState.ENDED:
            assert not life[-1].merged_into
            assert (life[-1].reason, life[-2].state) == ("quiet", AlertState.EASING)
            assert life[-1].tick_s - life[-2].tick_s >= 6 * HOUR
    for scan in done:
        # Who was overdue and met no cluster is open no more.
        overdue = {
            alert.id
            for alert in scan.open_before
            if alert.stream == scan.stream
            and alert.state == AlertState.EASING
            and scan.tick_s - alert.tick_s >= 6 * HOUR
            and not any(scan.known[alert.id] & set(one.members) for one in scan.clusters)
        }
        assert overdue <= {change.id for change in scan.changes if change.state in TERMINAL}


@always
@given(scans=drawn_scans())
def test_an_alert_is_withdrawn_when_its_members_were_cancelled_and_only_then(scans: DrawnScans):
    for scan in run(Tracker("leeds", SETTINGS), scans):
        withdrawn = {change.id for change in scan.changes if change.state == AlertState.WITHDRAWN}
        for alert in scan.open_before:
            left = len(set(alert.members) & scan.standing)
            met = any(scan.known.get(alert.id, set()) & set(one.members) for one in scan.clusters)
            if alert.id in withdrawn:
                assert left < SETTINGS.min_cases
            elif alert.stream == scan.stream and not met:
                assert left >= SETTINGS.min_cases


@always
@given(scans=drawn_scans())
def test_an_update_touches_only_its_stream_and_alerts_are_those_not_ended(scans: DrawnScans):
    tracker = Tracker("leeds", SETTINGS)
    alive: dict[str, Alert] = {}
    for told_ in scans:
        (scan,) = run(tracker, [told_])
        alive |= {change.id: change for change in scan.changes}
        alive = {alert.id: alert for alert in alive.values() if alert.state not in TERMINAL}
        assert list(tracker.alerts) == list(alive.values())
        others = [alert for alert in tracker.alerts if alert.stream != scan.stream]
        assert others == [alert for alert in scan.open_before if alert.stream != scan.stream]


@always
@given(scans=drawn_scans())
def test_only_a_stronger_cluster_turns_an_alert_that_its_stream_shows_or_opens_beside_it(scans: DrawnScans):
    tracker = Tracker("leeds", BAYESIAN)
    for told_ in scans:
        before = {each.alert.id: each for each in tracker.state.followed}
        (scan,) = run(tracker, [told_])
        for change in scan.changes:
            shared = [each for each in before.values() if {*each.shown} & {*change.members}]
            if change.reason == "opened":
                beside = [each for each in shared if each.alert.stream != scan.stream]
            else:
                known = before[change.id]
                assert change.reason == "merged" or change.stream == scan.stream
                beside = [known] if change.stream != known.alert.stream else []
            standing = [each for each in beside if each.quiet_since_s is None]
            for each in standing:
                has_new = not {*change.members} <= {*each.shown}
                above = each.last_score if has_new else each.strongest
                assert above is not None
                assert change.figures.score > above


@always
@given(scans=drawn_scans(), settings=st.sampled_from([SETTINGS, BAYESIAN]))
def test_written_down_and_read_again_at_every_scan_is_running_on(scans: DrawnScans, settings: AreaSettings):
    def restored(tracker: Tracker) -> Tracker:
        state = msgspec.json.decode(msgspec.json.encode(tracker.state), type=TrackerState)
        return Tracker("leeds", settings, state)

    once = run(Tracker("leeds", settings), scans)
    again = run(Tracker("leeds", settings), scans, restored)
    assert [msgspec.json.encode(scan.changes) for scan in once] == [msgspec.json.encode(s.changes) for s in again]


@always
@given(scans=drawn_scans(), data=st.data())
def test_an_open_alert_keeps_the_last_of_each_response_whatever_the_scans(scans: DrawnScans, data: st.DataObject):
    """Against dictionaries; only something new makes a revision, and no state, figure or member changes by it."""
    tracker = Tracker("leeds", SETTINGS)
    expected: dict[str, dict[str, object]] = {}
    last: dict[str, Alert] = {}
    for stream, tick_s, clusters, standing in scans + quiet(scans):
        changes = tracker.update(stream, tick_s, clusters, standing)
        for number in range(data.draw(st.integers(0, 3))):
            action: Action = data.draw(st.sampled_from(["acknowledge", "take", "outcome"]))
            user = data.draw(st.sampled_from(["ann", "bob"]))
            alert = data.draw(st.sampled_from([*sorted(last), *(one.id for one in changes), "0" * 32]))
            outcome = "venue" if action == "outcome" and number else "unknown" if action == "outcome" else ""
            response = Response(alert, action, user, tick_s + number, outcome)  # type: ignore[arg-type]
            before = {one.id: one for one in tracker.alerts}
            if alert not in before:
                with pytest.raises(NoSuchAlert, match="open alert"):
                    tracker.respond(response, tick_s)
                assert list(before.values()) == list(tracker.alerts)
                continue
            revision_made = tracker.respond(response, tick_s)
            mine = expected.setdefault(alert, {})
            is_known = mine.get(action) == (user, outcome)
            assert (revision_made is None) == is_known
            if revision_made is not None:
                mine |= {action: (user, outcome), f"{action}_s": tick_s + number}
                changes.append(revision_made)
                assert revision_made == msgspec.structs.replace(
                    before[alert],
                    revision=revision_made.revision,
                    reason={"acknowledge": "acknowledged", "take": "taken", "outcome": "outcome_noted"}[action],
                    notice="",
                    tick_s=tick_s,
                    new_members=(),
                    responses=revision_made.responses,
                )
        for change in changes:
            assert change.revision == (last[change.id].revision if change.id in last else 0) + 1
            last[change.id] = change
        for alert, one in last.items():
            had, has = expected.get(alert, {}), one.responses
            assert (has.acknowledged_by, "") == had.get("acknowledge", ("", ""))
            assert (has.taken_by, "") == had.get("take", ("", ""))
            assert (has.outcome_by, has.outcome) == had.get("outcome", ("", ""))
            times = (has.acknowledged_s, has.taken_s, has.outcome_s)
            assert times == tuple(had.get(f"{action}_s", 0) for action in ("acknowledge", "take", "outcome"))
