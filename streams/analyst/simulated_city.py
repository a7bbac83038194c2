"""The city of `hotspots simulate` and the demo: how busy it is, and how strong its hidden clusters are.

In a week, about half of the clusters are found, and most weeks have no false alert. The clusters have a relative risk
of at most 10 and a radius of at most 300 m.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from detectors.area.incident import Incident
from detectors.simulation import City, InjectedCluster, Injection, Simulated
from streams.process.strict_json import StrictDecoder

BEGIN = datetime(2025, 3, 3, tzinfo=UTC)
"""Beginning of simulated time, a Monday."""

HISTORY_DAYS = 84
RESOLUTION = 9
"""Resolution of the H3 cells: a cell is as wide as a small cluster."""

COLUMNS = ("id", "occurred_at", "reported_at", "category", "longitude", "latitude")
INJECTION = Injection(per_day=1.5, relative_risk=(8.0, 10.0), radius_m=(150.0, 300.0), hours=(8.0, 36.0), expected=9.0)


@dataclasses.dataclass(frozen=True)
class Simulation:
    """The simulated city of a seed: ``history_days`` without clusters, then ``days`` with or without clusters."""

    seed: int
    days: float
    inject: bool = True
    history_days: int = HISTORY_DAYS

    @property
    def live_from(self) -> datetime:
        """The end of the history."""
        return BEGIN + timedelta(days=self.history_days)

    @property
    def city(self) -> City:
        """The simulated city."""
        return City(self.seed, incidents_per_day=150.0, near_repeats=0.02, injection=INJECTION)

    def run(self) -> Simulated:
        """Return all incidents in order of arrival, and the clusters among them."""
        end = self.live_from + timedelta(days=self.days)
        return self.city.simulate(BEGIN, end, inject=self.inject, inject_from=self.live_from)


def write_incidents(path: Path, incidents: Iterable[Incident]) -> None:
    """Write incidents as a CSV file for the other commands; raises OSError."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([msgspec.to_builtins(getattr(each, name)) for name in COLUMNS] for each in incidents)


def write_truth(path: Path, clusters: tuple[InjectedCluster, ...]) -> None:
    """Write the injected clusters as JSON; raises OSError."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(clusters)))


def read_truth(path: Path) -> tuple[InjectedCluster, ...]:
    """Return the injected clusters of such a file; raises OSError or msgspec.DecodeError."""
    return StrictDecoder[tuple[InjectedCluster, ...]](tuple[InjectedCluster, ...]).decode(path.read_bytes())
