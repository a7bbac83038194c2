"""The frozen locations of an area: H3 cells or entries of a ``places_file``, found by coordinates or id.

They are in order of id and never change. So an index means the same location until the configuration changes.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.area.incident import Incident

EARTH_RADIUS_M = 6_367_000.0
"""Radius of the sphere on which distances are measured, in metres, as in SaTScan (docs/method.md section 3)."""


def to_sphere(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points in degrees WGS 84, shape (L,), as points on the sphere in metres, shape (L, 3).

    The distance between two of them is the straight chord, never longer than the arc.
    """
    lon, lat = np.radians(longitude), np.radians(latitude)
    unit = np.column_stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    return unit * EARTH_RADIUS_M


@dataclasses.dataclass(frozen=True, eq=False)
class Locations:
    """The locations of one area.

    ``ids``: in rising order, L of them.
    ``longitude``, ``latitude``: of each location's centre, in degrees, (L,).
    ``resolution``: the H3 resolution; None if the locations are entries of a ``places_file``.
    ``max_distance_m``: longest distance at which an incident belongs to its nearest place.
    """

    ids: tuple[str, ...]
    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]
    resolution: int | None
    max_distance_m: float = 0.0
    _index: dict[int | str, int] = dataclasses.field(default_factory=dict, repr=False)
    _tree: cKDTree | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def from_cells(cls, cells: Iterable[str]) -> Locations:
        """Return the locations of H3 cells. The cells are hexadecimal texts, all of the same resolution.

        Raises:
            ValueError: There is no cell, a text is not an H3 cell, or the cells have different resolutions.
        """
        given = set(cells)
        if not given:
            raise ValueError("cells: missing; an area needs at least one H3 cell")
        wrong = min((cell for cell in given if not h3.is_valid_cell(_cell_number(cell))), default=None)
        if wrong is not None:
            raise ValueError(f"cells: {wrong!r} must be an H3 cell such as '8a195da49b9ffff'")
        ids = tuple(sorted({h3.int_to_str(_cell_number(cell)) for cell in given}))
        numbers = [_cell_number(cell) for cell in ids]
        resolutions = {h3.get_resolution(number) for number in numbers}
        if len(resolutions) > 1:
            raise ValueError(f"cells: resolutions {sorted(resolutions)} are mixed; all cells must have the same")
        centres = np.array([h3.cell_to_latlng(number) for number in numbers], dtype=np.float64)
        index: dict[int | str, int] = {number: position for position, number in enumerate(numbers)}
        return cls(ids, centres[:, 1].copy(), centres[:, 0].copy(), resolutions.pop(), _index=index)

    @classmethod
    def from_polygon(cls, geometry: Mapping[str, Any], resolution: int) -> Locations:
        """Return the H3 cells whose centres lie in a GeoJSON Polygon or MultiPolygon.

        Raises:
            ValueError: No cell of this resolution has its centre in the polygon.
        """
        return cls.from_cells(h3.int_to_str(cell) for cell in h3.geo_to_cells(geometry, resolution))

    @classmethod
    def from_places(
        cls, ids: Sequence[str], longitude: Sequence[float], latitude: Sequence[float], max_distance_m: float
    ) -> Locations:
        """Return the locations of the entries of a ``places_file``, in degrees WGS 84.

        Raises:
            ValueError: There is no place, or two places have the same id.
        """
        if not ids:
            raise ValueError("places: missing; an area needs at least one place")
        if len(set(ids)) != len(ids):
            raise ValueError("places: an id is given twice; each place needs its own")
        order = sorted(range(len(ids)), key=lambda position: ids[position])
        sorted_ids = tuple(ids[position] for position in order)
        # Rounded as in `written`, so that places read back are equal.
        lon = np.asarray(longitude, dtype=np.float64)[order].round(7)
        lat = np.asarray(latitude, dtype=np.float64)[order].round(7)
        index: dict[int | str, int] = {place: position for position, place in enumerate(sorted_ids)}
        return cls(sorted_ids, lon, lat, None, max_distance_m, index, cKDTree(to_sphere(lon, lat)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def points(self) -> NDArray[np.float64]:
        """The locations on the sphere, in metres, shape (L, 3)."""
        return to_sphere(self.longitude, self.latitude)

    def written(self) -> dict[str, Any]:
        """Return everything that defines these locations, ready for JSON. Degrees have seven digits (a centimetre)."""
        return {
            "ids": self.ids,
            "resolution": self.resolution,
            "max_distance_m": self.max_distance_m,
            "longitude": self.longitude.round(7).tolist(),
            "latitude": self.latitude.round(7).tolist(),
        }

    @classmethod
    def from_written(cls, written: Mapping[str, Any]) -> Locations:
        """Return the locations from what :meth:`written` returned.

        Raises:
            ValueError: The cells or places are invalid.
        """
        if written["resolution"] is not None:
            return cls.from_cells(written["ids"])
        return cls.from_places(written["ids"], written["longitude"], written["latitude"], written["max_distance_m"])

    def indices(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the indices of locations by id, (n,); every id must be one of the area's."""
        return np.array([bisect_left(self.ids, each) for each in ids], np.int64)

    def locate(self, incident: Incident) -> int | None:
        """Return the index of the incident's location; None if the incident lies outside the area."""
        if incident.location is not None:
            return self._index.get(incident.location if self._tree is not None else _cell_number(incident.location))
        if incident.longitude is None or incident.latitude is None:
            return None
        if self._tree is None:
            return self._index.get(h3.latlng_to_cell(incident.latitude, incident.longitude, self.resolution))
        point = to_sphere(np.array([incident.longitude]), np.array([incident.latitude]))
        # A micrometre more, so that rounding does not decide at exactly the largest distance.
        distance, nearest = self._tree.query(point[0], distance_upper_bound=self.max_distance_m + 1e-6)
        return int(nearest) if np.isfinite(distance) else None


def _cell_number(cell: str) -> int:
    try:
        return int(h3.str_to_int(cell))
    except (ValueError, OverflowError):
        return 0


def cell_of(longitude: float, latitude: float, resolution: int) -> str:
    """Return the H3 cell, in hexadecimal, that holds a point in degrees."""
    return str(h3.int_to_str(h3.latlng_to_cell(latitude, longitude, resolution)))
