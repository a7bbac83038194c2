"""Compiles every kernel once, so that no worker does it while a broker waits for its heartbeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from detectors.incident import Incident
from detectors.locations import Locations, cell_of
from detectors.monitor import Monitor
from detectors.settings import AreaSettings

LONGITUDE, LATITUDE = -1.55, 53.8


def compile_kernels() -> int:
    """Run a small Monitor through every step; returns the number of scans that it made (more than 0)."""
    settings = AreaSettings(clock="watermark", min_baseline_days=0, replications=99)
    monitor = Monitor("compile", settings, Locations.from_cells([cell_of(LONGITUDE, LATITUDE, 10)]))
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(12):
        incident = Incident(
            id=str(number),
            occurred_at=begin + timedelta(hours=4 * number if number < 8 else 32, seconds=number),
            category="violence",
            longitude=LONGITUDE,
            latitude=LATITUDE,
        )
        monitor.put(incident, number, 0)
    monitor.flush()
    return monitor.scans
