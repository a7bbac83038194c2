"""Neighbour rows from the tree, compared with rows from the full table of distances."""

from __future__ import annotations

import h3
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.locations import EARTH_RADIUS_M, Locations, to_sphere
from detectors.area.neighbours import Neighbours, neighbours
from tests.naive import neighbours as naive

RADIUS_M = 1_500.0
# 0.01 degrees are about 1.1 km; a grid on the equator has many equal distances.
DEGREES = st.integers(-2, 2).map(lambda step: step * 0.01)


def places(degrees: list[tuple[float, float]]) -> Locations:
    ids = [f"p{index:03}" for index in range(len(degrees))]
    return Locations.from_places(ids, [lon for lon, _ in degrees], [lat for _, lat in degrees], 50.0)


def rows_of(near: Neighbours) -> list[list[tuple[int, float]]]:
    bounds = list(zip(near.start[:-1], near.start[1:], strict=True))
    return [list(zip(near.index[a:b].tolist(), near.distance[a:b].tolist(), strict=True)) for a, b in bounds]


def naive_rows(locations: Locations, radius_m: float) -> list[list[tuple[int, float]]]:
    points = [tuple(point) for point in to_sphere(locations.longitude, locations.latitude).tolist()]
    return naive.neighbours(points, radius_m)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(degrees=st.lists(st.tuples(DEGREES, DEGREES), min_size=1, max_size=12))
def test_rows_on_a_grid_with_ties_and_shared_points(degrees: list[tuple[float, float]]):
    assert rows_of(neighbours(places(degrees).points, RADIUS_M)) == naive_rows(places(degrees), RADIUS_M)


def test_rows_of_cells():
    centre = h3.latlng_to_cell(53.8, -1.55, 10)
    locations = Locations.from_cells(h3.grid_disk(centre, 7))
    near = neighbours(locations.points, 400.0)
    assert rows_of(near) == naive_rows(locations, 400.0)
    assert all(near.zone(index, 1).tolist() == [index] for index in range(len(locations)))
    assert near.start.dtype == np.int64
    assert near.index.dtype == np.int32


def test_a_location_at_exactly_the_radius_is_a_neighbour():
    locations = places([(0.0, 0.0), (0.01, 0.0), (0.02, 0.0)])
    a, b = to_sphere(locations.longitude, locations.latitude)[:2].tolist()
    exact = naive.chord(tuple(a), tuple(b))
    assert rows_of(neighbours(locations.points, exact))[0] == [(0, 0.0), (1, exact)]
    assert rows_of(neighbours(locations.points, np.nextafter(exact, 0)))[0] == [(0, 0.0)]


def test_distances_are_straight_chords_in_metres():
    near = neighbours(places([(0.0, 0.0), (0.0, 90.0)]).points, 2 * EARTH_RADIUS_M)
    assert near.radius(0, 1) == 0.0
    assert np.isclose(near.radius(0, 2), EARTH_RADIUS_M * 2**0.5, rtol=1e-12, atol=0)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    degrees=st.lists(st.tuples(st.floats(-0.03, 0.03), st.floats(50.0, 50.03)), min_size=2, max_size=15, unique=True)
)
def test_being_a_neighbour_is_mutual(degrees: list[tuple[float, float]]):
    rows = rows_of(neighbours(places(degrees).points, RADIUS_M))
    pairs = {(centre, other) for centre, row in enumerate(rows) for other, _ in row}
    assert pairs == {(other, centre) for centre, other in pairs}
