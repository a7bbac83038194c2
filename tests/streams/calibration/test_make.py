"""The command `hotspots calibrate`, its file, and the areas that use it."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from detectors.area.incident import Category, Incident
from detectors.area.locations import Locations, cell_of
from detectors.area.settings import AreaSettings, DeniedPlace, SameEventSettings
from detectors.simulation import City
from detectors.window.intake import Intake
from streams.analyst.chosen_area import chosen_area, chosen_table
from streams.analyst.incident_file import IncidentFile
from streams.areas.area import Area
from streams.areas.configured import configured_areas
from streams.calibration.calibration_file import CalibrationError, CalibrationFile, misfits, read
from streams.calibration.history import History
from streams.calibration.make import past_of
from streams.cli import main
from streams.configuration.area import AreaTable
from streams.configuration.load import load
from streams.messages.alert import read_alert
from tests.shared_data import shared

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
WEEKS = 14
AREA = """
[areas.leeds]
clock = "watermark"
timezone = "Europe/London"
cells_file = "cells.txt"
resolution = 9
window_days = 14
min_baseline_days = 7
durations_h = [4, 12, 24]
replications = 99
{more}
"""


def hotspots(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of a small town, its configuration, and a calibration that the command made from them."""
    folder = tmp_path_factory.mktemp("town")
    city = City(3, places=200, radius_m=1500.0, incidents_per_day=15.0)
    incidents = city.simulate(BEGIN, BEGIN + timedelta(weeks=WEEKS), inject=False).incidents
    columns = ("id", "occurred_at", "reported_at", "category", "longitude", "latitude")
    with (folder / "incidents.csv").open("w", newline="") as file:
        rows = [[msgspec.to_builtins(each)[column] for column in columns] for each in incidents]
        csv.writer(file).writerows([columns, *rows])
    (folder / "cells.txt").write_text("\n".join(city.cells(9)))
    (folder / "area.toml").write_text(AREA.format(more='budget = "2 per week"'))
    made = hotspots(
        "calibrate", folder / "incidents.csv", "--config", folder / "area.toml", "--weeks", 78, "--output",
        folder / "calibration.json", "--picture", folder / "curve.svg",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    (folder / "made.txt").write_text(made.output)
    return folder


def test_the_file_holds_its_sources_and_its_promise(folder: Path) -> None:
    file = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=CalibrationFile)
    assert (file.area, file.weeks, file.seed) == ("leeds", 78, 0)
    assert file.id == file.calibration.digest
    assert file.settings.durations_h == (4, 12, 24)
    assert file.calibration.budget == 2.0
    assert file.calibration.rate_low <= file.calibration.rate <= file.calibration.rate_high
    assert file.history.begins_at >= BEGIN
    assert file.history.ends_at <= BEGIN + timedelta(weeks=WEEKS)
    assert file.history.incidents > 1000
    assert file.calibration.margins == ()  # the Bayesian scan needs none
    assert set(file.calibration.near_repeats.followers) == {"violence", "property", "drugs", "disorder"}


def test_the_promise_is_printed(folder: Path) -> None:
    printed = (folder / "made.txt").read_text()
    tiers = ("watch", "advisory", "alert")
    for words in (*tiers, "promised: 2 alerts a week", "near repeats", "history:", "a week in all"):
        assert words in printed


@pytest.mark.parametrize(("simulated", "gave", "alerts"), [(52, 26, 5), (78, 52, 10)], ids=["at once", "solved again"])
def test_a_tier_that_rests_on_few_alerts_is_named(folder: Path, simulated: int, gave: int, alerts: int) -> None:
    """Of 78 weeks, 26 give the scores and 26 the rate; solved again, 52 give the scores and 26 new ones the rate."""
    file = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=CalibrationFile)
    made = msgspec.structs.replace(
        file.calibration, budget=1.9, rate_low=1.5, rate_high=2.5, curve=((3.0, 1.0), (7.0, 1 / simulated))
    )
    (few,) = msgspec.structs.replace(file, calibration=made).remarks()
    weeks = f"in the {gave} weeks of null histories that gave the scores; --weeks 158 gives it 10 or more"
    assert few == f"urgent rests on {alerts} alerts {weeks}"


def test_a_missed_promise_is_said_first(folder: Path) -> None:
    file = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=CalibrationFile)
    narrow = msgspec.structs.replace(file.calibration, rate=2.9, rate_low=2.4, rate_high=3.4)
    remarks = msgspec.structs.replace(file, calibration=narrow).remarks()
    assert remarks[0].startswith(
        "the promise of 2 a week is missed: other weeks by chance had 2.90 (95 %: 2.40 to 3.40)"
    )
    assert remarks[1:] == file.remarks()


