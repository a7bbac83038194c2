"""The sources of the demo's incidents, a simulated city or a file, and the area that watches them."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from detectors.simulation import InjectedCluster
from streams.analyst.incident_file import IncidentFile
from streams.analyst.simulated_city import HISTORY_DAYS, RESOLUTION, Simulation, read_truth
from streams.demo.places import write_layers

AREA = "city"
CALIBRATION_WEEKS = 78
"""Weeks of null histories of the calibration, the fewest that are allowed: the scores are found within a minute."""
SPEED = 4.0
"""Default speed, in hours of city time per second."""
ENDLESS_S = 2_190.0
"""Length of a demo without an end, in seconds: a year at the default speed."""
MIN_BASELINE_DAYS = 28
GAP_S = 7 * 86_400
"""Time without incidents from which a recording counts as interrupted, in seconds."""


class Source(ABC):
    """The incidents of the demo, as commands of `hotspots`: first the history, then the time that is shown."""

    title: str
    cells: tuple[str, ...]
    baseline_days: int
    """Days of history after which alerts can open; the history of the demo is that long."""
    is_invented: bool
    """Whether streets and beats must be invented too."""
    speed: float
    """Hours of city time per second."""

    def write_configuration(self, folder: Path, kafka: str, redis_url: str, metrics: str) -> Path:
        """Write the configuration, the area's cells and its map layers; return the configuration file.

        Raises:
            OSError: A file cannot be written.
        """
        cells = folder / "cells.txt"
        cells.write_text("".join(f"{cell}\n" for cell in self.cells))
        host, _, port = metrics.rpartition(":")
        area = {"clock": "watermark", "min_baseline_days": self.baseline_days, "cells_file": cells.name}
        files = write_layers(folder) if self.is_invented else {}
        layers = [{"name": kind, "kind": kind, "file": str(file)} for kind, file in files.items()]
        tables = {
            "kafka": {"bootstrap": kafka, "partitions": 1},
            "redis": {"url": redis_url},
            "metrics": {"host": host, "port": int(port)},
            "console": {"layers": layers},
            "areas": {AREA: area},
        }
        path = folder / "demo.toml"
        path.write_bytes(msgspec.toml.encode(tables))
        return path

    @abstractmethod
    def history(self, configuration: Path) -> list[str]:
        """Return the arguments of the `hotspots` command that sends the history and ends."""

    @abstractmethod
    def live(self, configuration: Path) -> list[str]:
        """Return the arguments of the `hotspots` command that sends the time shown, at the source's speed."""

    @abstractmethod
    def calibration(self, configuration: Path, output: Path) -> list[list[str]]:
        """Return the arguments of the `hotspots` commands that calibrate the area on the history, in order."""

    @abstractmethod
    def clusters(self) -> tuple[InjectedCluster, ...]:
        """Return the injected clusters, once the history has been sent."""


class SimulatedCity(Source):
    """The simulated city of a seed, with or without injected clusters."""

    is_invented = True

    def __init__(self, seed: int, inject: bool, seconds: float | None, speed: float = SPEED) -> None:
        days = (seconds or ENDLESS_S) * speed / 24
        self._simulation = Simulation(seed, days, inject)
        self._truth: Path | None = None
        self.speed = speed
        self.title = f"a simulated city, seed {seed}{'' if inject else ', nothing injected'}"
        self.cells = self._simulation.city.cells(RESOLUTION)
        self.baseline_days = HISTORY_DAYS - 1

    def history(self, configuration: Path) -> list[str]:
        """See `Source`. The command also writes the true clusters to a file."""
        self._truth = configuration.with_name("truth.json")
        return [*self._command(configuration), "--to", self._ready, "--truth", str(self._truth)]

    def live(self, configuration: Path) -> list[str]:
        """See `Source`."""
        return [*self._command(configuration), "--from", self._ready, "--speed", repr(3600 * self.speed)]

    def calibration(self, configuration: Path, output: Path) -> list[list[str]]:
        """See `Source`. The city is written as a file first."""
        file = configuration.with_name("city.csv")
        return [
            ["simulate", "--output", str(file), *self._which],
            [*_calibrate(file, configuration, output), "--to", self._ready],
        ]

    def clusters(self) -> tuple[InjectedCluster, ...]:
        """See `Source`."""
        return () if self._truth is None else read_truth(self._truth)

    @property
    def _ready(self) -> str:
        return self._simulation.live_from.isoformat()

    @property
    def _which(self) -> list[str]:
        which = ["--seed", str(self._simulation.seed), "--days", repr(self._simulation.days)]
        return which if self._simulation.inject else [*which, "--no-inject"]

    def _command(self, configuration: Path) -> list[str]:
        return ["simulate", "--config", str(configuration), "--wait", "0", *self._which]


