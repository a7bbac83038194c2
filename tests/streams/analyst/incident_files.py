"""Lines of made-up files, and the fate of their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from detectors.area.incident import Incident
from detectors.area.locations import Locations, cell_of
from detectors.area.settings import AreaSettings
from detectors.monitor import Monitor
from detectors.window.admission import Refusal, TickMark
from detectors.window.intake import Accounts
from streams.analyst.incident_file import IncidentFile, Row
from streams.messages.incident import decode

LEEDS = (-1.55, 53.8)
WATERMARK = AreaSettings(clock="watermark")
HERE = Locations.from_cells([cell_of(*LEEDS, 10)])
HEADER = "id,occurred_at,category,longitude,latitude"
DAY = timedelta(days=1)
START = datetime(2024, 3, 1, 12, tzinfo=UTC)

Write = Callable[..., Path]


def line(id_: str, occurred: datetime | str, longitude: object = LEEDS[0], latitude: object = LEEDS[1]) -> str:
    moment = occurred if isinstance(occurred, str) else occurred.isoformat()
    return f"{id_},{moment},violence,{longitude},{latitude}"


def records(table: IncidentFile, **between: datetime) -> list[Row]:
    return list(table.rows("leeds", WATERMARK, **between))


def decoded(row: Row) -> Incident | TickMark | Refusal:
    area, entry = decode(row.key, row.value, row.headers, 0, 1, {"leeds"}, 65_536)
    assert area == "leeds"
    return entry


def ids(rows: Sequence[Row]) -> list[str]:
    return [msgspec.json.decode(row.value)["id"] for row in rows if not row.is_tick]


def ticks(rows: Sequence[Row]) -> list[str]:
    return [row.headers[0][1].decode() for row in rows if row.is_tick]


def accounts_of(rows: Sequence[Row], locations: Locations) -> Accounts:
    """The outcomes that the area's own Monitor gives the rows."""
    monitor = Monitor("leeds", AreaSettings(clock="watermark", min_baseline_days=100_000), locations)
    for offset, row in enumerate(rows):
        monitor.put(decoded(row), offset, 0)
    monitor.flush()
    return monitor.accounts
