"""The documented commands that need Kafka and Redis, run as they are written, in the tutorial's order."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from detectors.area.incident import Incident
from streams.cli import main
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import read_alert
from streams.messages.incident import decode
from tests.conftest import GivenKafka
from tests.integration.conftest import NewSite
from tests.integration.worker_process import Deployment, WorkerProcess, incidents
from tests.test_documentation import CALLS, TEXTS, WITH_SERVERS

SHOWN = "7fa07be1fe6fc33edb57cd6d8a5ac2ea"


def documented(command: str) -> list[list[str]]:
    """Its calls with arguments; `area.toml` and `found.toml` are the same here."""
    calls = [[each.replace("found", "area") for each in call] for call in CALLS if call[0] == command and len(call) > 1]
    return [call for number, call in enumerate(calls) if call not in calls[:number]]


def works(call: list[str], alert: str = "") -> str:
    """The output of a documented call, for this alert instead of the one shown."""
    result = CliRunner().invoke(main, [alert if each.startswith(SHOWN) else each for each in call])
    assert (result.exit_code, result.stderr) == (0, ""), (call, result.output)
    return result.stdout


def write_incidents(path: Path) -> None:
    """Nine days of a small town."""
    rows = [json.loads(value) for _, value, _ in incidents("i", 160, 1, days=9.0)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.long  # its calibrate and backtest are run by tests/test_documentation.py as well
def test_the_tutorial_with_own_incidents(
    kafka: GivenKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalValkey(tmp_path / "valkey") as valkey:
        environ = {
            "HOTSPOTS_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "HOTSPOTS_KAFKA__TOPIC_PREFIX": topic_prefix[-40:].lstrip("-"),
            "HOTSPOTS_KAFKA__GROUP": topic_prefix,
            "HOTSPOTS_KAFKA__PARTITIONS": "1",
            "HOTSPOTS_REDIS__URL": valkey.url,
            "HOTSPOTS_METRICS__PORT": "0",
            "HOTSPOTS_CONSOLE__PORT": "0",
            "HOTSPOTS_AREAS__DEFAULT__TIMEZONE": "Europe/London",
            "HOTSPOTS_AREAS__DEFAULT__MIN_BASELINE_DAYS": "3",  # instead of four weeks, for speed
            "HOTSPOTS_AREAS__DEFAULT__REPLICATIONS": "99",
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        write_incidents(tmp_path / "incidents.csv")
        works(["backtest", "incidents.csv", "--timezone", "Europe/London", "--write-config", "found.toml"])
        shutil.copy("found.toml", "area.toml")  # the name in the how-to pages
        for call in sorted(documented("topics"), key=lambda call: "--check" in call):
            works(call)
        site = Deployment.at(tmp_path / "found.toml", os.environ)
        with (
            WorkerProcess(site, environ=environ) as worker,
            WorkerProcess(site, instance="console", environ=environ, command="console") as console,
        ):
            works(documented("replay")[0])
            worker.until(site.is_covered, "every record is on record")
            features = [read_alert(value).data for value in site.alerts()]
            assert features
            alert = features[-1].id
            console.until(console.ports, "the console listens")
            (port,) = console.ports()
            shown = f"http://127.0.0.1:{port}/api/alerts/{alert}"
            console.until(lambda: httpx.get(shown).status_code == 200, "the console shows the alert")
        for command in ("export", "explain", "reproduce", "audit"):
            for call in sorted(documented(command), key=len):
                works(call, alert)
        assert "incidents" in works(["explain", SHOWN, "--config", "area.toml"], alert)


def test_the_feed_in_python_sends_an_incident(new_site: NewSite) -> None:
    site = new_site("default")
    (code,) = re.findall(r"```python\n(.*?)```", TEXTS["docs/how-to/connect-a-feed.md"], re.DOTALL)
    here = textwrap.dedent(code).replace("127.0.0.1:9092", site.kafka.bootstrap)
    here = here.replace('"incidents"', repr(site.kafka.topic("incidents")))
    subprocess.run([sys.executable, "-W", "ignore", "-c", here], check=True, timeout=60)
    (record,) = site.read("incidents")
    partitions = site.kafka.partitions
    area, incident = decode(record.key, record.value, (), record.partition, partitions, {"default"}, 65_536)
    assert area == "default"
    assert isinstance(incident, Incident)


def test_each_of_them_is_run() -> None:
    assert {"topics", "replay", "explain", "reproduce", "audit", "export"} <= {call[0] for call in CALLS}
    assert {call[0] for call in CALLS if call[0] in WITH_SERVERS} == set(WITH_SERVERS)
