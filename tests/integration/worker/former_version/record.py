"""Record the log of an installed version: ``python -m tests.integration.worker.former_version.record HOTSPOTS``.

HOTSPOTS is that version's command. Kafka and the feed are those of this repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from kafka import KafkaProducer

from streams.local_services.kafka import LocalKafka
from tests.integration import worker_process
from tests.integration.worker.former_version.recording import AREAS, FILE, INPUTS, Recording, Stop, is_settled, town
from tests.integration.worker_process import BEGIN, Deployment, Row, WorkerProcess, incidents, tick
from tests.streams.area_log.recorded import calibration

ACTIONS = ({"action": "acknowledge"}, {"action": "take"}, {"action": "outcome", "outcome": "venue"})


def rows_of(area: str, seed: int) -> list[tuple[float, list[Row]]]:
    """Incidents with the hours since the beginning, some led by a record that is refused, replaced or cancelled."""
    rows, fed = incidents(area, 160, seed), []
    for number, row in enumerate(rows):
        incident, earlier = (json.loads(each[1]) for each in (row, rows[number - 2]))
        odd: list[Row] = [
            (area, b"{", ()),
            ("nowhere", row[1], ()),
            (area, json.dumps({"id": earlier["id"], "status": "cancelled"}).encode(), ()),
            (area, json.dumps(earlier | {"category": "drugs", "origin": "discovered"}).encode(), ()),
            (area, json.dumps(earlier | {"id": f"{area}-out-{number}", "latitude": 0.0}).encode(), ()),
            (area, rows[number - 2][1], ()),
        ]
        hours = (datetime.fromisoformat(incident["occurred_at"]) - BEGIN) / timedelta(hours=1)
        fed.append((hours, [odd[number // 7 % len(odd)], row] if number % 7 == 6 else [row]))
    return fed


class Feed:
    """What is still to be sent of each area's feed."""

    def __init__(self, site: Deployment) -> None:
        self._site = site
        self._waiting = {area: rows_of(area, seed) for area, seed in AREAS.items()}

    def send(self, end_h: float, areas: Sequence[str] = tuple(AREAS)) -> None:
        """Send what happened before an hour."""
        due = [each for area in areas for each in self._waiting[area] if each[0] < end_h]
        for area in areas:
            self._waiting[area] = [each for each in self._waiting[area] if each[0] >= end_h]
        self._site.produce([row for _, rows in sorted(due) for row in rows])


def respond(site: Deployment, areas: Sequence[str] = tuple(AREAS)) -> None:
    """Send what people do about the latest open alert of each area; some of it is refused."""
    number = len(site.read("responses"))
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all")) as producer:
        for area in areas:
            events = [json.loads(record.value) for record in site.read("alerts") if record.key == area.encode()]
            states = {each["data"]["id"]: each["data"]["properties"]["state"] for each in events}
            alert = [each for each, state in states.items() if state not in ("ended", "withdrawn")][-1]
            made = [{"alert": alert, "user": "ann", **each} for each in (*ACTIONS, ACTIONS[0])]
            values = []
            for each in (*made, {**made[0], "alert": "0" * 32}):
                number += 1
                response = each | {"id": str(UUID(int=number, version=4)), "at": BEGIN.isoformat()}
                values.append((area, json.dumps(response).encode()))
            for key, value in (*values, (area, b"{"), ("hull", values[0][1])):
                producer.send(site.kafka.topic("responses"), value, key=key.encode()).get(timeout=30)


def run(site: Deployment, feed: Feed, first_h: float, second_h: float | None) -> None:
    """Start a worker, send two stretches of the feed (None: to the end) with responses between them, and stop it."""
    with WorkerProcess(site, environ={"PYTHONPATH": ""}) as worker:
        worker.until(lambda: is_settled(site), "what came before is on record")
        feed.send(first_h)
        worker.until(lambda: is_settled(site), "the first stretch is on record")
        respond(site)
        worker.until(lambda: is_settled(site), "the responses are on record")
        feed.send(second_h or float("inf"))
        if second_h is None:
            site.produce([tick(area, BEGIN + timedelta(days=13)) for area in AREAS])
        worker.until(lambda: is_settled(site), "the second stretch is on record")
        assert worker.stop() == 0


def main(hotspots: Path) -> None:
    """Record; the worker is stopped with alerts open, and its feed goes on."""
    worker_process.HOTSPOTS = hotspots.absolute()
    version = subprocess.run([hotspots, "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
    made = msgspec.json.encode(msgspec.structs.replace(calibration(2.0), area="york"))
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder) / "kafka") as kafka:
        site = town(Path(folder), kafka.bootstrap, "former", made)
        feed = Feed(site)
        run(site, feed, 172, 199)
        respond(site, ["leeds"])
        feed.send(202, ["york"])
        transactions = sum(record.key == b"#0" for record in site.read("scans"))
        stop = Stop(version, {topic: len(site.read(topic)) for topic in INPUTS}, transactions, site.committed()[0])
        run(site, feed, 253, None)
        Recording.of_site(site, stop).save(FILE)
        site.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