class RecordedCity(Source):
    """The last incidents of a CSV file, after a history as long as the simulated city's.

    It shows at most the last third of the file. Earlier rows are not sent, because they would already have left the
    window.

    Raises:
        IncidentFileError: The file cannot be read as incidents.
    """

    is_invented = False

    def __init__(self, path: Path, seconds: float | None, speed: float = SPEED) -> None:
        table = IncidentFile.read(path)
        times = [entry.time_s for entry in table.entries]
        shown_s = (seconds or ENDLESS_S) * speed * 3600
        ready_s = _after_no_gap(times, max(times[-1] + 1 - shown_s, times[0] + (times[-1] - times[0]) * 2 / 3))
        self.speed = speed
        self._path = path.absolute()
        self._ready = datetime.fromtimestamp(ready_s, UTC)
        self._begin = self._ready - timedelta(days=HISTORY_DAYS)
        self._first = datetime.fromtimestamp(times[0], UTC)
        held_days = int(min(HISTORY_DAYS, (ready_s - times[0]) / 86_400))
        self.title = f"recorded incidents, {path.name}"
        self.cells = table.cells(RESOLUTION)
        self.baseline_days = max(MIN_BASELINE_DAYS, held_days - 1)

    def history(self, configuration: Path) -> list[str]:
        """See `Source`."""
        return [*self._command(configuration), "--from", self._begin.isoformat(), "--to", self._ready.isoformat()]

    def live(self, configuration: Path) -> list[str]:
        """See `Source`."""
        return [*self._command(configuration), "--from", self._ready.isoformat(), "--speed", repr(3600 * self.speed)]

    def calibration(self, configuration: Path, output: Path) -> list[list[str]]:
        """See `Source`."""
        begin = max(self._begin, self._first).isoformat()
        command = _calibrate(self._path, configuration, output)
        return [[*command, "--from", begin, "--to", self._ready.isoformat()]]

    def clusters(self) -> tuple[InjectedCluster, ...]:
        """See `Source`. The clusters are unknown, so there are none."""
        return ()

    def _command(self, configuration: Path) -> list[str]:
        return ["replay", str(self._path), "--config", str(configuration), "--wait", "0"]


def use_calibration(configuration: Path, calibration: Path) -> None:
    """Enter the area's calibration in the configuration file; raises OSError."""
    tables = msgspec.toml.decode(configuration.read_bytes())
    tables["areas"][AREA]["calibration_file"] = str(calibration)
    configuration.write_bytes(msgspec.toml.encode(tables))


def _calibrate(file: Path, configuration: Path, output: Path) -> list[str]:
    options = {"config": configuration, "area": AREA, "weeks": CALIBRATION_WEEKS, "threads": 1, "output": output}
    return ["calibrate", str(file), *(text for name, value in options.items() for text in (f"--{name}", str(value)))]


def _after_no_gap(times: list[float], moment_s: float) -> float:
    """Return the moment, or an earlier moment that does not follow a gap. Only gaps within a part are announced."""
    position = bisect.bisect_left(times, moment_s)
    while position > 1 and times[position] - times[position - 1] > GAP_S:
        position -= 1
        moment_s = times[position]
    return moment_s
