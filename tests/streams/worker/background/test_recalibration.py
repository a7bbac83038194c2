"""The past that the nightly calibration learns from."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from detectors.area.incident import Incident
from detectors.area.locations import Locations, cell_of
from detectors.area.settings import AreaSettings
from streams.areas.area import Area
from streams.calibration.calibration_file import CalibrationError
from streams.worker.background.recalibration import recent_past

NOW = datetime(2024, 7, 1, 4, tzinfo=UTC)
AREA = Area.of(
    "leeds",
    AreaSettings(window_days=30, durations_h=(2, 24)),
    Locations.from_cells([cell_of(-1.55, 53.8, 10)]),
)


def hourly(begin: datetime, days: int, **changes: Any) -> list[Incident]:
    fields: dict[str, Any] = {"category": "violence", "longitude": -1.55, "latitude": 53.8} | changes
    return [
        Incident(id=f"{changes} {begin} {hour}", occurred_at=begin + timedelta(hours=hour), **fields)
        for hour in range(24 * days)
    ]


@pytest.mark.parametrize("changes", [{"category": "other"}, {"longitude": 0.0}, {"category": "fire"}])
def test_rows_that_do_not_count_do_not_lengthen_it(changes: dict[str, Any]) -> None:
    """Four weeks are counted. Five weeks before them, the feed sent only what is not."""
    counted = hourly(NOW - timedelta(days=28), 28)
    past = recent_past([*hourly(NOW - timedelta(days=59), 31, **changes), *counted], AREA, NOW)
    assert (past.buckets, len(past)) == (28 * 24 - 1, 28 * 24 - 1)  # the last, broken hour is left out
    assert past.first_bucket == int((NOW - timedelta(days=28)).timestamp()) // 3600


def test_an_incident_that_was_moved_does_not_lengthen_it() -> None:
    counted = hourly(NOW - timedelta(days=28), 28)
    former = [
        msgspec.structs.replace(each, occurred_at=each.occurred_at - timedelta(days=31))
        for each in counted
        if each.occurred_at
    ]
    assert recent_past([*former, *counted], AREA, NOW).buckets == 28 * 24 - 1


def test_it_lies_within_the_last_two_windows_and_no_later_than_now() -> None:
    past = recent_past(hourly(NOW - timedelta(days=100), 110), AREA, NOW)
    assert past.buckets == 60 * 24 - 1
    with pytest.raises(CalibrationError, match="from 2024-05-02 to 2024-07-01 lies within the area"):
        recent_past(hourly(NOW - timedelta(days=100), 20), AREA, NOW)


def test_a_much_shorter_one_than_that_of_the_calibration_in_use_is_refused() -> None:
    history = SimpleNamespace(begins_at=NOW - timedelta(days=90), ends_at=NOW)
    area: Any = dataclasses.replace(AREA, calibration_file=SimpleNamespace(history=history))  # type: ignore[arg-type]
    assert recent_past(hourly(NOW - timedelta(days=55), 55), area, NOW).buckets == 55 * 24 - 1
    with pytest.raises(CalibrationError, match="the log has incidents of 27 days, the calibration in use of 90"):
        recent_past(hourly(NOW - timedelta(days=28), 28), area, NOW)
