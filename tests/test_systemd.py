"""The units for systemd name a command of ours, and a calendar that systemd understands."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from streams.cli import main

FOLDER = Path(__file__).resolve().parents[1] / "config" / "systemd"


def unit(name: str) -> ConfigParser:
    read = ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    assert read.read(FOLDER / name)
    return read


def test_the_service_runs_a_drill() -> None:
    program, command, *options = unit("hotspots-drill.service")["Service"]["ExecStart"].split()
    assert Path(program).name == "hotspots"
    with click.Context(main) as context:
        found = main.get_command(context, command)
        assert found is not None
        found.make_context(command, ["--config", str(FOLDER.parent / "monitor.toml"), *options[2:]])
    assert unit("hotspots-drill.timer").sections() == ["Unit", "Timer", "Install"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_the_calendar() -> None:
    calendar = unit("hotspots-drill.timer")["Timer"]["OnCalendar"]
    subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)
