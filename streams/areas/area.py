"""An area with everything that its Monitor reads, built once from the configuration and the area's files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from detectors.alerts.alert import Alert
from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.result import Calibration
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from streams.areas.health import Promise
from streams.calibration.calibration_file import CalibrationFile, read
from streams.calibration.recorded import read_recorded
from streams.configuration.area import AreaTable, alerts_per_week
from streams.messages.alert import AlertStatus, alert_event
from streams.messages.scan import Ids, ScanRecord
from streams.messages.settings import WrittenCalibration, WrittenConfiguration


class Nightly(NamedTuple):
    """The nightly calibration of an area.

    ``at``: time of day on the area's own clock, HH:MM.
    ``weeks``: length of the null histories, in weeks.
    ``budget``: alerts a week that chance may open.
    """

    at: str
    weeks: int
    budget: float


@dataclass(frozen=True, eq=False)
class Area:
    """An area with everything that its Monitor reads. ``nightly`` is None if it is not calibrated every night."""

    name: str
    settings: AreaSettings
    locations: Locations
    neighbours: Neighbours
    configuration_id: str
    calibration_file: CalibrationFile | None = None
    nightly: Nightly | None = None
    is_exercise: bool = False

    @classmethod
    def of(cls, name: str, settings: AreaSettings, locations: Locations, *, is_exercise: bool = False) -> Area:
        """Return an area without a calibration. ``is_exercise``: its alerts are exercises, and the hash covers this."""
        near = neighbours(locations.points, settings.max_radius_m)
        digest = settings.digest(locations)
        if is_exercise:
            digest = hashlib.sha256(f"exercise {digest}".encode()).hexdigest()
        return cls(name, settings, locations, near, digest, is_exercise=is_exercise)

    @classmethod
    def from_table(cls, name: str, table: AreaTable, locations: Locations, *, is_calibrated: bool = True) -> Area:
        """Return a configured area, by default with the calibration from its file.

        Raises:
            CalibrationError: The calibration file cannot be read, or does not fit the area.
        """
        area = cls.of(name, table.settings, locations, is_exercise=table.exercise)
        if table.calibration_file and is_calibrated:
            area = replace(area, calibration_file=read(Path(table.calibration_file), area))
        if table.recalibrate_at and table.clock == "wall":  # a watermark clock must give the same each time
            nightly = Nightly(table.recalibrate_at, table.recalibrate_weeks, alerts_per_week(table.budget))
            area = replace(area, nightly=nightly)
        return area

    @classmethod
    def from_written(cls, configuration: bytes, calibration: bytes | None) -> Area:
        """Return the area of two settings records that :meth:`written_in_full` made.

        Raises:
            ValueError: The values are not those of such records.
        """
        known = read_recorded(configuration, WrittenConfiguration, "settings")
        locations = Locations.from_written(known.locations)
        area = cls.of(known.area, known.settings, locations, is_exercise=known.exercise)
        if not calibration:
            return area
        made = read_recorded(calibration, WrittenCalibration, "calibration", "settings").calibration
        if made.id != made.calibration.digest:
            raise ValueError(f"calibration {made.id}: its id must be the hash of its content")
        return replace(area, calibration_file=made)

    @property
    def calibration(self) -> Calibration | None:
        """The calibration, None without one."""
        return self.calibration_file.calibration if self.calibration_file else None

    @property
    def promise(self) -> Promise | None:
        """The rate of false alerts that the calibration promises, None without one."""
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
        """The hashes of configuration and calibration that scan records name."""
        return Ids(self.configuration_id, self.calibration_file.id if self.calibration_file else "")

    def restoring(self, record: ScanRecord | None) -> Restoring:
        """Return a Monitor in preparation. It begins at the checkpoint of a scan record if one is given."""
        return Restoring(
            self.name,
            self.settings,
            self.locations,
            self.neighbours,
            self.calibration,
            checkpoint=record.checkpoint if record else None,
            is_reconfigured=record is not None and record.configuration != self.configuration_id,
        )

    def monitor(self) -> Monitor:
        """Return a new Monitor."""
        return self.restoring(None).monitor()

    def written_in_full(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield key (area and hash) and value (JSON) of the area's settings records, the configuration first."""
        ids = self.ids
        configuration = WrittenConfiguration(
            self.name, ids.configuration, self.settings, self.locations.written(), self.is_exercise
        )
        yield f"{self.name}:{ids.configuration}".encode(), msgspec.json.encode(configuration)
        if self.calibration_file is not None:
            calibration = WrittenCalibration(self.name, ids.calibration, self.calibration_file)
            yield f"{self.name}:{ids.calibration}".encode(), msgspec.json.encode(calibration)

    def event(self, alert: Alert) -> bytes:
        """Return the event of one revision that the area's Monitor made."""
        status: AlertStatus = "exercise" if self.is_exercise else "actual"
        return alert_event(alert, self.settings, self.configuration_id, status)
