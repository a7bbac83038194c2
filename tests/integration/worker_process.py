"""A worker as a real process on the real broker, small areas for it, and the output expected of their Monitors."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import h3
import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import CoordinatorNotAvailableError

from detectors.monitor import Monitor
from streams.areas.configured import configured_areas
from streams.brokers.connection import admin_arguments, consumer_arguments
from streams.brokers.topics import create_topics
from streams.configuration.kafka import Topic
from streams.configuration.load import Configuration, load
from streams.messages import scan
from streams.messages.alert import read_alert
from streams.messages.incident import decode
from streams.messages.records import partition_of

BEGIN = datetime(2024, 3, 4, tzinfo=UTC)
CENTRE = (53.80, -1.55)
DEADLINE_S = 60.0
HOTSPOTS = Path(sys.executable).with_name("hotspots")
REPOSITORY = Path(__file__).parents[2]

T = TypeVar("T")
Row = tuple[str, bytes, tuple[tuple[str, bytes], ...]]
"""Area (the key), value and headers of a record for the topic ``incidents``."""


def until(ask: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Return the first true result of ``ask``; fail when there is none by the deadline."""
    deadline = time.monotonic() + deadline_s
    while not (result := ask()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.05)
    return result


def areas_of_one_partition(partitions: int, number: int) -> list[str]:
    """Return ``number`` names of areas that Kafka sends to the same partition."""
    homes: dict[int, list[str]] = defaultdict(list)
    for index in range(1000):
        name = f"area-{index}"
        names = homes[partition_of(name.encode(), partitions)]
        names.append(name)
        if len(names) == number:
            return names
    raise AssertionError("no such names")


