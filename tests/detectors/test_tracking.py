"""Tracking: what holds of every alert whatever the scans say, and the rules one by one."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.clusters import Cluster
from detectors.inference import TIERS, recurrence_interval_days, score_for_interval
from detectors.lifecycle import TERMINAL, TRANSITIONS, AlertState
from detectors.response import Action, Response
from detectors.settings import AreaSettings, TierSettings
from detectors.tracking import Alert, NoSuchAlert, Tracker, TrackerState, alert_id

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))
HOUR = 3600
SETTINGS = AreaSettings(
    tiers=TierSettings(watch=10, advisory=20, alert=40, urgent=80),
    min_cases=3,
    end_after_h=6,
    cool_down_h=24,
    cool_down_m=500,
    ease_below=1,
)
OPEN_AT = score_for_interval(10)
SPOTS = [(0.0, 0.0), (0.004, 0.0), (1.0, 0.0)]
"""The second is 445 m from the first, the third is far away."""


def cluster(members: str, score: float, spot: int = 0) -> Cluster:
    """A cluster of incidents named by a letter each, around a spot."""
    longitude, latitude = SPOTS[spot]
    return Cluster(
        centre=f"cell{spot}",
        longitude=longitude,
        latitude=latitude,
        radius_m=100.0,
        locations=(f"cell{spot}",),
        duration_h=2,
        start_s=0,
        observed=len(members),
        expected=0.5,
        llr=score,
        score=score,
        recurrence_interval_days=recurrence_interval_days(score),
        members=tuple(sorted(members)),
        breakdown={"violence": len(members)},
        interval_times=0,
        reported=len(members),
        trigger_score=score,
    )


def score_of(tier: str) -> float:
    """A score a little above the beginning of a tier."""
    return score_for_interval(getattr(SETTINGS.tiers, tier)) + 0.01


WATCH, ADVISORY, ALERT, URGENT = map(score_of, TIERS)
EVERYONE = set("abcdefghij")


@dataclasses.dataclass
class Scan:
    """What one update is told, and what it answered; ``known``: by open alert, all members it had told of before."""

    stream: str
    tick_s: int
    clusters: list[Cluster]
    standing: set[str]
    open_before: list[Alert]
    known: dict[str, set[str]]
    changes: list[Alert]


Told = list[tuple[str, int, list[Cluster], set[str]]]


@st.composite
def told(draw: st.DrawFn) -> Told:
    """Scans of two streams; clusters of a scan share no member, as zones of one scan do not overlap."""
    scans: Told = []
    tick_s, standing = 1_700_000_000, set(EVERYONE)
    for number in draw(st.lists(st.integers(0, 2**20 - 1), min_size=10, max_size=40)):
        number, hours = divmod(number, 8)
        tick_s += [1, 600, HOUR, HOUR, 2 * HOUR, 4 * HOUR, 7 * HOUR, 30 * HOUR][hours]
        number, cancels = divmod(number, 12)
        if cancels == 11:
            standing = standing - {sorted(EVERYONE)[number % 10]}
        number, stream = divmod(number, 3)
        clusters = []
        left = sorted(standing)
        for _ in range(draw(st.integers(0, 2))):
            shape = draw(st.integers(0, 2**16 - 1))
            shape, size = divmod(shape, 4)
            members, left = left[shape % 3 : shape % 3 + size + 3], left[shape % 3 + size + 3 :]
            score = SETTINGS.ease_below * [-0.9, -0.5, 0.01, 0.8, 1.5, 2.5][shape % 6] + OPEN_AT
            if len(members) >= SETTINGS.min_cases:
                clusters.append(cluster("".join(members), score, shape % 3))
        clusters.sort(key=lambda one: -one.score)
        scans.append((["all", "violence", "all"][stream], tick_s, clusters, standing))
    return scans


def run(tracker: Tracker, scans: Told, restore: Callable[[Tracker], Tracker] = lambda tracker: tracker) -> list[Scan]:
    """Tell a tracker of scans, one after the other."""
    done = []
    for stream, tick_s, clusters, standing in scans:
        tracker = restore(tracker)
        before = list(tracker.alerts)
        mine = {member for alert in before if alert.stream == stream for member in alert.members} & standing
        known = {each.alert.id: set(each.told) for each in tracker.state.followed if each.alert.stream == stream}
        done.append(Scan(stream, tick_s, clusters, mine, before, known, tracker.update(stream, tick_s, clusters, mine)))
    return done


def quiet(scans: Told) -> Told:
    """Scans without clusters, until everything must have ended."""
    last, standing = (scans[-1][1], scans[-1][3]) if scans else (0, EVERYONE)
    return [(stream, last + hours * HOUR, [], standing) for hours in (1, 7) for stream in ("all", "violence")]


def revisions_of(scans: list[Scan]) -> dict[str, list[Alert]]:
    by_id: dict[str, list[Alert]] = {}
    for scan in scans:
        for change in scan.changes:
            by_id.setdefault(change.id, []).append(change)
    return by_id


always = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


@always
@given(scans=told())
def test_revisions_count_from_one_without_gaps_and_nothing_follows_the_terminal_one(scans: Told):
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
@given(scans=told())
def test_what_an_alert_is_stays_and_its_tier_never_falls(scans: Told):
    for life in revisions_of(run(Tracker("leeds", SETTINGS), scans)).values():
        assert len({(one.area, one.stream, one.opened_s) for one in life}) == 1
        assert life[0].id == alert_id("leeds", life[0].stream, life[0].opened_s, life[0].centre, life[0].members)
        ranks = [TIERS.index(one.tier) for one in life]
        assert ranks == sorted(ranks)
        first = next((one.tick_s for one in life if one.tier in ("alert", "urgent")), None)
        for one in life:
            assert one.alerted_s == (first if first is not None and one.tick_s >= first else None)


def has_moved(before: Alert, after: Alert) -> bool:
    """Whether some incident is named by both, by each at other places."""
    return bool(set(before.members) & set(after.members)) and not set(before.locations) & set(after.locations)


@always
@given(scans=told())
def test_every_revision_has_news(scans: Told):
    for life in revisions_of(run(Tracker("leeds", SETTINGS), scans)).values():
        assert life[0].new_members == life[0].members
        told = set(life[0].members)
        for before, after in itertools.pairwise(life):
            assert set(after.new_members) == set(after.members) - told
            told.update(after.members)
            assert (
                after.new_members
                or after.tier != before.tier
                or after.state != before.state
                or after.notice == "reminder"
                or (after.reason == "relocated" and has_moved(before, after))
            )


@always
@given(scans=told())
def test_a_cluster_that_is_half_an_open_alert_s_opens_no_other(scans: Told):
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
                assert change.score >= OPEN_AT


@always
@given(scans=told())
def test_no_two_open_alerts_of_a_stream_have_the_same_members(scans: Told):
    tracker = Tracker("leeds", SETTINGS)
    for told_ in scans:
        run(tracker, [told_])
        sets = [(alert.stream, alert.members) for alert in tracker.alerts]
        assert len(set(sets)) == len(sets)


@always
@given(scans=told())
def test_a_strong_new_cluster_opens_unless_its_place_cools_down(scans: Told):
    ended: list[Alert] = []
    for scan in run(Tracker("leeds", SETTINGS), scans):
        ended += [change for change in scan.changes if change.state in TERMINAL and change.reason != "merged"]
        open_members = set().union(*scan.known.values())
        opened = {change.members for change in scan.changes if change.reason == "opened"}
        for one in scan.clusters:
            cooling = any(
                old.stream == scan.stream
                and scan.tick_s < old.tick_s + 24 * HOUR
                and (old.longitude == 1.0) == (one.longitude == 1.0)
                for old in ended
            )
            strong = one.score >= OPEN_AT and not cooling
            if not open_members & set(one.members):
                assert (one.members in opened) == strong
            assert one.members not in opened or strong


@always
@given(scans=told())
def test_an_alert_ends_after_the_whole_quiet_time_and_not_before(scans: Told):
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
@given(scans=told())
def test_an_alert_is_withdrawn_when_its_members_were_cancelled_and_only_then(scans: Told):
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
@given(scans=told())
def test_an_update_touches_only_its_stream_and_alerts_are_those_not_ended(scans: Told):
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
@given(scans=told())
def test_written_down_and_read_again_at_every_scan_is_running_on(scans: Told):
    def restored(tracker: Tracker) -> Tracker:
        state = msgspec.json.decode(msgspec.json.encode(tracker.state), type=TrackerState)
        return Tracker("leeds", SETTINGS, state)

    once = run(Tracker("leeds", SETTINGS), scans)
    again = run(Tracker("leeds", SETTINGS), scans, restored)
    assert [msgspec.json.encode(scan.changes) for scan in once] == [msgspec.json.encode(s.changes) for s in again]


@always
@given(scans=told(), data=st.data())
def test_an_open_alert_keeps_the_last_of_each_response_whatever_the_scans(scans: Told, data: st.DataObject):
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
            answer = tracker.respond(response, tick_s)
            mine = expected.setdefault(alert, {})
            is_known = mine.get(action) == (user, outcome)
            assert (answer is None) == is_known
            if answer is not None:
                mine |= {action: (user, outcome), f"{action}_s": tick_s + number}
                changes.append(answer)
                assert answer == msgspec.structs.replace(
                    before[alert],
                    revision=answer.revision,
                    reason={"acknowledge": "acknowledged", "take": "taken", "outcome": "outcome_noted"}[action],
                    notice="",
                    tick_s=tick_s,
                    new_members=(),
                    responses=answer.responses,
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


# The rules one by one


def follow(*scans: tuple[float, list[Cluster]], standing: set[str] = EVERYONE) -> list[list[Alert]]:
    """The changes of scans of one stream, each (hours, clusters)."""
    tracker = Tracker("leeds", SETTINGS)
    return [tracker.update("all", round(hours * HOUR), clusters, standing) for hours, clusters in scans]


def seen(changes: list[list[Alert]]) -> list[list[tuple[Any, ...]]]:
    return [[(str(one.state), one.reason, one.tier) for one in scan] for scan in changes]


def test_a_whole_life():
    changes = follow(
        (0, [cluster("abc", WATCH)]),
        (1, [cluster("abc", WATCH)]),
        (2, [cluster("abcd", WATCH)]),
        (3, [cluster("abcd", ALERT)]),
        (4, [cluster("abcd", WATCH)]),
        (5, []),
        (6, []),
        (7, [cluster("bcd", OPEN_AT - 0.5)]),
        (8, []),
        (13.9, []),
        (14, []),
        (15, []),
    )
    assert seen(changes) == [
        [("open", "opened", "watch")],
        [],
        [("open", "new_members", "watch")],
        [("escalated", "tier_rose", "alert")],
        [],
        [("easing", "score_fell", "alert")],
        [],
        [("open", "score_recovered", "alert")],
        [("easing", "score_fell", "alert")],
        [],
        [("ended", "quiet", "alert")],
        [],
    ]
    assert changes[2][0].new_members == ("d",)
    assert changes[3][0].alerted_s == changes[-2][0].alerted_s == 3 * HOUR
    assert changes[-2][0].ended_s == 14 * HOUR


def test_members_that_are_relocated_take_the_alert_along():
    changes = follow(
        (0, [cluster("abc", ALERT)]),
        (1, [cluster("bc", WATCH, 2)]),
        (2, [cluster("bc", WATCH, 2)]),
        (3, [cluster("abd", WATCH, 0), cluster("c", WATCH, 2)]),
        (4, [cluster("abd", WATCH, 2)]),
        (5, []),
        (6, [cluster("abd", WATCH, 0)]),
    )
    assert [[(one.reason, one.notice, one.locations) for one in scan] for scan in changes] == [
        [("opened", "opened", ("cell0",))],
        [("relocated", "tier_changed", ("cell2",))],
        [],
        [("new_members", "area_changed", ("cell0",))],
        [("relocated", "area_changed", ("cell2",))],
        [("score_fell", "", ("cell2",))],
        [("score_recovered", "area_changed", ("cell0",))],
    ]


def test_a_cluster_elsewhere_of_members_told_before_is_no_relocation():
    """The alert then has two clusters, and which is the better one may change with every scan."""
    changes = follow(
        (0, [cluster("abc", ALERT, 0)]),
        (1, [cluster("acde", ALERT, 1)]),
        (2, [cluster("b", ALERT, 0)]),
    )
    assert [[one.reason for one in scan] for scan in changes] == [["opened"], ["new_members"], []]


def test_too_few_members_left_withdraw_it():
    tracker = Tracker("leeds", SETTINGS)
    tracker.update("all", 0, [cluster("abcd", ALERT)], EVERYONE)
    assert seen([tracker.update("all", 60, [], {"a", "b", "c"})]) == [[("easing", "score_fell", "alert")]]
    assert seen([tracker.update("all", 120, [], {"a", "b"})]) == [[("withdrawn", "members_cancelled", "alert")]]
    assert tracker.alerts == ()


def test_what_another_configuration_leaves_out_ends_as_reconfigured():
    tracker = Tracker("leeds", SETTINGS)
    tracker.update("all", 0, [cluster("abcd", ALERT), cluster("efg", ALERT, 2)], EVERYONE)
    tracker = Tracker("leeds", SETTINGS, tracker.state, is_reconfigured=True)
    changes = [tracker.update("all", 60, [], {"e", "f", "g"}), tracker.update("all", 120, [], {"e"})]
    assert seen(changes) == [
        [("ended", "reconfigured", "alert"), ("easing", "score_fell", "alert")],
        [("withdrawn", "members_cancelled", "alert")],
    ]


def test_a_place_cools_down_within_its_stream_and_radius_and_for_its_time():
    tracker = Tracker("leeds", SETTINGS)
    tracker.update("all", 0, [cluster("abc", ALERT)], EVERYONE)
    tracker.update("all", HOUR, [], EVERYONE)
    (ended,) = tracker.update("all", 7 * HOUR, [cluster("def", ALERT, 1)], EVERYONE)
    assert ended.state == AlertState.ENDED  # and what shows near it in the same scan opens nothing
    assert tracker.update("all", 31 * HOUR - 1, [cluster("def", URGENT, 1)], EVERYONE) == []
    assert seen([tracker.update("violence", 8 * HOUR, [cluster("def", ALERT)], EVERYONE)])[0][0][1] == "opened"
    assert seen([tracker.update("all", 31 * HOUR - 1, [cluster("ghi", ALERT, 2)], EVERYONE)])[0][0][1] == "opened"
    again = tracker.update("all", 31 * HOUR, [cluster("def", ALERT, 1), cluster("ghi", ALERT, 2)], EVERYONE)
    assert [(change.members, change.reason) for change in again] == [(("d", "e", "f"), "opened")]


def test_a_cluster_goes_to_the_alert_it_shares_most_with_and_the_older_at_a_tie():
    opening = (0, [cluster("abc", ALERT), cluster("defg", WATCH, 2)])
    (opened, merged) = follow(opening, (1, [cluster("bcdefgh", URGENT)]))
    first, second = opened
    assert [(change.id, change.reason, change.merged_into) for change in merged] == [
        (first.id, "merged", second.id),
        (second.id, "tier_rose", ""),
    ]
    (opened, tied) = follow((0, [cluster("abc", ALERT), cluster("def", WATCH, 2)]), (1, [cluster("bcdei", ALERT)]))
    assert [(change.id, change.reason) for change in tied] == [
        (opened[0].id, "new_members"),
        (opened[1].id, "merged"),
    ]


def test_an_alert_with_few_of_its_members_in_another_s_cluster_is_not_merged():
    (opened, after) = follow((0, [cluster("abc", ALERT), cluster("defgh", WATCH, 2)]), (1, [cluster("abchd", ALERT)]))
    assert [(change.id, change.reason) for change in after] == [
        (opened[0].id, "new_members"),
        (opened[1].id, "score_fell"),
    ]


def test_what_splits_off_with_mostly_new_members_is_an_alert_of_its_own():
    (opened, split) = follow((0, [cluster("abcdef", ALERT)]), (1, [cluster("cdef", ALERT), cluster("abghi", ALERT, 2)]))
    assert [(change.reason, change.split_from, change.members) for change in split] == [
        ("opened", opened[0].id, tuple("abghi"))
    ]


def test_a_split_of_mostly_known_members_is_part_of_the_alert():
    (opened, split) = follow((0, [cluster("abcdef", ALERT)]), (1, [cluster("abgh", ALERT), cluster("cdefi", WATCH, 1)]))
    assert [(change.id, change.reason, change.new_members) for change in split] == [
        (opened[0].id, "new_members", ("i",))
    ]


def test_what_may_not_trigger_neither_opens_nor_raises_but_keeps_alive():
    discovered = dataclasses.replace(cluster("abcdef", URGENT), trigger_score=OPEN_AT - 0.01)
    assert follow((0, [discovered])) == [[]]
    (opened, after) = follow((0, [cluster("abc", WATCH)]), (1, [discovered]))
    assert [(change.id, change.reason, change.tier, change.observed) for change in after] == [
        (opened[0].id, "new_members", "watch", 6)
    ]


@pytest.mark.parametrize(("score", "opens"), [(OPEN_AT - 1e-9, False), (OPEN_AT, True)])
def test_it_opens_at_the_score_of_watch(score: float, opens: bool):
    assert bool(follow((0, [cluster("abc", score)]))[0]) is opens
    assert Tracker("leeds", SETTINGS).weakest_score == OPEN_AT - 1


def test_ids_follow_from_content():
    given_ = ("leeds", "all", 7, "cell", ["b", "a"])
    assert alert_id(*given_) == alert_id("leeds", "all", 7, "cell", ("a", "b"))
    others = [("york", *given_[1:]), ("leeds", "drugs", *given_[2:]), ("leeds", "all", 8, "cell", ["a", "b"])]
    others += [("leeds", "all", 7, "cell2", ["a", "b"]), ("leeds", "all", 7, "cell", ["a"])]
    assert len({alert_id(*given_), *(alert_id(*other) for other in others)}) == 6
    assert len(alert_id(*given_)) == 32
