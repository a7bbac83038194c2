"""An area from its table and from its settings records; the areas and the faults of a configuration."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from streams.areas.area import Area, Nightly
from streams.areas.configured import configured_areas, faults_of
from streams.configuration.area import AreaTable
from streams.configuration.reader import ConfigurationError
from streams.messages.alert import read_alert
from streams.messages.settings import WrittenCalibration
from tests.streams.area_log.recorded import calibration, town
from tests.streams.messages.alert_events import ALERT

PLACES = Locations.from_places(["x", "y"], [-1.5, -1.501], [53.8, 53.8], 100.0)


def test_an_area_without_a_calibration_promises_nothing() -> None:
    area = Area.of("leeds", AreaSettings(), PLACES)
    assert (area.calibration, area.promise, area.nightly) == (None, None, None)
    assert area.ids == (AreaSettings().digest(PLACES), "")
    assert area.neighbours.zone(0, 2).tolist() == [0, 1]
    assert area.monitor().configuration_id == area.configuration_id


@pytest.mark.parametrize(
    ("keys", "nightly"),
    [
        ({}, Nightly("04:00", 624, 2.0)),
        ({"recalibrate_at": "03:30", "recalibrate_weeks": 100, "budget": "1 per day"}, Nightly("03:30", 100, 7.0)),
        ({"recalibrate_at": ""}, None),
        ({"clock": "watermark"}, None),
    ],
)
def test_only_an_area_on_the_wall_clock_is_calibrated_every_night(keys: dict[str, str], nightly: Nightly) -> None:
    area = Area.from_table("leeds", msgspec.convert(keys, AreaTable), PLACES)
    assert area.nightly == nightly


def test_an_area_is_the_same_after_it_was_written_in_full() -> None:
    plain = town()
    area = dataclasses.replace(plain, calibration_file=calibration(3.0))
    configuration, made = (value for _, value in area.written_in_full())
    for written, again in (
        (area, Area.from_written(configuration, made)),
        (plain, Area.from_written(configuration, None)),
    ):
        assert (again.name, again.settings, again.ids) == (written.name, written.settings, written.ids)
        assert again.locations.ids == written.locations.ids
        assert again.calibration_file == written.calibration_file
        assert again.promise == written.promise
        assert list(again.written_in_full()) == list(written.written_in_full())


def test_the_alerts_of_an_area_for_exercises_are_exercises_and_it_stays_one_when_it_is_read_again() -> None:
    real, drill = (
        Area.from_table("leeds", AreaTable(clock="watermark", exercise=exercise), PLACES) for exercise in (False, True)
    )
    assert drill.settings == real.settings
    assert drill.configuration_id != real.configuration_id == real.settings.digest(PLACES)
    for area, status in ((real, "actual"), (drill, "exercise")):
        ((_, configuration),) = area.written_in_full()
        again = Area.from_written(configuration, None)
        assert again.ids == area.ids
        for each in (area, again):
            assert read_alert(each.event(ALERT)).data.properties.status == status
    ((_, configuration),) = real.written_in_full()
    assert b"exercise" not in configuration  # settings records of real areas stay as they were


def test_a_calibration_whose_id_does_not_fit_its_content_is_refused() -> None:
    area = dataclasses.replace(town(), calibration_file=calibration(3.0))
    configuration, made = (value for _, value in area.written_in_full())
    known = msgspec.json.decode(made, type=WrittenCalibration)
    other = msgspec.structs.replace(known, calibration=msgspec.structs.replace(known.calibration, id="f" * 64))
    with pytest.raises(ValueError, match="its id must be the hash of its content"):
        Area.from_written(configuration, msgspec.json.encode(other))
    with pytest.raises(ValueError, match="truncated"):
        Area.from_written(b"{", None)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({}, "areas.leeds.locations: missing; give the area a cells_file, boundary_file or places_file"),
        ({"places_file": "none.csv"}, "areas.leeds.locations: none.csv: "),
        ({"calibration_file": "none.json"}, "areas.leeds.calibration_file: none.json: cannot be read"),
        ({"budget": "0 per week"}, "areas.leeds.budget = '0 per week': must be above 0"),
    ],
)
def test_a_fault_names_the_area_and_the_key(keys: dict[str, str], line: str, tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("id,longitude,latitude\nx,-1.5,53.8\n")
    usual = {} if not keys or "places_file" in keys else {"places_file": str(tmp_path / "places.csv")}
    with pytest.raises(ConfigurationError) as raised:
        configured_areas({"leeds": msgspec.convert(usual | keys, AreaTable)})
    assert str(raised.value).startswith(line)


def test_faults_of_several_areas_and_their_files_are_listed_together() -> None:
    environ = {f"HOTSPOTS_AREAS__{name}__TIMEZONE": "UTC" for name in ("LEEDS", "YORK")}
    found = faults_of(None, environ)
    assert [line.partition(":")[0] for line in found] == ["areas.leeds.locations", "areas.york.locations"]
