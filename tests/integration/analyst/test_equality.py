"""A replay through Kafka gives the alerts of a backtest, byte for byte; so does the log alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from detectors.window.intake import OUTCOMES
from streams.messages.scan import decode_scan
from streams.worker.consumer import DONE
from tests.conftest import GivenKafka
from tests.integration.worker_process import HOTSPOTS, Deployment, WorkerProcess, toml
from tests.shared_data import shared

FILE = "data/chicago_aggravated_assaults_2010_2013.csv.gz"
DEADLINE_S = 900.0

SHORT = """
[areas.chicago]
timezone = "America/Chicago"
clock = "watermark"
resolution = 9
replications = 99

[areas.chicago.tiers]
watch = 0.2
advisory = 1
alert = 7
urgent = 90
"""
"""Wider cells, lower tiers and few replications: eight weeks are enough for thirty alerts."""

WHOLE = """
[areas.chicago]
timezone = "America/Chicago"
clock = "watermark"
"""
"""The defaults, for twenty-one months."""


def hotspots(*arguments: object) -> str:
    """Return the output of a command, which must succeed."""
    return subprocess.run([HOTSPOTS, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def opened_and_ended(events: list[bytes]) -> tuple[int, int]:
    """Number of alerts, and number of those that have ended."""
    states = {event["subject"]: event["data"]["properties"]["state"] for event in map(json.loads, events)}
    return len(states), sum(state == "ended" for state in states.values())


AT_ONCE, PACED = (0, 1_048_576), (2_000_000, 20_000)
"""Speed, and size limit for a fetch, in bytes."""


@pytest.mark.parametrize(
    ("area", "end", "ways"),
    [
        pytest.param(SHORT, "2010-02-27", [AT_ONCE], id="short"),
        pytest.param(SHORT, "2010-02-27", [PACED], id="short, paced", marks=pytest.mark.long),
        pytest.param(WHOLE, "2011-10-01", [AT_ONCE, PACED], id="whole", marks=pytest.mark.long),
    ],
)
def test_a_replay_through_kafka_is_a_backtest(
    area: str, end: str, ways: list[tuple[int, int]], tmp_path: Path, kafka: GivenKafka, topic_prefix: str
) -> None:
    settings, events = tmp_path / "area.toml", tmp_path / "alerts.jsonl"
    settings.write_text(area)
    written = ("--alerts", events, "--write-config", tmp_path / "written.toml")
    printed = hotspots("backtest", shared(FILE), "--config", settings, "--to", end, "--output", "json", *written)
    expected = events.read_bytes().splitlines()
    opened, ended = opened_and_ended(expected)
    assert opened >= 30
    assert ended >= 5
    for speed, fetch_bytes in ways:
        alerts, accounts = replayed(tmp_path, f"{topic_prefix[-30:]}{speed}-", kafka, end, speed, fetch_bytes)
        assert alerts == expected
        assert accounts == json.loads(printed)["incidents"]


def check_log(deployment: Deployment, copy: Path, alert: str) -> None:
    """Derive an alert again, from the log in Kafka and from an exported copy."""
    config = ("--config", deployment.file)
    audited = json.loads(hotspots("audit", *config, "--output", "json"))
    assert (audited["breaks"], audited["given"]) == ([], 0)
    result = json.loads(hotspots("reproduce", alert, *config, "--output", "json"))
    assert (result["differences"], result["alerts"]) == ([], [alert])
    hotspots("export", copy, *config)
    assert json.loads(hotspots("audit", "--log", copy, "--output", "json")) == audited
    assert json.loads(hotspots("reproduce", alert, "--log", copy, "--output", "json")) == result
    assert "usual for this place" in " ".join(hotspots("explain", alert, *config).split())


def replayed(
    folder: Path, prefix: str, kafka: GivenKafka, end: str, speed: int, fetch_bytes: int
) -> tuple[list[bytes], dict[str, int]]:
    """Return the alerts and the accounts of a worker with the written configuration."""
    services: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": kafka.bootstrap, "topic_prefix": prefix, "group": prefix},
        "redis": {"url": "redis://127.0.0.1:1/0"},
        "metrics": {"port": 0},
    }
    deployment = Deployment(folder, toml(services) + (folder / "written.toml").read_text())
    with WorkerProcess(deployment, environ={"HOTSPOTS_WORKER__FETCH_BYTES": str(fetch_bytes)}) as worker:
        hotspots("replay", shared(FILE), "--config", deployment.file, "--to", end, "--speed", speed)
        worker.until(deployment.is_covered, "every record is on record", DEADLINE_S)
        assert worker.stop() == DONE
    last = decode_scan(deployment.scans()["chicago"][-1])
    alerts = deployment.alerts()
    if not speed:
        check_log(deployment, folder / "log", json.loads(alerts[-1])["subject"])
    deployment.close()
    return alerts, {name: getattr(last.accounts, name) for name in ("read", *OUTCOMES)}
