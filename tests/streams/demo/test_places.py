"""The beats and streets of the invented city cover all its incidents, each name once."""

from __future__ import annotations

from pathlib import Path

import h3
import msgspec
import pytest
import shapely
from shapely.geometry import shape

from streams.analyst.simulated_city import RESOLUTION, Simulation
from streams.demo.places import write_layers


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, shapely.Geometry]]:
    """Shapes by layer and name."""
    read = {
        kind: msgspec.json.decode(file.read_bytes())["features"]
        for kind, file in write_layers(tmp_path_factory.mktemp("layers")).items()
    }
    for features in read.values():
        names = [each["properties"]["name"] for each in features]
        assert len(set(names)) == len(names)
    return {
        kind: {each["properties"]["name"]: shape(each["geometry"]) for each in features}
        for kind, features in read.items()
    }


def test_beats_cover_the_city_and_do_not_overlap(layers: dict[str, dict[str, shapely.Geometry]]) -> None:
    beats = list(layers["beats"].values())
    assert all(beat.is_valid for beat in beats)
    city = shapely.unary_union(beats)
    assert sum(beat.area for beat in beats) == pytest.approx(city.area, rel=1e-3)
    middles = [h3.cell_to_latlng(cell) for seed in (1, 2) for cell in Simulation(seed, 1.0).city.cells(RESOLUTION)]
    assert all(city.contains(shapely.Point(longitude, latitude)) for latitude, longitude in middles)


def test_streets_lie_in_the_city(layers: dict[str, dict[str, shapely.Geometry]]) -> None:
    city = shapely.unary_union(list(layers["beats"].values())).buffer(1e-4)
    assert len(layers["streets"]) > 300
    assert all(city.contains(street) for street in layers["streets"].values())


def test_it_is_always_the_same(tmp_path: Path) -> None:
    first = [file.read_bytes() for file in write_layers(tmp_path).values()]
    assert [file.read_bytes() for file in write_layers(tmp_path).values()] == first
