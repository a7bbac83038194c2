"""The table of an area: its settings and their hash, its budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings, DeniedPlace
from streams.configuration.area import AreaTable, alerts_per_week
from streams.configuration.load import load
from streams.configuration.reader import ConfigurationError

LEEDS = "[areas.leeds]\ntimezone = 'Europe/London'\n"


def test_the_monitor_reads_the_deny_list(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text(LEEDS + "[[areas.leeds.deny_list]]\nname = 'Hospital'\nlongitude = -1.52\nlatitude = 53.81\n")
    station = "[{ name = 'Station', longitude = -1.55, latitude = 53.79, radius_m = 150 }]"
    in_file, in_environment = load(path, {}), load(path, {"HOTSPOTS_AREAS__LEEDS__DENY_LIST": station})
    hospital = DeniedPlace(name="Hospital", longitude=-1.52, latitude=53.81, radius_m=100.0)
    assert in_file.areas["leeds"].settings.deny_list == (hospital,)
    assert [place.radius_m for place in in_environment.areas["leeds"].deny_list] == [150.0]
    places = Locations.from_places(["x"], [-1.5], [53.8], 100.0)
    assert in_file.areas["leeds"].digest(places) != in_environment.areas["leeds"].digest(places)


def test_the_monitor_does_not_see_where_an_area_lies() -> None:
    one, other = AreaTable(cells_file="a.txt", seed=3), AreaTable(boundary_file="b.json", seed=3)
    assert one.settings == other.settings
    assert one.settings.seed == 3
    places = Locations.from_places(["x"], [-1.5], [53.8], 100.0)
    assert one.digest(places) == other.digest(places) == one.settings.digest(places)


def test_places_of_the_same_name_have_different_configuration_hashes() -> None:
    at_home = Locations.from_places(["x"], [-1.5], [53.8], 100.0)
    moved = Locations.from_places(["x"], [-1.5], [53.9], 100.0)
    wider = Locations.from_places(["x"], [-1.5], [53.8], 200.0)
    assert len({AreaSettings().digest(places) for places in (at_home, moved, wider)}) == 3


@pytest.mark.parametrize(
    ("budget", "rate"), [("2 per week", 2.0), ("1 per day", 7.0), ("0.5 per week", 0.5), ("3 per month", 0.69)]
)
def test_a_budget_is_a_rate(budget: str, rate: float) -> None:
    assert alerts_per_week(budget) == pytest.approx(rate, rel=0.01)


def test_a_budget_is_checked() -> None:
    for wrong in ("", "2", "2 per fortnight", "-1 per week", "2 per week "):
        with pytest.raises(ConfigurationError):
            alerts_per_week(wrong)
