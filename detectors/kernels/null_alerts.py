"""From the windows of many scans to alerts: which are told, whose members they are, and how alerts live.

The rules are those of :mod:`detectors.scan.cylinders` and :mod:`detectors.alerts.tracking`, without what makes no
difference to how many alerts there are. One thing is left out that hardly does: a higher tier or a reminder without new
members moves the place that cools down later on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, compiled

TIE = 1e-9
"""LLRs this near are equal (docs/method.md section 4.3)."""


class Told(NamedTuple):
    """The clusters of a stream's scans, the best of each first; those of scan ``i`` are ``first[i]:first[i + 1]``.

    Per scan, (scans,) and (scans + 1,): ``tick_s`` and ``first``. Per cluster: ``score``, ``centre``, and its members,
    ``member[begins[c]:begins[c + 1]]``, numbers of events.
    """

    tick_s: Offsets
    first: Offsets
    score: Floats
    centre: Counts
    begins: Offsets
    member: Counts


class Lives(NamedTuple):
    """The alerts of a stream in the order of opening: when opened, strongest score, when they reached a tier and as
    which cluster (-1: never).
    """

    opened_s: Offsets
    strongest: Floats
    reached_s: Offsets
    reached_as: Offsets


@compiled
def tell_apart(
    first: Offsets,
    centre: Counts,
    llr: Floats,
    size: Counts,
    start: Offsets,
    index: Counts,
    distance: Floats,
    most: int,
) -> Offsets:
    """Which windows of each scan are told: at most ``most`` that share no circle, best first.

    ``first``, (scans + 1,): those of scan ``i`` are ``first[i]:first[i + 1]``.
    """
    held_by = np.full(len(start) - 1, -1, np.int64)  # the last scan in which a kept circle held the place
    kept = np.empty(len(centre), np.int64)
    number = 0
    for scan in range(len(first) - 1):
        begin, end = first[scan], first[scan + 1]
        order = np.argsort(-llr[begin:end], kind="mergesort") + begin
        # Within a run of ties the smaller zone goes first, then the smaller centre.
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
        mine = 0
        for which in order:
            if mine == most:
                break
            begins = start[centre[which]]
            last = begins + size[which]
            while last < start[centre[which] + 1] and distance[last] == distance[last - 1]:
                last += 1
            is_free = True
            for position in range(begins, last):
                if held_by[index[position]] == scan:
                    is_free = False
                    break
            if is_free:
                for position in range(begins, last):
                    held_by[index[position]] = scan
                kept[number] = which
                number, mine = number + 1, mine + 1
    return kept[:number]


@compiled
def members_of(
    event_bucket: Counts,
    event_location: Counts,
    had: Counts,
    bucket: Counts,
    duration: Counts,
    centre: Counts,
    size: Counts,
    start: Offsets,
    index: Counts,
) -> tuple[Offsets, Counts]:
    """The events in each of some windows, as (begins, member); per window, how many events had come, and its bucket."""
    zone_of = np.full(len(start) - 1, -1, np.int64)
    begins = np.zeros(len(centre) + 1, np.int64)
    member = np.empty(max(1024, 8 * len(centre)), np.int32)
    number = 0
    for which in range(len(centre)):
        for position in range(start[centre[which]], start[centre[which]] + size[which]):
            zone_of[index[position]] = which
        event = had[which] - 1
        while event >= 0 and event_bucket[event] > bucket[which] - duration[which]:
            if zone_of[event_location[event]] == which:
                if number == len(member):
                    member = np.concatenate((member, member))
                member[number] = event
                number += 1
            event -= 1
        begins[which + 1] = number
    return begins, member[:number]


@compiled
def live(
    told: Told,
    points: Floats,
    open_at: float,
    ease_below: float,
    end_after_s: float,
    cool_down_s: float,
    cool_down_m: float,
    tier_at: float,
) -> Lives:
    """The alerts that a tracker makes of the clusters. ``points``: the locations in metres, (L, 3); ``tier_at``: the
    score of a tier that is watched.
    """
    weakest = open_at - ease_below
    room = len(told.score) + 1
    opened_s, strongest = np.empty(room, np.int64), np.empty(room)
    reached_s, quiet_s = np.empty(room, np.int64), np.empty(room, np.int64)
    reached_as = np.empty(room, np.int64)
    centre, members = np.empty(room, np.int32), np.zeros(room, np.int64)
    alerts = 0
    living = np.empty(room, np.int64)
    alive = 0
    # Per event, a list of the alerts that it is a member of.
    head = np.full(told.member.max() + 1 if len(told.member) else 0, -1, np.int64)
    links_after, links_alert = np.empty(1024, np.int64), np.empty(1024, np.int64)
    links = 0
    cool_place, cool_until_s = np.empty(room, np.int32), np.empty(room, np.int64)
    cooling = 0
    is_over = np.zeros(room, np.bool_)
    for scan in range(len(told.tick_s)):
        tick_s = told.tick_s[scan]
        begin, end = told.first[scan], told.first[scan]
        while end < told.first[scan + 1] and told.score[end] >= weakest:
            end += 1
        clusters = end - begin
        if clusters == 0 and alive == 0:
            continue
        still = 0
        for which in range(cooling):
            if cool_until_s[which] > tick_s:
                cool_place[still], cool_until_s[still] = cool_place[which], cool_until_s[which]
                still += 1
        cooling = still
        shared = np.zeros((clusters, alive), np.int64)
        known = np.zeros(clusters, np.int64)
        age_of = np.full(alerts + 1, -1, np.int64)
        for age in range(alive):
            age_of[living[age]] = age
        for position in range(clusters):
            for place in range(told.begins[begin + position], told.begins[begin + position + 1]):
                link = head[told.member[place]]
                is_known = False
                while link >= 0:
                    if not is_over[links_alert[link]]:
                        shared[position, age_of[links_alert[link]]] += 1
                        is_known = True
                    link = links_after[link]
                known[position] += is_known
        # The two that share most go together, the older alert and then the better cluster first.
        taker = np.full(clusters, -1, np.int64)
        taken = np.full(alive, -1, np.int64)
        while True:
            best, best_age, best_position = 0, -1, -1
            for age in range(alive):
                for position in range(clusters):
                    if taken[age] < 0 and taker[position] < 0 and shared[position, age] > best:
                        best, best_age, best_position = shared[position, age], age, position
            if best == 0:
                break
            taker[best_position], taken[best_age] = best_age, best_position
        left = 0
        for age in range(alive):
            alert = living[age]
            if taken[age] >= 0:
                cluster = begin + taken[age]
                if quiet_s[alert] >= 0:
                    centre[alert] = told.centre[cluster]
                quiet_s[alert] = -1
                strongest[alert] = max(strongest[alert], told.score[cluster])
                if reached_s[alert] < 0 and told.score[cluster] >= tier_at:
                    reached_s[alert], reached_as[alert] = tick_s, cluster
                for place in range(told.begins[cluster], told.begins[cluster + 1]):
                    link, event = head[told.member[place]], told.member[place]
                    while link >= 0 and links_alert[link] != alert:
                        link = links_after[link]
                    if link < 0:
                        if links == len(links_after):
                            links_after = np.concatenate((links_after, links_after))
                            links_alert = np.concatenate((links_alert, links_alert))
                        links_after[links], links_alert[links] = head[event], alert
                        head[event] = links
                        links += 1
                        members[alert] += 1
                        centre[alert] = told.centre[cluster]
            else:
                for position in range(clusters):
                    if taker[position] >= 0 and 2 * shared[position, age] >= members[alert]:
                        is_over[alert] = True
                if not is_over[alert]:
                    if quiet_s[alert] < 0:
                        quiet_s[alert] = tick_s
                    elif tick_s - quiet_s[alert] >= end_after_s:
                        is_over[alert] = True
                        cool_place[cooling], cool_until_s[cooling] = centre[alert], tick_s + round(cool_down_s)
                        cooling += 1
            if not is_over[alert]:
                living[left] = alert
                left += 1
        alive = left
        for position in range(clusters):
            cluster = begin + position
            number = told.begins[cluster + 1] - told.begins[cluster]
            if taker[position] >= 0 or 2 * known[position] >= number or told.score[cluster] < open_at:
                continue
            is_cooling = False
            for which in range(cooling):
                square = 0.0
                for axis in range(points.shape[1]):
                    square += (points[cool_place[which], axis] - points[told.centre[cluster], axis]) ** 2
                is_cooling |= square <= cool_down_m * cool_down_m
            if is_cooling:
                continue
            opened_s[alerts], strongest[alerts], quiet_s[alerts] = tick_s, told.score[cluster], -1
            is_reached = told.score[cluster] >= tier_at
            reached_s[alerts], reached_as[alerts] = (tick_s, cluster) if is_reached else (-1, -1)
            centre[alerts], members[alerts] = told.centre[cluster], number
            for place in range(told.begins[cluster], told.begins[cluster + 1]):
                if links == len(links_after):
                    links_after = np.concatenate((links_after, links_after))
                    links_alert = np.concatenate((links_alert, links_alert))
                links_after[links], links_alert[links] = head[told.member[place]], alerts
                head[told.member[place]] = links
                links += 1
            living[alive] = alerts
            alive, alerts = alive + 1, alerts + 1
    return Lives(opened_s[:alerts], strongest[:alerts], reached_s[:alerts], reached_as[:alerts])
