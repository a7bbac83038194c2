"""A seeded city whose true clusters are known.

It has thousands of places. Their rates are gamma distributed and uneven: a twentieth of the places have about half of
the incidents. Each place has a mix of categories and one of several clocks by hour of the week. Some incidents trigger
another one nearby within days, and reports come with a delay. In an injected cluster, one category is a few times as
frequent as usual around a point for some hours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.alerts.alert import Alert
from detectors.area.incident import Category, Incident
from detectors.area.locations import to_sphere
from detectors.area.settings import Stream
from detectors.scan.significance import Tier
from detectors.simulated_places import Events, Places, Usual, in_order

CATEGORIES = (Category.VIOLENCE, Category.PROPERTY, Category.DRUGS, Category.DISORDER)
REPEAT_RADIUS_M = 200.0
REPEAT_WITHIN_S = 3 * 86_400
REPEAT_FARTHEST_M, REPEAT_LATEST_S = 500.0, 14 * 86_400
"""Upper bounds for the distance and lag of repeats under the kernels that have no bounds of their own."""
RepeatKernel = Literal["disc", "exponential", "power_law"]
LONGEST_DELAY_S = 86_400
SPACING_M = 1_000.0
SPACING_S = 3 * 86_400
"""Smallest distance between two clusters, in metres or in seconds: one of the two is enough."""
_ATTEMPTS = 100

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Injection:
    """How clusters are injected. A range is (lowest, highest); values are drawn from it uniformly."""

    per_day: float = 0.5
    """Upper bound for the clusters a day. A cluster is left out if no place is busy enough for it."""
    relative_risk: tuple[float, float] = (6.0, 10.0)
    radius_m: tuple[float, float] = (100.0, 300.0)
    hours: tuple[float, float] = (6.0, 72.0)
    expected: float = 6.0
    """Lowest mean number of incidents that a cluster adds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InjectedCluster:
    """The truth about one injected cluster.

    ``start_s``, ``end_s``: when it begins and ends (exclusive), in seconds since 1970 UTC.
    ``third_s``: time of its third incident. Delays count from there, since nobody can see a cluster before.
    ``members``: ids of the injected incidents, in byte order.
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
    """A simulated city. Its clocks run in UTC; seed and arguments define everything in it.

    ``scatter_m``: see :class:`Places`.
    ``near_repeats``: share of incidents that trigger another one.
    ``repeat_kernel``: where and when triggered incidents fall. ``disc``: within 200 m and 3 days. ``exponential``:
        exponential in distance (mean 100 m) and time (mean 1 day). ``power_law``: half-normal in distance (150 m) with
        a power law in time (2 h, exponent 1.5).
    ``annual_swing``: relative height of the summer peak.
    ``delay_minutes``: median time from an incident to its report; the time is log-normal and at most a day.

    Raises:
        ValueError: A number is out of range.
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
        self._near_repeats, self._repeat_kernel = near_repeats, repeat_kernel
        self._delay_s = 60 * delay_minutes

        self._places = Places(self._generator(0), places, (longitude, latitude), radius_m, scatter_m)
        weight = self._places.weight
        rate = weight * incidents_per_day * (1 - near_repeats) / weight.sum()
        self._usual = Usual(self._places, rate, annual_swing)
        self._near, self._near_first = self._places.within(REPEAT_RADIUS_M)
        # Clusters form around places where much happens nearby.
        self._attraction = np.cumsum(np.add.reduceat(rate[self._near], self._near_first[:-1]))

    def cells(self, resolution: int = 10) -> tuple[str, ...]:
        """Return the city's frozen locations: the H3 cells that hold a place, in hexadecimal, in rising order."""
        return self._places.cells(resolution)

    def simulate(
        self, start: datetime, end: datetime, *, inject: bool = True, inject_from: datetime | None = None
    ) -> Simulated:
        """Return the incidents reported from ``start`` to before ``end``, and the clusters among them.

        Clusters begin at ``inject_from`` (by default ``start``) or later. The other incidents are the same with and
        without clusters.
        """
        start_s, end_s = int(start.timestamp()), int(end.timestamp())
        usual = self._with_repeats(self._usual.draw(self._generator(1), start_s, end_s), end_s)
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
        """Return the usual number of incidents in the zone of a cluster, from the cluster's start to a moment."""
        here = to_sphere(np.array([cluster.longitude]), np.array([cluster.latitude]))
        centre = int(self._places.tree.query(here)[1][0])
        category = CATEGORIES.index(cluster.category)
        return float(self._usual.within(centre, cluster.radius_m, category, cluster.start_s, until_s)[1].sum())

    def _generator(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    def _with_repeats(self, events: Events, end_s: int) -> Events:
        """Return the incidents with those that they trigger, generation after generation."""
        rng = self._generator(3)
        first, length = self._near_first[:-1], np.diff(self._near_first)
        generations, parents = [events], events
        while parents.shape[1]:
            second, place, category = parents[:, rng.random(parents.shape[1]) < self._near_repeats]
            if self._repeat_kernel == "disc":
                place = self._near[first[place] + (rng.random(len(place)) * length[place]).astype(np.int64)]
                # Most repeats follow soon: the lag is a beta(1, 3) share of three days.
                late_s = rng.beta(1, 3, len(place)) * (REPEAT_WITHIN_S - 1)
            else:
                distance_m, late_s = _draw_steps(rng, self._repeat_kernel, len(place))
                place = self._places.at_distance(place, distance_m, rng)
            second = second + 1 + late_s.astype(np.int64)
            parents = np.stack((second, place, category))[:, second < end_s]
            generations.append(parents)
        return in_order(np.concatenate(generations, axis=1))

    def _incidents(self, ids: list[str], events: Events, rng: np.random.Generator, end_s: int) -> list[Incident]:
        """Return the events as incidents with drawn delays, without those reported after the end."""
        second, place, category = events
        delay_s = np.minimum(self._delay_s * rng.lognormal(0, 1, len(ids)), LONGEST_DELAY_S).astype(np.int64)
        degrees = self._places.longitude[place], self._places.latitude[place]
        columns = (second, second + delay_s, category, *degrees)
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
        """Draw at most one cluster in each slot of 1 / per_day days, if the city is busy enough for it."""
        rng, injection, points = self._generator(4), self.injection, self._places.points
        slot_s = 86_400 / injection.per_day
        placed: list[tuple[int, int]] = []  # (centre, end)
        for slot in range(int((end_s - first_s) // slot_s)):
            start_s = int(first_s + slot * slot_s + rng.uniform(0, slot_s / 2))
            taken = [points[centre] for centre, over_s in placed if start_s < over_s + SPACING_S]
            for _ in range(_ATTEMPTS):
                centre = int(np.searchsorted(self._attraction, rng.uniform(0, self._attraction[-1]), side="right"))
                over_s = start_s + int(3600 * rng.uniform(*injection.hours))
                free = all(np.linalg.norm(points[centre] - other) >= SPACING_M for other in taken)
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
        """Draw a cluster around a place, with its incidents; None if it would be too weak."""
        injection = self.injection
        category = int(rng.integers(len(CATEGORIES)))
        radius_m, risk = rng.uniform(*injection.radius_m), rng.uniform(*injection.relative_risk)
        zone, usual = self._usual.within(centre, radius_m, category, start_s, over_s)
        hours = np.arange(start_s // 3600, -(-over_s // 3600))
        begin_s, finish_s = np.maximum(hours * 3600, start_s), np.minimum((hours + 1) * 3600, over_s)
        added = (risk - 1) * float(usual.sum())
        count = int(rng.poisson(added)) if added >= injection.expected else 0
        if count < 3:
            return None
        place, hour = np.divmod(rng.choice(usual.size, count, p=(usual / usual.sum()).ravel()), len(hours))
        second = begin_s[hour] + (rng.random(count) * (finish_s - begin_s)[hour]).astype(np.int64)
        events = in_order(np.stack((second, zone[place], np.full(count, category))))
        ids = [f"{cluster_id}-{number:03d}" for number in range(count)]
        members = self._incidents(ids, events, rng, end_s)
        if len(members) < 3:
            return None
        happened = sorted(int(member.occurred_at.timestamp()) for member in members if member.occurred_at)
        truth = InjectedCluster(
            id=cluster_id,
            category=CATEGORIES[category],
            longitude=float(self._places.longitude[centre]),
            latitude=float(self._places.latitude[centre]),
            radius_m=radius_m,
            relative_risk=risk,
            start_s=start_s,
            end_s=over_s,
            third_s=happened[2],
            members=tuple(sorted(member.id for member in members)),
        )
        return truth, members


def found(cluster: InjectedCluster, revisions: Iterable[Alert]) -> int | None:
    """Return the tick, in seconds since 1970 UTC, at which an injected cluster was found; None if it was not.

    A cluster is found when an alert of its category or of *all* shares at least two of its incidents and reaches the
    tier ``alert`` between its third incident and its end. The delay is the tick less ``cluster.third_s``.
    """
    members = set(cluster.members)
    ticks = [
        alert.tick_s
        for alert in revisions
        if alert.stream in (cluster.category, Stream.ALL)
        and alert.tier in (Tier.ALERT, Tier.URGENT)
        and alert.alerted_s is not None
        and cluster.third_s <= alert.alerted_s <= alert.tick_s <= cluster.end_s
        and len(members.intersection(alert.members)) >= 2
    ]
    return min(ticks, default=None)


def _draw_steps(rng: np.random.Generator, kernel: RepeatKernel, number: int) -> tuple[_Floats, _Floats]:
    """Draw the distance (metres) and lag (seconds) of repeats, within the upper bounds."""
    if kernel == "exponential":
        distance_m, late_s = rng.exponential(100.0, number), rng.exponential(86_400.0, number)
    else:
        distance_m, late_s = np.abs(rng.normal(0.0, 150.0, number)), 7_200.0 * rng.pareto(0.5, number)
    too_late = late_s >= REPEAT_LATEST_S
    late_s[too_late] = 7_200.0 * rng.random(int(too_late.sum()))
    return np.minimum(distance_m, REPEAT_FARTHEST_M), late_s
