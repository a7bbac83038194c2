"""Configurations and calibrations on record in an area's log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from streams.area_log.records import AreaLog, LogError
from streams.calibration.calibration_file import CalibrationFile
from streams.messages.settings import WrittenCalibration


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
