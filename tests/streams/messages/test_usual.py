"""What is usual in an area, against its incidents counted one by one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import h3
import pytest
from msgspec import UNSET

from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.monitor import Monitor
from streams.messages.usual import Usual

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
CELLS = sorted(h3.grid_disk("8a195da49b9ffff", 1))
PLACES = Locations.from_places(["b", "a"], [-1.5, -1.6], [53.8, 53.9], 100.0)


@pytest.mark.parametrize("locations", [Locations.from_cells(CELLS), PLACES], ids=["cells", "places"])
def test_each_location_has_the_incidents_that_the_window_holds(locations: Locations) -> None:
    monitor = Monitor("leeds", AreaSettings(clock="watermark", window_days=28), locations)
    assert Usual.of(monitor) is None
    counted: Counter[str] = Counter()
    hours = range(0, 24 * 40, 5)
    for offset, hour in enumerate(hours):
        at, place = BEGIN + timedelta(hours=hour), locations.ids[offset**2 % len(locations.ids)]
        category = "other" if offset % 7 == 0 else "drugs"
        monitor.put(Incident(id=str(hour), occurred_at=at, category=category, location=place), offset, 0)
        is_inside = hour > hours[-1] - 24 * 28
        counted[place] += category == "drugs" and is_inside
    monitor.flush()
    usual: Any = Usual.of(monitor)
    assert usual.cells == {place: cases for place, cases in counted.items() if cases}
    assert usual.days == pytest.approx(28, abs=0.5)
    assert usual.resolution == locations.resolution
    expected = UNSET if locations.resolution else {"a": (-1.6, 53.9), "b": (-1.5, 53.8)}
    assert usual.places == expected
