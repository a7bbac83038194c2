"""The demo as a newcomer runs it: its summary, and that it leaves nothing behind, however it ends."""

from __future__ import annotations

import csv
import random
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from detectors.window.intake import OUTCOMES, Accounts
from streams.demo.summary import DemoError, Summary, check_accounts
from tests.integration.demo.demo_process import Demo

WRONG_ROWS = 3
DAYS = 60
"""Length of a town's file whose history, two thirds of it, is too short for a calibration."""
ENOUGH_DAYS = 100
CALIBRATED_S = 240
"""Time limit for a calibration at the lowest priority beside other tests, in seconds."""


Start = Callable[..., Demo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the test's demo."""
    started: list[Demo] = []

    def begin(*arguments: str | Path, terminal: bool = False) -> Demo:
        started.append(Demo(tmp_path, *arguments, terminal=terminal))
        return started[-1]

    yield begin
    for demo in started:
        demo.close()


def town(path: Path, days: int) -> Path:
    """Writes a small town's file with some bad rows; returns it."""
    chance = random.Random(1)
    begin = datetime(2024, 3, 4, tzinfo=UTC)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "occurred_at", "category", "longitude", "latitude"])
        for number in range(10 * days):
            moment = begin + timedelta(days=number / 10)
            place = [round(-1.55 + chance.gauss(0, 0.01), 6), round(53.8 + chance.gauss(0, 0.01), 6)]
            rows.writerow([f"r{number}", moment.isoformat(), chance.choice(["violence", "property"]), *place])
        within_history = (begin + timedelta(days=days / 2)).isoformat()
        for number in range(WRONG_ROWS):
            rows.writerow([f"wrong{number}", within_history, "violence", "here", 53.8])
    return path


def summary(output: str) -> Summary:
    """The last line, which is JSON."""
    return msgspec.json.decode(output.splitlines()[-1], type=Summary)


def balanced(result: Summary) -> bool:
    return bool(0 < result.read == sum(getattr(result, outcome) for outcome in OUTCOMES))


def test_it_ends_in_time_and_finds_an_injected_cluster(start: Start, tmp_path: Path) -> None:
    picture = tmp_path / "view.svg"
    demo = start("--seconds", "15", "--seed", "1", "--picture", picture)
    demo.wait_for("Ready after")
    ready_s = time.monotonic()
    code, output, errors = demo.end()
    assert (code, errors) == (0, "")
    assert time.monotonic() - ready_s > 15
    result = summary(output)
    assert balanced(result)
    assert result.added > 12_000 and result.ticks == 2
    assert result.opened >= result.found >= 1 and result.injected >= result.found
    assert result.delay_s is not None and result.delay_s > 0
    assert "open alerts" in picture.read_text().replace("&#160;", " ")
    assert demo.left_behind() == []


def test_recorded_incidents_are_shown_on_a_terminal_until_ctrl_c(start: Start, tmp_path: Path) -> None:
    demo = start("--data", town(tmp_path / "town.csv", ENOUGH_DAYS), terminal=True)
    demo.wait_for("observed")
    demo.wait_for("metrics http://127.0.0.1:")
    demo.wait_for("Calibrated: by chance alone 2 alerts a week reach the tier alert", CALIBRATED_S)
    demo.process.send_signal(signal.SIGINT)
    code, output, errors = demo.end()
    assert (code, errors) == (0, "")
    result = summary(output)
    assert balanced(result)
    assert result.rejected == WRONG_ROWS
    assert (result.injected, result.found, result.delay_s) == (0, 0, None)
    assert result.budget_per_week == 2
    assert demo.left_behind() == []


def test_nothing_is_lost_if_it_ends_while_the_worker_starts_again(start: Start, tmp_path: Path) -> None:
    demo = start("--data", town(tmp_path / "town.csv", ENOUGH_DAYS), "--no-console")
    demo.wait_for("The area is calibrated", CALIBRATED_S)
    demo.process.send_signal(signal.SIGINT)
    code, output, errors = demo.end()
    assert (code, errors) == (0, "")
    assert balanced(summary(output))
    assert demo.left_behind() == []


def test_without_a_calibration_it_goes_on_but_not_without_its_worker(start: Start, tmp_path: Path) -> None:
    demo = start("--data", town(tmp_path / "town.csv", DAYS))
    demo.wait_for("Not calibrated, the tiers stay nominal: hotspots: history: ", CALIBRATED_S)
    demo.wait_for("open 0")
    demo.child("worker").kill()
    code, _, errors = demo.end()
    assert code == 1
    assert errors.count("\n") == 1
    assert errors.startswith("hotspots: the worker ended unexpectedly (exit code -9): ")
    assert demo.left_behind() == []


def test_sigterm_before_it_is_ready_leaves_nothing(start: Start, tmp_path: Path) -> None:
    demo = start("--data", town(tmp_path / "town.csv", DAYS))
    demo.wait_for("Calibrating")
    demo.process.terminate()
    code, _, _ = demo.end()
    assert code == 130
    assert demo.left_behind() == []


@pytest.mark.parametrize("sent", [8, 9])
def test_accounts_that_do_not_balance_are_refused(sent: int) -> None:
    check_accounts(Accounts(read=10, added=7, rejected=2, ticks=1), 10)
    with pytest.raises(DemoError, match="accounts do not balance"):
        check_accounts(Accounts(read=sent, added=5, rejected=2, ticks=1), 9)
