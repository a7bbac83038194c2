"""Makes alerts from the windows of many scans: the reported windows, their members, and the lives of the alerts.

The rules are those of :mod:`detectors.scan.cylinders` and :mod:`detectors.alerts.tracking`, except those that do not
change the number of alerts. One simplification hardly changes it: a higher tier or a reminder without new members does
not move the location at which the alert will cool down.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.ratio import TIE, Counts, Floats, Offsets, Rows, circle_of, compiled


class Clusters(NamedTuple):
    """The clusters of the scans of one or more streams, in order of scans and the best of each scan first.

    ``tick_s``, ``stream``: time of each scan, in seconds, and its stream, (scans,).
    ``first``: the clusters of scan ``i`` are ``first[i]:first[i + 1]``, (scans + 1,).
    ``score``, ``centre``: of each cluster, (clusters,).
    ``begins``, ``member``: the members of cluster ``c`` are the incidents ``member[begins[c]:begins[c + 1]]`` of the
        history.
    """

    tick_s: Offsets
    stream: Counts
    first: Offsets
    score: Floats
    centre: Counts
    begins: Offsets
    member: Counts


class Windows(NamedTuple):
    """Windows, each array (windows,).

    ``had``, ``bucket``: number of events that had arrived before the window's scan, and the bucket of the scan.
    ``duration``: in buckets.
    ``centre``, ``size``: the centre and the number of locations.
    """

    had: Counts
    end: Counts | Offsets
    duration: Counts | Offsets
    centre: Counts
    size: Counts


class Lifecycle(NamedTuple):
    """When alerts open, end and cool down, as scores, seconds and metres.

    ``tier_at``: the score of a tier; ``Lives`` states when an alert reached it.
    ``stronger_opens``: whether a cluster opens near an alert that cools down if that one was never as strong.
    """

    open_at: float
    ease_below: float
    end_after_s: float
    cool_down_s: float
    cool_down_m: float
    tier_at: float
    stronger_opens: bool = False


class Lives(NamedTuple):
    """The alerts in the order of opening, each array (alerts,).

    ``stream``: its last stream.
    ``opened_s``: when the alert opened.
    ``strongest``: its highest score.
    ``reached_s``, ``reached_as``: when it reached the tier, and the number of its cluster then; -1 for never.
    """

    stream: Offsets
    opened_s: Offsets
    strongest: Floats
    reached_s: Offsets
    reached_as: Offsets


ALL = 4
"""Number of the stream that unites the categories, the last one."""

_WHOLE = (
    "stream",
    "opened_s",
    "reached_s",
    "reached_as",
    "quiet_s",
    "cool_until_s",
    "centre",
    "members",
    "last_size",
    "age",
    "is_over",
)
_ALERT = np.dtype([("strongest", np.float64), ("last_score", np.float64), *((name, np.int64) for name in _WHOLE)])
"""An alert. Times are in seconds, -1 for none.

``quiet_s`` is the time since which the alert has had no cluster, ``age`` its rank among the alerts that have not ended,
``last_score`` and ``last_size`` the score of its last cluster and how many members that had.
Alerts are records, because a compiled function takes one array of records faster than an array for each field.
"""
_Records = NDArray[np.void]
_Record = Any


class _Links(NamedTuple):
    """For each event, a linked list of the alerts that it is a member of.

    ``head``: first link of each event, (events,), -1 for none.
    ``alert``, ``after``: of each link, its alert and the next link.
    ``number``: how many links there are, (1,).
    """

    head: Offsets
    alert: Offsets
    after: Offsets
    number: Offsets


@compiled
def _best_first(llr: Floats, size: Counts, centre: Counts) -> Offsets:
    """Return the order of a scan's windows: by falling LLR, in a tie the smaller zone, then the smaller centre."""
    order = np.argsort(-llr, kind="mergesort")
    run = 0
    for position in range(1, len(order)):
        if llr[order[position - 1]] - llr[order[position]] > TIE:
            run = position
        place = position
        while place > run and (
            size[order[place]] < size[order[place - 1]]
            or (size[order[place]] == size[order[place - 1]] and centre[order[place]] < centre[order[place - 1]])
        ):
            order[place - 1], order[place] = order[place], order[place - 1]
            place -= 1
    return order


