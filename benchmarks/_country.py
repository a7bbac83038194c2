"""Many areas of two sizes: their configuration, and the incidents of their days, at random locations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import h3
import msgspec
import numpy as np

from detectors.area.incident import Category, Incident
from detectors.area.settings import STREAMS
from streams.analyst.incident_file import Row

DAY_S = 86_400
BASELINE_DAYS = 7
"""Days of history without a scan; the areas of the benchmark scan from the next day on."""
BEGIN_S = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


class Size(NamedTuple):
    """A size of areas: their number, incidents a day, and rings of cells of resolution 10 around their centre."""

    name: str
    number: int
    daily: int
    rings: int

    @property
    def areas(self) -> list[str]:
        """The names of the areas."""
        return [f"{self.name}-{number}" for number in range(self.number)]


DISTRICT = Size("district", 200, 45, 18)
"""1,027 locations each."""
CITY = Size("city", 10, 500, 58)
"""10,267 locations each."""


def tables(folder: Path, sizes: tuple[Size, ...]) -> dict[str, dict[str, Any]]:
    """Return the settings of all areas; writes their cells into files."""
    settings = {}
    for size in sizes:
        for area in size.areas:
            (folder / f"{area}.txt").write_text("\n".join(_cells(area, size)))
            settings[f"areas.{area}"] = {
                "timezone": "UTC",
                "clock": "watermark",
                "cells_file": f"{area}.txt",
                "min_baseline_days": BASELINE_DAYS,
            }
    return settings


def _cells(area: str, size: Size) -> list[str]:
    """Return the cells of an area: every one has a centre of its own, a degree from the next."""
    number = int(area.rpartition("-")[2])
    centre = h3.latlng_to_cell(10.0 + number % 60, 10.0 * (size is CITY) + number // 60, 10)
    return sorted(h3.grid_disk(centre, size.rings))


def rows(sizes: tuple[Size, ...], days: range, seed: int) -> Iterator[Row]:
    """Yield the incidents of some days, of all areas together, in order of time."""
    chance = np.random.default_rng([seed, days.start])
    areas = [(area, size) for size in sizes for area in size.areas]
    points = {area: [h3.cell_to_latlng(cell) for cell in _cells(area, size)] for area, size in areas}
    for day in days:
        owner = np.repeat(np.arange(len(areas)), [size.daily for _, size in areas])
        moments = np.sort(chance.uniform(0, DAY_S, len(owner)))
        for number, (which, second) in enumerate(zip(chance.permutation(owner), moments, strict=True)):
            area = areas[which][0]
            latitude, longitude = points[area][chance.integers(len(points[area]))]
            time_s = BEGIN_S + day * DAY_S + float(second)
            incident = Incident(
                id=f"{day}-{number}",
                occurred_at=datetime.fromtimestamp(time_s, UTC),
                category=Category(STREAMS[number % 4]),
                longitude=longitude,
                latitude=latitude,
            )
            yield Row(area.encode(), msgspec.json.encode(incident), time_s)
