"""The log of a worker of the former version: its town, its records, and writing them into another Kafka."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h3
import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from kafka.structs import OffsetAndMetadata

from streams.area_log.records import TOPICS, LogRecord, LogTopic, Manifest
from streams.brokers.connection import admin_arguments, consumer_arguments
from streams.brokers.topics import check_topics
from streams.configuration.kafka import Topic
from streams.messages.scan import PartitionRecord, decode_partition
from tests.integration.worker_process import CENTRE, Deployment, toml, until

AREAS = {"leeds": 3, "york": 5}
"""The areas, with the seeds of their feeds. york has a calibration, leeds has none."""
FILE = Path(__file__).with_name("log.jsonl.gz")
INPUTS: tuple[Topic, ...] = ("incidents", "responses")
OUTPUTS: tuple[Topic, ...] = ("settings", "alerts", "rejected", "scans")


class Written(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of a topic; ``transaction``: the number of its transaction, 0 for none."""

    topic: Topic
    offset: int
    timestamp_ms: int
    key: str | None
    value: str
    headers: tuple[tuple[str, str], ...] = ()
    transaction: int = 0


class Stop(msgspec.Struct, frozen=True):
    """Where the log ended when the worker was stopped; ``ends``: of the inputs, after what came while none ran."""

    version: str
    ends: dict[Topic, int]
    transactions: int
    committed: int


@dataclass(frozen=True)
class Recording:
    """The whole log, and where the worker was stopped in it."""

    stop: Stop
    records: list[Written]

    @classmethod
    def read(cls, file: Path) -> Recording:
        """The recording in a file."""
        first, *lines = gzip.decompress(file.read_bytes()).splitlines()
        return cls(msgspec.json.decode(first, type=Stop), [msgspec.json.decode(each, type=Written) for each in lines])

    @classmethod
    def of_site(cls, site: Deployment, stop: Stop) -> Recording:
        """Every record of a site.

        Each transaction ends with the partition's own record in ``scans``. Elsewhere a gap in the offsets, where a
        commit was marked, divides two transactions, and the time of a run's first record tells which one it is in.
        """
        inputs = [_written(topic, each, 0) for topic in INPUTS for each in site.read(topic)]
        commits = [record for record in site.read("scans") if record.key == b"#0"]
        outputs = []
        for topic in OUTPUTS:
            number, following = 0, -1
            for each in site.read(topic):
                if topic == "scans":
                    number = 1 + sum(commit.offset < each.offset for commit in commits)
                elif each.offset != following:
                    later = range(number, len(commits))
                    number = 1 + min(later, key=lambda index: abs(commits[index].timestamp - each.timestamp))
                outputs.append(_written(topic, each, number))
                following = each.offset + 1
        return cls(stop, inputs + sorted(outputs, key=lambda each: each.transaction))

    def save(self, file: Path) -> None:
        """Write it into a file."""
        lines = [msgspec.json.encode(each) + b"\n" for each in (self.stop, *self.records)]
        file.write_bytes(gzip.compress(b"".join(lines), 9, mtime=0))

    def of(self, topic: Topic, area: str | None = None, *, until_stop: bool = False) -> list[Written]:
        """The records of a topic, or of one area in it."""
        found = [each for each in self.records if each.topic == topic and area in (None, each.key)]
        return [each for each in found if self.is_former(each)] if until_stop else found

    def is_former(self, record: Written) -> bool:
        """Whether a record was there at the stop."""
        if record.topic in INPUTS:
            return record.offset < self.stop.ends[record.topic]
        return record.transaction <= self.stop.transactions

    def steps(self) -> Iterator[tuple[Topic, list[Written]]]:
        """The inputs after the stop, in runs of one topic; each run was on record before the next was sent."""
        later = [each for each in self.records if each.topic in INPUTS and not self.is_former(each)]
        for topic, run in itertools.groupby(sorted(later, key=lambda each: each.timestamp_ms), lambda each: each.topic):
            yield topic, list(run)

    def log(self, area: str, *, until_stop: bool = False) -> RecordedLog:
        """An area's log."""
        return RecordedLog(self, area, until_stop)


class RecordedLog:
    """The log of an area in a recording."""

    def __init__(self, recording: Recording, area: str, until_stop: bool) -> None:
        self._records: dict[LogTopic, list[LogRecord]] = {}
        for topic in TOPICS:
            self._records[topic] = [
                LogRecord(each.offset, each.timestamp_ms, *_raw(each))
                for each in recording.of(topic, until_stop=until_stop)
                if topic == "incidents" or (each.key or "").partition(":")[0] == area
            ]
        begins: dict[LogTopic, int] = dict.fromkeys(TOPICS, 0)
        ends = {topic: records[-1].offset + 1 if records else 0 for topic, records in self._records.items()}
        self.manifest = Manifest(
            area=area, partition=0, partitions=1, max_record_bytes=65_536, begins=begins, ends=ends
        )

    def read(self, topic: LogTopic, start: int = 0) -> Iterator[LogRecord]:
        """See :class:`streams.area_log.records.AreaLog`."""
        return (each for each in self._records[topic] if each.offset >= start)


