"""The description of a cylinder as a cluster: its figures, its members, its artefacts."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours
from detectors.area.settings import STREAMS, AreaSettings
from detectors.calibration.result import Calibration
from detectors.clusters.artefacts import Artefacts, DenyList, Members, Zone, artefacts
from detectors.clusters.cluster import Cluster, Figures
from detectors.scan.cylinders import Cylinder
from detectors.scan.significance import Interval
from detectors.window.completeness import Delays
from detectors.window.sliding import ALL, OTHER, SlidingWindow


class Description:
    """Describes the cylinders of an area."""

    def __init__(
        self, locations: Locations, near: Neighbours, settings: AreaSettings, calibration: Calibration | None
    ) -> None:
        self._locations, self._near, self._settings, self._calibration = locations, near, settings, calibration
        self._deny_list = DenyList.of(settings.deny_list)

    def cluster(
        self,
        window: SlidingWindow,
        stream: int,
        cylinder: Cylinder,
        rows: NDArray[np.int32],
        *,
        start_s: int,
        score: float,
        trigger_score: float,
        interval: Interval,
        delays: Delays | None,
    ) -> Cluster:
        """Return a cylinder as a cluster.

        ``rows``: the rows of its records in the window's columns, (n,).
        ``start_s``: when the cylinder begins, in seconds since 1970.
        ``interval``: the mean time between scores at least this high by chance alone.
        """
        zone = self._near.zone(cylinder.centre, cylinder.size)
        events = rows[~window.columns.further[rows]]
        category, number = np.unique(window.columns.category[events], return_counts=True)
        figures = Figures(
            centre=self._locations.ids[cylinder.centre],
            longitude=float(self._locations.longitude[cylinder.centre]),
            latitude=float(self._locations.latitude[cylinder.centre]),
            radius_m=self._near.radius(cylinder.centre, cylinder.size),
            locations=tuple(self._locations.ids[location] for location in zone),
            duration_h=cylinder.duration,
            start_s=start_s,
            observed=cylinder.observed,
            records=len(rows) if len(rows) > cylinder.observed else 0,
            expected=cylinder.expected,
            llr=cylinder.llr,
            score=score,
            recurrence_interval_days=interval.days,
            breakdown={STREAMS[which].value: int(n) for which, n in zip(category, number, strict=True)},
            interval_times=int(window.columns.interval[events].sum()),
            reported=reported(window, rows),
            trigger_score=trigger_score,
            calibration=self._calibration.digest if self._calibration else "",
            budget_per_week=self._calibration.budget if self._calibration else None,
            artefacts=self._artefacts(window, stream, cylinder, zone, events),
            completeness=None if delays is None else delays.completeness(stream, start_s, delays.now_s),
            interval_is_lower_bound=interval.is_lower_bound or msgspec.UNSET,
        )
        return Cluster(figures, tuple(window.ids(rows)))

    def _artefacts(
        self, window: SlidingWindow, stream: int, cylinder: Cylinder, zone: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> Artefacts:
        """Return the artefacts of a cylinder whose events are in these ``rows`` of the window."""
        columns, near, centre = window.columns, self._near, cylinder.centre
        longitude_e7, latitude_e7 = columns.longitude_e7[rows], columns.latitude_e7[rows]
        has_point = (longitude_e7 != 0) | (latitude_e7 != 0)  # an incident that names only its location has none
        if not has_point.all():
            location = columns.location[rows[~has_point]]
            longitude_e7[~has_point] = np.rint(self._locations.longitude[location] * 1e7)
            latitude_e7[~has_point] = np.rint(self._locations.latitude[location] * 1e7)
        members = Members(
            longitude_e7,
            latitude_e7,
            has_point,
            columns.occurred_s[rows],
            columns.category[rows],
            columns.interval[rows],
        )
        # Locations divide the ground between them, so one alone is as wide as the distance to its nearest neighbour.
        has_next = cylinder.size < near.size[centre]
        next_m = near.radius(centre, cylinder.size + 1) if has_next else self._settings.max_radius_m

        def cases_at(longitude_e7: int, latitude_e7: int) -> int:
            there = window.rows_at(longitude_e7, latitude_e7)
            category = columns.category[there]
            is_mine = category < OTHER if stream == ALL else category == stream
            in_zone = (columns.location[there][:, None] == zone).any(axis=1)  # numpy.isin takes four times as long
            return int(np.count_nonzero(is_mine & in_zone))

        width_m = max(2.0 * near.radius(centre, cylinder.size), next_m)
        return artefacts(members, Zone(width_m, int(window.by_stratum[stream][zone].sum()), cases_at), self._deny_list)


def reported(window: SlidingWindow, rows: NDArray[np.int32]) -> int:
    """Return how many of the events in some rows were reported, not discovered by patrols."""
    columns = window.columns
    return int(np.count_nonzero(~columns.further[rows] & ~columns.discovered[rows]))
