"""A simulated city to measure in: how it differs from the plain one of its seed, and how it is scanned."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.past import Past
from detectors.calibration.scanning import Scanning
from detectors.simulation import CATEGORIES, City, Injection, RepeatKernel
from streams.calibration.make import past_of

SPARSE = (104, 105)
"""Cities with under one incident a cell in half a year."""
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HISTORY_WEEKS = 26
WEEK_H = 168
MOST_OF_DAY = 2.0
"""Upper bound for the level of a day where days differ."""
HOLIDAYS = ((1, 1), (2, 14), (3, 17), (5, 1), (7, 4), (10, 31), (11, 1), (12, 24), (12, 25), (12, 31))
"""Month and day of each holiday."""
COPIED_WITHIN_S, COPIED_WITHIN_M = 480, 30.0
"""Upper bounds for the time and distance between an incident and its further records."""
M_PER_DEGREE = 111_195.0
SETTINGS = AreaSettings()
Statistic = Literal["permutation", "bayes"]
SCANNINGS: dict[Statistic, type[Scanning]] = {"permutation": Scanning, "bayes": BayesScanning}


class Case(NamedTuple):
    """A city: how it differs from the plain one of its seed.

    ``swing``: relative height of the summer peak.
    ``day_variance``: variance of the level of a day. ``holidays``: level of the holidays.
    ``places``: arguments that define where its places lie.
    ``delays_h``: median delay of the reports of each category, in hours; none for reports at once.

    Only in the measured weeks, not in the history:
    ``level``: relative level. ``copied``: share of incidents that are recorded twice or three times.
    """

    seed: int
    near_repeats: float = 0.0
    kernel: RepeatKernel = "disc"
    level: float = 1.0
    places: tuple[tuple[str, float], ...] = ()
    statistic: Statistic = "bayes"
    day_variance: float = 0.0
    swing: float = 0.15
    holidays: float = 1.0
    copied: float = 0.0
    delays_h: tuple[float, ...] = ()

    def incidents(self, begin: datetime, end: datetime) -> Sequence[Incident]:
        """Return the incidents of the city without clusters, in order of their reports."""
        drawn: Sequence[Incident] = self._of_days(begin, end)
        chance = np.random.default_rng([self.seed, int(begin.timestamp()), 1])
        if self.copied:
            drawn = [*drawn, *_copies(drawn, self.copied, chance)]
        if self.delays_h:
            drawn = _delayed(drawn, self.delays_h, chance)
        return sorted(drawn, key=lambda each: (each.reported_at, each.id))

    def _of_days(self, begin: datetime, end: datetime) -> Sequence[Incident]:
        """Return the incidents, more or fewer on each day by its level."""
        if not self.day_variance and self.holidays == 1.0:
            return self.city(self.level).simulate(begin, end, inject=False).incidents
        chance = np.random.default_rng([self.seed, int(begin.timestamp())])
        days = [begin + timedelta(days=day) for day in range((end - begin).days)]
        level = np.ones(len(days))
        if self.day_variance:
            level = chance.gamma(1 / self.day_variance, self.day_variance, len(days))
        level[[(day.month, day.day) in HOLIDAYS for day in days]] *= self.holidays
        every = self.city(self.level * MOST_OF_DAY).simulate(begin, end, inject=False).incidents
        drawn = chance.random(len(every))
        return [
            each
            for each, number in zip(every, drawn, strict=True)
            if each.occurred is not None
            and begin <= each.occurred < end
            and number < level[(each.occurred - begin).days] / MOST_OF_DAY
        ]

    def city(self, level: float = 1.0, injection: Injection | None = None) -> City:
        """Return the city at a level of incidents, with clusters if ``injection`` is given."""
        sparse = {"places": 40_000, "radius_m": 14_000.0} if self.seed in SPARSE else {}
        return City(
            self.seed,
            incidents_per_day=45.0 * level,
            annual_swing=self.swing,
            near_repeats=self.near_repeats,
            repeat_kernel=self.kernel,
            delay_minutes=0.0,
            injection=injection,
            **(sparse | dict(self.places)),  # type: ignore[arg-type]
        )

    @property
    def before(self) -> Case:
        """The city in the weeks of the history."""
        return self._replace(level=1.0, copied=0.0)


def _copies(incidents: Sequence[Incident], share: float, chance: np.random.Generator) -> list[Incident]:
    """Return further records of a share of the incidents, one or two of each, soon after and close by."""
    copied = np.flatnonzero(chance.random(len(incidents)) < share)
    result = []
    for which in copied.tolist():
        one = incidents[which]
        for number in range(int(chance.integers(1, 3))):
            later = timedelta(seconds=int(chance.integers(COPIED_WITHIN_S)))
            east, north = chance.uniform(-1, 1, 2) * COPIED_WITHIN_M / np.sqrt(2) / M_PER_DEGREE
            assert one.occurred_at and one.longitude is not None and one.latitude is not None
            result.append(
                msgspec.structs.replace(
                    one,
                    id=f"{one.id}-{number}",
                    occurred_at=one.occurred_at + later,
                    reported_at=one.occurred_at + later,
                    longitude=one.longitude + float(east),
                    latitude=one.latitude + float(north),
                )
            )
    return result


def _delayed(incidents: Sequence[Incident], medians_h: Sequence[float], chance: np.random.Generator) -> list[Incident]:
    """Return the incidents with log-normal delays of their reports, by category."""
    factor = chance.lognormal(0.0, 1.0, len(incidents))
    result = []
    for one, each in zip(incidents, factor.tolist(), strict=True):
        assert one.occurred_at
        median_h = medians_h[CATEGORIES.index(one.category)]
        result.append(
            msgspec.structs.replace(one, reported_at=one.occurred_at + timedelta(seconds=int(3600 * median_h * each)))
        )
    return result


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """A city's locations and how they are scanned."""

    locations: Locations
    scanning: Scanning
    name: str = "city"

    @classmethod
    def of(cls, city: City, statistic: Statistic) -> Site:
        """Return the site of a city, at the default resolution."""
        locations = Locations.from_cells(city.cells())
        near = neighbours(locations.points, SETTINGS.max_radius_m)
        settings = msgspec.structs.replace(SETTINGS, statistic=statistic)
        return cls(locations, SCANNINGS[statistic](settings, locations.points, near))

    @property
    def settings(self) -> AreaSettings:
        """The settings of its Monitor."""
        return self.scanning.settings

    def past(self, incidents: Sequence[Incident], begin: datetime, weeks: float) -> Past:
        """Return the events of some weeks."""
        return past_of(incidents, self, begin, begin + timedelta(weeks=weeks))