def town(folder: Path, bootstrap: str, prefix: str, calibration: bytes) -> Deployment:
    """Two areas of one partition, with 61 cells, a window of a week and low tiers or a calibration."""
    cells, calibrated = folder / "cells.txt", folder / "calibration.json"
    cells.write_text("\n".join(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 10), 4)))
    calibrated.write_bytes(calibration)
    short = hashlib.sha256(prefix.encode()).hexdigest()[:12] + "-"  # a prefix of topics has a limit
    tables: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": bootstrap, "topic_prefix": short, "partitions": 1, "group": prefix},
        "redis": {"url": "redis://127.0.0.1:1/0"},
        "metrics": {"port": 0},
        "worker": {"session_timeout_s": 6},
    }
    for area in AREAS:
        tables[f"areas.{area}"] = {
            "cells_file": str(cells),
            "calibration_file": str(calibrated) if area == "york" else "",
            "clock": "watermark",
            "window_days": 7,
            "min_baseline_days": 3,
            "durations_h": [2, 4, 8, 24],
            "replications": 99,
            # What the former version did.
            "statistic": "permutation",
            "interval_times": "end",
        }
        tables[f"areas.{area}.same_event"] = {"within_m": 0.0, "within_s": 0}
        tables[f"areas.{area}.tiers"] = {"watch": 1.0, "advisory": 5.0, "alert": 30.0, "urgent": 365.0}
    return Deployment(folder, toml(tables))


def standing(site: Deployment) -> PartitionRecord:
    """The partition's own last record."""
    own = [record.value for record in site.read("scans") if record.key == b"#0"]
    return decode_partition(own[-1]) if own else PartitionRecord()


def is_settled(site: Deployment) -> bool:
    """Whether all is on record except each area's last record; a tick record must be on record too."""
    due, seen = dict.fromkeys(AREAS, 0), dict.fromkeys(AREAS, 0)
    for record in site.read("incidents"):
        area = (record.key or b"").decode()
        if area in AREAS:
            due[area], seen[area] = record.offset + 1 if record.value == b"" else seen[area], record.offset + 1
    return site.covered() == due and standing(site).next_response == len(site.read("responses"))


def stamp_by(site: Deployment, kind: str) -> None:
    """Let the producer (``CreateTime``) or the broker (``LogAppendTime``) set the arrival of inputs, and keep them."""
    anytime = dict.fromkeys(("message.timestamp.before.max.ms", "message.timestamp.after.max.ms"), str(2**62))
    configs = anytime | {"message.timestamp.type": kind, "retention.ms": "-1"}
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, site.kafka.topic(topic), configs=configs) for topic in INPUTS]
        )
    until(
        lambda: (
            len(check_topics(site.kafka, site.configuration.longest_window_days))
            == len(INPUTS) * (kind == "CreateTime")
        ),
        "the broker knows",
    )


def send(site: Deployment, records: Iterable[Written]) -> None:
    """Write inputs with their recorded arrival; fails unless they get their recorded offsets."""
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all")) as producer:
        _deliver(producer, site, records)


def write_former(site: Deployment, recording: Recording) -> None:
    """Write all that was there at the stop into new topics, in the same transactions and at the same offsets."""
    stamp_by(site, "CreateTime")
    former = [each for each in recording.records if recording.is_former(each)]
    send(site, (each for each in former if each.topic in INPUTS))
    stamp_by(site, "LogAppendTime")
    arguments = {"bootstrap_servers": site.kafka.bootstrap, "acks": "all"}
    with closing(KafkaProducer(**arguments, transactional_id=f"{site.kafka.topic('scans')}.0")) as producer:
        producer.init_transactions()
        outputs = [each for each in former if each.transaction]
        for _, records in itertools.groupby(outputs, lambda each: each.transaction):
            producer.begin_transaction()
            _deliver(producer, site, records)
            producer.commit_transaction()
    with closing(KafkaConsumer(**consumer_arguments(site.kafka), group_id=site.kafka.group)) as consumer:
        incidents = TopicPartition(site.kafka.topic("incidents"), 0)
        consumer.assign([incidents])
        consumer.commit({incidents: OffsetAndMetadata(recording.stop.committed, "", -1)})


def _deliver(producer: KafkaProducer, site: Deployment, records: Iterable[Written]) -> None:
    sent = []
    for each in records:
        key, value, headers = _raw(each)
        topic, time_ms = site.kafka.topic(each.topic), each.timestamp_ms
        sent.append(
            (each, producer.send(topic, value, key=key, headers=list(headers), partition=0, timestamp_ms=time_ms))
        )
    producer.flush()
    for each, future in sent:
        assert future.get(timeout=30).offset == each.offset, each


def _written(topic: Topic, record: ConsumerRecord, transaction: int) -> Written:
    key = None if record.key is None else record.key.decode()
    headers = tuple((name, value.decode().replace(socket.gethostname(), "host")) for name, value in record.headers)
    return Written(topic, record.offset, record.timestamp, key, record.value.decode(), headers, transaction)


def _raw(record: Written) -> tuple[bytes | None, bytes, tuple[tuple[str, bytes], ...]]:
    key = None if record.key is None else record.key.encode()
    return key, record.value.encode(), tuple((name, value.encode()) for name, value in record.headers)
