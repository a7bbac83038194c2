"""The file of a calibration, and the check whether it fits an area."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours
from detectors.area.settings import EACH_RECORD, STREAMS, AreaSettings, SameEventSettings
from detectors.calibration.in_all import InAll
from detectors.calibration.result import ENOUGH_ALERTS, PARTS, Calibration, enough_weeks, tier_alerts
from streams.calibration.history import History
from streams.calibration.recorded import read_recorded

MATTERS = (
    "timezone",
    "tick_s",
    "window_days",
    "statistic",
    "durations_h",
    "strata",
    "max_radius_m",
    "same_event",
    "interval_times",
    "min_cases",
    "max_clusters",
    "ease_below",
    "end_after_h",
    "cool_down_h",
    "cool_down_m",
    "categories",
)
"""The settings that decide how often chance opens an alert."""


class CalibratedArea(Protocol):
    """The part of an area that a calibration depends on."""

    @property
    def name(self) -> str:
        """The area's name."""

    @property
    def settings(self) -> AreaSettings:
        """The settings of its Monitor."""

    @property
    def locations(self) -> Locations:
        """Its frozen locations."""

    @property
    def neighbours(self) -> Neighbours:
        """The neighbours of each location within ``max_radius_m``."""


class CalibrationError(ValueError):
    """A calibration cannot be made or used. Its text has one line for each fault."""


class CalibrationFile(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration and everything that it depends on.

    ``id``: SHA-256 of ``calibration``, in hex.
    ``settings``: settings of the area.
    ``places``: hash of the frozen locations.
    ``weeks``, ``seed``, ``with_near_repeats``: describe the null histories.
    ``seconds``: computing time.
    ``in_all``: how many alerts a week the history would have opened in its last weeks; None if it is too short.
    """

    id: str
    area: str
    calibration: Calibration
    settings: AreaSettings
    places: str
    history: History
    weeks: int
    seed: int
    with_near_repeats: bool
    made_at: datetime
    seconds: float
    in_all: InAll | None = None

    @property
    def _solved_weeks(self) -> int:
        """Number of weeks that gave the scores: all behind the curve, except the third that measured the rate."""
        return round(1 / self.calibration.curve[-1][1]) - self.weeks // PARTS

    def remarks(self) -> list[str]:
        """Return what the promise lacks, and which tiers rest on few alerts by chance, one line each."""
        made, budget = self.calibration, self.calibration.budget
        lacks = []
        if made.is_scarce:
            lacks.append(f"chance cannot open {budget:g} alerts a week here, so every cluster reaches the tier alert")
        elif not made.keeps_budget:
            lacks.append(
                f"the promise of {budget:g} a week is missed: other weeks by chance had {made.rate:.2f} "
                f"(95 %: {made.rate_low:.2f} to {made.rate_high:.2f}); more --weeks bring it closer"
            )
        return lacks + [
            f"{tier} rests on {_alerts(number)} in the {self._solved_weeks:,} weeks of null histories that gave the "
            f"scores; --weeks {enough_weeks(budget)} gives it {ENOUGH_ALERTS:.0f} or more"
            for tier, number in tier_alerts(budget, self._solved_weeks).items()
            if number < ENOUGH_ALERTS
        ]


def _alerts(number: float) -> str:
    return "the strongest alert" if number < 1.5 else f"{number:.0f} alerts"


def read(path: Path, area: CalibratedArea) -> CalibrationFile:
    """Return the calibration of a file, for an area.

    Raises:
        CalibrationError: The file cannot be read, or belongs to another area, other settings or other locations.
    """
    try:
        file = read_recorded(path.read_bytes(), CalibrationFile, "settings")
    except (OSError, msgspec.DecodeError) as error:
        raise CalibrationError(f"{path}: cannot be read as a calibration ({error})") from None
    faults = misfits(file, area)
    if faults:
        raise CalibrationError(f"{path}: does not fit the area, calibrate again: {'; '.join(faults)}")
    return file


def misfits(file: CalibrationFile, area: CalibratedArea) -> list[str]:
    """Return why a calibration does not fit an area, one text for each key; empty if it fits."""
    faults = [
        f"{name} = {_as_written(getattr(file.settings, name))} then, {_as_written(getattr(area.settings, name))} now"
        for name in MATTERS
        if _effect(file.settings, name) != _effect(area.settings, name)
    ]
    if file.area != area.name:
        faults.insert(0, f"area {file.area!r} then, {area.name!r} now")
    if file.places != places_hash(area.locations):
        faults.append("other locations")
    if file.id != file.calibration.digest:
        faults.append("its id must be the hash of its content")
    if len(file.calibration.margins) != len(STREAMS) and not file.settings.is_bayesian:
        faults.append(f"{len(file.calibration.margins)} streams then, {len(STREAMS)} now")
    return faults


def _effect(settings: AreaSettings, name: str) -> object:
    """Return what a setting means. If every record is an event of its own, no distance matters."""
    value = getattr(settings, name)
    return EACH_RECORD if isinstance(value, SameEventSettings) and not value.within_s else value


def _as_written(value: object) -> str:
    return msgspec.json.encode(value).decode()


def write(path: Path, file: CalibrationFile) -> None:
    """Write the file as JSON; raises OSError if it cannot be written."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")


def places_hash(locations: Locations) -> str:
    """Return the SHA-256 in hex over the frozen locations."""
    return hashlib.sha256(msgspec.json.encode(locations.written(), order="deterministic")).hexdigest()
