"""Records of the same event, each looked at again whenever the answer is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from detectors.area.incident import Origin
from detectors.window.sliding import NOWHERE, OTHER, Version


class Limits(NamedTuple):
    within_m: float
    within_s: int


EACH = Limits(0.0, 0)
"""With these limits, every record is an event of its own."""


def apart_m(one: Version, other: Version) -> float:
    """Return the great-circle distance by the haversine formula."""
    north, south = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(one.longitude - other.longitude)
    half = math.sin((north - south) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(east / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(half))


def has_point(version: Version) -> bool:
    return (version.longitude, version.latitude) != (0.0, 0.0)


def are_same(one: Version, other: Version, limits: Limits) -> bool:
    assert one.occurred_s is not None
    assert other.occurred_s is not None
    if one.category != other.category or one.is_interval != other.is_interval:
        return False
    lag_s = abs(one.occurred_s - other.occurred_s)
    if has_point(one) and has_point(other):
        is_here = (one.longitude, one.latitude) == (other.longitude, other.latitude)
        is_near = is_here or apart_m(one, other) <= limits.within_m
    else:
        is_near = one.location == other.location
        is_here = is_near and has_point(one) == has_point(other)
    return (is_here and lag_s == 0) if one.is_interval else (is_near and lag_s <= limits.within_s)


def order(version: Version) -> tuple[object, ...]:
    discovered = version.origin is Origin.DISCOVERED
    return version.occurred_s, discovered, version.longitude, version.latitude, version.location


def further(records: Mapping[str, Version], limits: Limits) -> set[str]:
    """Return the names of the further records."""
    names: Sequence[str] = sorted(
        (name for name, each in records.items() if each.location != NOWHERE and each.category < OTHER),
        key=lambda name: order(records[name]),
    )
    counted: list[str] = []
    for name in names:
        if not limits.within_s or not any(are_same(records[name], records[each], limits) for each in counted):
            counted.append(name)
    return set(names) - set(counted)
