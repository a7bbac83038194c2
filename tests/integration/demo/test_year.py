"""A year of real incidents through Kafka: every alert is derived again from the log; a changed byte is noticed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.area_log.records import LogRecord, LogTopic
from tests.conftest import GivenKafka
from tests.integration.analyst.test_equality import FILE, hotspots
from tests.integration.worker_process import HOTSPOTS, Deployment, WorkerProcess, toml
from tests.shared_data import shared
from tests.streams.area_log.recorded import load, save

END = "2011-01-01"
DEADLINE_S = 1800.0
AREA = """
[areas.chicago]
timezone = "America/Chicago"
clock = "watermark"
resolution = 9

[areas.chicago.tiers]
watch = 30
advisory = 100
alert = 365
urgent = 1826
"""


@pytest.mark.long
def test_every_alert_of_a_year_is_derived_again(tmp_path: Path, kafka: GivenKafka, topic_prefix: str) -> None:
    settings = tmp_path / "area.toml"
    settings.write_text(AREA)
    written = tmp_path / "written.toml"
    hotspots("backtest", shared(FILE), "--config", settings, "--to", "2010-01-02", "--write-config", written)
    services: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": kafka.bootstrap, "topic_prefix": topic_prefix[-30:], "group": topic_prefix},
        "redis": {"url": "redis://127.0.0.1:1/0"},
        "metrics": {"port": 0},
    }
    deployment = Deployment(tmp_path, toml(services) + written.read_text())
    config = ("--config", deployment.file)
    with WorkerProcess(deployment) as worker:
        hotspots("replay", shared(FILE), *config, "--to", END)
        worker.until(deployment.is_covered, "every record is on record", DEADLINE_S)
        worker.stop()
    alerts = sorted({json.loads(each)["subject"] for each in deployment.alerts()})
    deployment.close()
    assert len(alerts) >= 10
    result = json.loads(hotspots("reproduce", *config, "--output", "json"))
    assert (result["differences"], result["alerts"]) == ([], alerts)
    for alert in alerts[:3]:
        alone = json.loads(hotspots("reproduce", alert, *config, "--output", "json"))
        assert (alone["differences"], alone["alerts"]) == ([], [alert])

    copy = tmp_path / "copy"
    hotspots("export", copy, *config)
    scans = [json.loads(each.value or b"") for each in load(copy, "scans")]
    named = [number for number, each in enumerate(scans) if any(r.startswith(alerts[0]) for r in each["revisions"])]
    in_window = next(
        each.offset for each in load(copy, "incidents") if each.offset >= scans[named[0] - 1]["lowest_offset"]
    )
    for topic, index in (("incidents", in_window + 20), ("scans", named[0])):
        assert exit_code_with_a_changed_byte(copy, topic, index, alerts[0]) == 1  # type: ignore[arg-type]


def exit_code_with_a_changed_byte(copy: Path, topic: LogTopic, index: int, alert: str) -> int:
    """The exit code of ``reproduce`` on a log with one changed byte in a record; restores the log."""
    records = load(copy, topic)
    whole = records[index]
    change: Callable[[bytes], bytes] = lambda value: value.replace(b"1", b"2", 1)  # noqa: E731
    save(copy, topic, [*records[:index], changed(whole, change), *records[index + 1 :]])
    done = subprocess.run([HOTSPOTS, "reproduce", alert, "--log", copy], capture_output=True, check=False)
    save(copy, topic, records)
    return done.returncode


def changed(record: LogRecord, change: Callable[[bytes], bytes]) -> LogRecord:
    """The record with another value."""
    assert record.value is not None
    assert change(record.value) != record.value
    return msgspec.structs.replace(record, value=change(record.value))
