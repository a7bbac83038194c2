"""The streams in which an alert stands out, with the figures of each."""

from __future__ import annotations

from detectors.alerts.alert import Alert
from detectors.alerts.stream_figures import StreamFigures, streams_of
from detectors.alerts.tracking import Tracker
from detectors.area.settings import Stream
from detectors.clusters.cluster import Cluster
from tests.detectors.alerts.scans_by_hand import (
    ADVISORY,
    ALERT,
    BAYESIAN,
    EVERYONE,
    HOUR,
    SETTINGS,
    URGENT,
    WATCH,
    cluster,
    with_figures,
)


def mixed(members: str, score: float) -> Cluster:
    """A cluster of two categories."""
    return with_figures(cluster(members, score), breakdown={"violence": 1, "drugs": len(members) - 1})


def tick(tracker: Tracker, hours: int, scanned: dict[Stream, list[Cluster]]) -> list[Alert]:
    """Scan some streams as a Monitor does."""
    tracker.see(scanned)
    changes = []
    for stream, clusters in scanned.items():
        changes += tracker.update(stream, hours * HOUR, clusters, EVERYONE)
    return changes


def also(alert: Alert) -> list[tuple[str, int]]:
    return [(each.stream.value, each.observed) for each in alert.also_in]


def test_of_each_stream_the_best_cluster_with_a_member_counts_and_others_keep_their_figures() -> None:
    known = [
        StreamFigures.of(Stream.DRUGS, cluster("de", ALERT)),
        StreamFigures.of(Stream.VIOLENCE, cluster("a", WATCH)),
    ]
    scanned = {
        Stream.VIOLENCE: [cluster("xyz", URGENT), cluster("abc", ADVISORY), cluster("a", WATCH)],
        Stream.ALL: [mixed("abcde", URGENT)],
        Stream.PROPERTY: [cluster("xyz", URGENT)],
    }
    shown = streams_of(known, "abd", scanned)
    assert [(each.stream, each.observed) for each in shown] == [("all", 5), ("drugs", 2), ("violence", 3)]
    assert streams_of(known, "abd", {Stream.VIOLENCE: [], Stream.DRUGS: []}) == ()


def test_a_cluster_of_all_with_one_category_is_that_of_the_category() -> None:
    assert streams_of((), "abc", {Stream.ALL: [cluster("abc", ALERT)]}) == ()


def test_an_alert_names_the_other_streams_from_its_first_revision_on() -> None:
    tracker = Tracker("leeds", BAYESIAN)
    (opened,) = tick(tracker, 0, {Stream.DRUGS: [cluster("abc", ALERT)], Stream.ALL: [mixed("abcd", WATCH)]})
    assert (opened.stream, also(opened)) == (Stream.DRUGS, [("all", 4)])
    assert tick(tracker, 1, {Stream.VIOLENCE: [cluster("dea", WATCH)]}) == []
    (turned,) = tick(tracker, 2, {Stream.DRUGS: [cluster("abc", ALERT)], Stream.ALL: [mixed("abcdef", URGENT)]})
    assert (turned.stream, also(turned)) == (Stream.ALL, [("drugs", 3), ("violence", 3)])
    again = Tracker("leeds", BAYESIAN, tracker.state)
    for each in (tracker, again):
        (grown,) = tick(each, 3, {Stream.DRUGS: [], Stream.ALL: [mixed("abcdefg", URGENT)]})
        assert also(grown) == [("violence", 3)]


def test_under_the_permutation_scan_streams_are_alerts_of_their_own() -> None:
    scanned = {Stream.DRUGS: [cluster("abc", ALERT)], Stream.ALL: [mixed("abcd", ALERT)]}
    changes = tick(Tracker("leeds", SETTINGS), 0, scanned)
    assert [(each.stream, also(each)) for each in changes] == [("drugs", []), ("all", [])]


def test_an_alert_that_another_stream_shows_does_not_ease() -> None:
    tracker = Tracker("leeds", BAYESIAN)
    tick(tracker, 0, {Stream.ALL: [mixed("abc", URGENT)]})
    assert tick(tracker, 1, {Stream.DRUGS: [cluster("abc", WATCH)], Stream.ALL: []}) == []
    (turned,) = tick(tracker, 2, {Stream.DRUGS: [cluster("abc", WATCH)], Stream.ALL: []})
    assert (turned.stream, turned.reason) == (Stream.DRUGS, "category_changed")
    (eased,) = tick(tracker, 3, {Stream.DRUGS: [], Stream.ALL: []})
    assert eased.reason == "score_fell"


def test_an_alert_whose_members_are_cancelled_goes_on_if_another_stream_shows_the_rest() -> None:
    tracker = Tracker("leeds", BAYESIAN)
    tick(tracker, 0, {Stream.DRUGS: [cluster("abc", URGENT)], Stream.ALL: [mixed("abcde", ALERT)]})
    standing = EVERYONE - {"a", "b"}
    scanned: dict[Stream, list[Cluster]] = {Stream.DRUGS: [], Stream.ALL: [mixed("cdefg", ALERT)]}
    tracker.see(scanned)
    assert tracker.update(Stream.DRUGS, HOUR, [], standing) == []
    (turned,) = tracker.update(Stream.ALL, HOUR, scanned[Stream.ALL], standing)
    assert (turned.state, turned.members) == ("open", tuple("cdefg"))


def test_other_streams_are_forgotten_when_the_statistic_changes() -> None:
    former = Tracker("leeds", BAYESIAN)
    tick(former, 0, {Stream.DRUGS: [cluster("abc", WATCH)], Stream.ALL: [mixed("abcd", WATCH)]})
    tracker = Tracker("leeds", SETTINGS, former.state, is_reconfigured=True)
    (grown,) = tick(tracker, 1, {Stream.DRUGS: [cluster("abcd", WATCH)]})
    assert also(grown) == []
