"""The output of `hotspots backtest` for a small simulated city, busy enough for alerts."""

from __future__ import annotations

import csv
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from detectors.simulation import City, Injection
from streams.areas.location_files import locations_of
from streams.cli import main
from streams.configuration.load import load
from streams.messages.alert import AlertEvent, AlertFeature, read_alert

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
CLUSTERS_FROM = BEGIN + timedelta(days=7)
END = BEGIN + timedelta(days=12)
AREA = """
[areas.leeds]
clock = "watermark"
tick_s = 3600
resolution = 9
window_days = 14
min_baseline_days = 7
durations_h = [4, 12, 24]
replications = 99

[areas.leeds.tiers]
watch = 2
advisory = 5
alert = 20
urgent = 365
"""
SUMMARY = {"incidents": dict, "scans": int, "alerts": list}
OUTCOMES = ("added", "replaced", "removed", "duplicate", "outside", "rejected", "ticks")
ALERT: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "category": (str,),
    "state": (str,),
    "tier": (str,),
    "alerted_at": (str,),
    "ended_at": (str, type(None)),
    "revisions": (int,),
    "longitude": (float,),
    "latitude": (float,),
    "radius_m": (float,),
    "observed": (int,),
    "expected": (float,),
    "recurrence_interval_days": (float,),
    "interval_is_lower_bound": (bool,),
}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

Rows = list[list[object]]


def city_rows() -> Rows:
    """Header and incidents of twelve days, with clusters hidden in the last five."""
    city = City(1, places=150, incidents_per_day=30, injection=Injection(per_day=1, relative_risk=(15, 20)))
    rows: Rows = [["id", "occurred_at", "reported_at", "category", "longitude", "latitude"]]
    for each in city.simulate(BEGIN, END, inject_from=CLUSTERS_FROM).incidents:
        assert each.occurred_at is not None
        assert each.reported_at is not None
        times = (each.occurred_at.isoformat(), each.reported_at.isoformat())
        rows.append([each.id, *times, each.category, each.longitude, each.latitude])
    return rows


def write_rows(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


class Finished:
    """A finished `hotspots backtest`: its JSON, and the folder with its files."""

    def __init__(self, folder: Path, file: Path, *options: str, area: str = AREA) -> None:
        self.folder = folder
        settings = folder / "area.toml"
        settings.write_text(area)
        written = ("--write-config", str(folder / "written.toml"), "--alerts", str(folder / "alerts.jsonl"))
        result = CliRunner().invoke(
            main, ["backtest", str(file), "--config", str(settings), "--output", "json", *written, *options]
        )
        assert result.exit_code == 0, result.output
        self.stderr = result.stderr
        self.summary: dict[str, Any] = json.loads(result.stdout)
        self.lines = (folder / "alerts.jsonl").read_bytes().splitlines()
        self.events: list[AlertEvent] = [read_alert(line) for line in self.lines]

    @property
    def incidents(self) -> dict[str, int]:
        incidents: dict[str, int] = self.summary["incidents"]
        return incidents

    @property
    def configuration_ids(self) -> set[str]:
        return {event.data.properties.configuration for event in self.events}

    def written_configuration_id(self) -> str:
        """The configuration hash of a worker that runs with the written file."""
        area = load(self.folder / "written.toml", {}).areas["leeds"]
        return area.digest(locations_of(area))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("city") / "city.csv", city_rows())