@compiled
def reported_windows(first: Offsets, centre: Counts, llr: Floats, size: Counts, rows: Rows, most: int) -> Offsets:
    """Return the windows of each scan that are reported: at most ``most`` whose circles share no location, best first.

    ``first``: the windows of scan ``i`` are ``first[i]:first[i + 1]``, (scans + 1,).
    """
    held_by = np.full(len(rows.start) - 1, -1, np.int64)  # the last scan in which a kept circle held the location
    kept = np.empty(len(centre), np.int64)
    number = 0
    for scan in range(len(first) - 1):
        of_scan, mine = slice(first[scan], first[scan + 1]), 0
        if first[scan] == first[scan + 1]:
            continue
        for which in _best_first(llr[of_scan], size[of_scan], centre[of_scan]) + first[scan]:
            if mine == most:
                break
            begin, end = circle_of(rows, centre[which], size[which])
            is_free = True
            for position in range(begin, end):
                if held_by[rows.neighbour[position]] == scan:
                    is_free = False
                    break
            if is_free:
                for position in range(begin, end):
                    held_by[rows.neighbour[position]] = scan
                kept[number] = which
                number, mine = number + 1, mine + 1
    return kept[:number]


@compiled
def members_of(time: Counts | Offsets, location: Counts, windows: Windows, rows: Rows) -> tuple[Offsets, Counts]:
    """Return the events in each window, as (begins, member), from the time and location of each event, (events,)."""
    zone_of = np.full(len(rows.start) - 1, -1, np.int64)
    begins = np.zeros(len(windows.centre) + 1, np.int64)
    member = np.empty(max(1024, 8 * len(windows.centre)), np.int32)
    number = 0
    for which in range(len(windows.centre)):
        first = rows.start[windows.centre[which]]
        for position in range(first, first + windows.size[which]):
            zone_of[rows.neighbour[position]] = which
        event, before = windows.had[which] - 1, windows.end[which] - windows.duration[which]
        while event >= 0 and time[event] > before:
            if zone_of[location[event]] == which:
                if number == len(member):
                    member = np.concatenate((member, member))
                member[number] = event
                number += 1
            event -= 1
        begins[which + 1] = number
    return begins, member[:number]


@compiled
def _link_members(links: _Links, member: Counts, alert: int) -> int:
    """Make events members of an alert, and return the number of new members."""
    head, alert_of, after = links.head, links.alert, links.after
    before = number = links.number[0]
    for event in member:
        link = head[event]
        while link >= 0 and alert_of[link] != alert:
            link = after[link]
        if link < 0:
            after[number], alert_of[number] = head[event], alert
            head[event] = number
            number += 1
    links.number[0] = number
    return int(number - before)


@compiled
def _count_shared(links: _Links, alerts: _Records, member: Counts, shared: Offsets) -> int:
    """Count the events that each alert has, and return the number of events that at least one alert has.

    ``shared`` receives the counts, in order of age of the alerts that have not ended.
    """
    head, alert_of, after = links.head, links.alert, links.after
    known = 0
    for event in member:
        link, is_known = head[event], False
        while link >= 0:
            alert = alerts[alert_of[link]]
            if not alert["is_over"]:
                shared[alert["age"]] += 1
                is_known = True
            link = after[link]
        known += is_known
    return known


