"""Tracking: the rules one by one."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.alerts.alert import Alert, alert_id
from detectors.alerts.lifecycle import AlertState
from detectors.alerts.tracking import Tracker
from detectors.area.settings import AreaSettings, Stream
from detectors.clusters.cluster import Cluster
from tests.detectors.alerts.scans_by_hand import (
    ADVISORY,
    ALERT,
    BAYESIAN,
    EVERYONE,
    HOUR,
    OPEN_AT,
    SETTINGS,
    URGENT,
    WATCH,
    cluster,
    with_figures,
)


def follow(*scans: tuple[float, list[Cluster]], standing: set[str] = EVERYONE) -> list[list[Alert]]:
    """The changes of scans of one stream, each (hours, clusters)."""
    tracker = Tracker("leeds", SETTINGS)
    return [tracker.update(Stream.ALL, round(hours * HOUR), clusters, standing) for hours, clusters in scans]


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
    assert [[(one.reason, one.notice, one.figures.locations) for one in scan] for scan in changes] == [
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
    tracker.update(Stream.ALL, 0, [cluster("abcd", ALERT)], EVERYONE)
    assert seen([tracker.update(Stream.ALL, 60, [], {"a", "b", "c"})]) == [[("easing", "score_fell", "alert")]]
    assert seen([tracker.update(Stream.ALL, 120, [], {"a", "b"})]) == [[("withdrawn", "members_cancelled", "alert")]]
    assert tracker.alerts == ()


def test_what_another_configuration_leaves_out_ends_as_reconfigured():
    tracker = Tracker("leeds", SETTINGS)
    tracker.update(Stream.ALL, 0, [cluster("abcd", ALERT), cluster("efg", ALERT, 2)], EVERYONE)
    tracker = Tracker("leeds", SETTINGS, tracker.state, is_reconfigured=True)
    changes = [tracker.update(Stream.ALL, 60, [], {"e", "f", "g"}), tracker.update(Stream.ALL, 120, [], {"e"})]
    assert seen(changes) == [
        [("ended", "reconfigured", "alert"), ("easing", "score_fell", "alert")],
        [("withdrawn", "members_cancelled", "alert")],
    ]


def test_a_place_cools_down_within_its_stream_and_radius_and_for_its_time():
    tracker = Tracker("leeds", SETTINGS)
    tracker.update(Stream.ALL, 0, [cluster("abc", ALERT)], EVERYONE)
    tracker.update(Stream.ALL, HOUR, [], EVERYONE)
    (ended,) = tracker.update(Stream.ALL, 7 * HOUR, [cluster("def", ALERT, 1)], EVERYONE)
    assert ended.state == AlertState.ENDED  # and what shows near it in the same scan opens nothing
    assert tracker.update(Stream.ALL, 31 * HOUR - 1, [cluster("def", URGENT, 1)], EVERYONE) == []
    assert seen([tracker.update(Stream.VIOLENCE, 8 * HOUR, [cluster("def", ALERT)], EVERYONE)])[0][0][1] == "opened"
    assert seen([tracker.update(Stream.ALL, 31 * HOUR - 1, [cluster("ghi", ALERT, 2)], EVERYONE)])[0][0][1] == "opened"
    again = tracker.update(Stream.ALL, 31 * HOUR, [cluster("def", ALERT, 1), cluster("ghi", ALERT, 2)], EVERYONE)
    assert [(change.members, change.reason) for change in again] == [(("d", "e", "f"), "opened")]


def test_under_the_bayesian_scan_a_stronger_cluster_opens_where_a_weaker_alert_ended():
    for settings, opens in ((SETTINGS, False), (BAYESIAN, True)):
        tracker = Tracker("leeds", settings)
        tracker.update(Stream.DRUGS, 0, [cluster("abc", ALERT)], EVERYONE)
        tracker.update(Stream.DRUGS, HOUR, [cluster("abc", WATCH)], EVERYONE)
        tracker.update(Stream.DRUGS, 2 * HOUR, [], EVERYONE)
        (ended,) = tracker.update(Stream.DRUGS, 8 * HOUR, [], EVERYONE)
        assert ended.state == AlertState.ENDED
        assert tracker.update(Stream.DRUGS, 9 * HOUR, [cluster("def", ALERT, 1)], EVERYONE) == []
        assert bool(tracker.update(Stream.DRUGS, 9 * HOUR, [cluster("def", URGENT, 1)], EVERYONE)) is opens


def led(*scans: tuple[float, Stream, list[Cluster]]) -> list[list[tuple[str, str, str]]]:
    """Return (id as a letter, stream, reason) of the changes of Bayesian scans, each (hours, stream, clusters)."""
    tracker, letters = Tracker("leeds", BAYESIAN), dict[str, str]()
    return [
        [
            (letters.setdefault(one.id, "ABCDEF"[len(letters)]), one.stream.value, str(one.reason))
            for one in tracker.update(stream, round(hours * HOUR), clusters, EVERYONE)
        ]
        for hours, stream, clusters in scans
    ]


def test_an_alert_follows_the_stream_that_shows_it_best():
    assert led(
        (0, Stream.ALL, [cluster("abcde", ADVISORY)]),
        (1, Stream.DRUGS, [cluster("abc", WATCH)]),  # weaker: neither opens nor takes over
        (2, Stream.DRUGS, [cluster("abc", ADVISORY + 0.1)]),  # stronger, with nothing new
        (3, Stream.ALL, [cluster("abcdef", ADVISORY)]),
        (4, Stream.ALL, [cluster("abcdef", ALERT)]),
        (5, Stream.DRUGS, [cluster("abcg", URGENT)]),
    ) == [
        [("A", "all", "opened")],
        [],
        [("A", "drugs", "category_changed")],
        [],
        [("A", "all", "tier_rose")],
        [("A", "drugs", "tier_rose")],
    ]


def test_an_alert_that_its_stream_no_longer_shows_goes_on_as_a_weaker_cluster_of_another():
    quiet = [(hours, Stream.DRUGS, list[Cluster]()) for hours in range(4, 12)]
    assert led(
        (0, Stream.DRUGS, [cluster("abc", URGENT)]),
        (1, Stream.ALL, [cluster("abcd", WATCH)]),
        (2, Stream.DRUGS, []),
        (2, Stream.ALL, [cluster("abcd", WATCH)]),
        (3, Stream.DRUGS, [cluster("abc", URGENT)]),  # no stronger than the alert was: *all* keeps it
        *quiet,  # the end of another stream's cluster ends nothing
        (13, Stream.ALL, []),
        (14, Stream.DRUGS, [cluster("abc", WATCH)]),
    ) == [
        [("A", "drugs", "opened")],
        [],
        [("A", "drugs", "score_fell")],
        [("A", "all", "new_members")],
        [],
        *([] for _ in quiet),
        [("A", "all", "score_fell")],
        [("A", "drugs", "score_recovered")],
    ]


def test_new_members_turn_an_alert_that_was_once_stronger():
    assert led(
        (0, Stream.DRUGS, [cluster("abc", URGENT)]),
        (1, Stream.DRUGS, [cluster("abc", WATCH)]),
        (2, Stream.ALL, [cluster("abc", ADVISORY)]),  # nothing new, and weaker than the alert was
        (3, Stream.ALL, [cluster("abcd", WATCH - 0.1)]),  # weaker than what is shown now
        (4, Stream.ALL, [cluster("abcd", ADVISORY)]),
    ) == [[("A", "drugs", "opened")], [], [], [], [("A", "all", "new_members")]]


def test_two_alerts_that_become_one_hot_spot_are_one():
    apart = (
        (0, Stream.DRUGS, [cluster("abcd", URGENT)]),
        (0, Stream.ALL, [cluster("fghi", ALERT)]),
    )
    opened = [[("A", "drugs", "opened")], [("B", "all", "opened")]]
    assert led(*apart, (1, Stream.ALL, [cluster("abfghi", ALERT)])) == [*opened, [("B", "all", "merged")]]
    touching = led(*apart, (1, Stream.ALL, [cluster("afghi", ALERT)]))
    assert touching == [*opened, [("B", "all", "new_members")]]


def test_no_other_stream_takes_an_alert_of_the_former_statistic_while_its_own_shows_it():
    former = Tracker("leeds", SETTINGS)
    former.update(Stream.DRUGS, 0, [cluster("abc", WATCH)], EVERYONE)
    tracker = Tracker("leeds", BAYESIAN, former.state, is_reconfigured=True)
    assert tracker.update(Stream.ALL, 0, [cluster("abc", URGENT)], EVERYONE) == []


@pytest.mark.parametrize(("before", "after"), [(SETTINGS, BAYESIAN), (BAYESIAN, SETTINGS)])
def test_a_change_of_the_statistic_raises_no_tier(before: AreaSettings, after: AreaSettings):
    former = Tracker("leeds", before)
    former.update(Stream.DRUGS, 0, [cluster("abc", WATCH)], EVERYONE)
    tracker = Tracker("leeds", after, former.state, is_reconfigured=True)
    for hours in range(3):
        assert tracker.update(Stream.DRUGS, hours * HOUR, [cluster("abc", URGENT)], EVERYONE) == []
    (grown,) = tracker.update(Stream.DRUGS, 3 * HOUR, [cluster("abcd", URGENT)], EVERYONE)
    assert grown.reason == "tier_rose"
    (risen,) = Tracker("leeds", before, former.state).update(Stream.DRUGS, HOUR, [cluster("abc", URGENT)], EVERYONE)
    assert risen.reason == "tier_rose"


def test_a_mixed_cluster_unites_the_alerts_of_its_categories():
    assert led(
        (0, Stream.VIOLENCE, [cluster("abc", WATCH)]),
        (0, Stream.DRUGS, [cluster("def", WATCH)]),
        (0, Stream.DISORDER, [cluster("hij", URGENT)]),
        (0, Stream.ALL, [cluster("abcdef", ALERT), cluster("hi", ALERT)]),
        (1, Stream.DRUGS, [cluster("def", ADVISORY)]),
    ) == [
        [("A", "violence", "opened")],
        [("B", "drugs", "opened")],
        [("C", "disorder", "opened")],
        [("A", "all", "tier_rose"), ("B", "drugs", "merged")],
        [],
    ]


def test_only_scans_of_its_own_stream_let_an_alert_fall():
    scans = [(hours, Stream.DRUGS, list[Cluster]()) for hours in range(1, 30)]
    opening = (0, Stream.VIOLENCE, [cluster("abc", WATCH)])
    assert led(opening, *scans) == [[("A", "violence", "opened")], *([] for _ in scans)]
    assert led(opening, (1, Stream.VIOLENCE, []), (7, Stream.VIOLENCE, []))[2] == [("A", "violence", "quiet")]


def test_where_an_alert_ended_no_weaker_one_of_all_opens_and_after_all_no_weaker_one_of_any():
    for ended, later, opens in (
        (Stream.DRUGS, Stream.ALL, False),
        (Stream.ALL, Stream.DRUGS, False),
        (Stream.DRUGS, Stream.VIOLENCE, True),
    ):
        life = [(0, ended, [cluster("abc", ALERT)]), (1, ended, []), (8, ended, [])]
        assert bool(led(*life, (9, later, [cluster("def", WATCH)]))[-1]) is opens
        assert led(*life, (9, later, [cluster("def", URGENT)]))[-1]


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
    discovered = with_figures(cluster("abcdef", URGENT), trigger_score=OPEN_AT - 0.01)
    assert follow((0, [discovered])) == [[]]
    (opened, after) = follow((0, [cluster("abc", WATCH)]), (1, [discovered]))
    assert [(change.id, change.reason, change.tier, change.figures.observed) for change in after] == [
        (opened[0].id, "new_members", "watch", 6)
    ]


@pytest.mark.parametrize(("score", "opens"), [(OPEN_AT - 1e-9, False), (OPEN_AT, True)])
def test_it_opens_at_the_score_of_watch(score: float, opens: bool):
    assert bool(follow((0, [cluster("abc", score)]))[0]) is opens
    assert Tracker("leeds", SETTINGS).weakest_score == OPEN_AT - 1


def test_ids_follow_from_content():
    all_ = Stream.ALL
    given_ = ("leeds", all_, 7, "cell", ["b", "a"])
    assert alert_id(*given_) == alert_id("leeds", all_, 7, "cell", ("a", "b"))
    others = [("york", *given_[1:]), ("leeds", Stream.DRUGS, *given_[2:]), ("leeds", all_, 8, "cell", ["a", "b"])]
    others += [("leeds", all_, 7, "cell2", ["a", "b"]), ("leeds", all_, 7, "cell", ["a"])]
    assert len({alert_id(*given_), *(alert_id(*other) for other in others)}) == 6
    assert len(alert_id(*given_)) == 32
