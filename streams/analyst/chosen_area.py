"""The area of a command on a file of incidents, and the configuration with which a worker would run it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from streams.analyst.incident_file import IncidentFile
from streams.areas.area import Area
from streams.areas.location_files import locations_of
from streams.configuration.area import DEFAULT_BUDGET, AreaTable
from streams.configuration.reader import ConfigurationError

CLOCK_NOTE = '# The clock "watermark" is for recorded incidents; a live feed wants "wall".\n'


def chosen_table(
    tables: Mapping[str, AreaTable],
    name: str | None,
    *,
    timezone: str | None = None,
    seed: int | None = None,
    calibration: Path | None = None,
) -> tuple[str, AreaTable]:
    """Return the name and table of the area from :func:`only_area`, with the watermark clock and the given options.

    Raises:
        ConfigurationError: The area is not configured, or an option cannot be used.
    """
    name = only_area(tables, name)
    options = {"timezone": timezone, "seed": seed, "calibration_file": str(calibration) if calibration else None}
    changes = {key: value for key, value in options.items() if value is not None}
    try:
        return name, msgspec.structs.replace(tables[name], clock="watermark", **changes)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def chosen_area(name: str, table: AreaTable, incidents: IncidentFile, *, is_calibrated: bool = False) -> Area:
    """Return the area of a table. If the table names no locations, they are the occupied cells of the file.

    Raises:
        ConfigurationError: There are no locations, or their file cannot be used.
        CalibrationError: The calibration cannot be read, or does not fit the area.
    """
    if table.cells_file or table.boundary_file or table.places_file:
        locations = locations_of(table)
    elif cells := incidents.cells(table.resolution):
        locations = Locations.from_cells(cells)
    else:
        raise ConfigurationError("locations: missing; no row has coordinates, so give an area with places or cells")
    return Area.from_table(name, table, locations, is_calibrated=is_calibrated)


def only_area(tables: Mapping[str, AreaTable], name: str | None) -> str:
    """Return the name of the area: the given one, or else the only configured one.

    Raises:
        ConfigurationError: The area is not configured, or no name is given and there are several areas.
    """
    known = ", ".join(sorted(tables))
    if name is None and len(tables) > 1:
        raise ConfigurationError(f"area: missing; must be one of {known}")
    name = name or next(iter(tables))
    if name not in tables:
        raise ConfigurationError(f"area {name!r}: not configured; must be one of {known}")
    return name


def write_configuration(path: Path, area: Area, table: AreaTable) -> None:
    """Write an area as a configuration file, and its locations beside it, for a worker to run.

    Raises:
        OSError: A file cannot be written.
    """
    defaults = msgspec.to_builtins(AreaSettings())
    keys = {key: value for key, value in msgspec.to_builtins(area.settings).items() if value != defaults[key]}
    locations = area.locations
    beside = path.with_suffix(".cells.txt" if locations.resolution is not None else ".places.csv")
    if locations.resolution is not None:
        beside.write_text("".join(f"{cell}\n" for cell in locations.ids), encoding="utf-8")
        keys["cells_file"] = beside.name
    else:
        places = zip(locations.ids, locations.longitude.tolist(), locations.latitude.tolist(), strict=True)
        with beside.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("id", "longitude", "latitude"), *places])
        keys |= {"places_file": beside.name, "max_place_distance_m": locations.max_distance_m}
    keys["timezone"] = area.settings.timezone
    if table.budget != DEFAULT_BUDGET:
        keys["budget"] = table.budget
    if table.calibration_file:
        keys["calibration_file"] = str(Path(table.calibration_file).absolute())
    path.write_bytes(CLOCK_NOTE.encode() + msgspec.toml.encode({"areas": {area.name: keys}}))
