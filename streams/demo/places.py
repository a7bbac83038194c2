"""Invented streets and beats for the simulated city, so that places have names: GeoJSON, as an operator would give it.

They cover five kilometres around the middle, as `detectors.simulation.City` does. There are a centre, eight inner and
eight outer beats, radial roads and rings. Every beat has a grid of streets at a different angle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

LONGITUDE, LATITUDE = -1.55, 53.8
REACH_M = (0.0, 900.0, 2_500.0, 5_500.0)
"""Distances from the middle, in metres, at which the centre, the inner and the outer beats begin and the city ends."""
SECTORS = 8
SPACING_M = 260.0
"""Distance between parallel streets, in metres."""
STEP_M = 40.0
MIN_STREET_M = 150.0
"""Lower bound for the length of a street, in metres."""
METRES_PER_DEGREE = 111_195.0

BEATS = (
    "Centre",
    *("Eastgate", "Millfield", "Northgate", "Kirkgate", "Westbourne", "Weaverside", "Southwark", "Riverside"),
    *("Ashdown", "Oakwell", "Highmoor", "Fernhill", "Langley", "Dunmere", "Stonebridge", "Brackenfield"),
)
ROADS = ("Abbey", "Priory", "Beacon", "Moor", "Forge", "Harbour", "Quarry", "Wharf")
STREETS = (
    *("Elm", "Mill", "Bridge", "Chapel", "Station", "Market", "Church", "Albion", "Victoria", "Garden", "Well"),
    "Orchard",
    *("King", "Queen", "Castle", "Cross", "Water", "Tanner", "Cooper", "Saddler", "Weaver", "Mason", "Baker", "Glover"),
    *("Hazel", "Rowan", "Alder", "Birch", "Maple", "Willow", "Holly", "Laurel", "Heather", "Bramble", "Clover", "Ivy"),
)
KINDS = ("Street", "Lane", "Avenue", "Terrace", "Place", "Row", "Grove", "Walk", "Rise", "Crescent", "View", "Gardens")

Line = list[tuple[float, float]]
"""Points of a line, in metres east and north of the middle."""


def write_layers(folder: Path) -> dict[str, Path]:
    """Write ``beats.geojson`` and ``streets.geojson``, and return the files by kind. Raises OSError."""
    beats = [_feature(name, "Polygon", [_degrees(outline)]) for name, outline in zip(BEATS, _outlines(), strict=True)]
    streets = [_feature(name, "LineString", _degrees(line)) for name, line in _named_streets()]
    files = {}
    for kind, features in (("beats", beats), ("streets", streets)):
        files[kind] = folder / f"{kind}.geojson"
        files[kind].write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": features}))
    return files


def _outlines() -> Iterator[Line]:
    yield _arc(REACH_M[1], 0, SECTORS)
    for ring in (1, 2):
        for sector in range(SECTORS):
            inside, outside = (_arc(REACH_M[ring + further], sector, sector + 1) for further in (0, 1))
            yield [*inside, *reversed(outside), inside[0]]


def _named_streets() -> Iterator[tuple[str, Line]]:
    for sector, name in enumerate(ROADS):
        angle = 2 * math.pi * sector / SECTORS
        yield f"{name} Road", [(reach * math.cos(angle), reach * math.sin(angle)) for reach in (REACH_M[1], REACH_M[3])]
    for ring, name in ((1, "Inner"), (2, "Outer")):
        yield f"{name} Ring", _arc(REACH_M[ring], 0, SECTORS)
    # Each of the 12 kinds by 36 words once, in an order in which neighbours share neither kind nor word.
    names = (f"{STREETS[5 * n % 36]} {KINDS[(n + n // 36) % 12]}" for n in itertools.count())
    for beat in range(len(BEATS)):
        yield from zip(names, _grid(beat))  # noqa: B905  # names are endless


def _grid(beat: int) -> Iterator[Line]:
    """Yield straight streets in two directions through a beat, at an angle that differs from beat to beat."""
    turn, furthest = 0.7 * beat, int(REACH_M[-1] / SPACING_M)
    for way, number in itertools.product((turn, turn + math.pi / 2), range(-furthest, furthest + 1)):
        east, north, aside = math.cos(way), math.sin(way), number * SPACING_M
        steps = range(-int(REACH_M[-1] / STEP_M), int(REACH_M[-1] / STEP_M) + 1)
        points = [(step * STEP_M * east - aside * north, step * STEP_M * north + aside * east) for step in steps]
        for is_inside, run in itertools.groupby(points, lambda point: _beat(*point) == beat):
            ends = list(run)
            if is_inside and len(ends) * STEP_M >= MIN_STREET_M:
                yield [ends[0], ends[-1]]


def _beat(east: float, north: float) -> int:
    """Return the index of the beat that holds a point, -1 outside the city."""
    reach = math.hypot(east, north)
    ring = sum(reach >= begin for begin in REACH_M) - 1
    sector = int((math.atan2(north, east) % (2 * math.pi)) / (2 * math.pi) * SECTORS) % SECTORS
    return -1 if ring == len(REACH_M) - 1 else 0 if ring == 0 else 1 + (ring - 1) * SECTORS + sector


def _arc(reach: float, begin: int, end: int) -> Line:
    """Return a part of a circle, from one sector to another."""
    angles = (2 * math.pi * step / (16 * SECTORS) for step in range(16 * begin, 16 * end + 1))
    return [(reach * math.cos(angle), reach * math.sin(angle)) for angle in angles]


def _degrees(line: Line) -> Line:
    narrow = METRES_PER_DEGREE * math.cos(math.radians(LATITUDE))
    return [
        (round(LONGITUDE + east / narrow, 6), round(LATITUDE + north / METRES_PER_DEGREE, 6)) for east, north in line
    ]


def _feature(name: str, kind: str, coordinates: object) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry}