@compiled
def _held_by(alerts: _Records, living: Offsets, stream: int, score: float, members: int, shared: Offsets) -> int:
    """Return the age of the oldest alert of whose hot spot a cluster is a weaker view; -1 if no alert shows it better.

    Another stream shows such an alert now, with a score that is at least the cluster's: its last one if the cluster has
    new members, else its highest. If such alerts only touch the cluster, less than half of either, return -2.

    ``members``: of the cluster. ``shared``: how many of them each alert in ``living`` has; becomes 0 for such an alert,
        and for every alert of another stream if one of them shows the cluster's hot spot.
    """
    held_by = -1
    for age in range(len(living)):
        alert = alerts[living[age]]
        is_shown = alert["stream"] != stream and alert["quiet_s"] < 0
        above = alert["last_score"] if shared[age] < members else alert["strongest"]
        if shared[age] > 0 and is_shown and above >= score:
            if held_by < 0:
                held_by = age if 2 * shared[age] >= min(members, alert["last_size"]) else -2
            shared[age] = 0
    if held_by >= 0:
        for age in range(len(living)):
            if alerts[living[age]]["stream"] != stream:
                shared[age] = 0
    return held_by


@compiled
def _matched(shared: Offsets) -> tuple[Offsets, Offsets]:
    """Return the alert that takes each cluster, (clusters,), and the cluster of each alert, (alerts,); -1 for none.

    The alert and the cluster that share most events are matched first. In a tie the older alert and then the better
    cluster comes first.
    """
    taker, taken = np.full(shared.shape[0], -1, np.int64), np.full(shared.shape[1], -1, np.int64)
    while True:
        best, best_age, best_position = 0, -1, -1
        for age in range(len(taken)):
            for position in range(len(taker)):
                if taken[age] < 0 and taker[position] < 0 and shared[position, age] > best:
                    best, best_age, best_position = shared[position, age], age, position
        if best == 0:
            return taker, taken
        taker[best_position], taken[best_age] = best_age, best_position


@compiled
def _follow(
    alert: _Record, added: int, cluster: int, stream: int, centre: int, score: float, tick_s: int, tier_at: float
) -> None:
    """Let an alert continue as a cluster that adds members to it."""
    alert["members"] += added
    if alert["quiet_s"] >= 0 or added > 0 or alert["stream"] != stream:
        alert["centre"] = centre
    alert["stream"], alert["quiet_s"] = stream, -1
    alert["strongest"], alert["last_score"] = max(alert["strongest"], score), score
    if alert["reached_s"] < 0 and score >= tier_at:
        alert["reached_s"], alert["reached_as"] = tick_s, cluster


@compiled
def _is_cooling(
    alerts: _Records, cooling: Offsets, points: Floats, stream: int, centre: int, within_m: float, score: float
) -> bool:
    """Return whether an alert that cools down, and was at least as strong as a score, lies near a centre.

    Only an alert of the same stream counts, and one of *all* or any for *all*.
    """
    for alert in cooling:
        last = max(alerts[alert]["stream"], stream)
        if alerts[alert]["strongest"] < score or (alerts[alert]["stream"] != stream and last != ALL):
            continue
        square = 0.0
        for axis in range(points.shape[1]):
            square += (points[alerts[alert]["centre"], axis] - points[centre, axis]) ** 2
        if square <= within_m * within_m:
            return True
    return False


@compiled
def _is_merged(taker: Offsets, held_by: Offsets, shared: Offsets, members: int) -> bool:
    """Return whether a cluster that another alert goes on as has at least half of this alert's members.

    ``held_by``: the alert that shows each cluster already, (clusters,). ``shared``: the members in each, (clusters,).
    """
    is_merged = False
    for position in range(len(taker)):
        is_merged |= taker[position] >= 0 and held_by[position] < 0 and 2 * shared[position] >= members
    return is_merged


@compiled
def _still_living(alerts: _Records, living: Offsets) -> int:
    """Move the alerts that have not ended to the front, and return their number."""
    left = 0
    for alert in living:
        if not alerts[alert]["is_over"]:
            living[left], alerts[alert]["age"] = alert, left
            left += 1
    return left


@compiled
def _open(alert: _Record, stream: int, age: int, tick_s: int) -> None:
    """Begin an alert that has no members yet."""
    alert["stream"], alert["opened_s"], alert["age"], alert["strongest"] = stream, tick_s, age, -np.inf
    alert["members"] = alert["is_over"] = 0
    alert["quiet_s"] = alert["reached_s"] = alert["reached_as"] = -1


