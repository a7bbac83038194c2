"""The settings records in an area's log: configurations and calibrations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from streams.area_log.records import AreaLog, LogError
from streams.calibration.calibration_file import CalibrationFile
from streams.calibration.recorded import read_recorded
from streams.messages.settings import WrittenCalibration


def settings_on_record(log: AreaLog, id_: str) -> bytes:
    """Return the value of the settings record with this key (the area and a hash).

    Raises:
        LogError: There is no such record.
    """
    key = f"{log.manifest.area}:{id_}"
    found = [each.value for each in log.read("settings") if each.key == key.encode()]
    if not found or not found[-1]:
        raise LogError(f"settings: no record has the key {key}, which scan records name")
    return found[-1]


def calibrations_on_record(log: AreaLog) -> Iterator[CalibrationFile]:
    """Yield the area's calibrations in the topic ``settings``, except those that this version cannot read."""
    for record in log.read("settings"):
        with contextlib.suppress(msgspec.DecodeError):
            yield read_recorded(record.value, WrittenCalibration, "calibration", "settings").calibration
