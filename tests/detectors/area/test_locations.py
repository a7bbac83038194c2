"""Locations: from ids and coordinates to an index that never changes."""

from __future__ import annotations

from datetime import UTC, datetime

import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Incident, Status
from detectors.area.locations import Locations, cell_of, to_sphere
from tests.naive.neighbours import chord

LEEDS = (53.8, -1.55)
CELLS = h3.grid_disk(h3.latlng_to_cell(*LEEDS, 10), 3)
WHEN = datetime(2024, 6, 1, tzinfo=UTC)


def at(longitude: float, latitude: float) -> Incident:
    return Incident(id="i", occurred_at=WHEN, longitude=longitude, latitude=latitude)


def named(location: str) -> Incident:
    return Incident(id="i", occurred_at=WHEN, location=location)


def test_cells_are_ordered_by_id_in_whatever_order_they_are_given():
    locations = Locations.from_cells(CELLS)
    assert locations.ids == tuple(sorted(CELLS)) == Locations.from_cells(reversed(CELLS)).ids
    assert len(Locations.from_cells([*CELLS, *CELLS])) == len(CELLS) == len(locations)
    assert locations.resolution == 10


def test_a_cell_is_found_by_id_and_by_any_point_in_its_hexagon():
    locations = Locations.from_cells(CELLS)
    for index, cell in enumerate(locations.ids):
        latitude, longitude = h3.cell_to_latlng(cell)
        assert (locations.longitude[index], locations.latitude[index]) == (longitude, latitude)
        assert locations.locate(named(cell)) == locations.locate(at(longitude, latitude)) == index
        for corner_latitude, corner_longitude in h3.cell_to_boundary(cell):
            inner = at(
                longitude + 0.98 * (corner_longitude - longitude), latitude + 0.98 * (corner_latitude - latitude)
            )
            assert locations.locate(inner) == index
        assert cell_of(longitude, latitude, 10) == cell


def test_incidents_outside_the_area_have_no_location():
    locations = Locations.from_cells(CELLS)
    assert locations.locate(at(0.0, 0.0)) is None
    assert locations.locate(at(180.0, -90.0)) is None
    assert locations.locate(named(h3.latlng_to_cell(0.0, 0.0, 10))) is None
    assert locations.locate(Incident(id="i", status=Status.CANCELLED)) is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(location=st.text(min_size=1, max_size=64) | st.from_regex(r"-?[0-9a-f]{1,40}", fullmatch=True))
def test_no_unknown_id_raises(location: str):
    for locations in (Locations.from_cells(CELLS), Locations.from_places(["north", "south"], [0, 0], [1, -1], 50)):
        assert locations.locate(named(location)) is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "cells: missing"),
        ([CELLS[0], "leeds"], "'leeds' must be an H3 cell"),
        (["-1"], "'-1' must be an H3 cell"),
        (["f" * 17], "must be an H3 cell"),
        ([CELLS[0], h3.cell_to_parent(CELLS[0], 9)], r"resolutions \[9, 10\] are mixed"),
    ],
)
def test_invalid_cells_are_refused_in_one_line(cells: list[str], message: str):
    with pytest.raises(ValueError, match=message) as refusal:
        Locations.from_cells(cells)
    assert "\n" not in str(refusal.value)


def test_a_polygon_gives_the_cells_whose_centres_lie_in_it():
    west, south, east, north = -1.56, 53.79, -1.54, 53.81
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    locations = Locations.from_polygon({"type": "Polygon", "coordinates": [ring]}, 9)
    around = h3.grid_disk(h3.latlng_to_cell(*LEEDS, 9), 12)
    inside = [
        cell
        for cell in around
        if south < h3.cell_to_latlng(cell)[0] < north and west < h3.cell_to_latlng(cell)[1] < east
    ]
    assert locations.ids == tuple(sorted(inside))
    hole = [[west, south], [west, north], [east, north], [east, south], [west, south]]
    pieces = {"type": "MultiPolygon", "coordinates": [[ring], [[[x + 1, y] for x, y in hole]]]}
    assert set(locations.ids) < set(Locations.from_polygon(pieces, 9).ids)


def test_a_polygon_smaller_than_a_cell_is_refused():
    ring = [[0.0, 0.0], [1e-7, 0.0], [1e-7, 1e-7], [0.0, 0.0]]
    with pytest.raises(ValueError, match="missing"):
        Locations.from_polygon({"type": "Polygon", "coordinates": [ring]}, 5)


def test_places_are_ordered_as_bytes_and_keep_their_coordinates():
    locations = Locations.from_places(["Sandoval", "SanJuan", "a"], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 50.0)
    assert locations.ids == ("SanJuan", "Sandoval", "a")
    assert locations.longitude.tolist() == [2.0, 1.0, 3.0]
    assert locations.latitude.tolist() == [5.0, 4.0, 6.0]
    assert [locations.locate(named(name)) for name in locations.ids] == [0, 1, 2]
    assert locations.resolution is None


@pytest.mark.parametrize(("ids", "message"), [([], "places: missing"), (["a", "b", "a"], "given twice")])
def test_invalid_places_are_refused(ids: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        Locations.from_places(ids, [float(n) for n in range(len(ids))], [0.0] * len(ids), 50.0)


POINT = st.tuples(st.floats(-0.01, 0.01), st.floats(49.99, 50.01))
Degrees = tuple[float, float]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(points=st.lists(POINT, min_size=1, max_size=8, unique=True), here=POINT)
def test_an_incident_belongs_to_the_nearest_place_within_reach(points: list[Degrees], here: Degrees):
    reach_m = 700.0
    names = [f"p{number}" for number in range(len(points))]
    locations = Locations.from_places(names, [lon for lon, _ in points], [lat for _, lat in points], reach_m)
    *there, own = on_sphere([*points, here])
    distances = [chord(own, place) for place in there]
    found = locations.locate(at(*here))
    if found is None:
        assert min(distances) > reach_m * (1 - 1e-9)
    else:
        assert distances[found] <= min(min(distances), reach_m) * (1 + 1e-9)


def on_sphere(points: list[Degrees]) -> list[tuple[float, ...]]:
    on = to_sphere(np.array([longitude for longitude, _ in points]), np.array([latitude for _, latitude in points]))
    return [tuple(point) for point in on.tolist()]


def test_an_incident_at_exactly_the_point_of_a_place_belongs_to_it_even_at_a_distance_of_0():
    locations = Locations.from_places(["a", "b"], [0.0, 1.0], [50.0, 50.0], 0.0)
    assert locations.locate(at(1.0, 50.0)) == 1
    assert locations.locate(at(0.999, 50.0)) is None


def test_one_cell_in_two_spellings_is_one_location():
    assert Locations.from_cells([CELLS[0], CELLS[0].upper()]).ids == (CELLS[0],)