@compiled
def live(clusters: Clusters, points: Floats, rules: Lifecycle) -> Lives:
    """Return the alerts that a tracker makes of the clusters. ``points``: the locations in metres, (L, 3)."""
    ticks_s, streams, firsts, scores, centres, begins, members = clusters
    room, most_links = len(scores) + 1, len(members)  # a member of a cluster makes at most one link
    alerts = np.empty(room, _ALERT)
    head = np.full(members.max() + 1 if most_links > 0 else 0, -1, np.int64)
    links = _Links(head, np.empty(most_links, np.int64), np.empty(most_links, np.int64), np.zeros(1, np.int64))
    living, cooling = np.empty(room, np.int64), np.empty(room, np.int64)
    opened = alive = cold = cool = 0
    for scan in range(len(ticks_s)):
        tick_s, stream, first, end = ticks_s[scan], streams[scan], firsts[scan], firsts[scan]
        while end < firsts[scan + 1] and scores[end] >= rules.open_at - rules.ease_below:
            end += 1
        if end == first and alive == 0:
            continue
        while cold < cool and alerts[cooling[cold]]["cool_until_s"] <= tick_s:
            cold += 1
        shared, known = np.zeros((end - first, alive), np.int64), np.zeros(end - first, np.int64)
        held_by = np.full(end - first, -1, np.int64)
        for cluster in range(first, end):
            member = members[begins[cluster] : begins[cluster + 1]]
            of_cluster = shared[cluster - first]
            known[cluster - first] = _count_shared(links, alerts, member, of_cluster)
            held_by[cluster - first] = _held_by(
                alerts, living[:alive], stream, scores[cluster], len(member), of_cluster
            )
            if held_by[cluster - first] != -1:
                known[cluster - first] = len(member)
        taker, taken = _matched(shared)
        for age in range(alive):
            alert = alerts[living[age]]
            if taken[age] >= 0 and held_by[taken[age]] >= 0:
                alert["is_over"] = 1
            elif taken[age] >= 0:
                cluster = first + taken[age]
                member = members[begins[cluster] : begins[cluster + 1]]
                added = _link_members(links, member, living[age])
                _follow(alert, added, cluster, stream, centres[cluster], scores[cluster], tick_s, rules.tier_at)
                alert["last_size"] = len(member)
            elif _is_merged(taker, held_by, shared[:, age], alert["members"]):
                alert["is_over"] = 1
            elif alert["stream"] != stream:
                continue
            elif alert["quiet_s"] < 0:
                alert["quiet_s"] = tick_s
            elif tick_s - alert["quiet_s"] >= rules.end_after_s:
                alert["is_over"], alert["cool_until_s"] = 1, tick_s + round(rules.cool_down_s)
                cooling[cool] = living[age]
                cool += 1
        alive = _still_living(alerts, living[:alive])
        for cluster in range(first, end):
            member, centre = members[begins[cluster] : begins[cluster + 1]], centres[cluster]
            is_new = taker[cluster - first] < 0 and 2 * known[cluster - first] < len(member)
            if not is_new or scores[cluster] < rules.open_at:
                continue
            strong = scores[cluster] if rules.stronger_opens else -np.inf
            if not _is_cooling(alerts, cooling[cold:cool], points, stream, centre, rules.cool_down_m, strong):
                _open(alerts[opened], stream, alive, tick_s)
                added = _link_members(links, member, opened)
                _follow(alerts[opened], added, cluster, stream, centre, scores[cluster], tick_s, rules.tier_at)
                alerts[opened]["last_size"] = len(member)
                living[alive] = opened
                alive, opened = alive + 1, opened + 1
    found = alerts[:opened]
    return Lives(
        found["stream"].copy(),
        found["opened_s"].copy(),
        found["strongest"].copy(),
        found["reached_s"].copy(),
        found["reached_as"].copy(),
    )
