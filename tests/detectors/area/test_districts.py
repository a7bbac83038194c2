"""Districts: equal numbers of locations, on the right side of each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.area.districts import DISTRICTS, SMALLEST, Districts
from detectors.area.locations import Locations

POINTS = st.lists(st.tuples(st.floats(-2, 2), st.floats(-60, 60)), min_size=1, max_size=100)


def places(points: list[tuple[float, float]], middle: float) -> Locations:
    longitude = [(middle + east + 180) % 360 - 180 for east, _ in points]
    ids = [f"{number:03}" for number in range(len(points))]
    return Locations.from_places(ids, longitude, [north for _, north in points], 500.0)


@given(points=POINTS, middle=st.sampled_from([0.0, -1.5, 179.5]))
def test_each_quarter_has_as_many_locations_and_lies_where_it_says(
    points: list[tuple[float, float]], middle: float
) -> None:
    """Also across the 180th meridian."""
    smallest = Districts.of(places(points, middle)).smallest
    assert np.ptp(np.bincount(smallest, minlength=SMALLEST)) <= 2
    east, north = (np.array(column).round(6) for column in zip(*points, strict=True))
    of_half = [north[smallest // 8 == half] for half in range(2)]
    assert not (len(of_half[1]) and of_half[0].min() < of_half[1].max() - 1e-5)
    for west, east_of_it in pairwise([east[smallest // 4 == quarter] for quarter in range(2)]):
        assert not (len(west) and len(east_of_it) and west.max() > east_of_it.min() + 1e-5)


def test_a_district_is_named_after_its_corner() -> None:
    points = [(float(east), float(north)) for north in range(4) for east in range(4)]
    smallest = Districts.of(places(points, 0.0)).smallest
    names = DISTRICTS[-SMALLEST:]
    assert names[smallest[points.index((0.0, 3.0))]] == ("north-west", "north-west")
    assert names[smallest[points.index((2.0, 3.0))]] == ("north-east", "north-west")
    assert names[smallest[points.index((1.0, 0.0))]] == ("south-west", "south-east")
    assert [DISTRICTS[1 + each // 4] for each in range(SMALLEST)] == [name[:1] for name in names]
