"""A real Prometheus reads a running worker, a webhook and a console: the dashboard has figures, and nothing fires."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
import pytest
import yaml

from streams.calibration.calibration_file import write
from streams.local_services.service import launch
from tests.conftest import GivenValkey
from tests.integration.conftest import NewSite
from tests.integration.webhook.test_webhook import open_desk, webhook
from tests.integration.worker_process import WorkerProcess, incidents, tick
from tests.operations.promql import ROOT, RULES, queries
from tests.streams.area_log.recorded import calibration

pytestmark = pytest.mark.debian

MAY_BE_EMPTY = ("ALERTS{", "hotspots_clock_ahead_seconds")
"""The only queries without data from a worker whose area has a watermark clock, a calibration, open alerts and a
rejected record."""


class Prometheus:
    """Debian's Prometheus on a free port of loopback, with our files: one target per job, scraped every second."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        rules = yaml.safe_load(RULES.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
        configuration = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        ours = [job for job in configuration["scrape_configs"] if job["job_name"] in ports]
        assert len(ours) == len(ports)
        for job in ours:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        configuration["scrape_configs"] = ours
        (folder / "rules.yml").write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        program = shutil.which("prometheus")
        assert program, "apt-get install --no-install-recommends prometheus"
        options = {"config.file": "prometheus.yml", "storage.tsdb.path": "prometheus"}
        files = [f"--{option}={folder / name}" for option, name in options.items()]
        self._process = launch([program, *files, "--web.listen-address=127.0.0.1:0"], folder / "prometheus.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait()

    def asked(self, path: str, **parameters: str) -> Any:
        """The data of an HTTP response of the API, None until it listens."""
        connections = psutil.Process(self._process.pid).net_connections()
        for port in [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]:
            url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        return None

    def without_data(self) -> list[str]:
        """The dashboard's queries, for all areas, that have no data; bad queries raise HTTPError."""
        found = {each: self.asked("query", query=each.replace("$area", ".*")) for each in queries()}
        return [each for each, data in found.items() if not (data and data["result"])]


def test_the_dashboard_shows_a_running_worker_and_nothing_fires(
    new_site: NewSite, valkey: GivenValkey, topic_prefix: str, tmp_path: Path
) -> None:
    area = f"{topic_prefix[:40]}leeds"  # the tests share the server
    site = new_site(area, redis=valkey.url)
    write(
        tmp_path / "calibration.json", msgspec.structs.replace(calibration(2.0), area=area, made_at=datetime.now(UTC))
    )
    with site.file.open("a") as file:
        file.write('calibration_file = "calibration.json"\n')
    rows = incidents(area, 160, 2)
    last = json.loads(rows[-1][1])
    ends_at = datetime.fromisoformat(last["occurred_at"])
    for number in range(8):  # an alert is open at the end
        ends_at += timedelta(minutes=15)
        again = {**last, "id": f"{area}-last-{number}", "occurred_at": ends_at.isoformat()}
        rows.append((area, json.dumps(again).encode(), ()))
    site.produce([*rows, (area, b"{", ()), tick(area, ends_at + timedelta(seconds=1))])
    with (
        open_desk() as desk,
        WorkerProcess(site) as worker,
        webhook(site, desk.server_port) as hook,
        WorkerProcess(site, instance="console", environ={"HOTSPOTS_CONSOLE__PORT": "0"}, command="console") as console,
    ):
        processes = {"hotspots": worker, "hotspots-webhook": hook, "hotspots-console": console}
        ports = {job: process.until(process.ports, "it listens")[0] for job, process in processes.items()}
        with Prometheus(tmp_path, ports) as prometheus:
            worker.until(site.is_covered, "every record is on record")
            worker.until(lambda: prometheus.asked("targets"), "Prometheus listens")
            worker.until(
                lambda: all(any(name in each for name in MAY_BE_EMPTY) for each in prometheus.without_data()),
                "every query of the dashboard has data",
            )
            worker.until(lambda: not prometheus.asked("alerts")["alerts"], "no alert is even pending")
            states = [rule for group in prometheus.asked("rules")["groups"] for rule in group["rules"]]
            assert len(states) == sum(len(group["rules"]) for group in yaml.safe_load(RULES.read_text())["groups"])
            assert {(rule["health"], rule.get("lastError", "")) for rule in states} == {("ok", "")}
