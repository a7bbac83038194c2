"""The invented incidents lie in the area, in order, and open an alert that ends; whatever the area's clock shows."""

from __future__ import annotations

import h3
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts.lifecycle import TERMINAL
from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from streams.areas.area import Area
from streams.drill.invented import BACKGROUND, CLUSTER, invented
from streams.messages.incident import decode

LOCATIONS = Locations.from_cells(h3.grid_disk(h3.latlng_to_cell(0.0, 0.0, 10), 6))
SETTINGS = AreaSettings(
    clock="watermark",
    window_days=7,
    min_baseline_days=2,
    durations_h=(2, 4),
    strata="none",
    replications=99,
    end_after_h=1.0,
    cool_down_h=0.0,
    silent_after_gaps=0.0,
)
NOW_S = 1_790_000_123.0


@settings(max_examples=50, deadline=None)
@given(st.none() | st.integers(-400_000, 4_000_000))
def test_they_lie_in_the_area_in_order_after_its_clock(ahead_s: int | None) -> None:
    clock_s = None if ahead_s is None else int(NOW_S) + ahead_s
    rows = invented("drill", LOCATIONS, NOW_S, clock_s)
    every = [*rows.background, *rows.cluster, *rows.quiet]
    assert [each.time_s for each in every] == sorted(each.time_s for each in every)
    assert (len(rows.background), len(rows.cluster), len(rows.ids)) == (BACKGROUND + 2, CLUSTER + 1, CLUSTER)
    if clock_s is not None:
        assert rows.cluster[0].time_s > clock_s
    if clock_s is None or clock_s <= NOW_S - 15 * 3600:
        assert every[-1].time_s <= NOW_S
    for each in every:
        if each.value:
            incident = msgspec.json.decode(each.value, type=Incident)
            assert LOCATIONS.locate(incident) is not None


@pytest.mark.parametrize("drills", [1, 4])
def test_each_drill_opens_alerts_of_its_own_that_end(drills: int) -> None:
    area = Area.of("drill", SETTINGS, LOCATIONS, is_exercise=True)
    monitor = area.monitor()
    offset = 0
    for _ in range(drills):
        rows = invented("drill", LOCATIONS, NOW_S, monitor.clock_s)
        opened, ended = set(), set()
        for row in (*rows.background, *rows.cluster, *rows.quiet):
            _, entry = decode(row.key, row.value, row.headers, 0, 1, ("drill",), 65_536)
            for tick in monitor.put(entry, offset, int(NOW_S)):
                for alert in tick.changes:
                    if len(rows.ids.intersection(alert.members)) > CLUSTER / 2:
                        opened.add(alert.id)
                        ended |= {alert.id} if alert.state in TERMINAL else set()
            offset += 1
        assert opened
        assert ended == opened
