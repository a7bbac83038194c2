"""The forecast counts what an area with an empty window at its clock then does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import h3
import msgspec

from detectors.alerts.tracking import TrackerState
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.results import Checkpoint
from detectors.window.intake import Accounts
from streams.analyst.forecast import Forecast, forecast
from streams.analyst.incident_file import Row, tick_row

CELL = h3.latlng_to_cell(53.8, -1.55, 10)
LOCATIONS = Locations.from_cells([CELL])
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def row(number: int, occurred: datetime, **fields: Any) -> Row:
    place = {"latitude": 53.8, "longitude": -1.55}
    record = {"id": f"i{number}", "category": "drugs", "occurred_at": occurred.isoformat()} | (fields or place)
    return Row(b"leeds", msgspec.json.encode(record), occurred.timestamp())


def at(clock: datetime) -> Checkpoint:
    second = int(clock.timestamp())
    return Checkpoint(
        clock_s=second,
        closed_s=second,
        bucket=second // 3600,
        lowest_offset=0,
        lowest_clock_s=second,
        next_offset=100,
        scans=1,
        accounts=Accounts(),
        tracker=TrackerState(),
        nulls={},
    )


def counts(rows: list[Row], clock: str, checkpoint: Checkpoint | None) -> Forecast:
    return forecast(rows, "leeds", AreaSettings(clock=clock), LOCATIONS, checkpoint, NOW, 65_536)  # type: ignore[arg-type]


ROWS = [
    *(row(number, NOW - number * DAY) for number in range(10, 0, -1)),
    row(20, NOW - 100 * DAY),
    row(21, NOW - DAY, latitude=10.0, longitude=10.0),
    row(22, NOW - DAY, origin="reported"),
    row(23, NOW - DAY, category=7),
    Row(b"leeds", b"{", 0.0),
    tick_row(b"leeds", int(NOW.timestamp())),
]


def numbers(found: Forecast) -> tuple[int, ...]:
    assert found.rows == found.taken + found.invalid + found.elsewhere + found.before_window + found.ahead_of_clock
    return found.rows, found.taken, found.invalid, found.elsewhere, found.before_window, found.ahead_of_clock


def test_an_area_without_a_clock_gets_that_of_the_rows() -> None:
    found = counts(ROWS, "watermark", None)
    assert numbers(found) == (15, 10, 2, 2, 1, 0)
    assert found.clock is None
    assert "its clock begins with them" in str(found)


def test_rows_before_the_window_of_the_clock_are_told() -> None:
    found = counts(ROWS, "watermark", at(NOW + 365 * DAY))
    assert numbers(found) == (15, 0, 2, 2, 11, 0)
    assert "its clock shows 2027-03-01 12:00 UTC" in str(found)


def test_rows_that_jump_ahead_of_the_clock_are_told() -> None:
    assert numbers(counts(ROWS[:10], "watermark", at(NOW - 90 * DAY))) == (10, 0, 0, 0, 0, 10)


def test_on_a_wall_clock_the_present_counts() -> None:
    assert numbers(counts(ROWS, "wall", None)) == (15, 10, 2, 2, 1, 0)
    assert numbers(counts([row(1, NOW + DAY), row(2, NOW)], "wall", at(NOW - 9 * DAY))) == (2, 1, 0, 0, 0, 1)


def test_rows_of_which_none_is_valid() -> None:
    assert numbers(counts([Row(b"leeds", b"{", 0.0)] * 3, "watermark", None)) == (3, 0, 3, 0, 0, 0)