def incidents(area: str, number: int, seed: int, days: float = 12.0, begin: datetime = BEGIN) -> list[Row]:
    """A small town in order of time: a thin background, and bursts at one location each that open alerts."""
    chance = random.Random(seed)
    cells = sorted(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 10), 4))
    times = [(chance.uniform(0, days * 24), chance.choice(cells)) for _ in range(number * 3 // 4)]
    for burst in range(4):
        place, at = chance.choice(cells), days * 24 * (0.4 + 0.15 * burst)
        times += [(at + chance.uniform(0, 6), place) for _ in range(number // 16)]
    rows: list[Row] = []
    for index, (hours, cell) in enumerate(sorted(times)):
        latitude, longitude = h3.cell_to_latlng(cell)
        incident = {
            "id": f"{area}-{index}",
            "occurred_at": (begin + timedelta(hours=hours)).isoformat(timespec="milliseconds"),
            "category": "property",
            "longitude": round(longitude, 6),
            "latitude": round(latitude, 6),
        }
        rows.append((area, json.dumps(incident).encode(), ()))
    return rows


def tick(area: str, moment: datetime) -> Row:
    """A tick record."""
    return area, b"", (("tick", moment.isoformat().encode()),)


class Deployment:
    """A folder with a configuration, its topics, and their records."""

    def __init__(self, folder: Path, text: str) -> None:
        file = folder / "monitor.toml"
        file.write_text(text)
        self._open(file, {})

    @classmethod
    def at(cls, file: Path, environ: Mapping[str, str]) -> Self:
        """Return the deployment of an existing file, under the variables of an environment."""
        deployment = cls.__new__(cls)
        deployment._open(file, environ)
        return deployment

    def _open(self, file: Path, environ: Mapping[str, str]) -> None:
        self.folder, self.file = file.parent, file
        self.configuration: Configuration = load(file, environ)
        self.kafka = self.configuration.kafka
        self._readers: dict[Topic, KafkaConsumer] = {}
        self._records: dict[Topic, list[ConsumerRecord]] = defaultdict(list)
        create_topics(self.kafka, self.configuration.longest_window_days)

    def close(self) -> None:
        """Stop reading; a later read begins at the first record."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._records.clear()

    def produce(self, rows: Sequence[Row], partition: int | None = None, **settings: Any) -> None:
        """Send rows in order and wait until Kafka has them; ``settings`` are those of the producer."""
        arguments = {"bootstrap_servers": self.kafka.bootstrap, "acks": "all", "linger_ms": 5} | settings
        with closing(KafkaProducer(**arguments)) as producer:
            topic = self.kafka.topic("incidents")
            sent = [
                producer.send(topic, value, key=area.encode(), headers=list(headers), partition=partition)
                for area, value, headers in rows
            ]
            for each in sent:
                each.get(timeout=30)

    def read(self, topic: Topic) -> list[ConsumerRecord]:
        """Every committed record of a topic, by partition and offset."""
        partitions = [TopicPartition(self.kafka.topic(topic), each) for each in range(self.kafka.partitions)]
        if topic not in self._readers:
            self._readers[topic] = KafkaConsumer(**consumer_arguments(self.kafka))
            self._readers[topic].assign(partitions)
            self._readers[topic].seek_to_beginning()
        reader = self._readers[topic]
        ends = reader.end_offsets(partitions)
        while any(reader.position(each) < ends[each] for each in partitions):
            self._records[topic] += [record for batch in reader.poll(timeout_ms=200).values() for record in batch]
        return sorted(self._records[topic], key=lambda record: (record.partition, record.offset))

    def alerts(self) -> list[bytes]:
        """The values of the topic ``alerts``."""
        return [record.value for record in self.read("alerts")]

    def scans(self) -> dict[str, list[bytes]]:
        """By area, the values of the topic ``scans``."""
        scans = defaultdict(list)
        for record in self.read("scans"):
            if not record.key.startswith(b"#"):
                scans[record.key.decode()].append(record.value)
        return dict(scans)

    def covered(self) -> dict[str, int]:
        """By area, the next offset of its last scan record; 0 before the first."""
        lasts = {area: scan.decode_scan(values[-1]).next_offset for area, values in self.scans().items()}
        return dict.fromkeys(self.configuration.areas, 0) | lasts

    def committed(self) -> dict[int, int]:
        """By partition, the offset that the group has committed; none while a new broker has no coordinator."""
        with closing(KafkaAdminClient(**admin_arguments(self.kafka))) as admin:
            try:
                offsets = admin.list_group_offsets([self.kafka.group])[self.kafka.group]
            except CoordinatorNotAvailableError:
                return {}
        return {each.partition: found.offset for each, found in offsets.items()}

    def is_covered(self) -> bool:
        """Whether every record of every area is on record."""
        following = dict.fromkeys(self.configuration.areas, 0)
        for record in self.read("incidents"):
            area = (record.key or b"").decode(errors="replace")
            is_at_home = record.partition == partition_of(record.key or b"", self.kafka.partitions)
            if area in self.configuration.areas and is_at_home:
                following[area] = record.offset + 1
        return self.covered() == following

    def check(self) -> list[bytes]:
        """Fail unless alerts and scans are those of :meth:`expected`, byte for byte; return the alerts."""
        alerts, scans = self.expected()
        written = self.scans()
        for area, values in scans.items():
            for mine, right in zip(written[area], values, strict=False):
                assert json.loads(mine) == json.loads(right)
                assert mine == right
        assert {area: len(values) for area, values in written.items()} == {
            area: len(values) for area, values in scans.items()
        }
        assert self.alerts() == alerts
        return alerts

    def expected(self) -> tuple[list[bytes], dict[str, list[bytes]]]:
        """Return what Monitors in this process make of ``incidents``: alerts by partition, scans by area.

        Only for watermark clocks, whose ticks follow from the records.
        """
        areas = configured_areas(self.configuration.areas)
        monitors: dict[str, Monitor] = {name: area.monitor() for name, area in areas.items()}
        last: dict[str, scan.ScanRecord] = {}
        raw: dict[str, list[ConsumerRecord]] = {name: [] for name in areas}
        alerts: list[bytes] = []
        scans: dict[str, list[bytes]] = {}
        for record in self.read("incidents"):
            name, entry = decode(
                record.key, record.value, record.headers, record.partition, self.kafka.partitions, areas, 65_536
            )
            if name is None:
                continue
            raw[name].append(record)
            for closed in monitors[name].put(entry, record.offset, record.timestamp // 1000):
                area = areas[name]
                alerts += map(area.event, closed.changes)
                of_tick = [raw_of(each) for each in raw[name] if each.offset < closed.next_offset]
                raw[name] = [each for each in raw[name] if each.offset >= closed.next_offset]
                done = scan.scan_record(name, area.ids, closed, last.get(name), of_tick)
                last[name] = done
                scans.setdefault(name, []).append(scan.encode(done))
        return alerts, scans


def raw_of(record: ConsumerRecord) -> scan.Raw:
    """The parts of a record that the chain of digests covers."""
    return scan.raw(record.key, record.value, record.headers, record.timestamp)


class Site(Deployment):
    """A deployment of small areas."""

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        prefix: str,
        areas: Iterable[str] = ("leeds",),
        *,
        clock: str = "watermark",
        redis: str = "redis://127.0.0.1:1/0",
        partitions: int = 2,
        worker: dict[str, Any] | None = None,
    ) -> None:
        cells = folder / "cells.txt"
        cells.write_text("\n".join(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 10), 4)))
        short = hashlib.sha256(prefix.encode()).hexdigest()[:12] + "-"  # a prefix of topics has a limit
        tables: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap": bootstrap, "topic_prefix": short, "partitions": partitions, "group": prefix},
            "redis": {"url": redis},
            "metrics": {"port": 0},
            "worker": {"instance_id": "w1", "session_timeout_s": 6} | (worker or {}),
        }
        for area in areas:
            tables[f"areas.{area}"] = {
                "cells_file": str(cells),
                "clock": clock,
                "timezone": "UTC",
                "window_days": 7,
                "min_baseline_days": 3,
                "durations_h": [2, 4, 8, 24],
                "replications": 99,
            }
        super().__init__(folder, toml(tables))


def toml(tables: dict[str, dict[str, Any]]) -> str:
    """Tables of plain values as TOML."""
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def revisions(alerts: Iterable[bytes]) -> list[tuple[str, int, str, int]]:
    """Id, revision, state and tick of each alert event, sorted."""
    found = [read_alert(value).data.properties for value in alerts]
    return sorted((each.id, each.revision, str(each.state), each.tick_s) for each in found)


class WorkerProcess:
    """``hotspots worker`` as a child process; with a ``fault``, that of :mod:`tests.integration.worker.faulty_worker`.

    Another long-running ``command`` is run in the same way.
    """

    def __init__(
        self,
        site: Deployment,
        fault: str = "",
        instance: str = "w1",
        environ: dict[str, str] | None = None,
        command: str = "worker",
    ) -> None:
        self.log = site.folder / f"{instance}.log"
        faulty = [sys.executable, "-m", "tests.integration.worker.faulty_worker", fault, str(site.file)]
        program = faulty if fault else [str(HOTSPOTS), command, "--log", "json", "--config", str(site.file)]
        variables = {"HOTSPOTS_WORKER__INSTANCE_ID": instance, "PYTHONPATH": str(REPOSITORY)} | (environ or {})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(program, stdout=log, stderr=log, env=variables, cwd=site.folder)

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code, once it has ended on its own."""
        return self.process.wait(deadline_s)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def until(self, ask: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
        """Wait as :func:`until` does; fail at once, with the log, when the process has ended."""

        def alive() -> T:
            assert self.process.poll() is None, self.log.read_text()
            return ask()

        try:
            return until(alive, what, deadline_s)
        except AssertionError as error:
            error.add_note(self.log.read_text())
            raise

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()
        self.process.wait()

    def logged(self) -> list[dict[str, str]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def is_ready(self) -> bool:
        """Whether ``/readyz`` has status 200."""
        return self.asked("/readyz")[0] == 200

    def asked(self, path: str) -> tuple[int, str]:
        """Status and body of the HTTP response on the only port of the process; status 0 if there is none."""
        for port in self.ports():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
                    return response.status, response.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError:
                return 0, ""
        return 0, ""

    def ports(self) -> list[int]:
        """Every port that the process listens on."""
        connections = psutil.Process(self.process.pid).net_connections()
        return [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]
