"""When an alert speaks again: each reason by itself, and that nothing else ever makes it speak."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given

from detectors.alerts.alert import Alert
from detectors.alerts.lifecycle import TERMINAL, AlertState
from detectors.alerts.notices import Notice, NoticeFigures, is_due, notice
from detectors.alerts.response import Response
from detectors.alerts.tracking import Tracker
from detectors.area.settings import RepeatSettings, Stream
from detectors.clusters.cluster import Cluster
from detectors.scan.significance import Tier, tier_of
from tests.detectors.alerts.scans_by_hand import (
    ALERT,
    EVERYONE,
    HOUR,
    SETTINGS,
    WATCH,
    DrawnScans,
    always,
    cluster,
    drawn_scans,
    has_moved,
    quiet,
    revisions_of,
    run,
    with_figures,
)

RULES = RepeatSettings(same_risk=1.5, same_area=0.5, reminder_h=24)
LAST = NoticeFigures(tick_s=0, tier=Tier.ALERT, observed=6, expected=2.0, locations=("a", "b", "c"))
OPEN, EASING = AlertState.OPEN, AlertState.EASING


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Notice.SILENT),
        ({"tier": Tier.WATCH}, Notice.TIER),
        ({"tier": None}, Notice.TIER),
        ({"locations": ("a", "b")}, Notice.SILENT),  # two of three in common
        ({"locations": ("c", "d", "e")}, Notice.AREA),  # one of five
        ({"observed": 9}, Notice.SILENT),  # 1.5 times the risk
        ({"observed": 10}, Notice.RISK),
        ({"expected": 3.1}, Notice.RISK),
        ({"expected": 0.0}, Notice.RISK),
        ({"tick_s": 24 * HOUR - 1}, Notice.SILENT),
        ({"tick_s": 24 * HOUR}, Notice.REMINDER),
        ({"tick_s": 24 * HOUR, "observed": 10}, Notice.RISK),
    ],
    ids=str,
)
def test_new_members_give_a_notice_only_with_a_change_that_matters(change: dict[str, object], expected: Notice):
    now = msgspec.structs.replace(LAST, **change)
    assert notice(OPEN, False, True, now, LAST, RULES) is expected
    # Without new members nothing but time counts, and of an alert that eases nothing.
    assert notice(OPEN, False, False, now, LAST, RULES) is (
        Notice.REMINDER if now.tick_s == 24 * HOUR else Notice.SILENT
    )
    assert notice(EASING, False, True, now, LAST, RULES) is Notice.SILENT


def test_the_first_the_rise_and_the_end_always_give_a_notice():
    assert notice(OPEN, False, False, LAST, None, RULES) is Notice.OPENED
    assert notice(AlertState.ESCALATED, True, False, LAST, LAST, RULES) is Notice.ESCALATED
    for state in TERMINAL:
        assert notice(state, False, False, LAST, LAST, RULES) is Notice.ENDED


def test_reminders_can_be_left_out():
    assert is_due(24 * HOUR, LAST, RULES)
    assert not is_due(10**9, LAST, RepeatSettings(reminder_h=0))
    assert not is_due(10**9, LAST, RULES, is_muted=True)
    late = msgspec.structs.replace(LAST, tick_s=24 * HOUR)
    assert notice(OPEN, False, True, late, LAST, RULES, is_muted=True) is Notice.SILENT
    assert notice(OPEN, False, True, msgspec.structs.replace(late, observed=10), LAST, RULES, True) is Notice.RISK


def test_an_alert_that_is_acknowledged_is_not_brought_to_mind_and_tells_of_everything_else():
    tracker = Tracker("leeds", SETTINGS)
    (opened,) = tracker.update(Stream.ALL, 0, [cluster("abc", WATCH)], EVERYONE)
    after = tracker.respond(Response(opened.id, "acknowledge", "ann", 5), 0)
    assert after and (after.revision, after.reason, after.notice, after.state) == (2, "acknowledged", "", "open")
    later = [(25, "abc", WATCH), (26, "abcd", WATCH), (27, "abcd", ALERT), (60, "abcd", ALERT)]
    scans = [tracker.update(Stream.ALL, hour * HOUR, [cluster(ids, score)], EVERYONE) for hour, ids, score in later]
    scans += [tracker.update(Stream.ALL, hour * HOUR, [], EVERYONE) for hour in (61, 70)]
    assert [(change.reason, change.notice) for changes in scans for change in changes] == [
        ("new_members", ""),
        ("tier_rose", "escalated"),
        ("score_fell", ""),
        ("quiet", "ended"),
    ]


def is_material(one: Alert, last: Alert) -> bool:
    """Tier, area or relative risk, in the words of the settings."""
    both = (one.figures, last.figures)
    tiers = {tier_of(each.recurrence_interval_days, SETTINGS.tiers) for each in both}
    here, there = (set(each.locations) for each in both)
    common = len(here & there) / len(here | there)
    risks = sorted(each.observed / each.expected for each in both)
    return len(tiers) > 1 or common < 0.5 or risks[1] > 1.5 * risks[0]


@always
@given(scans=drawn_scans())
def test_whatever_the_scans_no_two_notices_without_a_reason_and_none_is_left_out(scans: DrawnScans):
    for life in revisions_of(run(Tracker("leeds", SETTINGS), [*scans, *quiet(scans)])).values():
        assert life[0].notice == "opened"
        last, known = life[0], set(life[0].members)
        for before, one in itertools.pairwise(life):
            news = set(one.members) - known or has_moved(before, one)
            must = one.state in TERMINAL or one.tier != before.tier
            may = one.state != "easing" and (
                (bool(news) and is_material(one, last)) or one.tick_s - last.tick_s >= 24 * HOUR
            )
            assert bool(one.notice) == (must or may)
            if one.notice:
                last, known = one, known | set(one.members)
        assert life[-1].notice == "ended"


def test_an_alert_that_stands_still_is_brought_to_mind_once_a_day():
    tracker = Tracker("leeds", SETTINGS)
    standing: Cluster = cluster("abc", WATCH)
    scans = [(hour, tracker.update(Stream.ALL, hour * HOUR, [standing], EVERYONE)) for hour in range(60)]
    given_notices = [(hour, change.reason, change.notice) for hour, changes in scans for change in changes]
    assert given_notices == [(0, "opened", "opened"), (24, "reminder", "reminder"), (48, "reminder", "reminder")]


def test_what_was_kept_silent_is_told_with_the_next_change_that_matters():
    tracker = Tracker("leeds", SETTINGS)
    first, second, third = (cluster(members, ALERT) for members in ("abcdef", "abcdefg", "abcdefg"))
    third = with_figures(third, expected=0.1)
    given_notices = [
        tracker.update(Stream.ALL, hour * HOUR, [one], EVERYONE) for hour, one in enumerate((first, second, third))
    ]
    assert [(change.reason, change.notice) for changes in given_notices for change in changes] == [
        ("opened", "opened"),
        ("new_members", ""),
    ]
    (fourth,) = tracker.update(Stream.ALL, 3 * HOUR, [with_figures(cluster("abcdefgh", ALERT), expected=0.1)], EVERYONE)
    assert (fourth.reason, fourth.notice, fourth.new_members) == ("new_members", "risk_changed", ("h",))