@pytest.fixture(scope="module")
def whole(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The city, without any option."""
    return Finished(tmp_path_factory.mktemp("whole"), city)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# The JSON


def test_the_summary_has_exactly_its_keys_and_types(whole: Finished) -> None:
    assert {key: type(value) for key, value in whole.summary.items()} == SUMMARY
    assert list(whole.incidents) == ["read", *OUTCOMES]
    assert {type(number) for number in whole.incidents.values()} == {int}
    assert len(whole.summary["alerts"]) >= 3
    for alert in whole.summary["alerts"]:
        assert list(alert) == list(ALERT)
        assert all(type(alert[key]) in types for key, types in ALERT.items())
        assert alert["category"] in ("violence", "property", "drugs", "disorder", "all")
        assert RFC3339.fullmatch(alert["alerted_at"])
        assert alert["ended_at"] is None or RFC3339.fullmatch(alert["ended_at"])
    assert {alert["state"] for alert in whole.summary["alerts"]} >= {"ended"}


def test_the_accounts_balance_and_every_row_is_in_them(tmp_path: Path) -> None:
    rows = city_rows()
    last, place = rows[-1][1], rows[-1][4:]
    rows += [
        rows[-1],  # the same again
        ["far", last, last, "drugs", 10.0, 50.0],
        ["bad", last, last, "drugs", "west", 53.8],
        ["old", BEGIN - timedelta(days=60), last, "drugs", *place],
    ]
    run = Finished(tmp_path, write_rows(tmp_path / "city.csv", rows))
    assert run.incidents["read"] == sum(run.incidents[outcome] for outcome in OUTCOMES)
    assert run.incidents["read"] == len(rows) - 1 + run.incidents["ticks"]
    assert {name: run.incidents[name] for name in ("duplicate", "outside", "rejected")} == {
        "duplicate": 1,
        "outside": 1,
        "rejected": 2,
    }


def test_only_alerts_that_reached_the_tier_alert_are_listed_and_since_when(whole: Finished) -> None:
    reached: dict[str, datetime] = {}
    for event in whole.events:
        if event.data.properties.tier in ("alert", "urgent"):
            reached.setdefault(event.subject, event.time)
    assert {alert["id"]: moment(alert["alerted_at"]) for alert in whole.summary["alerts"]} == reached
    assert {event.subject for event in whole.events} > reached.keys(), "some alerts stay below that tier"


def test_the_events_are_the_revisions_of_the_listed_alerts(whole: Finished) -> None:
    for alert in whole.summary["alerts"]:
        own = [event.data.properties for event in whole.events if event.subject == alert["id"]]
        assert [each.revision for each in own] == list(range(1, alert["revisions"] + 1))
        assert (own[-1].state, own[-1].tier) == (alert["state"], alert["tier"])
        assert (own[-1].ended_at or None) == (alert["ended_at"] and moment(alert["ended_at"]))
        strongest = max(own, key=lambda each: each.score)
        assert strongest.observed == alert["observed"]
        assert strongest.radius_m == pytest.approx(alert["radius_m"], abs=0.051)


def test_the_events_come_in_order_and_each_once(whole: Finished) -> None:
    assert [event.time for event in whole.events] == sorted(event.time for event in whole.events)
    assert len({event.id for event in whole.events}) == len(whole.events) == len(whole.lines)
    assert not any(b"provenance" in line or b"latency" in line for line in whole.lines)


# The options


def test_rows_before_from_raise_nothing_and_fill_the_window(whole: Finished, city: Path, tmp_path: Path) -> None:
    begin = CLUSTERS_FROM + timedelta(days=2)
    run = Finished(tmp_path, city, "--from", begin.isoformat())
    assert min(event.time for event in whole.events) < begin
    assert min(event.time for event in run.events) >= begin
    assert run.incidents == whole.incidents
    assert 0 < run.summary["scans"] < whole.summary["scans"]
    # Two days of rows alone are no baseline: without those before there would be no alert.
    assert run.summary["alerts"]


def test_a_from_after_every_row_is_reported(city: Path, tmp_path: Path) -> None:
    run = Finished(tmp_path, city, "--from", (END + timedelta(days=30)).isoformat())
    assert "no row is dated --from or later" in run.stderr
    assert run.summary["scans"] == 0


def test_rows_from_to_on_are_left_out(whole: Finished, city: Path, tmp_path: Path) -> None:
    end = CLUSTERS_FROM + timedelta(days=3)
    run = Finished(tmp_path, city, "--to", end.isoformat())
    before = [row for row in city_rows()[1:] if moment(str(row[2])) < end]
    assert run.incidents["added"] == len(before) < whole.incidents["added"]
    # What was found before does not depend on what comes after; locations are those of the whole file.
    earlier = [line for line, event in zip(whole.lines, whole.events, strict=True) if event.time < end]
    assert run.lines[: len(earlier)] == earlier


def test_a_date_alone_is_midnight_utc(city: Path, tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    short.mkdir()
    long.mkdir()
    assert (
        Finished(short, city, "--to", "2024-01-09").lines
        == Finished(long, city, "--to", "2024-01-08T19:00:00-05:00").lines
    )


def test_the_seed_is_in_every_event_and_in_the_configuration(whole: Finished, city: Path, tmp_path: Path) -> None:
    run = Finished(tmp_path, city, "--seed", "7")
    assert {event.data.properties.seed for event in run.events} == {7}
    assert {event.data.properties.seed for event in whole.events} == {0}
    assert run.configuration_ids.isdisjoint(whole.configuration_ids)
    assert run.configuration_ids == {run.written_configuration_id()}


def test_local_times_are_in_the_given_time_zone(city: Path, tmp_path: Path) -> None:
    run = Finished(tmp_path, city, "--timezone", "America/Chicago")
    assert run.events
    for event in run.events:
        local = event.data.properties.updated_at_local
        assert local == event.time
        assert local.utcoffset() == timedelta(hours=-6)
    assert run.configuration_ids == {run.written_configuration_id()}


# The written configuration


def test_the_written_configuration_is_the_one_that_ran(whole: Finished, city: Path, tmp_path: Path) -> None:
    assert whole.configuration_ids == {whole.written_configuration_id()}
    shutil.copy(whole.folder / "written.cells.txt", tmp_path)
    again = Finished(tmp_path, city, area=(whole.folder / "written.toml").read_text())
    assert again.lines == whole.lines
    assert again.summary == whole.summary


def test_places_with_any_name_are_written_so_that_they_can_be_read(city: Path, tmp_path: Path) -> None:
    places: Rows = [["id", "longitude", "latitude"]]
    places += [[f'Well, "{row[0]}"', *row[4:]] for row in city_rows()[1:200]]
    write_rows(tmp_path / "places.csv", places)
    area = AREA.replace("resolution = 9", 'places_file = "places.csv"\nmax_place_distance_m = 400.5')
    run = Finished(tmp_path, city, "--to", "2024-01-10", area=area)
    written = load(tmp_path / "written.toml", {}).areas["leeds"]
    assert locations_of(written).ids == tuple(sorted(str(row[0]) for row in places[1:]))
    assert locations_of(written).max_distance_m == 400.5
    assert run.configuration_ids == {run.written_configuration_id()}


# What is shown


def shown(city: Path, folder: Path, output: str) -> Result:
    settings = folder / "area.toml"
    settings.write_text(AREA)
    result = CliRunner().invoke(main, ["backtest", str(city), "--config", str(settings), "--output", output])
    assert result.exit_code == 0, result.output
    return result


def test_geojson_holds_the_last_revision_of_each_listed_alert(whole: Finished, city: Path, tmp_path: Path) -> None:
    collection = json.loads(shown(city, tmp_path, "geojson").stdout)
    assert collection["type"] == "FeatureCollection"
    features = msgspec.convert(collection["features"], list[AlertFeature])
    listed = {alert["id"]: alert for alert in whole.summary["alerts"]}
    assert {feature.id for feature in features} == listed.keys()
    for feature in features:
        longitude, latitude = feature.geometry.coordinates
        assert -1.7 < longitude < -1.4
        assert 53.7 < latitude < 53.9
        assert feature.properties.revision == listed[feature.id]["revisions"]


def test_the_table_names_the_accounts_and_categories_that_are_not_known(tmp_path: Path) -> None:
    rows = city_rows()[:60]
    rows[5][3] = "arson at sea"
    printed = shown(write_rows(tmp_path / "city.csv", rows), tmp_path, "table").stdout
    assert "read 60, added 59" in printed
    assert "1 of an unknown category" in printed


def test_rejected_rows_and_a_lack_of_history_are_reported(tmp_path: Path) -> None:
    header: list[object] = ["id", "occurred_at", "category", "longitude", "latitude"]
    days = [datetime(2024, 5, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(8)]
    rows: Rows = [header]
    rows += [[f"i{at.day}", at.isoformat(), "burglary", -1.5, 53.8] for at in days]
    rows += [["x", "2024-05-08 10:00", "burglary", -1.5, 53.8], ["y", "2024-05-08 11:00", "burglary", -1.5, 53.8]]
    result = CliRunner().invoke(main, ["backtest", str(write_rows(tmp_path / "rows.csv", rows)), "--output", "json"])
    assert result.exit_code == 0
    rejected, history = result.stderr.splitlines()
    assert rejected == "2 rows rejected, wrong_type: occurred_at: must be an RFC 3339 time with a UTC offset"
    assert history == "no scan was made: the window lacks 21.0 days of history (min_baseline_days)"
    assert json.loads(result.stdout)["incidents"]["rejected"] == 2
