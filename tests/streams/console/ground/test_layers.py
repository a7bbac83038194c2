"""Names of places from the operator's layers, against distances computed one by one."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.configuration.console import LayerKind, LayerSettings
from streams.configuration.reader import ConfigurationError
from streams.console.ground.layers import STREET_M, Layers, read_layer
from tests.streams.console.site import Client, Feed, alert, alerts_of, configured, new_area, serving, watching

WEST, SOUTH = -1.56, 53.79
EARTH_M = 6_371_000.0


def feature(kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def written(path: Path, kind: LayerKind, features: list[Any], label: str = "name") -> LayerSettings:
    path.write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": features}))
    return LayerSettings(name=path.stem, kind=kind, file=str(path), label=label)


def square(west: float, south: float, size: float) -> list[list[list[float]]]:
    east, north = west + size, south + size
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great-circle distance (haversine)."""
    (lon1, lat1), (lon2, lat2) = (tuple(map(math.radians, each)) for each in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(half))


def test_the_nearest_street_names_the_place(tmp_path: Path) -> None:
    """Streets that are points: the nearest by the haversine formula, none beyond the limit."""
    chance = random.Random(1)
    streets = [(WEST + chance.random() / 25, SOUTH + chance.random() / 25) for _ in range(60)]
    features = [feature("Point", each, name=f"Street {number}") for number, each in enumerate(streets)]
    layers = Layers([read_layer(written(tmp_path / "streets.geojson", "streets", features))])
    named = 0
    for _ in range(300):
        point = WEST + chance.random() / 25, SOUTH + chance.random() / 25
        distances = sorted((distance_m(point, each), number) for number, each in enumerate(streets))
        (nearest, number), (second, _) = distances[:2]
        if abs(nearest - STREET_M) > 1 and second - nearest > 1:
            assert layers.place(*point) == (f"near Street {number}" if nearest < STREET_M else "")
            named += nearest < STREET_M
    assert 100 < named < 290


def test_a_line_is_as_near_as_its_nearest_point(tmp_path: Path) -> None:
    high = feature("LineString", [[WEST, SOUTH], [WEST + 0.02, SOUTH]], name="High Street")
    back = feature("MultiLineString", [[[WEST, SOUTH + 0.004], [WEST + 0.02, SOUTH + 0.004]]], name="Back Lane")
    layers = Layers([read_layer(written(tmp_path / "streets.geojson", "streets", [high, back]))])
    assert layers.place(WEST + 0.01, SOUTH + 0.001) == "near High Street"
    assert layers.place(WEST + 0.01, SOUTH + 0.003) == "near Back Lane"
    assert layers.place(WEST + 0.01, SOUTH + 0.010) == ""


def test_the_beat_that_holds_the_point(tmp_path: Path) -> None:
    beats = [feature("Polygon", square(WEST + n / 100, SOUTH, 0.01), number=n) for n in range(3)]
    street = [feature("LineString", [[WEST, SOUTH], [WEST + 0.005, SOUTH]], name="High Street")]
    settings = [
        written(tmp_path / "beats.geojson", "beats", beats, label="number"),
        written(tmp_path / "streets.geojson", "streets", street),
        written(tmp_path / "parks.geojson", "other", [feature("Polygon", square(WEST, SOUTH, 1), name="Park")]),
    ]
    layers = Layers([read_layer(each) for each in settings])
    assert layers.place(WEST + 0.004, SOUTH + 0.001) == "near High Street, beat 0"
    assert layers.place(WEST + 0.025, SOUTH + 0.005) == "beat 2"
    assert layers.place(WEST - 0.5, SOUTH) == ""


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"type": "FeatureCollection"}',
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Circle"}}]}',
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Point"}}]}',
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": '
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}]}',
    ],
)
def test_an_invalid_layer_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "beats.geojson"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"console\.layers: beats: .*must be a GeoJSON FeatureCollection"):
        read_layer(LayerSettings(name="beats", kind="other", file=str(path)))


def test_streets_without_names_are_refused(tmp_path: Path) -> None:
    settings = written(tmp_path / "streets.geojson", "streets", [feature("Point", [0, 0], title="High Street")])
    with pytest.raises(ConfigurationError, match="'name'"):
        read_layer(settings)
    assert read_layer(LayerSettings(name="s", kind="streets", file=settings.file, label="title")).labels


def test_places_and_layers_are_served(valkey: Any, feed: Feed, tmp_path: Path) -> None:
    area = new_area()
    settings = written(tmp_path / "beats.geojson", "beats", [feature("Polygon", square(-2, 53, 2), name="12")])
    with serving(configured(valkey.url, area, layers=(settings,))) as client, watching(client) as events:
        assert client.get("/api/session").json()["layers"] == [{"name": "beats", "kind": "beats", "label": "name"}]
        assert client.get("/api/layers/beats").content == (tmp_path / "beats.geojson").read_bytes()
        assert client.get("/api/layers/streets").status_code == 404
        feed.put(alert(1, area))
        assert alerts_of(events, 1)[0].data["properties"]["place"] == "beat 12"
        assert client.get(f"/api/alerts/{1:032x}").json()["alert"]["properties"]["place"] == "beat 12"


def test_no_layers_no_place(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    assert "place" not in client.get("/api/alerts").json()["features"][0]["properties"]
