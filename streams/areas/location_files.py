"""The locations of an area from its file: H3 cells, a boundary, or the operator's own places."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Annotated

import msgspec

from detectors.area.locations import Locations
from streams.configuration.area import AreaTable
from streams.configuration.reader import ConfigurationError
from streams.process.strict_json import StrictDecoder

MAX_LOCATIONS = 200_000
"""Largest number of locations of one area, because they must fit into one settings record."""

Position = Annotated[tuple[float, ...], msgspec.Meta(min_length=2, max_length=3)]
Ring = Annotated[tuple[Position, ...], msgspec.Meta(min_length=4)]
Rings = Annotated[tuple[Ring, ...], msgspec.Meta(min_length=1)]


class Polygon(msgspec.Struct, frozen=True, tag="Polygon", tag_field="type"):
    """GeoJSON Polygon: its outer ring and then its holes, each in degrees longitude and latitude."""

    coordinates: Rings


class MultiPolygon(msgspec.Struct, frozen=True, tag="MultiPolygon", tag_field="type"):
    """GeoJSON MultiPolygon."""

    coordinates: tuple[Rings, ...]


class Feature(msgspec.Struct, frozen=True, tag="Feature", tag_field="type"):
    """GeoJSON Feature; its properties are not read."""

    geometry: Polygon | MultiPolygon


class FeatureCollection(msgspec.Struct, frozen=True, tag="FeatureCollection", tag_field="type"):
    """GeoJSON FeatureCollection; the area is the union of its features."""

    features: tuple[Feature, ...]


Shape = Polygon | MultiPolygon | Feature | FeatureCollection


def locations_of(table: AreaTable) -> Locations:
    """Return the locations of an area, from the file that its table names.

    Raises:
        ConfigurationError: The table names no file, or the file cannot be used.
    """
    source = table.cells_file or table.boundary_file or table.places_file
    if not source:
        raise ConfigurationError("locations: missing; give the area a cells_file, boundary_file or places_file")
    path = Path(source)
    try:
        if table.cells_file:
            locations = read_cells(path)
        elif table.boundary_file:
            locations = read_boundary(path, table.resolution)
        else:
            locations = read_places(path, table.max_place_distance_m)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"locations: {source}: {error}") from None
    if len(locations) > MAX_LOCATIONS:
        raise ConfigurationError(
            f"locations: {source}: {len(locations)} locations; must be at most {MAX_LOCATIONS}: "
            "use larger cells, or split the area"
        )
    return locations


def read_cells(path: Path) -> Locations:
    """Read the H3 cells of a file, one on each line in hexadecimal.

    Raises:
        ValueError, OSError: The file cannot be read, or a line is not a cell.
    """
    return Locations.from_cells(path.read_text(encoding="utf-8").split())


def read_boundary(path: Path, resolution: int) -> Locations:
    """Return the H3 cells within a GeoJSON boundary: Polygon, MultiPolygon, Feature or FeatureCollection.

    Raises:
        ValueError, OSError: The file cannot be read, or is not such GeoJSON.
    """
    try:
        shape = StrictDecoder[Shape](Shape).decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise ValueError(f"must be a GeoJSON Polygon, MultiPolygon, Feature or FeatureCollection: {error}") from None
    features = shape.features if isinstance(shape, FeatureCollection) else (shape,)
    polygons: list[Rings] = []
    for each in features:
        geometry = each.geometry if isinstance(each, Feature) else each
        polygons.extend((geometry.coordinates,) if isinstance(geometry, Polygon) else geometry.coordinates)
    return Locations.from_polygon({"type": "MultiPolygon", "coordinates": polygons}, resolution)


def read_places(path: Path, max_distance_m: float) -> Locations:
    """Return the operator's places from a CSV file with the columns id, longitude and latitude (degrees WGS 84).

    Raises:
        ValueError, OSError: The file cannot be read, a column is missing, or a line is wrong.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            missing = {"id", "longitude", "latitude"} - set(rows.fieldnames or ())
        except csv.Error as error:
            raise ValueError(f"line 1: must be CSV ({error})") from None
        if missing:
            raise ValueError(f"column {min(missing)!r} is missing; the first line must name id, longitude, latitude")
        ids, longitudes, latitudes = [], [], []
        try:
            for row in rows:
                if not row["id"]:
                    raise ValueError(f"line {rows.line_num}, id: missing; each place needs its own id")
                ids.append(row["id"])
                longitudes.append(_degrees(row["longitude"], 180, f"line {rows.line_num}, longitude"))
                latitudes.append(_degrees(row["latitude"], 90, f"line {rows.line_num}, latitude"))
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num}: must be CSV ({error})") from None
    return Locations.from_places(ids, longitudes, latitudes, max_distance_m)


def _degrees(text: str | None, limit: int, where: str) -> float:
    try:
        degrees = float(text or "")
    except ValueError:
        degrees = math.nan
    if not abs(degrees) <= limit:
        raise ValueError(f"{where} = {text!r}: must be a number from -{limit} to {limit}")
    return degrees
