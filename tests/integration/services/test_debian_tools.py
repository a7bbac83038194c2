"""Other programs read a running worker: Prometheus' promtool, and redis-cli."""

from __future__ import annotations

import subprocess
import urllib.request
from datetime import timedelta

import pytest

from streams.messages.alert import read_alert
from streams.redis_copy.keys import area_key
from streams.worker.consumer import DONE
from tests.conftest import GivenValkey
from tests.integration.conftest import NewSite
from tests.integration.worker_process import BEGIN, WorkerProcess, incidents, tick

pytestmark = pytest.mark.debian


def redis_cli(url: str, *command: str) -> list[str]:
    """The lines that redis-cli prints into a pipe: one for each value."""
    run = ["redis-cli", "-u", url, *command]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_running_worker_is_read_by_promtool_and_redis_cli(
    new_site: NewSite, valkey: GivenValkey, topic_prefix: str
) -> None:
    area = f"{topic_prefix[:40]}leeds"  # the tests share the server
    site = new_site(area, redis=valkey.url)
    site.produce([*incidents(area, 160, 1), tick(area, BEGIN + timedelta(days=13))])
    with WorkerProcess(site) as worker:
        worker.until(site.is_covered, "every record is on record")
        events = [value.decode() for value in site.alerts()]
        assert len(events) > 5
        stream = area_key(area, "alerts")
        worker.until(lambda: redis_cli(valkey.url, "XLEN", stream) == [str(len(events))], "every alert is in Redis")

        lines = redis_cli(valkey.url, "XRANGE", stream, "-", "+")
        assert [line for line in lines if line.startswith("{") and '"specversion"' in line] == events
        ids = {read_alert(event.encode()).id for event in events}
        assert len(ids) == len(events)

        with urllib.request.urlopen(f"http://127.0.0.1:{worker.ports()[0]}/metrics", timeout=10) as response:
            metrics = response.read()
        assert f'hotspots_records_total{{area="{area}",outcome="added"}} 160.0'.encode() in metrics
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, check=False)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
        assert worker.stop() == DONE
