"""An owned area without a broker: what it shows of the parts that have stopped reporting."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import h3
import numpy as np
import pytest

from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.restoring import Restoring
from streams.areas.area import Area
from streams.worker.engine.owned_area import OwnedArea

PLACES = Locations.from_cells(h3.grid_disk("8a195da49b9ffff", 1))
SETTINGS = AreaSettings(timezone="Europe/London", clock="watermark", tick_s=3600, replications=99)
BEGIN = datetime(2024, 4, 1, tzinfo=UTC)
STOP_H, BACK_H, END_H = 40 * 24, 43 * 24, 45 * 24


def incidents() -> list[Incident]:
    """Two incidents an hour; drugs, a third of them, stop for three days."""
    rng = np.random.default_rng(1)
    minutes = np.sort(rng.integers(0, END_H * 60, 2 * END_H))
    found = []
    for number, minute in enumerate(minutes.tolist()):
        category, at = ("drugs", "violence", "property")[rng.integers(3)], BEGIN + timedelta(minutes=minute)
        if category == "drugs" and STOP_H * 60 <= minute < BACK_H * 60:
            continue
        place = PLACES.ids[int(rng.integers(len(PLACES)))]
        found.append(Incident(id=f"{number:05}", occurred_at=at, category=category, location=place))
    return found


def test_a_silent_part_is_shown_and_logged_once_until_its_reports_are_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    area = Area.of("leeds", SETTINGS, PLACES)
    monitor = area.monitor()
    owned = OwnedArea(area, monitor, None)
    shown: dict[int, tuple[str, ...]] = {}
    given = incidents()
    for offset, incident in enumerate(given):
        assert incident.occurred_at
        monitor.put(incident, offset, 0)
        hour = (incident.occurred_at - BEGIN) // timedelta(hours=1)
        if hour not in shown:
            owned.look_around(100.0 * hour)
            shown[hour] = owned.silent_parts
    silent = [hour for hour, lines in shown.items() if lines]
    assert STOP_H + 12 <= silent[0] <= STOP_H + 36 and BACK_H <= silent[-1] <= BACK_H + 18
    assert silent == [hour for hour in shown if silent[0] <= hour <= silent[-1]]
    drugs = [each.occurred_at for each in given if each.category == "drugs" and each.occurred_at]
    last = max(at for at in drugs if at < BEGIN + timedelta(hours=STOP_H))
    (line,) = shown[BACK_H - 2]
    assert line.startswith(f"no drugs since {last + timedelta(hours=1):%-d %B %H:%M}: 0 in ")
    logged = [record.message for record in caplog.records if "no " in record.message]
    assert len(logged) == 2 and logged[0].startswith("area leeds: no drugs since")
    assert logged[1] == "area leeds: no longer silent: drugs"


def test_another_worker_finds_the_same_silent_parts_in_the_middle_of_an_hour() -> None:
    monitor = Area.of("leeds", SETTINGS, PLACES).monitor()
    given = [
        each for each in incidents() if each.occurred_at and each.occurred_at < BEGIN + timedelta(hours=BACK_H - 1)
    ]
    closed = [tick for offset, incident in enumerate(given) for tick in monitor.put(incident, offset, 0)]
    checkpoint = closed[-1].checkpoint
    restoring = Restoring("leeds", SETTINGS, PLACES, checkpoint=checkpoint)
    for offset in range(checkpoint.lowest_offset, checkpoint.next_offset):
        restoring.refill(given[offset], offset, 0)
    assert restoring.monitor().silent_parts() == monitor.silent_parts() != ()
