"""`hotspots drill` through real processes: every station, where it stops, and that a real area sees nothing of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.messages.alert import read_alert
from tests.integration.webhook.test_webhook import Answer, Desk, open_desk
from tests.integration.worker_process import HOTSPOTS, REPOSITORY, Deployment, WorkerProcess, incidents, toml

AREA: dict[str, Any] = {
    "exercise": True,
    "clock": "watermark",
    "cells_file": "drill_cells.txt",
    "window_days": 7,
    "min_baseline_days": 2,
    "durations_h": [2, 4],
    "strata": "none",
    "replications": 99,
    "end_after_h": 1.0,
    "cool_down_h": 0.0,
    "silent_after_gaps": 0.0,
}
STATIONS = ["background", "incidents", "scan", "alert", "redis", "page", "webhook", "end"]


class Chain:
    """A worker, a console and a webhook with an on-call tool, each started on request."""

    def __init__(self, folder: Path, bootstrap: str, redis: str, prefix: str, stack: ExitStack) -> None:
        self.desk: Desk = stack.enter_context(open_desk())
        self._stack = stack
        self.area, self.real = f"drill-{uuid.uuid4().hex[:8]}", f"leeds-{uuid.uuid4().hex[:8]}"  # Redis is shared
        shutil.copy(REPOSITORY / "config" / "drill_cells.txt", folder)
        self.tables: dict[str, dict[str, Any]] = {
            "kafka": {
                "bootstrap": bootstrap,
                "topic_prefix": prefix[-20:].lstrip("-"),
                "partitions": 1,
                "group": prefix,
            },
            "redis": {"url": redis},
            "metrics": {"port": 0},
            "console": {"port": 0},
            "worker": {"session_timeout_s": 6},
            "webhook": {"url": f"http://127.0.0.1:{self.desk.server_port}/", "metrics_port": 0},
            f"areas.{self.area}": AREA,
            f"areas.{self.real}": AREA | {"exercise": False},
        }
        self.site = Deployment(folder, toml(self.tables))
        stack.callback(self.site.close)

    def start(self, *commands: str) -> dict[str, WorkerProcess]:
        processes = {
            command: self._stack.enter_context(WorkerProcess(self.site, instance=command, command=command))
            for command in commands
        }
        for command, process in processes.items():
            ready = process.ports if command == "console" else process.is_ready
            process.until(ready, f"{command} is ready")
        return processes

    def drill(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, result and errors."""
        command = [str(HOTSPOTS), "drill", "--config", str(self.site.file), "--output", "json"]
        command += ["--area", self.area, *options]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return run.returncode, json.loads(run.stdout or "{}"), run.stderr


@pytest.fixture
def chain(tmp_path: Path, kafka: Any, valkey: Any, topic_prefix: str) -> Iterator[Chain]:
    with ExitStack() as stack:
        yield Chain(tmp_path, kafka.bootstrap, valkey.url, topic_prefix, stack)


def test_a_drill_passes_every_station_and_leaves_nothing_open(chain: Chain) -> None:
    running = chain.start("worker", "console", "webhook")
    (port,) = running["console"].ports()
    url = f"http://127.0.0.1:{port}"
    real = incidents(chain.real, 40, 1)
    chain.site.produce(real)
    for _ in range(2):  # a second one at once disturbs and is disturbed by nothing
        code, result, errors = chain.drill("--console", url)
        assert (code, errors) == (0, ""), result
        assert [each["station"] for each in result["passed"]] == STATIONS
        assert result["stopped_at"] is None
        seconds = [each["seconds"] for each in result["passed"]]
        assert seconds == sorted(seconds)
    assert httpx.get(f"{url}/api/alerts").json()["features"] == []
    alerts = [read_alert(value).data.properties for value in chain.site.alerts()]
    assert {(each.area, each.status) for each in alerts} == {(chain.area, "exercise")}
    assert {each.category for each in alerts} <= {"disorder", "all"}
    assert len({each.id for each in alerts}) == 2
    running["webhook"].until(
        lambda: [status for _, status, _ in chain.desk.accepted].count("resolved") == 2, "the ends are sent"
    )
    assert sum(record.key == chain.real.encode() for record in chain.site.read("incidents")) == len(real)
    assert running["worker"].stop() == 0


def test_each_process_that_is_away_is_named(chain: Chain) -> None:
    code, result, _ = chain.drill("--limit", "2", "--no-console")
    assert (code, result["stopped_at"]) == (1, "background")
    running = chain.start("worker")
    code, result, _ = chain.drill("--limit", "8", "--console", "http://127.0.0.1:1")
    assert (code, result["stopped_at"]) == (1, "page")
    assert "Connection refused" in result["reason"]
    code, result, _ = chain.drill("--limit", "8", "--no-console")
    assert (code, result["stopped_at"]) == (1, "webhook")
    running["worker"].kill()


def test_an_on_call_tool_that_refuses_is_named(chain: Chain) -> None:
    chain.start("worker", "webhook")
    chain.desk.answers = defaultdict(lambda: deque([Answer(400)] * 9))
    code, result, _ = chain.drill("--no-console")
    assert (code, result["stopped_at"]) == (1, "webhook")
    assert "the on-call tool did not accept the notification" in result["reason"]


def test_a_real_area_is_refused(chain: Chain) -> None:
    code, _, errors = chain.drill("--area", chain.real, "--no-console")
    assert code == 2
    assert "a drill never enters a real area" in errors
    assert chain.site.read("incidents") == []


def test_no_cluster_goes_to_a_worker_that_takes_the_area_for_real(chain: Chain, tmp_path: Path) -> None:
    chain.start("worker")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(REPOSITORY / "config" / "drill_cells.txt", other)
    tables = chain.tables | {f"areas.{chain.real}": AREA}
    (other / "monitor.toml").write_text(toml(tables))
    command = [str(HOTSPOTS), "drill", "--config", str(other / "monitor.toml"), "--area", chain.real, "--no-console"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    assert "stopped at background: the worker has another configuration of the area" in run.stderr
    assert chain.site.alerts() == []
