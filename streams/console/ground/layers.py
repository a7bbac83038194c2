"""The operator's GeoJSON layers: drawn on the map, and the source of names of streets and beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape

from streams.configuration.console import LayerKind, LayerSettings
from streams.configuration.reader import ConfigurationError
from streams.process.strict_json import StrictDecoder

STREET_M = 300.0
"""Largest distance of a street that names a place, in metres."""
DEGREE_M = 111_195.0
"""Metres of one degree of latitude."""


class _Feature(msgspec.Struct, tag="Feature", tag_field="type"):
    geometry: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None


class _Collection(msgspec.Struct, tag="FeatureCollection", tag_field="type"):
    features: list[_Feature]


_layer = StrictDecoder[_Collection | _Feature](_Collection | _Feature)
UNUSABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    shapely.errors.ShapelyError,
)
"""Errors of a file with an invalid geometry. Shapely also raises Python's own errors."""


class Layer(NamedTuple):
    """One layer: its GeoJSON as it is served, and the names of its features."""

    name: str
    kind: LayerKind
    label: str
    geojson: bytes
    shapes: tuple[Any, ...]
    labels: tuple[str, ...]


class Layers:
    """All layers. Layers of streets and beats give names to points."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._streets = _Named([layer for layer in layers if layer.kind == "streets"])
        self._beats = _Named([layer for layer in layers if layer.kind == "beats"])

    def __iter__(self) -> Any:
        return iter(self._layers.values())

    def get(self, name: str) -> Layer | None:
        """Return the layer of that name."""
        return self._layers.get(name)

    def place(self, longitude: float, latitude: float) -> str:
        """Return a name such as "near High Street, beat 12", by the nearest street and the beat, or empty."""
        street = self._streets.nearest(longitude, latitude)
        beat = self._beats.around(longitude, latitude)
        return ", ".join([f"near {street}"] * bool(street) + [f"beat {beat}"] * bool(beat))


class _Named:
    """Named shapes in metres, on a plane that is accurate near them."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        named = [
            (each, label) for layer in layers for each, label in zip(layer.shapes, layer.labels, strict=True) if label
        ]
        self._labels = [label for _, label in named]
        shapes = [each for each, _ in named]
        south, north = shapely.total_bounds(shapes)[[1, 3]] if shapes else (0.0, 0.0)
        self._scale = DEGREE_M * np.array([math.cos(math.radians((south + north) / 2)), 1.0])
        self._tree = shapely.STRtree(shapely.transform(shapes, self._in_metres)) if shapes else None

    def _in_metres(self, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        return degrees * self._scale

    def nearest(self, longitude: float, latitude: float) -> str:
        return self._label("nearest", longitude, latitude)

    def around(self, longitude: float, latitude: float) -> str:
        return self._label("around", longitude, latitude)

    def _label(self, how: str, longitude: float, latitude: float) -> str:
        if self._tree is None:
            return ""
        point = shapely.Point(self._in_metres(np.array([longitude, latitude])))
        if how == "around":
            found = self._tree.query(point, predicate="intersects")
        else:
            found = self._tree.query_nearest(point, max_distance=STREET_M)
        return self._labels[found.min()] if len(found) else ""


def read_layer(settings: LayerSettings) -> Layer:
    """Read a GeoJSON FeatureCollection in degrees WGS 84; features without geometry are left out.

    Raises:
        ConfigurationError: The file cannot be read, or is not a FeatureCollection.
    """
    try:
        geojson = Path(settings.file).read_bytes()
        read = _layer.decode(geojson)
        features = [each for each in (read.features if isinstance(read, _Collection) else [read]) if each.geometry]
        shapes = tuple(shape(each.geometry) for each in features)
    except UNUSABLE as error:
        raise ConfigurationError(
            f"console.layers: {settings.name}: {settings.file}: must be a GeoJSON FeatureCollection: {error}"
        ) from None
    labels = tuple(_label(each, settings.label) for each in features)
    if settings.kind in ("streets", "beats") and not any(labels):
        raise ConfigurationError(
            f"console.layers: {settings.name}: {settings.file}: no feature has a property {settings.label!r}; "
            "label must be the property that holds a feature's name"
        )
    return Layer(settings.name, settings.kind, settings.label, geojson, shapes, labels)


def _label(feature: _Feature, name: str) -> str:
    value = (feature.properties or {}).get(name)
    return str(value) if isinstance(value, str | int | float) else ""
