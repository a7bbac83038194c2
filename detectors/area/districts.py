"""The districts of an area: its quarters, and their quarters, each with an equal number of locations."""

from __future__ import annotations

import dataclasses
import enum

import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import Locations


class Quarter(enum.StrEnum):
    """A quarter of an area or of a quarter: its northern or southern half, and of that the western or eastern half."""

    NORTH_WEST = "north-west"
    NORTH_EAST = "north-east"
    SOUTH_WEST = "south-west"
    SOUTH_EAST = "south-east"


QUARTERS = tuple(Quarter)
District = tuple[Quarter, ...]
"""A quarter, a quarter and the quarter of it, or () for the whole area."""

DISTRICTS: tuple[District, ...] = (
    (),
    *((large,) for large in QUARTERS),
    *((large, small) for large in QUARTERS for small in QUARTERS),
)
"""All districts by index: the whole area, 4 quarters, 16 quarters of quarters."""
SMALLEST = len(QUARTERS) ** 2
"""Number of the smallest districts, the last ones of all."""


@dataclasses.dataclass(frozen=True, eq=False)
class Districts:
    """The smallest district of each location, 0 to 15, int32, (L,). District ``d`` lies in the quarter ``d // 4``."""

    smallest: NDArray[np.int32]

    @classmethod
    def of(cls, locations: Locations) -> Districts:
        """Return the districts of an area. They depend on the frozen locations alone."""
        # Degrees from the first location, so that the 180th meridian divides nothing.
        east = (locations.longitude - locations.longitude[0] + 180) % 360
        smallest = np.zeros(len(locations), np.int32)
        _divide(np.arange(len(locations)), east, -locations.latitude, smallest, 4)
        return cls(smallest)


def _divide(
    places: NDArray[np.int64],
    east: NDArray[np.float64],
    south: NDArray[np.float64],
    smallest: NDArray[np.int32],
    weight: int,
) -> None:
    """Add to the numbers of these places which quarter they lie in, ``weight`` times, and divide each quarter again."""
    quarter = 0
    for half in np.array_split(places[np.argsort(south[places], kind="stable")], 2):
        for part in np.array_split(half[np.argsort(east[half], kind="stable")], 2):
            smallest[part] += weight * quarter
            if weight > 1:
                _divide(part, east, south, smallest, weight // 4)
            quarter += 1
