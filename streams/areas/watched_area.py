"""An area as a worker watches it, built once from the configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from detectors.alerts.tracking import Alert
from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.result import Calibration
from detectors.monitor import Monitor
from streams.area_log.sources import AreaLog, LogError
from streams.calibration.calibration_file import CalibrationError, CalibrationFile, read
from streams.configuration.load import Configuration, ConfigurationError, alerts_per_week, locations
from streams.messages.alert import alert_event
from streams.messages.scan import Ids, ScanRecord
from streams.worker.metrics import Promise


class WrittenConfiguration(msgspec.Struct, frozen=True):
    """What the topic ``settings`` keeps of a Monitor's configuration; ``id`` is its hash."""

    area: str
    id: str
    settings: AreaSettings
    locations: dict[str, Any]


class WrittenCalibration(msgspec.Struct, frozen=True):
    """What the topic ``settings`` keeps of a calibration; ``id`` is its hash."""

    area: str
    id: str
    calibration: CalibrationFile


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
            places = locations(area)
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


def settings_on_record(log: AreaLog, id_: str) -> bytes:
    """The record of the topic ``settings`` that has an area and a hash as its key.

    Raises:
        LogError: there is none.
    """
    key = f"{log.manifest.area}:{id_}"
    found = [each.value for each in log.read("settings") if each.key == key.encode()]
    if not found or not found[-1]:
        raise LogError(f"settings: nothing has the key {key}, which scan records name")
    return found[-1]


def calibrations_on_record(log: AreaLog) -> Iterator[CalibrationFile]:
    """Every calibration of an area in the topic ``settings``; what is none, or of another version, is left out."""
    for record in log.read("settings"):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield msgspec.json.decode(record.value or b"", type=WrittenCalibration).calibration
