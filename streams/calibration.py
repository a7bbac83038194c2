"""The command ``calibrate``: from a file of incidents to a calibration file, and back from that file to a Monitor."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from detectors.calibration.calibrate import Nulls, calibrate
from detectors.calibration.city import CityModel
from detectors.calibration.past import CATEGORIES, Past
from detectors.calibration.result import Calibration
from detectors.calibration.scanning import Scanning
from detectors.incident import Category, Incident, Status
from detectors.locations import Locations
from detectors.neighbours import neighbours
from detectors.settings import STREAMS, AreaSettings
from detectors.strata import BUCKET_S, SCHEMES
from streams.backtest import Plan
from streams.tables import Entry

MATTERS = (
    "timezone",
    "window_days",
    "durations_h",
    "strata",
    "max_radius_m",
    "min_cases",
    "max_clusters",
    "ease_below",
    "end_after_h",
    "cool_down_h",
    "cool_down_m",
    "categories",
)
"""The settings that decide how often chance opens an alert."""
MOST_DURATIONS = 8
STRATA_OF_NONE = "operational"
"""Null histories have clocks even where the scan has no strata."""


class CalibrationError(ValueError):
    """A calibration cannot be made or used; its text is one line for each fault."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What a calibration was learnt from."""

    begins_at: datetime
    ends_at: datetime
    incidents: int


class CalibrationFile(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration and all that it depends on.

    ``id``: SHA-256 over ``calibration``; ``settings``: the area's; ``places``: hash of the frozen locations;
    ``weeks`` of null histories from ``seed``; ``seconds`` that it took.
    """

    id: str
    area: str
    calibration: Calibration
    settings: AreaSettings
    places: str
    history: History
    weeks: int
    seed: int
    made_at: datetime
    seconds: float


def past_of(entries: tuple[Entry, ...], plan: Plan, begin: datetime | None, end: datetime | None) -> Past:
    """The incidents that occurred in [``begin``, ``end``), whole hours, as the last version of each says.

    Raises:
        CalibrationError: there is none.
    """
    last: dict[str, Incident] = {}
    for entry in entries:
        incident = entry.incident
        if incident is not None and (incident.id not in last or _is_later(incident, last[incident.id])):
            last[incident.id] = incident
    known = plan.settings.category_map
    found: list[tuple[int, int, int]] = []
    for incident in last.values():
        category = known.get(incident.category, Category.OTHER)
        if incident.status is Status.CANCELLED or category is Category.OTHER or incident.occurred is None:
            continue
        location = plan.locations.locate(incident)
        if location is not None:
            found.append((int(incident.occurred.timestamp()), location, STREAMS.index(category)))
    if not found:
        raise CalibrationError("history: no incident of the four categories lies within the area")
    second, location_, category_ = (np.array(each) for each in zip(*found, strict=True))
    first = int(second.min()) if begin is None else int(begin.timestamp())
    last_s = int(second.max()) + 1 if end is None else int(end.timestamp())
    first_bucket, end_bucket = -(-first // BUCKET_S), last_s // BUCKET_S
    return Past.of(
        first_bucket,
        max(0, end_bucket - first_bucket),
        second - first_bucket * BUCKET_S,
        location_.astype(np.int32),
        category_.astype(np.int8),
    )


def _is_later(incident: Incident, known: Incident) -> bool:
    return incident.revision is None or known.revision is None or incident.revision >= known.revision


def make(
    past: Past,
    plan: Plan,
    budget: float,
    weeks: int,
    seed: int,
    with_repeats: bool,
    threads: int,
    step: Callable[[], object],
) -> CalibrationFile:
    """Calibrate an area on its past; ``budget`` in alerts a week.

    Raises:
        CalibrationError: the settings or the past do not allow it.
    """
    settings = plan.settings
    if len(settings.durations_h) > MOST_DURATIONS:
        raise CalibrationError(
            f"durations_h: {len(settings.durations_h)} of them; a calibration knows at most {MOST_DURATIONS}"
        )
    started = time.monotonic()
    points = plan.locations.points
    near = neighbours(points, settings.max_radius_m)
    zone = ZoneInfo(settings.timezone)
    blocks = SCHEMES[settings.strata if settings.strata != "none" else STRATA_OF_NONE]
    try:
        city = CityModel(past, points, blocks, zone)
        scanning = Scanning(settings, points, near)
        nulls = Nulls(past, city, points, seed, with_repeats)
        calibration = calibrate(past, scanning, nulls, budget, weeks, threads, step)
    except ValueError as error:
        raise CalibrationError(str(error)) from None
    return CalibrationFile(
        id=calibration.digest,
        area=plan.area,
        calibration=calibration,
        settings=settings,
        places=_places(plan.locations),
        history=History(
            begins_at=_time(past.first_bucket),
            ends_at=_time(past.first_bucket + past.buckets),
            incidents=len(past),
        ),
        weeks=weeks,
        seed=seed,
        made_at=datetime.now(UTC).replace(microsecond=0),
        seconds=round(time.monotonic() - started, 1),
    )


def read(path: Path, area: str, settings: AreaSettings, locations: Locations) -> CalibrationFile:
    """The calibration of a file, for an area.

    Raises:
        CalibrationError: the file cannot be read, or was made for another area, other settings or other places.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=CalibrationFile)
    except (OSError, msgspec.DecodeError) as error:
        raise CalibrationError(f"{path}: cannot be read as a calibration ({error})") from None
    faults = [
        f"{name} = {getattr(file.settings, name)!r} then, {getattr(settings, name)!r} now"
        for name in MATTERS
        if getattr(file.settings, name) != getattr(settings, name)
    ]
    if file.area != area:
        faults.insert(0, f"area {file.area!r} then, {area!r} now")
    if file.places != _places(locations):
        faults.append("the places are others")
    if file.id != file.calibration.digest:
        faults.append("its id does not fit its content")
    if len(file.calibration.margins) != CATEGORIES + 1:
        faults.append(f"{len(file.calibration.margins)} streams then, {CATEGORIES + 1} now")
    if faults:
        raise CalibrationError(f"{path}: made for something else, calibrate anew: {'; '.join(faults)}")
    return file


def write(path: Path, file: CalibrationFile) -> None:
    """Write the file, JSON; raises OSError if it cannot be written."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")


def _places(locations: Locations) -> str:
    return AreaSettings().digest(locations)


def _time(bucket: int) -> datetime:
    return datetime.fromtimestamp(bucket * BUCKET_S, UTC)
