"""Artefacts: other explanations of a cluster than a hot spot. They are labels with a score, and hide nothing.

There are four kinds. Each explains a number of members; its score is their share of all members. The members are
events: further records of an event already counted are none.

- *geocoding stack*: members at one exact coordinate. There are at least ``STACK_MEMBERS`` of them, and they are at
  least ``STACK_SHARE`` of all members. This is improbable (below ``STACK_CHANCE``), given how many of the stream's
  incidents in the zone lie at the coordinate over the whole window. The probability is that of the one-sided exact test
  of Fisher (1935), a hypergeometric tail. A coordinate that always has such a share is not a stack.
- *duplicate calls*: several calls about one event that count as several. Two members of one category are linked if
  they occurred within ``DUPLICATE_M`` metres and ``DUPLICATE_S`` seconds of each other. Members that are linked,
  directly or through others, are one group, and all of a group except one are explained. A member whose time is a
  moment of an interval is linked to none. Where ``same_event`` has these limits, such calls count once already.
- *denied place*: members within the radius of a place of the operator's deny list; one artefact for each place.
- *venue*: one site with several addresses. At least ``VENUE_SHARE`` of the members lie within ``VENUE_M`` metres of
  one of them, the zone is at least twice as wide as that circle, and no coordinate has ``STACK_SHARE`` of the members.

So no cluster is both a stack and a venue. Calls that are counted apart can be duplicate calls and a stack.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import to_sphere
from detectors.area.settings import DeniedPlace
from detectors.kernels.pairs import linked_groups, numbers_around

STACK_MEMBERS = 3
STACK_SHARE = 0.5
STACK_CHANCE = 1e-3
DUPLICATE_M = 50.0
DUPLICATE_S = 600
VENUE_M = 25.0
VENUE_SHARE = 0.8

_E7 = 1e7


class ArtefactKind(enum.StrEnum):
    """The kind of an artefact."""

    STACK = "geocoding_stack"
    DUPLICATES = "duplicate_calls"
    DENIED = "denied_place"
    VENUE = "venue"


class Artefact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One artefact.

    ``members``: number of members that it explains.
    ``score``: their share of all members.
    ``place``: name of a denied place, empty for the other kinds.
    """

    kind: ArtefactKind
    members: int
    score: float
    place: str = ""


class Artefacts(msgspec.Struct, frozen=True):
    """The artefacts of one cluster, in falling order of the members that they explain."""

    found: tuple[Artefact, ...] = ()

    @property
    def score(self) -> float:
        """The largest share of members that one artefact explains, 0 to 1; 0 without artefacts."""
        return max((each.score for each in self.found), default=0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """The members of a cylinder, each array (n,).

    ``has_point``: whether a member has coordinates of its own.
    ``longitude_e7``, ``latitude_e7``: its own coordinates or those of its location, in units of 1e-7 degrees WGS 84.
    ``occurred_s``: seconds since 1970.
    ``interval``: whether ``occurred_s`` is a moment of an interval.
    """

    longitude_e7: NDArray[np.int32]
    latitude_e7: NDArray[np.int32]
    has_point: NDArray[np.bool_]
    occurred_s: NDArray[np.int64]
    category: NDArray[np.int8]
    interval: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.occurred_s)


@dataclasses.dataclass(frozen=True)
class Zone:
    """The zone of a cylinder.

    ``width_m``: width in metres.
    ``cases``: number of the stream's incidents in it over the whole window, members included.
    ``cases_at``: returns how many of these have exactly this longitude and latitude, in units of 1e-7 degrees. It is
        called only if a stack is possible.
    """

    width_m: float
    cases: int
    cases_at: Callable[[int, int], int]


@dataclasses.dataclass(frozen=True, eq=False)
class DenyList:
    """The places of a deny list.

    ``points``: on the sphere, in metres, (p, 3).
    ``radius_m``: radii in metres, (p,).
    """

    names: tuple[str, ...]
    points: NDArray[np.float64]
    radius_m: NDArray[np.float64]

    @classmethod
    def of(cls, places: Iterable[DeniedPlace]) -> DenyList:
        """Return the places of the settings, in their order."""
        listed = tuple(places)
        degrees = np.array([(each.longitude, each.latitude) for each in listed], np.float64).reshape(-1, 2)
        radius_m = np.array([each.radius_m for each in listed], np.float64)
        return cls(tuple(each.name for each in listed), to_sphere(degrees[:, 0], degrees[:, 1]), radius_m)


def artefacts(members: Members, zone: Zone, deny_list: DenyList) -> Artefacts:
    """Return the artefacts of a cylinder, highest score first, then in the order of kinds and of the deny list."""
    points = to_sphere(members.longitude_e7 / _E7, members.latitude_e7 / _E7)
    places = zip(members.longitude_e7.tolist(), members.latitude_e7.tolist(), members.has_point.tolist(), strict=True)
    at_coordinate = Counter(places)
    explained = [
        (ArtefactKind.STACK, _stacked(at_coordinate, len(members), zone), ""),
        (ArtefactKind.DUPLICATES, _duplicates(members, points), ""),
    ]
    if deny_list.names:
        near = numbers_around(deny_list.points, deny_list.radius_m, points)
        explained += [(ArtefactKind.DENIED, int(near[each]), deny_list.names[each]) for each in np.flatnonzero(near)]
    if zone.width_m >= 4 * VENUE_M and max(at_coordinate.values()) < STACK_SHARE * len(members):
        explained.append((ArtefactKind.VENUE, _at_venue(points), ""))
    explained.sort(key=lambda each: -each[1])
    return Artefacts(
        tuple(Artefact(kind, number, number / len(members), place) for kind, number, place in explained if number)
    )


def _stacked(at_coordinate: Counter[tuple[int, int, bool]], members: int, zone: Zone) -> int:
    """Return the number of members at coordinates with an improbable share: one coordinate, or two with half each."""
    return sum(
        number
        for (longitude_e7, latitude_e7, has_point), number in at_coordinate.items()
        if has_point
        and number >= max(STACK_MEMBERS, STACK_SHARE * members)
        and chance_of(number, members, zone.cases_at(longitude_e7, latitude_e7), zone.cases) < STACK_CHANCE
    )


def chance_of(number: int, drawn: int, marked: int, cases: int) -> float:
    """Return the probability that ``number`` or more of ``drawn`` cases are marked.

    The cases are drawn without replacement from ``cases`` cases, and ``marked`` of these are marked.
    """
    unmarked = cases - marked
    whole = _log_choose(cases, drawn)
    return sum(
        math.exp(_log_choose(marked, each) + _log_choose(unmarked, drawn - each) - whole)
        for each in range(max(number, drawn - unmarked), min(drawn, marked) + 1)
    )


def _log_choose(total: int, taken: int) -> float:
    """Return the logarithm of the number of ways to choose ``taken`` out of ``total``."""
    return math.lgamma(total + 1) - math.lgamma(taken + 1) - math.lgamma(total - taken + 1)


def _duplicates(members: Members, points: NDArray[np.float64]) -> int:
    at = ~members.interval
    number = int(np.count_nonzero(at))
    groups = linked_groups(members.category[at], members.occurred_s[at], points[at], DUPLICATE_M, DUPLICATE_S)
    return number - groups


def _at_venue(points: NDArray[np.float64]) -> int:
    most = int(numbers_around(points, np.full(len(points), VENUE_M), points).max())
    return most if most / len(points) >= VENUE_SHARE else 0
