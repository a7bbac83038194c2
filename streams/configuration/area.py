"""The table of an area: settings of its Monitor, files, budget, nightly calibration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings, PositiveFloat
from streams.configuration.reader import ConfigurationError, matching

DEFAULT_BUDGET = "2 per week"
WEEKS_OF = {"day": 1 / 7, "week": 1.0, "month": 365.25 / 12 / 7}
"""Length of each period of a budget, in weeks."""
_BUDGET = "such as '2 per week', also per day or month"

Budget = Annotated[str, matching(r"\d{1,4}(\.\d{1,4})? per (day|week|month)", _BUDGET)]
"""Number of alerts that chance may open in an area, over all its streams."""

TimeOfDay = Annotated[str, matching(r"(([01]\d|2[0-3]):[0-5]\d)?", "such as '04:00', or empty for never")]
"""A time of day on the area's own clock, HH:MM, or empty."""


class AreaTable(AreaSettings, frozen=True, kw_only=True):
    """The table of one area: the settings of its Monitor (:attr:`settings`), its files, and its calibration."""

    exercise: bool = False
    cells_file: str = ""
    boundary_file: str = ""
    resolution: Annotated[int, msgspec.Meta(ge=0, le=15)] = 10
    places_file: str = ""
    max_place_distance_m: PositiveFloat = 500.0
    budget: Budget = DEFAULT_BUDGET
    calibration_file: str = ""
    recalibrate_at: TimeOfDay = "04:00"
    recalibrate_weeks: Annotated[int, msgspec.Meta(ge=78, le=10_000)] = 624

    def __post_init__(self) -> None:
        faults = []
        try:
            super().__post_init__()
        except ValueError as error:
            faults.append(str(error))
        if self.min_baseline_days > self.window_days:
            faults.append(
                f"min_baseline_days = {self.min_baseline_days}: must not exceed window_days = {self.window_days}, "
                "or no alert could ever open (default 28 and 91)"
            )
        if sum(map(bool, (self.cells_file, self.boundary_file, self.places_file))) > 1:
            faults.append("cells_file, boundary_file, places_file: give only one of them")
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def settings(self) -> AreaSettings:
        """The settings that the Monitor reads."""
        return AreaSettings(**{name: getattr(self, name) for name in AreaSettings.__struct_fields__})

    def digest(self, locations: Locations) -> str:
        """Return the configuration hash: over :attr:`settings` and the locations, but not over file names."""
        return self.settings.digest(locations)


def alerts_per_week(budget: str) -> float:
    """Return the number of alerts a week that a budget means, such as 2 for "2 per week".

    Raises:
        ConfigurationError: The text is not a budget, or the budget is 0.
    """
    try:
        msgspec.convert(budget, Budget)
    except msgspec.ValidationError:
        raise ConfigurationError(f"budget = {budget!r}: must be {_BUDGET}") from None
    number, _, period = budget.split()
    if not float(number):
        raise ConfigurationError(f"budget = {budget!r}: must be above 0")
    return float(number) / WEEKS_OF[period]
