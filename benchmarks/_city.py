"""The city of the benchmarks: 20,000 H3 locations, and incidents at random places among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import h3
import msgspec
import numpy as np

from detectors.area.incident import Category, Incident
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings
from streams.analyst.incident_file import Row

AREA = "city"
CENTRE = (53.80, -1.55)
LOCATIONS = 20_000
RINGS = 82
"""Rings of the disc of cells around the centre; it holds 20,419 cells."""
DAY_S = 86_400


def cells(number: int = LOCATIONS) -> list[str]:
    """Return the ``number`` H3 cells of resolution 10 nearest to the centre."""
    middle = h3.latlng_to_cell(*CENTRE, 10)
    disc = sorted(h3.grid_disk(middle, RINGS), key=lambda cell: (h3.grid_distance(middle, cell), cell))
    return disc[:number]


def incidents(times_s: Iterable[float], first: int, seed: int, locations: int = LOCATIONS) -> Iterator[Incident]:
    """Yield an incident at each of these times (seconds since 1970), numbered from ``first``, at random locations."""
    chance = np.random.default_rng(seed)
    area = Locations.from_cells(cells(locations))
    longitude, latitude = area.longitude.tolist(), area.latitude.tolist()
    categories: list[Category] = [Category(stream) for stream in STREAMS[:4]]
    for number, time_s in enumerate(times_s, first):
        location = int(chance.integers(locations))
        yield Incident(
            id=f"incident-{number:010d}",
            occurred_at=datetime.fromtimestamp(time_s, UTC),
            category=categories[number % 4],
            longitude=round(longitude[location], 6),
            latitude=round(latitude[location], 6),
        )


def history_s(number: int, end_s: float) -> list[float]:
    """Return ``number`` times, in order, spread evenly over the window that ends at ``end_s``."""
    window_s = AreaSettings().window_days * DAY_S - 3600
    return [end_s - window_s * (1 - each / number) for each in range(number)]


def rows(times_s: Iterable[float], first: int, seed: int) -> Iterator[Row]:
    """Yield the same incidents as records for the topic ``incidents``."""
    for incident in incidents(times_s, first, seed):
        assert incident.occurred_at is not None
        yield Row(AREA.encode(), msgspec.json.encode(incident), incident.occurred_at.timestamp())
