"""``hotspots console`` and ``hotspots password``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.console.users import read_users


def test_a_line_is_one_of_the_password_file(tmp_path: Path) -> None:
    lines = ""
    for user, role in (("ann", "operator"), ("bob", "viewer")):
        result = CliRunner().invoke(main, ["password", user, "--role", role], input="correct horse\n")
        assert result.exit_code == 0, result.output
        assert "correct horse" not in result.output
        lines += result.stdout
    (tmp_path / "users").write_text(lines)
    users = read_users(tmp_path / "users")
    assert {name: user.role for name, user in users.items()} == {"ann": "operator", "bob": "viewer"}


def test_a_short_password_is_refused() -> None:
    result = CliRunner().invoke(main, ["password", "ann"], input="short\n")
    assert result.exit_code == 2
    assert "8 to 1000 characters" in result.stderr


def test_without_a_login_it_does_not_start_off_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSPOTS_CONSOLE__HOST", "0.0.0.0")
    result = CliRunner().invoke(main, ["console"])
    assert result.exit_code == 2
    assert "must be 127.0.0.1 or another loopback address unless there is a login" in result.stderr


def test_a_file_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ann\n")
    monkeypatch.setenv("HOTSPOTS_CONSOLE__PASSWORD_FILE", str(tmp_path / "users"))
    result = CliRunner().invoke(main, ["console"])
    assert result.exit_code == 2
    assert "line 1" in result.stderr


@pytest.mark.parametrize("command", [["console"], ["password", "ann"]])
def test_without_the_extra_it_names_what_to_install(command: list[str]) -> None:
    program = (
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'fastapi' else find(name, *more)\n"
        f"from streams.cli import main; main({command})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "fastapi is missing" in result.stderr and "hotspot-monitor[console]" in result.stderr


def test_it_serves_and_ends_at_sigterm(valkey: Any) -> None:
    program = f"import os; os.environ['HOTSPOTS_REDIS__URL'] = '{valkey.url}'; from streams.cli import main; main()"
    command = [sys.executable, "-c", program, "console", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "console is at" in line)
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found is not None
        assert httpx.get(found[0] + "healthz").json() == {"status": "ok"}
        with httpx.stream("GET", found[0] + "api/stream") as stream:  # an open event stream does not delay the end
            next(stream.iter_lines())
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
