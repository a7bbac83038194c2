"""What a command on a file of incidents is to run: which area, with which settings, places and calibration."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.calibration.result import Calibration
from streams.analyst.incident_file import IncidentFile
from streams.areas.watched_area import locations_of
from streams.calibration.calibration_file import read
from streams.configuration.area import DEFAULT_BUDGET, Area
from streams.configuration.load import Configuration, load
from streams.configuration.reader import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to run: an area with its settings on the watermark clock, its frozen locations, its calibration if any."""

    area: str
    settings: AreaSettings
    locations: Locations
    calibration: Calibration | None = None
    budget: str = DEFAULT_BUDGET
    calibration_file: Path | None = None


def plan(
    table: IncidentFile,
    configuration: Path | None,
    environ: Mapping[str, str],
    area: str | None,
    timezone: str | None,
    seed: int | None,
    calibration: Path | None = None,
    *,
    is_calibrated: bool = False,
) -> Plan:
    """The area to run: from the configuration file, else the occupied cells of the file itself.

    ``calibration``: a calibration file; where none is given, that of the configuration. It is read if the plan
    ``is_calibrated``.

    Raises:
        ConfigurationError: the configuration is wrong, or does not say which of its areas is meant.
        CalibrationError: the calibration cannot be read, or was made for something else.
    """
    loaded = load(configuration, environ)
    name = only_area(loaded, area)
    chosen = loaded.areas[name]
    changes: dict[str, object] = {"clock": "watermark"}
    if timezone is not None:
        changes["timezone"] = timezone
    if seed is not None:
        changes["seed"] = seed
    try:
        settings = msgspec.structs.replace(chosen.settings, **changes)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    places = _locations(chosen, table)
    file = calibration or (Path(chosen.calibration_file) if chosen.calibration_file else None)
    if file is None or not is_calibrated:
        return Plan(name, settings, places, None, chosen.budget)
    return Plan(name, settings, places, read(file, name, settings, places).calibration, chosen.budget, file)


def only_area(configuration: Configuration, area: str | None) -> str:
    """The area that is meant: the one named, else the only one.

    Raises:
        ConfigurationError: it is not configured, or none is named and there are several.
    """
    known = ", ".join(sorted(configuration.areas))
    if area is None and len(configuration.areas) > 1:
        raise ConfigurationError(f"area: say which, one of {known}")
    name = area or next(iter(configuration.areas))
    if name not in configuration.areas:
        raise ConfigurationError(f"area {name!r}: not configured; there is {known}")
    return name


def _locations(area: Area, table: IncidentFile) -> Locations:
    if area.cells_file or area.boundary_file or area.places_file:
        return locations_of(area)
    cells = table.cells(area.resolution)
    if not cells:
        raise ConfigurationError("locations: missing; no row has coordinates, so give an area with places or cells")
    return Locations.from_cells(cells)


def write_configuration(path: Path, plan: Plan) -> None:
    """Write the area as a configuration file, and its locations beside it, for a worker to run.

    Raises:
        OSError: a file cannot be written.
    """
    defaults = msgspec.to_builtins(AreaSettings())
    chosen = {name: value for name, value in msgspec.to_builtins(plan.settings).items() if value != defaults[name]}
    beside = path.with_suffix(".cells.txt" if plan.locations.resolution is not None else ".places.csv")
    if plan.locations.resolution is not None:
        beside.write_text("".join(f"{cell}\n" for cell in plan.locations.ids), encoding="utf-8")
        chosen["cells_file"] = beside.name
    else:
        degrees = (plan.locations.longitude.tolist(), plan.locations.latitude.tolist())
        places = zip(plan.locations.ids, *degrees, strict=True)
        with beside.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("id", "longitude", "latitude"), *places])
        chosen |= {"places_file": beside.name, "max_place_distance_m": plan.locations.max_distance_m}
    chosen["timezone"] = plan.settings.timezone
    if plan.budget != DEFAULT_BUDGET:
        chosen["budget"] = plan.budget
    if plan.calibration_file is not None:
        chosen["calibration_file"] = str(plan.calibration_file.absolute())
    note = '# The clock "watermark" is for recorded incidents; a live feed wants "wall".\n'
    path.write_bytes(note.encode() + msgspec.toml.encode({"areas": {plan.area: chosen}}))
