"""`hotspots replay` of a feed log with a truncated delivery."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

from tests.integration.conftest import NewSite
from tests.integration.worker_process import CENTRE, HOTSPOTS


def test_a_truncated_delivery_is_refused_and_the_rest_is_sent(new_site: NewSite, tmp_path: Path) -> None:
    site, path = new_site(), tmp_path / "feed.csv"
    fields = ["2024-05-01T12:00:00Z", CENTRE[1], CENTRE[0]]
    known = [f"i{number:02}" for number in range(100)]
    rows = [["2024-05-02T00:00:00Z", "snapshot", each, *fields] for each in known]
    rows += [["2024-05-03T00:00:00Z", "delete", each, *fields] for each in known[:40]]
    rows += [["2024-05-04T00:00:00Z", "delete", "i99", *fields]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["seen_at", "op", "id", "occurred_at", "longitude", "latitude"], *rows])
    command = [str(HOTSPOTS), "replay", str(path), "--config", str(site.file)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stderr.startswith("delivery of 2024-05-03T00:00:00+00:00 (40 rows) refused: it deletes 40 of 100 known")
    assert len(run.stderr.splitlines()) == 1
    *records, closing_tick = site.read("incidents")
    sent = [(incident["id"], incident["status"]) for incident in (json.loads(each.value) for each in records)]
    assert sent == [*((each, "active") for each in known), ("i99", "cancelled")]
    assert closing_tick.value == b""
    assert [name for name, _ in closing_tick.headers] == ["tick"]
    assert run.stdout == f"{len(records) + 1} records sent\n"
