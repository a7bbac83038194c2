"""Which places are near which: every centre's neighbours in order of distance, in compressed rows."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.locations import Locations, to_sphere


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbour lists in compressed rows.

    The neighbours of centre ``i``, itself first, are ``index[start[i]:start[i + 1]]`` (int32) at
    ``distance_m`` (float64, straight chords). A zone is a prefix of that row.
    """

    start: NDArray[np.int64]
    index: NDArray[np.int32]
    distance_m: NDArray[np.float64]

    def zone(self, centre: int, size: int) -> NDArray[np.int32]:
        """The first ``size`` neighbours of a centre, in rank order."""
        return self.index[self.start[centre] : self.start[centre] + size]

    def radius_m(self, centre: int, size: int) -> float:
        """Distance from the centre to the last of its first ``size`` neighbours, in metres."""
        return float(self.distance_m[self.start[centre] + size - 1])


def neighbours(locations: Locations, max_radius_m: float) -> Neighbours:
    """Neighbour lists of all locations up to a distance (``<=``), from a k-d tree.

    Order: by chord; at exactly equal chords the smaller coordinates first (x, then y, then z),
    then the smaller index (METHOD.md section 3, Neighbour order). A centre comes before other places
    at its own coordinates.
    """
    points = to_sphere(locations.longitude, locations.latitude)
    # The tree rounds in its own way: it is asked for a hair more, and the chord decides.
    pairs = cKDTree(points).query_pairs(max_radius_m * (1 + 1e-9), output_type="ndarray")
    everyone = np.arange(len(points))
    centre = np.concatenate((everyone, pairs[:, 0], pairs[:, 1]))
    other = np.concatenate((everyone, pairs[:, 1], pairs[:, 0]))
    distance = np.sqrt(((points[centre] - points[other]) ** 2).sum(axis=1))
    near = distance <= max_radius_m
    centre, other, distance = centre[near], other[near], distance[near]
    x, y, z = points[other].T
    order = np.lexsort((other, z, y, x, other != centre, distance, centre))
    start = np.searchsorted(centre[order], np.arange(len(points) + 1))
    return Neighbours(start.astype(np.int64), other[order].astype(np.int32), distance[order])
