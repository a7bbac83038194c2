"""The rules that hold the house up, each seen to catch what it forbids."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
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
    """A copy of both packages in which a rule may be broken."""
    for package in ("detectors", "streams"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_their_direction() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("detectors/window/sliding.py", "import time", "detectors.window.sliding -> time"),
        ("detectors/models/permutation.py", "import redis", "detectors.models.permutation -> redis"),
        ("detectors/area/incident.py", "import streams", "detectors.area.incident -> streams"),
        (
            "detectors/area/incident.py",
            "import detectors.window.sliding",
            "detectors.area.incident -> detectors.window.sliding",
        ),
        ("detectors/helpers.py", "", "helpers"),
    ],
)
def test_a_broken_import_rule_is_noticed(house: Path, file: str, line: str, complaint: str) -> None:
    with (house / file).open("a") as source:
        source.write(f"\n{line}\n")
    result = lint_imports(house)
    assert result.returncode == 1
    assert complaint in result.stdout.split("Broken contracts")[1]


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
