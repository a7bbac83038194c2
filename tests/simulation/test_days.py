"""Simulated days keep every invariant, a seed repeats its day, and each known fault that is put back is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.known_faults import KNOWN

ROOT = Path(__file__).resolve().parents[2]
DAYS, LONG_DAYS = 20, 300
"""Days of the short form, and of the long one; ``make simulate`` has more."""


def simulated(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run days in a process of their own, because they stand in for threads and time."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0", "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("first", "days"), [(0, DAYS), pytest.param(DAYS, LONG_DAYS, marks=pytest.mark.long)])
def test_days_of_faults_keep_every_invariant(first: int, days: int) -> None:
    run = simulated("--first", str(first), "--seeds", str(days), "--processes", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{days} days from seed {first} on, every invariant held" in run.stdout


def test_a_seed_repeats_its_day_to_the_last_line() -> None:
    runs = [simulated("--seed", "7") for _ in range(2)]
    first, second = (run.stdout.splitlines() for run in runs)
    assert len(first) > 30
    assert [_untimed(line) for line in first] == [_untimed(line) for line in second]


def _untimed(line: str) -> str:
    """Without the seconds that a rebuild really took."""
    return line.split(" rebuilt in ")[0]


@pytest.mark.long
@pytest.mark.parametrize("name", KNOWN)
def test_a_known_fault_that_is_put_back_is_found(name: str) -> None:
    run = simulated("--put-back", name, "--seeds", "1000", "--processes", "1")
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(KNOWN[name].says, run.stdout.splitlines()[-2]), run.stdout
    assert "make simulate SEED=" in run.stdout.splitlines()[-1]
