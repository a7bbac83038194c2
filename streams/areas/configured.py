"""The areas of a configuration, and every fault in it that keeps a worker from watching them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streams.areas.area import Area
from streams.areas.location_files import locations_of
from streams.calibration.calibration_file import CalibrationError
from streams.configuration.area import AreaTable
from streams.configuration.load import load
from streams.configuration.reader import ConfigurationError
from streams.configuration.tls import redis_tls, tls, webhook_tls


def configured_areas(tables: Mapping[str, AreaTable]) -> dict[str, Area]:
    """Return every configured area, by name.

    Raises:
        ConfigurationError: An area has no locations, or one of its files cannot be used.
    """
    areas = {}
    for name, table in tables.items():
        try:
            areas[name] = Area.from_table(name, table, locations_of(table))
        except ConfigurationError as error:
            raise ConfigurationError(f"areas.{name}.{error}") from None
        except CalibrationError as error:
            raise ConfigurationError(f"areas.{name}.calibration_file: {error}") from None
    return areas


def faults_of(path: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Return the faults of a configuration and of the files that it names, one line for each."""
    try:
        configuration = load(path, environ)
    except ConfigurationError as error:
        return str(error).splitlines()
    lines = []
    try:
        tls(configuration.kafka)
        redis_tls(configuration.redis)
        webhook_tls(configuration.webhook)
    except ConfigurationError as error:
        lines.append(str(error))
    for name, table in configuration.areas.items():
        try:
            locations_of(table)
        except ConfigurationError as error:
            lines.append(f"areas.{name}.{error}")
    return lines