def test_the_picture_shows_every_tier(folder: Path) -> None:
    drawn = (folder / "curve.svg").read_text()
    for words in ("watch", "advisory", "urgent", "promised 2 a week"):
        assert f">{words}" in drawn


def test_a_backtest_uses_it(folder: Path) -> None:
    arguments = ("backtest", folder / "incidents.csv", "--config", folder / "area.toml")
    plain, calibrated = folder / "plain.jsonl", folder / "calibrated.jsonl"
    assert hotspots(*arguments, "--alerts", plain).exit_code == 0
    done = hotspots(*arguments, "--calibration", folder / "calibration.json", "--alerts", calibrated)
    assert done.exit_code == 0, done.output
    file = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=CalibrationFile)
    revisions = [read_alert(line).data.properties for line in calibrated.read_bytes().splitlines()]
    assert revisions
    for each in revisions:
        assert (each.interval_kind, each.calibration, each.budget_per_week) == ("calibrated", file.id, 2.0)
        assert each.recurrence_interval_days == pytest.approx(file.calibration.interval(each.score).days, rel=1e-4)
        if each.reason == "opened":
            assert each.tier == file.calibration.tier(each.trigger_score)
    assert all(b'"interval_kind":"nominal"' in line for line in plain.read_bytes().splitlines())


def test_an_area_of_the_worker_uses_it_and_puts_it_on_record(folder: Path) -> None:
    (folder / "live.toml").write_text(AREA.format(more='calibration_file = "calibration.json"'))
    (area,) = configured_areas(load(folder / "live.toml", {}).areas).values()
    file = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=CalibrationFile)
    assert area.ids == (area.configuration_id, file.id)
    keys = [key.decode() for key, _ in area.written_in_full()]
    assert keys == [f"leeds:{area.configuration_id}", f"leeds:{file.id}"]
    assert area.promise is not None
    assert area.promise.budget == 2.0


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"max_radius_m": 400.0}, "max_radius_m = 500.0 then, 400.0 now"),
        ({"durations_h": (4, 12)}, "durations_h = [4,12,24] then, [4,12] now"),
        ({"seed": 7}, None),
        ({"clock": "wall"}, None),
        ({"deny_list": (DeniedPlace(name="Hospital", longitude=-1.55, latitude=53.8),)}, None),
    ],
)
def test_one_made_for_other_settings_is_refused_by_key(
    folder: Path, change: dict[str, object], fault: str | None
) -> None:
    settings = msgspec.structs.replace(load(folder / "area.toml", {}).areas["leeds"].settings, **change)
    area = Area.of("leeds", settings, Locations.from_cells((folder / "cells.txt").read_text().split()))
    if fault is None:
        assert read(folder / "calibration.json", area)
        return
    with pytest.raises(CalibrationError) as raised:
        read(folder / "calibration.json", area)
    assert fault in str(raised.value)


def test_if_each_record_counts_no_distance_matters(folder: Path) -> None:
    cells = Locations.from_cells((folder / "cells.txt").read_text().split())
    known = load(folder / "area.toml", {}).areas["leeds"].settings
    made, other = (
        msgspec.structs.replace(known, same_event=SameEventSettings(within_m=within_m, within_s=0))
        for within_m in (50.0, 0.0)
    )
    file = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=CalibrationFile)
    file = msgspec.structs.replace(file, settings=made)
    assert misfits(file, Area.of("leeds", other, cells)) == []
    assert len(misfits(file, Area.of("leeds", known, cells))) == 1


def test_one_of_other_locations_or_changed_by_hand_is_refused(folder: Path) -> None:
    settings = load(folder / "area.toml", {}).areas["leeds"].settings
    cells = (folder / "cells.txt").read_text().split()
    with pytest.raises(CalibrationError, match=r"area 'leeds' then, 'york' now; other locations"):
        read(folder / "calibration.json", Area.of("york", settings, Locations.from_cells(cells[1:])))
    content = json.loads((folder / "calibration.json").read_text())
    content["calibration"]["scores"]["alert"] += 0.5
    (folder / "changed.json").write_text(json.dumps(content))
    with pytest.raises(CalibrationError, match="its id must be the hash of its content"):
        read(folder / "changed.json", Area.of("leeds", settings, Locations.from_cells(cells)))
    (folder / "none.json").write_text("{}")
    refused = hotspots(
        "backtest", folder / "incidents.csv", "--config", folder / "area.toml", "--calibration", folder / "none.json"
    )
    assert refused.exit_code == 2
    assert "cannot be read as a calibration" in refused.output
    assert len(refused.output.splitlines()) == 1


