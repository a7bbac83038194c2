"""Every centre's neighbours in order of distance, in compressed rows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.kernels.ratio import Rows
from detectors.kernels.rows import rows_of_pairs, sizes_within


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbour lists in compressed rows.

    ``start``: the row of centre ``i`` is ``start[i]:start[i + 1]`` of the next two arrays.
    ``index``: the neighbours, nearest first, beginning with the centre itself, int32.
    ``distance``: straight distance from the centre, in the unit of the points, float64.
    ``size``: how many neighbours of each centre can form zones; a zone is the first few of them.
    ``order``: all locations, in an order in which near ones are close together.
    """

    start: NDArray[np.int64]
    size: NDArray[np.int32]
    index: NDArray[np.int32]
    distance: NDArray[np.float64]
    order: NDArray[np.int64]

    @property
    def rows(self) -> Rows:
        """The rows as the kernels take them."""
        return Rows(self.start, self.size, self.index, self.distance)

    def zone(self, centre: int, size: int) -> NDArray[np.int32]:
        """Return the first ``size`` neighbours of a centre, nearest first."""
        return self.index[self.start[centre] : self.start[centre] + size]

    def radius(self, centre: int, size: int) -> float:
        """Return the distance from the centre to the last of its first ``size`` neighbours."""
        return float(self.distance[self.start[centre] + size - 1])


def neighbours(
    points: NDArray[np.float64],
    max_radius: float = math.inf,
    mass: NDArray[np.float64] | None = None,
    max_mass: float = math.inf,
) -> Neighbours:
    """Return the neighbour lists of all points, (L, 2 or 3), up to a radius and up to a sum of ``mass``, (L,).

    Both limits are inclusive. Neighbours are in order of straight distance. At exactly equal distances smaller
    coordinates come first (x, then y, then z), then the smaller index (docs/method.md section 3). A centre comes before
    other locations at its own coordinates. A zone ends before the first location that would take its mass above the
    limit. Without a radius, a row ends with the circle of the largest such zone.
    """
    locations, axes = points.shape
    tree = cKDTree(points)
    order = np.lexsort((np.arange(locations), *(points[:, axis] for axis in reversed(range(axes)))))
    if math.isinf(max_radius):
        start, index, distance = _unlimited(points, order, mass, max_mass)
    else:
        # The tree rounds differently, so ask it for slightly more; the straight distance then decides.
        pairs = tree.query_pairs(max_radius * (1 + 1e-9), output_type="ndarray")
        start, index, distance = rows_of_pairs(pairs, points, order, max_radius)
    size = np.diff(start).astype(np.int32) if mass is None else sizes_within(start, index, mass, max_mass)
    return Neighbours(start, size, index, distance, np.asarray(tree.indices, np.int64))


def _unlimited(
    points: NDArray[np.float64], order: NDArray[np.int64], mass: NDArray[np.float64] | None, max_mass: float
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Return rows without a radius, each cut after the last location that ties with its longest zone."""
    rows, lengths = [], [0]
    in_order = points[order]
    for centre in range(len(points)):
        squares = np.zeros(len(points))
        for axis in range(points.shape[1]):
            squares += (points[centre, axis] - in_order[:, axis]) ** 2
        distance = np.sqrt(squares)
        nearest = np.argsort(np.where(order == centre, -1.0, distance), kind="stable")
        if mass is not None:
            inside = np.count_nonzero(np.cumsum(mass[order[nearest]]) <= max_mass)
            edge = distance[nearest][max(0, int(inside) - 1)]
            nearest = nearest[distance[nearest] <= edge]
        rows.append((order[nearest].astype(np.int32), distance[nearest]))
        lengths.append(len(nearest))
    start = np.cumsum(lengths, dtype=np.int64)
    return start, np.concatenate([index for index, _ in rows]), np.concatenate([far for _, far in rows])
