"""The invented incidents of a drill: a thin background, a cluster at one location, and the ticks that end it."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime

import msgspec

from detectors.area.locations import Locations
from streams.analyst.incident_file import Row, tick_row

HOUR_S = 3600
BACKGROUND_H = 72
BACKGROUND = 90
"""Number of incidents in the ``BACKGROUND_H`` hours before the cluster."""
CLUSTER = 14
CLUSTER_H = 3
"""Hours of the cluster: its incidents are too far apart to be records of one event."""
JITTER_S = 60.0
QUIET_H = 12
"""Hours after the cluster without an incident, so that its alert ends."""


class Invented(msgspec.Struct, frozen=True):
    """The rows of a drill, each part with a tick record at its end. ``ids``: the ids of the cluster's incidents."""

    background: list[Row]
    cluster: list[Row]
    quiet: list[Row]
    ids: frozenset[str]


def invented(area: str, locations: Locations, now_s: float, clock_s: int | None) -> Invented:
    """Return the rows of a drill that ends at ``now_s``, or that begins at the area's clock if that is later.

    ``clock_s``: the area's clock; None if it has no time yet. Both are in seconds since 1970.
    """
    drill, key = uuid.uuid4().hex[:12], area.encode()
    chance = random.Random(drill)  # noqa: S311 (places and times, no secrets)
    hour = max(int(now_s) // HOUR_S - QUIET_H - CLUSTER_H + 1, (clock_s or 0) // HOUR_S + 1)
    begins_s, ends_s = hour * HOUR_S, (hour + CLUSTER_H) * HOUR_S

    def row(number: int, location: int, time_s: float) -> Row:
        incident = {
            "id": f"drill-{drill}-{number}",
            "occurred_at": datetime.fromtimestamp(int(time_s), UTC).isoformat(),
            "category": "disorder",
            "longitude": round(float(locations.longitude[location]), 6),
            "latitude": round(float(locations.latitude[location]), 6),
        }
        return Row(key, msgspec.json.encode(incident), time_s)

    places = range(len(locations))
    since_s = begins_s - BACKGROUND_H * HOUR_S
    times = sorted(chance.uniform(since_s, begins_s) for _ in range(BACKGROUND))
    background = [row(number, chance.choice(places), time_s) for number, time_s in enumerate(times)]
    place = chance.choice(places)
    apart_s = (ends_s - begins_s) / CLUSTER
    times = [begins_s + (each + 0.5) * apart_s + chance.uniform(-JITTER_S, JITTER_S) for each in range(CLUSTER)]
    cluster = [row(BACKGROUND + number, place, time_s) for number, time_s in enumerate(times)]
    return Invented(
        [tick_row(key, since_s), *background, tick_row(key, begins_s)],
        [*cluster, tick_row(key, ends_s)],
        [tick_row(key, ends_s + hours * HOUR_S) for hours in range(1, QUIET_H)],
        frozenset(str(msgspec.json.decode(each.value)["id"]) for each in cluster),
    )
