"""Replaying a file through Kafka gives the alerts of a backtest of that file, byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.scan_log import decode_scan
from streams.worker import DONE
from tests.conftest import GivenKafka
from tests.integration.worker_process import HOTSPOTS, Deployment, WorkerProcess, toml
from tests.shared_data import shared

FILE = "data/chicago_aggravated_assaults_2010_2013.csv.gz"
END = "2010-05-12"
"""Four months are enough for thirty alerts and more, and short enough for every run of the tests."""

AREA = """
[areas.chicago]
timezone = "America/Chicago"
clock = "watermark"
resolution = 9

[areas.chicago.tiers]
watch = 4
advisory = 20
alert = 60
urgent = 365
"""


def hotspots(*arguments: object) -> str:
    """What a command prints; it must succeed."""
    return subprocess.run([HOTSPOTS, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def opened_and_ended(events: list[bytes]) -> tuple[int, int]:
    """How many alerts there are, and how many of them have ended."""
    states = {event["subject"]: event["data"]["properties"]["state"] for event in map(json.loads, events)}
    return len(states), sum(state == "ended" for state in states.values())


@pytest.fixture(scope="module")
def backtest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The folder of a backtest, with ``alerts.jsonl`` and the configuration that it wrote; and its accounts."""
    folder = tmp_path_factory.mktemp("backtest")
    settings = folder / "area.toml"
    settings.write_text(AREA)
    written = ("--alerts", folder / "alerts.jsonl", "--write-config", folder / "written.toml")
    told = hotspots("backtest", shared(FILE), "--config", settings, "--to", END, "--output", "json", *written)
    return folder, json.loads(told)["incidents"]


@pytest.mark.parametrize(("speed", "fetch_bytes"), [(0, 1_048_576), (500_000, 20_000)])
def test_a_replay_through_kafka_is_a_backtest(
    backtest: tuple[Path, dict[str, int]],
    speed: int,
    fetch_bytes: int,
    tmp_path: Path,
    kafka: GivenKafka,
    topic_prefix: str,
) -> None:
    folder, accounts = backtest
    expected = (folder / "alerts.jsonl").read_bytes().splitlines()
    opened, ended = opened_and_ended(expected)
    assert opened >= 30
    assert ended >= 5
    shutil.copy(folder / "written.cells.txt", tmp_path)
    services: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": kafka.bootstrap, "topic_prefix": topic_prefix[-40:], "group": topic_prefix},
        "redis": {"url": "redis://127.0.0.1:1/0"},
        "metrics": {"port": 0},
    }
    deployment = Deployment(tmp_path, toml(services) + (folder / "written.toml").read_text())
    with WorkerProcess(deployment, environ={"CONSUMER_MAX_FETCH_SIZE": str(fetch_bytes)}) as worker:
        hotspots("replay", shared(FILE), "--config", deployment.file, "--to", END, "--speed", speed)
        worker.until(deployment.is_covered, "every record is on record", 120)
        assert worker.stop() == DONE
    assert deployment.alerts() == expected
    last = decode_scan(deployment.scans()["chicago"][-1])
    assert msgspec.to_builtins(last.accounts) == accounts
    deployment.close()
