"""Artefacts of a cluster straight from their definitions, one member and one pair at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from detectors.area.settings import DeniedPlace

Coordinate = tuple[int, int]
"""Longitude and latitude in units of 1e-7 degrees."""
Found = tuple[str, int, str]
"""Kind, members explained, name of the denied place."""


class Member(NamedTuple):
    """A member of a cylinder; without a point of its own it lies at its location's centre."""

    coordinate: Coordinate
    has_point: bool
    occurred_s: int
    category: int
    interval: bool


def artefacts(
    members: Sequence[Member],
    width_m: float,
    zone_cases: Sequence[Coordinate | None],
    deny_list: Sequence[DeniedPlace] = (),
) -> list[Found]:
    """Return all artefacts; ``zone_cases``: coordinates of the zone's incidents in the window, None without a point."""
    places = [
        ("denied_place", sum(metres(_point(place), each.coordinate) <= place.radius_m for each in members), place.name)
        for place in deny_list
    ]
    found = [
        ("geocoding_stack", stacked(members, zone_cases), ""),
        ("duplicate_calls", duplicates(members), ""),
        *places,
        ("venue", at_venue(members, width_m), ""),
    ]
    return sorted([each for each in found if each[1]], key=lambda each: -each[1])


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the straight distance of two points in units of 1e-7 degrees, by the haversine."""
    (lon, lat), (lon2, lat2) = ([math.radians(figure / 1e7) for figure in point] for point in (one, other))
    half = math.sin((lat2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return 2 * 6_367_000 * math.sqrt(half)


def chance_of(number: int, drawn: int, marked: int, cases: int) -> Fraction:
    """Return the exact share of all draws that have ``number`` marked ones or more."""
    ways = sum(math.comb(marked, each) * math.comb(cases - marked, drawn - each) for each in range(number, drawn + 1))
    return Fraction(ways, math.comb(cases, drawn))


def stacked(members: Sequence[Member], zone_cases: Sequence[Coordinate | None]) -> int:
    """Return the members that share a point with at least three and half of all, by a chance below 1 in 1,000."""
    total = 0
    for coordinate in {each.coordinate for each in members if each.has_point}:
        number = sum(each.has_point and each.coordinate == coordinate for each in members)
        if number >= 3 and 2 * number >= len(members):
            chance = chance_of(number, len(members), zone_cases.count(coordinate), len(zone_cases))
            total += number * (chance < Fraction(1, 1000))
    return total


def duplicates(members: Sequence[Member]) -> int:
    """Return the number of members less that of groups, among those whose moment is known."""
    left = [each for each in members if not each.interval]
    number, groups = len(left), 0
    while left:
        groups += 1
        reached = [left.pop()]
        for one in reached:
            for other in [each for each in left if linked(one, each)]:
                left.remove(other)
                reached.append(other)
    return number - groups


def linked(one: Member, other: Member) -> bool:
    """Return whether two members report one event."""
    return (
        one.category == other.category
        and abs(one.occurred_s - other.occurred_s) <= 600
        and metres(one.coordinate, other.coordinate) <= 50
    )


def at_venue(members: Sequence[Member], width_m: float) -> int:
    """Return the members around the one with most around it, if they are four in five and the zone is wide."""
    kept = [(each.coordinate, each.has_point) for each in members]
    most = max(sum(metres(one.coordinate, other.coordinate) <= 25 for other in members) for one in members)
    if width_m < 100 or any(2 * kept.count(each) >= len(kept) for each in kept):
        return 0
    return most if 5 * most >= 4 * len(members) else 0


def _point(place: DeniedPlace) -> tuple[float, float]:
    return place.longitude * 1e7, place.latitude * 1e7