def test_what_cannot_be_calibrated_says_why(folder: Path) -> None:
    arguments = (
        "calibrate",
        folder / "incidents.csv",
        "--config",
        folder / "area.toml",
        "--output",
        folder / "no.json",
    )
    for more, words in (
        (("--budget", "two a week"), "must be such as '2 per week'"),
        (("--budget", "0 per week"), "must be above 0"),
        (("--to", "2024-01-29"), "near repeats need at least 8"),
        (("--to", "2023-01-29"), "must be at least 7 days"),
    ):
        refused = hotspots(*arguments, *more)
        assert refused.exit_code == 2, refused.output
        assert words in refused.output
        assert len(refused.output.splitlines()) == 1
    assert not (folder / "no.json").exists()


def test_an_area_with_an_old_or_missing_calibration_can_be_calibrated_and_replayed(folder: Path) -> None:
    (folder / "old.json").write_text("{}")
    (folder / "old.toml").write_text(AREA.format(more='calibration_file = "old.json"'))
    incidents = IncidentFile.read(folder / "incidents.csv")
    named = chosen_table(load(folder / "old.toml", {}).areas, None)
    assert chosen_area(*named, incidents).calibration is None
    with pytest.raises(CalibrationError):
        chosen_area(*named, incidents, is_calibrated=True)


