"""The command line: every command with good and with bad arguments, before anything runs."""

from __future__ import annotations

import csv
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from detectors.area.incident import Incident
from detectors.area.settings import AreaSettings
from streams.analyst.incident_file import IncidentFile
from streams.analyst.simulated_city import Simulation, read_truth
from streams.cli import main

SHIPPED = Path(__file__).parents[3] / "config" / "monitor.toml"
HEADER = ["id", "occurred_at", "category", "longitude", "latitude"]
COMMANDS = sorted(main.commands)


def hotspots(*arguments: object, **environ: str) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], env=environ)


def refusal(result: Result) -> str:
    """The only line that a command prints before exit code 2."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def incidents(tmp_path: Path) -> Path:
    """A file with an incident a day at one place."""
    path = tmp_path / "incidents.csv"
    with path.open("w", newline="") as file:
        rows = [[f"i{day}", f"2024-05-{day:02}T12:00:00Z", "drugs", -1.55, 53.8] for day in range(1, 31)]
        csv.writer(file).writerows([HEADER, *rows])
    return path


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    """As in `hotspots explain ALERT | head -1`: the command ends without a word."""
    program = """
import click
from streams.cli.terminal import fail

@click.command()
def long():
    try:
        for _ in range(100_000):
            click.echo("figure")
    except OSError as error:
        fail(error)

long()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stderr
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=["hotspots", *COMMANDS])
def test_every_command_explains_itself_and_its_options(command: list[str]) -> None:
    result = hotspots(*command, "--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    known = main.commands[command[0]] if command else main
    for parameter in known.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in result.stdout
    assert known.help
    assert known.help.split(":")[0][:40] in result.stdout


def test_the_version_is_printed() -> None:
    assert importlib.metadata.version("hotspot-monitor") in hotspots("--version").stdout


# check-config


def test_a_good_configuration_is_accepted() -> None:
    result = hotspots("check-config", SHIPPED)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "good" in result.stdout


def test_an_area_without_locations_is_a_fault() -> None:
    assert "areas.default.locations: missing; give the area a cells_file" in refusal(hotspots("check-config"))


def test_every_fault_of_a_configuration_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[kafka]\npartitions = 0\n[areas.leeds]\ntimezone = "Mars/Olympus"\n')
    result = hotspots("check-config", path, HOTSPOTS_METRICS__PORT="70000")
    assert result.exit_code == 2
    assert result.stdout == ""
    faults = result.stderr.splitlines()
    assert len(faults) == 3
    for key, value in (
        ("kafka.partitions", "0"),
        ("areas.leeds.timezone", "Mars/Olympus"),
        ("metrics.port", "70000 (from HOTSPOTS_METRICS__PORT)"),
    ):
        assert any(fault.startswith(f"{key} = ") and value in fault for fault in faults)


@pytest.mark.parametrize("command", ["worker", "topics", "simulate"])
def test_no_command_runs_on_a_bad_configuration(command: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[metrics]\nport = -1\n")
    assert refusal(hotspots(command, "--config", path)).startswith("hotspots: metrics.port = -1: ")


# backtest and replay

both = pytest.mark.parametrize("command", ["backtest", "replay"])


@both
@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("time", ["yesterday", "2024-13-01", "2024-05-01T25:00", ""])
def test_a_bad_time_is_named(command: str, option: str, time: str, incidents: Path) -> None:
    line = refusal(hotspots(command, incidents, option, time))
    assert line.startswith(f"hotspots: {option} {time}: must be a time such as ")


@both
def test_an_unknown_area_is_named_with_those_there_are(command: str, incidents: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text('[areas.leeds]\ntimezone = "UTC"\n[areas.york]\ntimezone = "UTC"\n')
    line = refusal(hotspots(command, incidents, "--config", path, "--area", "hull"))
    assert "'hull'" in line
    assert "leeds, york" in line
    assert "leeds, york" in refusal(hotspots(command, incidents, "--config", path))


@both
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"id,category\n1,drugs\n", "no column occurred_at"),
        (b"\xff\xfe\x00\x01", "not UTF-8"),
        (b"id,occurred_at,longitude,latitude\n1,2024-05-01T12:00:00,-1.5,53.8\n", "no row has a time with an offset"),
    ],
)
def test_a_file_without_incidents_is_refused(command: str, content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    line = refusal(hotspots(command, path))
    assert line.startswith(f"hotspots: {path}: ")
    assert problem in line


@both
def test_a_missing_file_is_named(command: str, tmp_path: Path) -> None:
    result = hotspots(command, tmp_path / "none.csv")
    assert result.exit_code == 2
    assert "none.csv' does not exist" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "/etc/passwd", ""])
def test_an_unknown_timezone_is_named(zone: str, incidents: Path) -> None:
    assert f"timezone = {zone!r}: must be an IANA name" in refusal(hotspots("backtest", incidents, "--timezone", zone))


@pytest.mark.parametrize("option", ["--write-config", "--alerts"])
def test_a_file_that_cannot_be_written_is_named(option: str, incidents: Path, tmp_path: Path) -> None:
    assert "no-such-folder" in refusal(hotspots("backtest", incidents, option, tmp_path / "no-such-folder" / "file"))


def test_a_file_without_coordinates_needs_an_area_with_places(tmp_path: Path) -> None:
    path = tmp_path / "incidents.csv"
    path.write_text("id,occurred_at,location\n1,2024-05-01T12:00:00Z,station\n")
    assert refusal(hotspots("backtest", path)).startswith("hotspots: locations: missing; ")


# simulate


def test_the_cells_of_a_simulated_city_are_those_of_an_area(tmp_path: Path) -> None:
    cells, area = tmp_path / "cells.txt", tmp_path / "area.toml"
    result = hotspots("simulate", "--cells", cells)
    assert (result.exit_code, result.output) == (0, "")
    area.write_text('[areas.leeds]\ntimezone = "UTC"\ncells_file = "cells.txt"\n')
    assert hotspots("check-config", area).exit_code == 0


@pytest.mark.parametrize("option", ["--cells", "--output"])
def test_simulate_to_a_file_takes_no_options_for_sending(option: str, tmp_path: Path) -> None:
    assert refusal(hotspots("simulate", option, tmp_path / "file", "--speed", "60")).startswith(
        "hotspots: --cells, --output"
    )
    assert not (tmp_path / "file").exists()


def test_a_simulated_city_written_to_a_file_reads_back_the_same(tmp_path: Path) -> None:
    file, truth = tmp_path / "incidents.csv", tmp_path / "truth.json"
    result = hotspots("simulate", "--days", "3", "--output", file, "--truth", truth)
    simulated = Simulation(1, 3.0).run()
    assert result.output == (
        f"{len(simulated.incidents)} incidents written, clusters hidden in them: {len(simulated.clusters)}\n"
    )
    assert read_truth(truth) == simulated.clusters != ()
    read, made = (
        [msgspec.json.decode(row.value, type=Incident) for row in table.rows("city", AreaSettings()) if row.value]
        for table in (IncidentFile.read(file), IncidentFile.from_incidents(simulated.incidents))
    )
    assert read == made
