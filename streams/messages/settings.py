"""Settings records: the topic ``settings`` holds configurations and calibrations in full."""

from __future__ import annotations

from typing import Any

import msgspec

from detectors.area.settings import AreaSettings
from streams.calibration.calibration_file import CalibrationFile


class WrittenConfiguration(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings record of a Monitor's configuration. ``id``: its hash. ``exercise``: alerts are exercises."""

    area: str
    id: str
    settings: AreaSettings
    locations: dict[str, Any]
    exercise: bool = False


class WrittenCalibration(msgspec.Struct, frozen=True):
    """The settings record of a calibration; ``id`` is its hash."""

    area: str
    id: str
    calibration: CalibrationFile