def test_a_written_configuration_names_the_calibration(folder: Path) -> None:
    found = folder / "found.toml"
    done = hotspots(
        "backtest", folder / "incidents.csv", "--config", folder / "area.toml", "--calibration",
        folder / "calibration.json", "--write-config", found, "--to", "2024-01-20",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (area,) = configured_areas(load(found, {}).areas).values()
    assert area.calibration_file is not None


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(folder: Path) -> None:
    output = folder / "no.json"
    refused = hotspots("calibrate", folder / "incidents.csv", "--output", output, "--picture", folder / "curve.txt")
    assert refused.exit_code == 2
    assert "must end in .svg or .png" in refused.output
    assert not output.exists()


def test_the_past_holds_the_last_version_of_each_incident() -> None:
    place = (-1.55, 53.8)
    cell = cell_of(*place, 10)

    def incident(id_: str, hours: float, **more: object) -> Incident:
        fields = {"category": "violence", "longitude": place[0], "latitude": place[1]} | more
        return Incident(id=id_, occurred_at=BEGIN + timedelta(hours=hours), **fields)  # type: ignore[arg-type]

    rows = [
        incident("moved", 1, reported_at=BEGIN + timedelta(hours=1)),
        incident("moved", 5, reported_at=BEGIN + timedelta(hours=6)),
        incident("gone", 2),
        incident("gone", 2, status="cancelled", reported_at=BEGIN + timedelta(hours=9)),
        incident("older", 3, revision=2, reported_at=BEGIN + timedelta(hours=3)),
        incident("older", 8, revision=1, reported_at=BEGIN + timedelta(hours=8)),
        incident("else", 4, category=Category.OTHER.value),
        incident("far", 4, latitude=51.0),
        incident("lost", 6),
        incident("lost", 7, longitude=0.0, latitude=0.0, reported_at=BEGIN + timedelta(hours=8)),
        incident("gone and lost", 6, status="cancelled"),
        incident("gone and lost", 7, longitude=None, latitude=None),
        incident("last", 9.5, category="drugs"),
    ]
    past = past_of(
        rows, Area.of("leeds", AreaSettings(), Locations.from_cells([cell])), BEGIN, BEGIN + timedelta(hours=10)
    )
    np.testing.assert_array_equal(past.second, [3 * 3600, 5 * 3600, 7 * 3600, 9.5 * 3600])
    np.testing.assert_array_equal(past.category, [0, 0, 0, 2])
    assert (past.first_bucket, past.buckets) == (int(BEGIN.timestamp()) // 3600, 10)


def test_an_update_without_a_position_keeps_the_moment_live_and_in_the_past() -> None:
    """Its interval is unchanged; it has another category, and no coordinates or a default point far away."""
    area = Area.of("leeds", AreaSettings(), Locations.from_cells([cell_of(-1.55, 53.8, 10)]))
    begin, end = BEGIN + timedelta(hours=22), BEGIN + timedelta(hours=30)
    first = [
        Incident(
            id=str(number), occurred_from=begin, occurred_to=end, category="property", longitude=-1.55,
            latitude=53.8 + number * 1e-5,
        )
        for number in range(5)
    ]  # fmt: skip
    places: list[dict[str, Any]] = [{"longitude": None, "latitude": None}, {"longitude": 0.0, "latitude": 0.0}]
    updates = [
        msgspec.structs.replace(each, category="violence", **places[number % 2]) for number, each in enumerate(first)
    ]
    live = []
    for rows in (first, [*first, *updates]):
        intake = Intake(area.settings, area.locations)
        for offset, each in enumerate(rows):
            intake.refill(each, offset, int(end.timestamp()))
        window = intake.window
        live.append(sorted(window.columns.occurred_s[window.rows(window.first, window.now)].tolist()))
        past = past_of(rows, area, BEGIN, BEGIN + timedelta(days=2))
        assert (past.second + past.first_bucket * 3600).tolist() == live[-1]
    assert live[0] == live[1]
    assert len(set(live[0])) == 5


def town_area(cells: Path) -> Area:
    return Area.of("leeds", AreaSettings(), Locations.from_cells(cells.read_text().split()))


def test_rows_of_wrong_years_are_left_out_and_said(folder: Path) -> None:
    rows = list(IncidentFile.read(folder / "incidents.csv").incidents())
    odd = [
        msgspec.structs.replace(rows[0], id=f"odd {year}", occurred_at=BEGIN.replace(year=year), reported_at=None)
        for year in (1900, 1970, 2099)
    ]
    area = town_area(folder / "cells.txt")
    alone, among = past_of(rows, area, None, None), past_of([*rows, *odd], area, None, None)
    assert (among.first_bucket, among.buckets) == (alone.first_bucket, alone.buckets)
    np.testing.assert_array_equal(among.second, alone.second)
    assert History.of(alone).remarks() == []
    assert History.of(among).remarks() == [
        "history: it begins on 2024-01-01 and leaves out 2 incidents from 1900-01-01 to 1970-01-01, because hardly "
        "anything else is dated around then; --from can take them in",
        "history: it ends on 2024-04-07 and leaves out 1 incident of 2099-01-01, because hardly anything else is dated "
        "around then; --to can take them in",
    ]


def test_times_that_were_asked_for_stay_and_a_mostly_empty_history_is_said(folder: Path) -> None:
    rows = list(IncidentFile.read(folder / "incidents.csv").incidents())
    early = BEGIN - timedelta(days=365)
    past = past_of(rows, town_area(folder / "cells.txt"), early, None)
    history = History.of(past)
    assert history.begins_at == early
    assert history.left_out == ()
    first = f"{min(each.occurred for each in rows if each.occurred):%Y-%m-%d %H:%M}"
    assert history.remarks() == [
        f"history: 365 of its {365 + 7 * WEEKS - 1} days have hardly any incident, so the scores are too low; --from "
        "and --to choose other days",
        f"history: no incident from 2023-01-01 00:00 to {first} UTC, which counts as quiet time; --from and --to can "
        "leave it out",
    ]


def test_the_command_says_what_it_left_out_and_the_file_keeps_it(folder: Path) -> None:
    text = (folder / "incidents.csv").read_text()
    place = text.splitlines()[1].split(",")[-2:]
    (folder / "odd.csv").write_text(f"{text}odd,1998-05-03T12:00:00Z,,violence,{','.join(place)}\n")
    made = hotspots(
        "calibrate", folder / "odd.csv", "--config", folder / "area.toml", "--weeks", 78, "--output",
        folder / "odd.json",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "leaves out 1 incident of 1998-05-03" in made.stderr
    with_odd, without = (
        msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=CalibrationFile)
        for name in ("odd", "calibration")
    )
    assert with_odd.calibration == without.calibration
    assert [each.number for each in with_odd.history.left_out] == [1]
    assert with_odd.history.begins_at == without.history.begins_at


def test_a_city_with_one_old_row_has_the_same_past() -> None:
    case = shared("cases/02-calibrate-historic-offence")
    files = [IncidentFile.read(case / name) for name in ("city.csv", "city_hist.csv")]
    area = chosen_area("city", AreaTable(timezone="Europe/London"), files[0])
    without, with_old = (past_of(each.incidents(), area, None, None) for each in files)
    for name in ("first_bucket", "buckets", "second", "location", "category"):
        np.testing.assert_array_equal(getattr(with_old, name), getattr(without, name))
    (old,) = History.of(with_old).left_out
    assert (old.number, f"{old.first_at:%Y-%m-%d}") == (1, "2022-03-01")
