"""The places of a simulated city and their usual incidents: where, how often, in which category and at which hours."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.area.locations import cell_of, to_sphere

CENTRAL_M = 600.0
"""Radius of the centre, in metres. Half of the places within it have the clock of night-life or of shops."""

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]
Events = NDArray[np.int64]
"""Incidents in order of time, shape (3, n). Rows: second since 1970 UTC, index of the place, index of the category."""


def _weekly(base: float, *blocks: tuple[range, int, int, float]) -> _Floats:
    """Return relative rates by hour of the week, with mean 1, shape (168,).

    The level is ``base``, except in ``blocks``: (days, first hour, hour after the last, level).
    """
    clock = np.full(168, base)
    for days, first, last, level in blocks:
        for day in days:
            clock[(day * 24 + np.arange(first, last)) % 168] = level
    return np.asarray(clock / clock.mean(), dtype=np.float64)


_WEEKDAYS, _EVERY_DAY, _WEEKEND = range(5), range(7), range(4, 6)
_CLOCKS = np.stack(
    (
        _weekly(1.0, (_EVERY_DAY, 2, 8, 0.4), (_EVERY_DAY, 17, 24, 2.0)),  # homes
        _weekly(0.4, (_EVERY_DAY, 18, 26, 1.5), (_WEEKEND, 20, 28, 8.0)),  # night-life, Friday and Saturday nights
        _weekly(0.2, (range(6), 9, 18, 3.0), (range(6, 7), 11, 16, 2.0)),  # shops
        _weekly(0.5, (_WEEKDAYS, 7, 10, 3.0), (_WEEKDAYS, 16, 20, 3.5)),  # stations
        _weekly(1.0),  # steady
    )
)
"""Relative rates by hour of the week of each kind of place, shape (5, 168)."""


class Places:
    """Places around a middle, given as longitude and latitude in degrees.

    ``weight``: how busy each place is, (n,).
    ``mix``: the place's shares of the categories, (n, 4).
    ``clock``: the place's row of ``_CLOCKS``, (n,).

    Most places lie in nine neighbourhoods, around their middles with a standard deviation of ``scatter_m``.
    """

    def __init__(
        self, rng: np.random.Generator, number: int, middle: tuple[float, float], radius_m: float, scatter_m: float
    ) -> None:
        longitude, latitude = middle
        x_m, y_m, level = _layout(rng, number, radius_m, scatter_m)
        metres_per_degree = np.radians(1) * np.linalg.norm(to_sphere(np.array([longitude]), np.array([latitude])))
        self.longitude = np.round(longitude + x_m / (metres_per_degree * np.cos(np.radians(latitude))), 6)
        self.latitude = np.round(latitude + y_m / metres_per_degree, 6)
        self.points = to_sphere(self.longitude, self.latitude)
        self.tree = cKDTree(self.points)
        self.clock = np.where(
            np.hypot(x_m, y_m) < CENTRAL_M,
            rng.choice(len(_CLOCKS), number, p=(0.1, 0.4, 0.25, 0.1, 0.15)),
            rng.choice(len(_CLOCKS), number, p=(0.55, 0.05, 0.1, 0.05, 0.25)),
        )
        self.weight = level * rng.gamma(0.25, 1.0, number) + 1e-9
        self.mix = rng.dirichlet((1.5, 2.0, 0.5, 2.0), number)

    def cells(self, resolution: int) -> tuple[str, ...]:
        """Return the H3 cells that hold a place, in hexadecimal, in rising order."""
        degrees = zip(self.longitude.tolist(), self.latitude.tolist(), strict=True)
        return tuple(sorted({cell_of(longitude, latitude, resolution) for longitude, latitude in degrees}))

    def within(self, radius_m: float) -> tuple[_Integers, _Integers]:
        """Return (near, first): ``near[first[p]:first[p + 1]]`` are the places within ``radius_m`` of place ``p``."""
        rows = self.tree.query_ball_point(self.points, radius_m, return_sorted=True)
        near = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
        return near, np.concatenate(([0], np.cumsum([len(row) for row in rows])))

    def at_distance(self, place: _Integers, distance_m: _Floats, rng: np.random.Generator) -> _Integers:
        """Go from each given place a distance in a random direction, and return the place nearest to that point."""
        here = self.points[place]
        up = here / np.linalg.norm(here, axis=1, keepdims=True)
        east = np.cross([0.0, 0.0, 1.0], up)
        east /= np.linalg.norm(east, axis=1, keepdims=True)
        angle = rng.uniform(0, 2 * np.pi, len(place))[:, None]
        there = here + distance_m[:, None] * (np.cos(angle) * east + np.sin(angle) * np.cross(up, east))
        return np.asarray(self.tree.query(there)[1], dtype=np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Usual:
    """The usual, independent incidents of places.

    ``rate``: mean number of incidents a day at each place, (n,).
    ``annual_swing``: relative height of the summer peak.
    """

    places: Places
    rate: _Floats
    annual_swing: float

    def within(
        self, centre: int, radius_m: float, category: int, start_s: int, over_s: int
    ) -> tuple[_Integers, _Floats]:
        """Return the places around one, and the expected incidents of a category there, (places, hours)."""
        places = self.places
        zone = np.array(places.tree.query_ball_point(places.points[centre], radius_m, return_sorted=True))
        hours = np.arange(start_s // 3600, -(-over_s // 3600))
        share = (np.minimum((hours + 1) * 3600, over_s) - np.maximum(hours * 3600, start_s)) / 3600
        of_clock = _CLOCKS[:, _hour_of_week(hours)] * self._level(hours) * share
        of_place = self.rate[zone] * places.mix[zone, category] / 24
        return zone, of_place[:, None] * of_clock[places.clock[zone]]

    def draw(self, rng: np.random.Generator, start_s: int, end_s: int) -> Events:
        """Draw independent incidents: a Poisson number for each clock and hour, each at a place with that clock."""
        clock_of, mix = self.places.clock, self.places.mix
        hours = np.arange(start_s // 3600, -(-end_s // 3600))
        # Sorted by clock, so that each clock's places are one slice of the cumulative rates.
        by_clock = np.argsort(clock_of, kind="stable")
        cumulative = np.concatenate(([0.0], np.cumsum(self.rate[by_clock])))
        edges = cumulative[np.searchsorted(clock_of[by_clock], np.arange(len(_CLOCKS) + 1))]
        expected = np.diff(edges)[:, None] / 24 * _CLOCKS[:, _hour_of_week(hours)] * self._level(hours)
        clock, hour = np.divmod(np.repeat(np.arange(expected.size), rng.poisson(expected).ravel()), len(hours))
        drawn = edges[clock] + rng.random(len(clock)) * (edges[clock + 1] - edges[clock])
        place = by_clock[np.clip(np.searchsorted(cumulative, drawn, side="right") - 1, 0, len(by_clock) - 1)]
        second = hours[hour] * 3600 + rng.integers(0, 3600, len(clock))
        category = (rng.random(len(clock))[:, None] >= mix[place].cumsum(axis=1)[:, :-1]).sum(axis=1)
        return in_order(np.stack((second, place, category)))

    def _level(self, hours: _Integers) -> _Floats:
        """Return the relative level of incidents in each hour since 1970. It peaks in mid-July."""
        years = hours / (24 * 365.25)
        return np.asarray(1 + self.annual_swing * np.cos(2 * np.pi * (years - 0.53)), dtype=np.float64)


def in_order(events: Events) -> Events:
    """Return events in order of time."""
    return events[:, np.argsort(events[0], kind="stable")]


def _hour_of_week(hours: _Integers) -> _Integers:
    """Return hours since 1970 UTC as hours of the week, 0 (Monday 00:00) to 167; 1 January 1970 was a Thursday."""
    return (hours + 72) % 168


def _layout(
    rng: np.random.Generator, number: int, radius_m: float, scatter_m: float
) -> tuple[_Floats, _Floats, _Floats]:
    """Return the position of each place, in metres east and north of the middle, and the level of its neighbourhood.

    Neighbourhood 0 is the centre, 1 to 8 are districts, and 9 is spread thinly over the whole disc.
    """
    angle, distance = rng.uniform(0, 2 * np.pi, 8), radius_m * np.sqrt(rng.uniform(0.1, 0.7, 8))
    middle_x = np.concatenate(([0.0], distance * np.cos(angle), [0.0]))
    middle_y = np.concatenate(([0.0], distance * np.sin(angle), [0.0]))
    level = np.concatenate(([2.5], rng.lognormal(0, 0.5, 8), [0.5]))
    neighbourhood = rng.choice(10, number, p=(0.15, *(8 * [0.07]), 0.29))
    scattered_m = scatter_m * rng.normal(0, 1, (2, number))
    angle, distance = rng.uniform(0, 2 * np.pi, number), radius_m * np.sqrt(rng.uniform(0, 1, number))
    spread = neighbourhood == 9
    x_m = middle_x[neighbourhood] + np.where(spread, distance * np.cos(angle), scattered_m[0])
    y_m = middle_y[neighbourhood] + np.where(spread, distance * np.sin(angle), scattered_m[1])
    return x_m, y_m, level[neighbourhood]
