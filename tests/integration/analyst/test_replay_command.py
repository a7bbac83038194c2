"""`hotspots replay`: what it refuses, what it expects, and what became of what it sent."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import NewSite
from tests.integration.worker_process import BEGIN, CENTRE, HOTSPOTS, Site, WorkerProcess, incidents, tick, until

OUTCOMES = ("added", "replaced", "removed", "duplicate", "outside", "rejected", "ticks")


def test_a_truncated_delivery_is_refused_and_the_rest_is_sent(new_site: NewSite, tmp_path: Path) -> None:
    site, path = new_site(), tmp_path / "feed.csv"
    fields = ["2024-05-01T12:00:00Z", CENTRE[1], CENTRE[0]]
    known = [f"i{number:02}" for number in range(100)]
    rows = [["2024-05-02T00:00:00Z", "snapshot", each, *fields] for each in known]
    rows += [["2024-05-03T00:00:00Z", "delete", each, *fields] for each in known[:40]]
    rows += [["2024-05-04T00:00:00Z", "delete", "i99", *fields]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["seen_at", "op", "id", "occurred_at", "longitude", "latitude"], *rows])
    run = replayed(site, path, "--wait", "0")
    assert run.returncode == 0
    refusal, expected = run.stderr.splitlines()
    assert refusal.startswith("delivery of 2024-05-03T00:00:00+00:00 (40 rows) refused: it deletes 40 of 100 known")
    assert expected.startswith("area leeds: 101 rows: 101 lie in the area and in its time, 0 elsewhere")
    *records, closing_tick = site.read("incidents")
    sent = [(incident["id"], incident["status"]) for incident in (json.loads(each.value) for each in records)]
    assert sent == [*((each, "active") for each in known), ("i99", "cancelled")]
    assert closing_tick.value == b""
    assert [name for name, _ in closing_tick.headers] == ["tick"]
    assert run.stdout == f"{len(records) + 1} records sent\n"


def replayed(site: Site, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(HOTSPOTS), "replay", str(path), "--config", str(site.file), "--area", "leeds", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def started(site: Site, path: Path, *options: str) -> subprocess.Popen[str]:
    command = [str(HOTSPOTS), "replay", str(path), "--config", str(site.file), "--output", "json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        names = ("id", "occurred_at", "category", "longitude", "latitude")
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def town(number: int, days: float, begin: datetime = BEGIN) -> list[dict[str, Any]]:
    return [json.loads(value) for _, value, _ in incidents("leeds", number, 1, days=days, begin=begin)]


def balanced(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The fate of a replay, whose accounts balance."""
    delivery = json.loads(run.stdout)
    fate: dict[str, Any] = delivery["fate"]
    assert sum(fate[each] for each in OUTCOMES) == fate["sent"] - fate["waiting"] + fate["others"]
    assert fate["sent"] == delivery["sent"]
    return fate


def test_what_became_of_the_records_is_said(new_site: NewSite, tmp_path: Path) -> None:
    """Into an area without records, then again, then what lies before its window, and what is not taken."""
    site = new_site()
    rows = town(200, days=5)
    path = written(tmp_path / "town.csv", [*rows, rows[0] | {"id": "far", "latitude": 10.0}])
    with WorkerProcess(site) as worker:
        first = replayed(site, path)
        assert first.returncode == 0, first.stderr
        assert f"{len(rows) + 1} rows: {len(rows)} lie in the area and in its time, 1 elsewhere" in first.stderr
        assert f"{len(rows) + 2} records sent\n" in first.stdout
        table = {line.split()[0]: line.split()[1] for line in first.stdout.splitlines() if len(line.split()) > 1}
        assert (table["added"], table["rejected"], table["ticks"]) == (str(len(rows)), "1", "1")
        assert "out_of_area 1" in first.stdout

        again = replayed(site, path, "--output", "json")
        assert again.returncode == 0
        fate = balanced(again)
        assert (fate["duplicate"], fate["reasons"]) == (len(rows), {"out_of_area": 1})

        early = [each | {"id": f"early-{each['id']}"} for each in town(150, 5, BEGIN - timedelta(days=90))]
        old = replayed(site, written(tmp_path / "old.csv", early), "--output", "json")
        assert old.returncode == 1
        assert (balanced(old)["outside"], balanced(old)["waiting"]) == (len(early), 0)
        assert " 0 lie in the area and in its time" in old.stderr
        assert worker.stop() == 0


def test_records_of_other_senders_are_told_apart(new_site: NewSite, tmp_path: Path) -> None:
    site = new_site()
    rows = town(200, days=5)
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        process = started(site, written(tmp_path / "town.csv", rows), "--speed", "80000")
        until(lambda: site.read("incidents"), "the replay has begun")
        others = [(area, value.replace(b"leeds-", b"other-"), headers) for area, value, headers in OTHERS]
        site.produce(others)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0
        fate = balanced(subprocess.CompletedProcess([], 0, output))
        assert (fate["others"], fate["waiting"]) == (len(others), 0)
        worker.stop()


OTHERS = incidents("leeds", 32, 2, days=0.1)


def test_without_a_worker_the_records_wait(new_site: NewSite, tmp_path: Path) -> None:
    site = new_site()
    run = replayed(site, written(tmp_path / "town.csv", town(50, days=5)), "--wait", "2")
    assert run.returncode == 1
    assert "is a worker running that has this area?" in run.stderr
    assert "waiting" in run.stdout


def test_a_worker_that_does_not_know_the_area_rejects_them(new_site: NewSite, tmp_path: Path) -> None:
    site = new_site("leeds", "york")
    path = written(tmp_path / "town.csv", town(50, days=5))
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other", site.kafka.bootstrap, site.kafka.group, ("york",))
    assert other.kafka == site.kafka
    with WorkerProcess(other) as worker:
        run = replayed(site, path, "--output", "json")
        fate = balanced(run)
        assert fate["reasons"] == {"unknown_area": fate["sent"]}
        assert (run.returncode, fate["waiting"]) == (1, 0)
        worker.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_is_interrupted_says_what_became_of_its_part(
    new_site: NewSite, tmp_path: Path, number: signal.Signals
) -> None:
    site = new_site()
    rows = town(200, days=5)
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        process = started(site, written(tmp_path / "town.csv", rows), "--speed", "20000")
        until(lambda: len(site.read("incidents")) > 20, "the replay has begun")
        process.send_signal(number)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0
        fate = balanced(subprocess.CompletedProcess([], 0, output))
        assert 20 < fate["added"] < len(rows)
        assert (fate["ticks"], fate["waiting"]) == (1, 0)
        worker.stop()


def test_a_tick_that_does_not_close_is_said(new_site: NewSite, tmp_path: Path) -> None:
    """The worker stops halfway."""
    site = new_site()
    path = written(tmp_path / "town.csv", town(200, days=5))
    with WorkerProcess(site) as worker:
        site.produce([tick("leeds", BEGIN)])
        worker.until(site.is_covered, "the area has a scan record")
        worker.kill()
    run = replayed(site, path, "--wait", "2", "--output", "json")
    fate = balanced(run)
    assert (run.returncode, fate["waiting"], fate["waits_from"]) == (1, fate["sent"], 1)
