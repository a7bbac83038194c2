"""The rules of the architecture, and that each notices what it forbids."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

TOP = {
    ".ci",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks",
    "config",
    "constraints.txt",
    "detectors",
    "docker-compose.yml",
    "docs",
    "pyproject.toml",
    "streams",
    "tests",
}
ACROSS = {"tests/detectors/kernels/test_kernels.py", "tests/detectors/kernels/test_uncompiled.py"}
"""Tests that cross the modules of their package."""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "lint-imports", "--no-cache"],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of both packages, in which rules can be broken."""
    for package in ("detectors", "streams"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_their_direction() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


PLANTED = {
    "pure": ("detectors/window/sliding.py", "import time", "detectors.window.sliding -> time"),
    "layers": (
        "detectors/area/incident.py",
        "import detectors.monitor",
        "detectors.area.incident -> detectors.monitor",
    ),
    "shell": ("streams/configuration/load.py", "import streams.brokers.topics", "streams.configuration.load"),
    "worker": ("streams/worker/inbox.py", "import streams.worker.consumer", "streams.worker.inbox"),
    "console": ("streams/console/models.py", "import streams.console.api.alerts", "streams.console.models"),
    "acyclic": ("streams/brokers/connection.py", "import streams.brokers.reading", "allowed in streams.brokers"),
    "faust": ("streams/worker/engine/thread.py", "import faust", "streams.worker.engine.thread -> faust"),
    "web": ("streams/process/metrics_server.py", "import uvicorn", "streams.process.metrics_server -> uvicorn"),
    "http": ("streams/brokers/connection.py", "import httpx", "streams.brokers.connection -> httpx"),
    "click": ("streams/messages/alert.py", "import click", "streams.messages.alert -> click"),
    "redis": ("streams/webhook/sink.py", "import redis", "streams.webhook.sink -> redis"),
}
"""For each contract of ``pyproject.toml``: a file, a line that breaks it there, and part of the complaint."""


def test_every_broken_import_rule_is_noticed(house: Path) -> None:
    """All lines are planted at once, and a module outside the layers, because the checker takes seconds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert set(PLANTED) == {each["id"] for each in contracts}
    for file, line, _ in PLANTED.values():
        with (house / file).open("a") as source:
            source.write(f"\n{line}\n")
    for folder in ("detectors", "streams", "streams/worker", "streams/console"):
        (house / folder / "helpers.py").touch()
    result = lint_imports(house)
    assert result.returncode == 1
    assert f"Contracts: 0 kept, {len(contracts)} broken." in result.stdout
    broken = result.stdout.split("Broken contracts")[1]
    assert [complaint for _, _, complaint in PLANTED.values() if complaint not in broken] == []
    assert broken.count("helpers") >= 4


def test_every_module_lies_in_a_small_package() -> None:
    assert [path.name for path in (ROOT / "streams").glob("*.py")] == ["__init__.py"]
    packages = {path.parent for name in ("detectors", "streams") for path in (ROOT / name).rglob("*.py")}
    sizes = {folder.relative_to(ROOT).as_posix(): len(list(folder.glob("[!_]*.py"))) for folder in packages}
    assert {folder: size for folder, size in sizes.items() if size > 12} == {}


def test_a_test_lies_at_the_path_of_what_it_tests() -> None:
    """`tests/streams/a/test_b.py` and `tests/streams/a/test_b_more.py` test `streams/a/b.py`."""
    strays = set()
    for file in (file for name in ("detectors", "streams") for file in (ROOT / "tests" / name).rglob("test_*.py")):
        path = file.relative_to(ROOT / "tests")
        words = path.stem.split("_")[1:]
        names = ["_".join(words[:length]) for length in range(1, len(words) + 1)]
        if not any((ROOT / path.parent / f"{name}.py").is_file() for name in names):
            strays.add(f"tests/{path.as_posix()}")
    assert strays == ACROSS


def test_every_cited_section_of_the_method_exists() -> None:
    """A citation reads `docs/method.md section 4.3`, and the heading `### 4.3 Order and ties`."""
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", (ROOT / "docs/method.md").read_text(), re.MULTILINE))
    folders = ("detectors", "streams", "tests", "benchmarks")
    texts = {file: " ".join(file.read_text().split()) for name in folders for file in (ROOT / name).rglob("*.py")}
    cited = {number for text in texts.values() for number in re.findall(r"method\.md sections? (\d+(?:\.\d+)?)", text)}
    assert cited and cited <= sections
    assert [file for file, text in texts.items() if re.search(r"(?<!docs/)method\.md", text, re.IGNORECASE)] == []


@pytest.mark.parametrize(
    ("file", "code", "rule"),
    [
        (
            "detectors/window/sliding.py",
            "from datetime import UTC\nfrom datetime import datetime as d\n\nd.now(UTC)\n",
            "TID251",
        ),
        ("detectors/window/sliding.py", 'print("here")\n', "T201"),
        ("detectors/window/sliding.py", "import numpy as np\n\nnp.random.shuffle([1])\n", "NPY002"),
        ("streams/worker/consumer.py", "from datetime import datetime\n\ndatetime.now()\n", "DTZ005"),
        ("streams/worker/consumer.py", "try:\n    pass\nexcept Exception:\n    pass\n", "BLE001"),
    ],
)
def test_a_broken_style_rule_is_noticed(file: str, code: str, rule: str) -> None:
    result = subprocess.run(
        [BIN / "ruff", "check", "--stdin-filename", file, "--output-format", "concise", "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f" {rule} " in result.stdout


def test_records_are_acknowledged_by_hand() -> None:
    """Faust's ``take`` acknowledges what was never handled, its plain iteration what an exception ended."""
    loops = [
        ast.unparse(node.iter)
        for path in sorted((ROOT / "streams").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFor | ast.comprehension)
    ]
    assert not [loop for loop in loops if ".take(" in loop]
    read = [loop for loop in loops if ".events()" in loop]
    assert read
    assert all(".noack()" in loop for loop in read)


def test_nothing_new_lies_at_the_top() -> None:
    """A new file or folder at the top needs a reason in ``docs/decisions``, then a line above."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {name.split("/")[0] for name in listed.splitlines()} <= TOP
