"""A seeded city whose true clusters are known.

Thousands of places with uneven gamma rates (about half of the incidents fall on a twentieth of the
places), each with its own mix of categories and one of several hour-of-week clocks; incidents that
trigger another nearby within days; a delay between an incident and its report; and injected clusters,
where for some hours one category is a few times as frequent as usual around a point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.alerts.tracking import Alert
from detectors.area.incident import Category, Incident
from detectors.area.locations import cell_of, to_sphere

CATEGORIES = (Category.VIOLENCE, Category.PROPERTY, Category.DRUGS, Category.DISORDER)
REPEAT_RADIUS_M = 200.0
REPEAT_WITHIN_S = 3 * 86_400
REPEAT_FARTHEST_M, REPEAT_LATEST_S = 500.0, 14 * 86_400
"""No repeat of the families without an end of their own is farther or later."""
RepeatKernel = Literal["disc", "exponential", "power_law"]
LONGEST_DELAY_S = 86_400
SPACING_M = 1_000.0
SPACING_S = 3 * 86_400
_ATTEMPTS = 100

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]
_Events = NDArray[np.int64]
"""Incidents in order of time, shape (3, n): second since 1970 UTC, index of the place, index of the category."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Injection:
    """How clusters are injected: ranges are (lowest, highest), drawn evenly in between."""

    per_day: float = 0.5
    """At most so many: a cluster that finds no busy place for it is left out."""
    relative_risk: tuple[float, float] = (6.0, 10.0)
    radius_m: tuple[float, float] = (100.0, 300.0)
    hours: tuple[float, float] = (6.0, 72.0)
    expected: float = 6.0
    """A cluster is put only where it adds at least this many incidents on average."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InjectedCluster:
    """The truth about one injected cluster; times in seconds since 1970 UTC, half-open.

    ``members`` are the injected incidents, in byte order of their ids; ``third_s`` is when the third
    of them happened, from which every delay is counted: before it nothing could be known.
    """

    id: str
    category: Category
    longitude: float
    latitude: float
    radius_m: float
    relative_risk: float
    start_s: int
    end_s: int
    third_s: int
    members: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Simulated:
    """Incidents in order of arrival (``reported_at``, then id), and the clusters hidden in them."""

    incidents: tuple[Incident, ...]
    clusters: tuple[InjectedCluster, ...]


class City:
    """Places and their habits, drawn from ``seed``; everything else follows from seed and arguments.

    Most places lie in nine neighbourhoods, ``scatter_m`` (standard deviation) from their middles east and north.
    ``near_repeats`` is the share of incidents that trigger another one; by the ``repeat_kernel`` a disc within 200 m
    and 3 days, exponential in distance (mean 100 m) and time (1 day), or half-normal in distance (150 m) and a power
    law in time (2 h, exponent 1.5);
    ``annual_swing`` the relative height of the summer peak; ``delay_minutes`` the median time from an
    incident to its report (log-normal, at most a day). The clocks run in UTC.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        seed: int,
        *,
        longitude: float = -1.55,
        latitude: float = 53.8,
        radius_m: float = 4_500.0,
        places: int = 3_000,
        incidents_per_day: float = 45.0,
        annual_swing: float = 0.0,
        scatter_m: float = 300.0,
        near_repeats: float = 0.05,
        repeat_kernel: RepeatKernel = "disc",
        delay_minutes: float = 6.0,
        injection: Injection | None = None,
    ) -> None:
        if places < 1 or incidents_per_day <= 0:
            raise ValueError(f"places = {places}, incidents_per_day = {incidents_per_day}: must be above 0")
        if not (0 <= near_repeats < 1 and 0 <= annual_swing < 1):
            raise ValueError(f"near_repeats = {near_repeats}, annual_swing = {annual_swing}: must be from 0 to below 1")
        self.seed = seed
        self.injection = injection or Injection()
        self._annual_swing = annual_swing
        self._near_repeats, self._repeat_kernel = near_repeats, repeat_kernel
        self._delay_s = 60 * delay_minutes

        rng = self._generator(0)
        x_m, y_m, level = _layout(rng, places, radius_m, scatter_m)
        metres_per_degree = np.radians(1) * np.linalg.norm(to_sphere(np.array([longitude]), np.array([latitude])))
        self._longitude = np.round(longitude + x_m / (metres_per_degree * np.cos(np.radians(latitude))), 6)
        self._latitude = np.round(latitude + y_m / metres_per_degree, 6)
        self._points = to_sphere(self._longitude, self._latitude)
        self._tree = cKDTree(self._points)

        central = np.hypot(x_m, y_m) < 600
        self._clock = np.where(
            central,
            rng.choice(len(_CLOCKS), places, p=(0.1, 0.4, 0.25, 0.1, 0.15)),
            rng.choice(len(_CLOCKS), places, p=(0.55, 0.05, 0.1, 0.05, 0.25)),
        )
        rate = level * rng.gamma(0.25, 1.0, places) + 1e-9
        self._rate = rate * incidents_per_day * (1 - near_repeats) / rate.sum()
        self._mix = rng.dirichlet((1.5, 2.0, 0.5, 2.0), places)

        # Places within reach of a repeat, in compressed rows: those of place p are near[first[p] : first[p + 1]].
        rows = self._tree.query_ball_point(self._points, REPEAT_RADIUS_M, return_sorted=True)
        self._near = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
        self._near_first = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
        # Clusters form where much happens around.
        self._attraction = np.cumsum(np.add.reduceat(self._rate[self._near], self._near_first[:-1]))

    def cells(self, resolution: int = 10) -> tuple[str, ...]:
        """The city's frozen locations: the H3 cells that hold a place, in hexadecimal, in rising order."""
        places = zip(self._longitude.tolist(), self._latitude.tolist(), strict=True)
        return tuple(sorted({cell_of(longitude, latitude, resolution) for longitude, latitude in places}))

    def simulate(
        self, start: datetime, end: datetime, *, inject: bool = True, inject_from: datetime | None = None
    ) -> Simulated:
        """Everything that is reported in [start, end); clusters begin at ``inject_from`` (default ``start``) or later.

        The incidents that were not injected are the same with and without injection.
        """
        start_s, end_s = int(start.timestamp()), int(end.timestamp())
        usual = self._with_repeats(self._usual(start_s, end_s), end_s)
        usual = usual[:, (start_s <= usual[0]) & (usual[0] < end_s)]
        ids = [f"s{self.seed}-{number:06d}" for number in range(usual.shape[1])]
        incidents = self._incidents(ids, usual, self._generator(2), end_s)
        clusters: list[InjectedCluster] = []
        if inject:
            first_s = start_s if inject_from is None else int(inject_from.timestamp())
            for cluster, members in self._clusters(first_s, end_s):
                clusters.append(cluster)
                incidents.extend(members)
        incidents.sort(key=lambda incident: (incident.reported_at, incident.id))
        return Simulated(tuple(incidents), tuple(clusters))

    def expected(self, cluster: InjectedCluster, until_s: int) -> float:
        """Incidents to be expected where and since when a cluster was injected, up to a moment, if it had not been."""
        here = to_sphere(np.array([cluster.longitude]), np.array([cluster.latitude]))
        centre = int(self._tree.query(here)[1][0])
        category = CATEGORIES.index(cluster.category)
        return float(self._usual_within(centre, cluster.radius_m, category, cluster.start_s, until_s)[1].sum())

    def _usual_within(
        self, centre: int, radius_m: float, category: int, start_s: int, over_s: int
    ) -> tuple[_Integers, _Floats]:
        """The places around one, and the incidents of a category to be expected there: (places, hours)."""
        zone = np.array(self._tree.query_ball_point(self._points[centre], radius_m, return_sorted=True))
        hours = np.arange(start_s // 3600, -(-over_s // 3600))
        share = (np.minimum((hours + 1) * 3600, over_s) - np.maximum(hours * 3600, start_s)) / 3600
        of_clock = _CLOCKS[:, _hour_of_week(hours)] * self._level(hours) * share
        of_place = self._rate[zone] * self._mix[zone, category] / 24
        return zone, of_place[:, None] * of_clock[self._clock[zone]]

    def _generator(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    def _level(self, hours: _Integers) -> _Floats:
        """Relative level of each hour since 1970; the peak is in mid-July."""
        years = hours / (24 * 365.25)
        return np.asarray(1 + self._annual_swing * np.cos(2 * np.pi * (years - 0.53)), dtype=np.float64)

    def _usual(self, start_s: int, end_s: int) -> _Events:
        """Incidents by themselves: Poisson for each clock and hour, then a place of that clock by its rate."""
        rng = self._generator(1)
        hours = np.arange(start_s // 3600, -(-end_s // 3600))
        # Sorted by clock, so that each clock's places are one slice of the cumulative rates.
        by_clock = np.argsort(self._clock, kind="stable")
        cumulative = np.concatenate(([0.0], np.cumsum(self._rate[by_clock])))
        edges = cumulative[np.searchsorted(self._clock[by_clock], np.arange(len(_CLOCKS) + 1))]
        expected = np.diff(edges)[:, None] / 24 * _CLOCKS[:, _hour_of_week(hours)] * self._level(hours)
        clock, hour = np.divmod(np.repeat(np.arange(expected.size), rng.poisson(expected).ravel()), len(hours))
        drawn = edges[clock] + rng.random(len(clock)) * (edges[clock + 1] - edges[clock])
        place = by_clock[np.clip(np.searchsorted(cumulative, drawn, side="right") - 1, 0, len(by_clock) - 1)]
        second = hours[hour] * 3600 + rng.integers(0, 3600, len(clock))
        category = (rng.random(len(clock))[:, None] >= self._mix[place].cumsum(axis=1)[:, :-1]).sum(axis=1)
        return _in_order(np.stack((second, place, category)))

    def _with_repeats(self, events: _Events, end_s: int) -> _Events:
        """The incidents with those they trigger, generation after generation."""
        rng = self._generator(3)
        first, length = self._near_first[:-1], np.diff(self._near_first)
        generations, parents = [events], events
        while parents.shape[1]:
            second, place, category = parents[:, rng.random(parents.shape[1]) < self._near_repeats]
            if self._repeat_kernel == "disc":
                place = self._near[first[place] + (rng.random(len(place)) * length[place]).astype(np.int64)]
                # Most repeats follow soon: a beta(1, 3) share of the three days.
                late_s = rng.beta(1, 3, len(place)) * (REPEAT_WITHIN_S - 1)
            else:
                far_m, late_s = _steps(rng, self._repeat_kernel, len(place))
                place = self._near_to(place, far_m, rng)
            second = second + 1 + late_s.astype(np.int64)
            parents = np.stack((second, place, category))[:, second < end_s]
            generations.append(parents)
        return _in_order(np.concatenate(generations, axis=1))

    def _near_to(self, place: _Integers, far_m: _Floats, rng: np.random.Generator) -> _Integers:
        """The places nearest to points so far from some places, in any direction."""
        here = self._points[place]
        up = here / np.linalg.norm(here, axis=1, keepdims=True)
        east = np.cross([0.0, 0.0, 1.0], up)
        east /= np.linalg.norm(east, axis=1, keepdims=True)
        angle = rng.uniform(0, 2 * np.pi, len(place))[:, None]
        there = here + far_m[:, None] * (np.cos(angle) * east + np.sin(angle) * np.cross(up, east))
        return np.asarray(self._tree.query(there)[1], dtype=np.int64)

    def _incidents(self, ids: list[str], events: _Events, rng: np.random.Generator, end_s: int) -> list[Incident]:
        """The events as incidents with their delays drawn; those reported after the end are left out."""
        second, place, category = events
        delay_s = np.minimum(self._delay_s * rng.lognormal(0, 1, len(ids)), LONGEST_DELAY_S).astype(np.int64)
        columns = (second, second + delay_s, category, self._longitude[place], self._latitude[place])
        return [
            Incident(
                id=id_,
                occurred_at=datetime.fromtimestamp(occurred_s, UTC),
                reported_at=datetime.fromtimestamp(reported_s, UTC),
                category=CATEGORIES[kind].value,
                longitude=longitude,
                latitude=latitude,
            )
            for id_, occurred_s, reported_s, kind, longitude, latitude in zip(
                ids, *(column.tolist() for column in columns), strict=True
            )
            if reported_s < end_s
        ]

    def _clusters(self, first_s: int, end_s: int) -> Iterator[tuple[InjectedCluster, list[Incident]]]:
        """At most one cluster in each slot of 1 / per_day days, where the city is busy enough for it."""
        rng, asked = self._generator(4), self.injection
        slot_s = 86_400 / asked.per_day
        placed: list[tuple[int, int]] = []  # (centre, end)
        for slot in range(int((end_s - first_s) // slot_s)):
            start_s = int(first_s + slot * slot_s + rng.uniform(0, slot_s / 2))
            taken = [self._points[centre] for centre, over_s in placed if start_s < over_s + SPACING_S]
            for _ in range(_ATTEMPTS):
                centre = int(np.searchsorted(self._attraction, rng.uniform(0, self._attraction[-1]), side="right"))
                over_s = start_s + int(3600 * rng.uniform(*asked.hours))
                free = all(np.linalg.norm(self._points[centre] - other) >= SPACING_M for other in taken)
                if not free or over_s > end_s:
                    continue
                cluster = self._cluster(rng, f"s{self.seed}-c{slot:04d}", centre, start_s, over_s, end_s)
                if cluster is not None:
                    placed.append((centre, over_s))
                    yield cluster
                    break

    def _cluster(
        self, rng: np.random.Generator, cluster_id: str, centre: int, start_s: int, over_s: int, end_s: int
    ) -> tuple[InjectedCluster, list[Incident]] | None:
        """A cluster around a place, with its incidents; None if it would be too weak."""
        asked = self.injection
        category = int(rng.integers(len(CATEGORIES)))
        radius_m, risk = rng.uniform(*asked.radius_m), rng.uniform(*asked.relative_risk)
        zone, usual = self._usual_within(centre, radius_m, category, start_s, over_s)
        hours = np.arange(start_s // 3600, -(-over_s // 3600))
        begin_s, finish_s = np.maximum(hours * 3600, start_s), np.minimum((hours + 1) * 3600, over_s)
        added = (risk - 1) * float(usual.sum())
        count = int(rng.poisson(added)) if added >= asked.expected else 0
        if count < 3:
            return None
        place, hour = np.divmod(rng.choice(usual.size, count, p=(usual / usual.sum()).ravel()), len(hours))
        second = begin_s[hour] + (rng.random(count) * (finish_s - begin_s)[hour]).astype(np.int64)
        events = _in_order(np.stack((second, zone[place], np.full(count, category))))
        ids = [f"{cluster_id}-{number:03d}" for number in range(count)]
        members = self._incidents(ids, events, rng, end_s)
        if len(members) < 3:
            return None
        happened = sorted(int(member.occurred_at.timestamp()) for member in members if member.occurred_at)
        truth = InjectedCluster(
            id=cluster_id,
            category=CATEGORIES[category],
            longitude=float(self._longitude[centre]),
            latitude=float(self._latitude[centre]),
            radius_m=radius_m,
            relative_risk=risk,
            start_s=start_s,
            end_s=over_s,
            third_s=happened[2],
            members=tuple(sorted(member.id for member in members)),
        )
        return truth, members


def found(cluster: InjectedCluster, revisions: Iterable[Alert]) -> int | None:
    """The tick, in seconds since 1970 UTC, at which an injected cluster was found; None if it was not.

    Found: an alert of its category or of *all*, sharing at least two injected incidents, reached the
    tier ``alert`` between the cluster's third incident and its end. The delay is the tick less
    ``cluster.third_s``: seconds on the area's clock.
    """
    members = set(cluster.members)
    ticks = [
        alert.tick_s
        for alert in revisions
        if alert.stream in (cluster.category.value, "all")
        and alert.tier in ("alert", "urgent")
        and alert.alerted_s is not None
        and cluster.third_s <= alert.alerted_s <= alert.tick_s <= cluster.end_s
        and len(members.intersection(alert.members)) >= 2
    ]
    return min(ticks, default=None)


def _layout(
    rng: np.random.Generator, places: int, radius_m: float, scatter_m: float
) -> tuple[_Floats, _Floats, _Floats]:
    """Places in metres from the middle, with the level of their neighbourhood.

    Neighbourhood 0 is the centre, 1 to 8 are districts, 9 is a thin spread over the whole disc.
    """
    angle, distance = rng.uniform(0, 2 * np.pi, 8), radius_m * np.sqrt(rng.uniform(0.1, 0.7, 8))
    middle_x = np.concatenate(([0.0], distance * np.cos(angle), [0.0]))
    middle_y = np.concatenate(([0.0], distance * np.sin(angle), [0.0]))
    level = np.concatenate(([2.5], rng.lognormal(0, 0.5, 8), [0.5]))
    neighbourhood = rng.choice(10, places, p=(0.15, *(8 * [0.07]), 0.29))
    scattered_m = scatter_m * rng.normal(0, 1, (2, places))
    angle, distance = rng.uniform(0, 2 * np.pi, places), radius_m * np.sqrt(rng.uniform(0, 1, places))
    spread = neighbourhood == 9
    x_m = middle_x[neighbourhood] + np.where(spread, distance * np.cos(angle), scattered_m[0])
    y_m = middle_y[neighbourhood] + np.where(spread, distance * np.sin(angle), scattered_m[1])
    return x_m, y_m, level[neighbourhood]


def _steps(rng: np.random.Generator, kernel: RepeatKernel, number: int) -> tuple[_Floats, _Floats]:
    """How far (m) and how late (s) repeats are, within the farthest and the latest."""
    if kernel == "exponential":
        far_m, late_s = rng.exponential(100.0, number), rng.exponential(86_400.0, number)
    else:
        far_m, late_s = np.abs(rng.normal(0.0, 150.0, number)), 7_200.0 * rng.pareto(0.5, number)
    too_late = late_s >= REPEAT_LATEST_S
    late_s[too_late] = 7_200.0 * rng.random(int(too_late.sum()))
    return np.minimum(far_m, REPEAT_FARTHEST_M), late_s


def _in_order(events: _Events) -> _Events:
    return events[:, np.argsort(events[0], kind="stable")]


def _hour_of_week(hours: _Integers) -> _Integers:
    """Hours since 1970 UTC -> 0 (Monday 00:00) to 167; 1970 began on a Thursday."""
    return (hours + 72) % 168


def _weekly(base: float, *blocks: tuple[range, int, int, float]) -> _Floats:
    """Relative rate by hour of week, mean 1: ``base``, and for (days, first, last, level) that level instead."""
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
"""The kinds of clock, shape (5, 168)."""
