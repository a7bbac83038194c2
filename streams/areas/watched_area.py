"""An area as a worker watches it, built once from the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from detectors.alerts.tracking import Alert
from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.result import Calibration
from detectors.monitor import Monitor
from streams.areas.health import Promise
from streams.areas.location_files import read_boundary, read_cells, read_places
from streams.calibration.calibration_file import CalibrationError, CalibrationFile, read
from streams.configuration.area import Area, alerts_per_week
from streams.configuration.load import Configuration, load
from streams.configuration.reader import ConfigurationError
from streams.configuration.tls import _trusting, tls, webhook_tls
from streams.messages.alert import alert_event
from streams.messages.scan import Ids, ScanRecord
from streams.messages.settings import WrittenCalibration, WrittenConfiguration


class Nightly(NamedTuple):
    """When an area is calibrated anew: HH:MM of its own clock, on so many null weeks, for so many alerts a week."""

    at: str
    weeks: int
    budget: float


@dataclass(frozen=True, eq=False)
class WatchedArea:
    """An area as this worker watches it: what its Monitor reads, built once; ``nightly``: if it is calibrated anew."""

    name: str
    settings: AreaSettings
    locations: Locations
    near: Neighbours
    configuration_id: str
    calibration_file: CalibrationFile | None = None
    nightly: Nightly | None = None

    @property
    def calibration(self) -> Calibration | None:
        """How rare its scores are, if that was found out."""
        return self.calibration_file.calibration if self.calibration_file else None

    @property
    def promise(self) -> Promise | None:
        """What its calibration says of false alerts."""
        if self.calibration_file is None:
            return None
        made = self.calibration_file.calibration
        return Promise(
            made_s=self.calibration_file.made_at.timestamp(),
            budget=made.budget,
            mean=made.rate,
            low=made.rate_low,
            high=made.rate_high,
        )

    @property
    def ids(self) -> Ids:
        """What its Monitor goes by."""
        return Ids(self.configuration_id, self.calibration_file.id if self.calibration_file else "")

    def monitor(self, record: ScanRecord | None) -> Monitor:
        """A Monitor at the checkpoint of a scan record, to be refilled, or a new one."""
        if record is None:
            return Monitor(self.name, self.settings, self.locations, self.near, self.calibration)
        is_reconfigured = record.configuration != self.configuration_id
        return Monitor.restore(
            self.name, self.settings, self.locations, record.checkpoint, self.near, is_reconfigured, self.calibration
        )

    def written_in_full(self) -> Iterator[tuple[bytes, bytes]]:
        """Key (area and hash) and value, JSON, of its records in the topic ``settings``: configuration, calibration."""
        ids = self.ids
        configuration = WrittenConfiguration(self.name, ids.configuration, self.settings, self.locations.written())
        yield f"{self.name}:{ids.configuration}".encode(), msgspec.json.encode(configuration)
        if self.calibration_file is not None:
            calibration = WrittenCalibration(self.name, ids.calibration, self.calibration_file)
            yield f"{self.name}:{ids.calibration}".encode(), msgspec.json.encode(calibration)

    @classmethod
    def from_written(cls, configuration: bytes, calibration: bytes | None) -> WatchedArea:
        """The area that :meth:`written_in_full` has written down.

        Raises:
            ValueError: the values are not of such records.
        """
        known = msgspec.json.decode(configuration, type=WrittenConfiguration)
        places = Locations.from_written(known.locations)
        near = neighbours(places.points, known.settings.max_radius_m)
        made = msgspec.json.decode(calibration, type=WrittenCalibration).calibration if calibration else None
        if made is not None and made.id != made.calibration.digest:
            raise ValueError(f"calibration {made.id}: its id does not fit its content")
        return cls(known.area, known.settings, places, near, known.settings.digest(places), made)

    def event(self, alert: Alert) -> bytes:
        """The event of one revision that its Monitor made."""
        return alert_event(alert, self.settings, self.configuration_id)


def watched_areas(configuration: Configuration) -> dict[str, WatchedArea]:
    """Every configured area, with its locations and their neighbours.

    Raises:
        ConfigurationError: an area has no locations, or a file of it cannot be used.
    """
    watched = {}
    for name, area in configuration.areas.items():
        try:
            places = locations_of(area)
        except ConfigurationError as error:
            raise ConfigurationError(f"areas.{name}.{error}") from None
        settings = area.settings
        near = neighbours(places.points, settings.max_radius_m)
        calibration = None
        if area.calibration_file:
            try:
                calibration = read(Path(area.calibration_file), name, settings, places)
            except CalibrationError as error:
                raise ConfigurationError(f"areas.{name}.calibration_file: {error}") from None
        nightly = None
        if area.recalibrate_at and settings.clock == "wall":  # recorded time is repeated, and must give what it gave
            nightly = Nightly(area.recalibrate_at, area.recalibrate_weeks, alerts_per_week(area.budget))
        watched[name] = WatchedArea(name, settings, places, near, settings.digest(places), calibration, nightly)
    return watched


MAX_LOCATIONS = 200_000
"""So many places of one area fit into a record of the topic ``settings``."""


def locations_of(area: Area) -> Locations:
    """The frozen locations of an area, from the file that it names.

    Raises:
        ConfigurationError: it names none, or the file cannot be used.
    """
    source = area.cells_file or area.boundary_file or area.places_file
    if not source:
        raise ConfigurationError("locations: missing; give the area a cells_file, boundary_file or places_file")
    path = Path(source)
    try:
        if area.cells_file:
            places = read_cells(path)
        elif area.boundary_file:
            places = read_boundary(path, area.resolution)
        else:
            places = read_places(path, area.max_place_distance_m)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"locations: {source}: {error}") from None
    if len(places) > MAX_LOCATIONS:
        raise ConfigurationError(
            f"locations: {source}: {len(places)} places; must be at most {MAX_LOCATIONS}: "
            "take larger cells, or make several areas of it"
        )
    return places


def faults_of(path: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Every fault that would keep a worker from starting, one line each, those of named files too; empty if none."""
    try:
        configuration = load(path, environ)
    except ConfigurationError as error:
        return str(error).splitlines()
    lines = []
    try:
        tls(configuration.kafka)
        _trusting("redis", configuration.redis.ssl_cafile)
        webhook_tls(configuration.webhook)
    except ConfigurationError as error:
        lines.append(str(error))
    for name, area in configuration.areas.items():
        try:
            locations_of(area)
        except ConfigurationError as error:
            lines.append(f"areas.{name}.{error}")
    return lines
