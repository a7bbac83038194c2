"""A calibration that version 0.1.0 wrote: its settings are those of then, and all hashes stay."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.areas.area import Area
from streams.calibration.calibration_file import CalibrationError, CalibrationFile, read
from streams.calibration.recorded import read_recorded
from streams.messages.settings import WrittenCalibration
from tests.integration.worker.former_version.recording import FILE, Recording

CONFIGURATION, CALIBRATION = Recording.read(FILE).of("settings")[1:3]
"""The settings records of york."""
THEN: dict[str, object] = {
    "statistic": "permutation",
    "same_event": {"within_m": 0.0, "within_s": 0},
    "interval_times": "end",
}
"""What version 0.1.0 did without having these settings: its scan, every record an event, intervals at their end."""


def test_a_former_calibration_has_the_settings_of_then_and_keeps_its_hash() -> None:
    assert not any(name in CALIBRATION.value for name in THEN)
    made = read_recorded(CALIBRATION.value.encode(), WrittenCalibration, "calibration", "settings").calibration
    known = msgspec.to_builtins(made.settings)
    assert {name: known[name] for name in THEN} == THEN
    area = Area.from_written(CONFIGURATION.value.encode(), CALIBRATION.value.encode())
    assert area.calibration_file == made
    assert area.calibration is not None
    assert [f"york:{each}" for each in (area.configuration_id, area.calibration.digest)] == [
        CONFIGURATION.key,
        CALIBRATION.key,
    ]


def test_a_former_file_fits_an_area_that_does_the_same_and_no_other(tmp_path: Path) -> None:
    path, now = tmp_path / "former.json", Area.from_written(CONFIGURATION.value.encode(), None)
    file = msgspec.json.decode(CALIBRATION.value)["calibration"]
    path.write_bytes(msgspec.json.encode(file))
    assert read(path, now).id == file["id"]
    other = {"statistic": "bayes", "same_event": {"within_m": 50.0, "within_s": 600}, "interval_times": "spread"}
    settings = msgspec.convert(msgspec.to_builtins(now.settings) | other, type(now.settings))
    with pytest.raises(CalibrationError) as raised:
        read(path, Area.of("york", settings, now.locations))
    assert all(f"{name} = " in str(raised.value) for name in THEN)


@pytest.mark.parametrize("value", [None, b"[]", b'{"settings": 3}', b'{"settings": null, "id": 7}'])
def test_what_is_no_calibration_is_refused(value: bytes | None) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_recorded(value, CalibrationFile, "settings")
