"""The locations of an area from each kind of file."""

from __future__ import annotations

import json
from pathlib import Path

import h3
import pytest

from streams.areas.location_files import locations_of
from streams.configuration.area import AreaTable
from streams.configuration.load import load
from streams.configuration.reader import ConfigurationError

LEEDS = "[areas.leeds]\ntimezone = 'Europe/London'\n"


class TestLocations:
    def area(self, folder: Path, keys: str) -> AreaTable:
        (folder / "monitor.toml").write_text(LEEDS + keys)
        return load(folder / "monitor.toml", {}).areas["leeds"]

    def test_of_cells(self, tmp_path: Path) -> None:
        cells = sorted(h3.grid_disk(h3.latlng_to_cell(53.8, -1.54, 9), 1))
        (tmp_path / "cells.txt").write_text("\n".join(reversed(cells)) + "\n\n")
        found = locations_of(self.area(tmp_path, "cells_file = 'cells.txt'"))
        assert list(found.ids) == cells
        assert found.resolution == 9

    @pytest.mark.parametrize("wrap", ["polygon", "multi", "feature", "collection"])
    def test_of_a_boundary(self, tmp_path: Path, wrap: str) -> None:
        ring = [[-1.56, 53.79], [-1.53, 53.79], [-1.53, 53.81], [-1.56, 53.81], [-1.56, 53.79]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        feature = {"type": "Feature", "properties": {"name": "centre"}, "geometry": polygon}
        shape = {
            "polygon": polygon,
            "multi": {"type": "MultiPolygon", "coordinates": [[ring]]},
            "feature": feature,
            "collection": {"type": "FeatureCollection", "features": [feature, feature]},
        }[wrap]
        (tmp_path / "city.geojson").write_text(json.dumps(shape))
        found = locations_of(self.area(tmp_path, "boundary_file = 'city.geojson'\nresolution = 8"))
        assert found.resolution == 8
        assert set(found.ids) == set(h3.geo_to_cells(polygon, 8))

    def test_of_places(self, tmp_path: Path) -> None:
        text = "name,longitude,id,latitude\nA station,-1.5,station,53.7\n,-1.6,market,53.8\n"
        (tmp_path / "places.csv").write_text(text)
        found = locations_of(self.area(tmp_path, "places_file = 'places.csv'\nmax_place_distance_m = 80"))
        assert found.ids == ("market", "station")
        assert found.longitude.tolist() == [-1.6, -1.5]
        assert (found.resolution, found.max_distance_m) == (None, 80)

    def test_an_area_without_a_file_is_a_fault(self) -> None:
        with pytest.raises(ConfigurationError, match="give the area a cells_file, boundary_file or places_file"):
            locations_of(AreaTable())

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("id,longitude\n", "column 'latitude' is missing"),
            ("", "column 'id' is missing"),
            ("id,longitude,latitude\na,nan,1\n", "line 2, longitude = 'nan': must be a number from -180 to 180"),
            ("id,longitude,latitude\na,1\n", "line 2, latitude = None: must be a number"),
            ("id,longitude,latitude\n,1,2\n", "line 2, id: missing"),
            ("id,longitude,latitude\na,1,1\na,2,2\n", "an id is given twice"),
            ("id,longitude,latitude\n", "places: missing"),
            (f"id,longitude,latitude\n{'a' * 200_000},1,2\n", "must be CSV (field larger than field limit"),
            (f"id,{'a' * 200_000}\n", "line 1: must be CSV (field larger than field limit"),
        ],
    )
    def test_a_fault_in_the_places_is_one_line(self, tmp_path: Path, text: str, problem: str) -> None:
        (tmp_path / "places.csv").write_text(text)
        with pytest.raises(ConfigurationError) as raised:
            locations_of(self.area(tmp_path, "places_file = 'places.csv'"))
        assert str(raised.value).startswith(f"locations: {tmp_path}/places.csv: ")
        assert problem in str(raised.value)
        assert "\n" not in str(raised.value)
