"""A worker process on a real broker: from incidents to alerts, through every disturbance."""

from __future__ import annotations

import json
import random
import signal
import socket
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import h3
import msgspec
import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.brokers.connection import admin_arguments
from streams.brokers.topics import check_topics
from streams.messages.alert import PROVENANCE_HEADER, Provenance
from streams.messages.incident import REASONS
from streams.messages.records import Rejection, partition_of
from streams.messages.scan import decode_scan
from streams.process.watchdog import STALLED
from streams.worker.consumer import DONE, FAILED, FENCED
from tests.integration.conftest import NewSite
from tests.integration.worker_process import (
    BEGIN,
    CENTRE,
    Row,
    WorkerProcess,
    areas_of_one_partition,
    incidents,
    tick,
    until,
)

END = BEGIN + timedelta(days=13)
RANDOM_STRINGS = 10_000
QUIET_DEADLINE_S = 3.0
LAST_RECORD = 'hotspots_last_record_timestamp_seconds{area="leeds"}'


def incident(area: str, number: int, occurred: datetime) -> Row:
    """An incident in the middle of the area."""
    latitude, longitude = h3.cell_to_latlng(h3.latlng_to_cell(*CENTRE, 10))
    fields = {
        "id": f"{area}-{number}",
        "occurred_at": occurred.isoformat(),
        "category": "drugs",
        "longitude": longitude,
        "latitude": latitude,
    }
    return area, json.dumps(fields).encode(), ()


def test_a_replay_through_kafka_gives_what_the_monitor_gives_byte_for_byte(new_site: NewSite) -> None:
    names = (*areas_of_one_partition(2, 2), "hull")
    assert {partition_of(name.encode(), 2) for name in names} == {0, 1}
    site = new_site(*names)
    for seed, area in enumerate(names):
        site.produce([*incidents(area, 160, seed), tick(area, END)])
    with WorkerProcess(site) as worker:
        worker.until(site.is_covered, "every record is on record")
        worker.until(lambda: sum(site.committed().values()) == 3 * 161, "every record is acknowledged")
        worker.until(worker.is_ready, "ready")
        assert len(worker.ports()) == 1
        assert worker.stop() == DONE
    assert len(site.check()) > 20
    scans = site.scans()
    written = {record.key for record in site.read("settings")}
    assert written == {f"{area}:{decode_scan(scans[area][0]).configuration}".encode() for area in names}


def bad_records(area: str, home: int) -> list[tuple[bytes | None, bytes, int]]:
    """Key, value and partition of one record for each reason to reject it."""
    name, good = area.encode(), json.loads(incident(area, 0, BEGIN + timedelta(days=13))[1])

    def changed(**fields: object) -> bytes:
        return json.dumps(
            {"id": "bad"} | {key: value for key, value in (good | fields).items() if key != "id"}
        ).encode()

    return [
        (name, b"{", home),
        (name, b"", home),
        (name, changed(longitude="west"), home),
        (name, changed(longitude=500), home),
        (name, changed(longitude=float("nan")), home),
        (name, changed(occurred_at="2024-03-17T00:00:00"), home),
        (name, changed(category="y" * 70_000), home),
        (None, changed(), home),
        (b"nowhere", changed(), home),
        (name, changed(area="nowhere"), home),
        (name, changed(), 1 - home),
        (name, changed(longitude=0.0, latitude=0.0), home),
        (name, changed(occurred_at="2024-03-17T01:00:00Z", reported_at="2024-03-17T00:00:00Z"), home),
        (name, changed(occurred_at="2099-01-01T00:00:00Z"), home),
    ]


def test_garbage_is_rejected_once_with_a_reason_and_loses_no_good_record(new_site: NewSite) -> None:
    site = new_site()
    home = partition_of(b"leeds", 2)
    chance = random.Random(8)
    good: list[tuple[bytes | None, bytes, int]] = [
        (b"leeds", value, home) for _, value, _ in incidents("leeds", 160, 1)
    ]
    strings: list[tuple[bytes | None, bytes, int]] = [
        (
            chance.choice([b"leeds", None, chance.randbytes(5)]),
            chance.randbytes(chance.randrange(60)),
            chance.randrange(2),
        )
        for _ in range(RANDOM_STRINGS)
    ]
    records = good[:-1]
    for each in strings:
        records.insert(chance.randrange(len(records) + 1), each)
    records += [*bad_records("leeds", home), good[-1]]
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all", linger_ms=5)) as producer:
        topic = site.kafka.topic("incidents")
        sent = [producer.send(topic, value, key=key, partition=partition) for key, value, partition in records]
        refused = [
            (partition, future.get(30).offset)
            for future, (key, value, partition) in zip(sent, records, strict=True)
            if (key, value, partition) not in good
        ]
    site.produce([tick("leeds", END + timedelta(hours=1))])
    with WorkerProcess(site) as worker:
        worker.until(lambda: site.read("rejected"), "something is rejected")
        worker.kill()
    with WorkerProcess(site) as worker:
        worker.until(site.is_covered, "every record is on record")
        worker.until(lambda: sum(site.committed().values()) == len(records) + 1, "every record is acknowledged")
        assert worker.stop() == DONE
    letters = [msgspec.json.decode(record.value, type=Rejection) for record in site.read("rejected")]
    assert sorted((letter.partition, letter.offset) for letter in letters) == sorted(refused)
    assert {letter.reason for letter in letters} == {*REASONS, "out_of_area", "future", "clock_jump"}
    accounts = decode_scan(site.scans()["leeds"][-1]).accounts
    assert accounts.added == len(good)
    balance = (accounts.added, accounts.replaced, accounts.removed, accounts.duplicate, accounts.outside)
    assert accounts.read == sum(balance) + accounts.rejected + accounts.ticks
    site.check()


def test_a_quiet_wall_clock_closes_its_tick_in_time(new_site: NewSite) -> None:
    site = new_site(clock="wall")
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        site.produce([incident("leeds", 0, datetime.now(UTC))])
        sent_s = time.monotonic()
        worker.until(site.scans, "the tick is on record")
        assert time.monotonic() - sent_s < QUIET_DEADLINE_S + 0.5


def test_leaving_closes_the_open_tick_of_a_wall_clock(new_site: NewSite) -> None:
    site = new_site(clock="wall")
    with WorkerProcess(site, environ={"HOTSPOTS_AREAS__LEEDS__TICK_S": "3600"}) as worker:  # open until the hour ends
        worker.until(worker.is_ready, "ready")
        site.produce([incident("leeds", 0, datetime.now(UTC))])
        worker.until(lambda: LAST_RECORD in worker.asked("/metrics")[1], "the record is read")
        assert worker.stop() == DONE
    assert site.covered() == {"leeds": 1}
    assert site.committed()[partition_of(b"leeds", 2)] == 1


def test_alerts_found_while_catching_up_after_an_outage_are_marked_delayed(new_site: NewSite) -> None:
    """The backlog arrived hours ago: for the test the producer, not the broker, sets the time of arrival."""
    site = new_site(clock="wall")
    topic = site.kafka.topic("incidents")
    now = datetime.now(UTC)
    begin = now - timedelta(days=12, hours=1)

    def stamp_by(kind: str) -> None:
        with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
            changed = {"message.timestamp.type": kind, "message.timestamp.before.max.ms": str(2**62)}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=changed)])
        until(
            lambda: bool(check_topics(site.kafka, site.configuration.longest_window_days)) == (kind == "CreateTime"),
            "the broker knows",
            10,
        )

    stamp_by("CreateTime")
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all", linger_ms=5)) as producer:
        for area, value, _ in incidents("leeds", 320, 1, begin=begin):
            occurred = datetime.fromisoformat(json.loads(value)["occurred_at"])
            producer.send(topic, value, key=area.encode(), timestamp_ms=int(occurred.timestamp() * 1000))
        producer.flush()
    stamp_by("LogAppendTime")
    with WorkerProcess(site) as worker:
        worker.until(site.is_covered, "every record is on record")
        assert worker.stop() == DONE
    provenances = [
        msgspec.json.decode(dict(record.headers)[PROVENANCE_HEADER], type=Provenance) for record in site.read("alerts")
    ]
    assert provenances
    assert all(provenance.delayed and provenance.latency_s > 60 for provenance in provenances)


def test_partitions_that_move_between_workers_in_midstream_lose_and_double_nothing(new_site: NewSite) -> None:
    names = ("leeds", "york", "hull", "bath")
    assert {partition_of(name.encode(), 2) for name in names} == {0, 1}
    site = new_site(*names)
    rows = {area: [*incidents(area, 160, seed), tick(area, END)] for seed, area in enumerate(names)}

    def produce(part: int) -> None:
        for area in names:
            site.produce(rows[area][part * 40 : (part + 1) * 40 + (part == 3)])

    with WorkerProcess(site, instance="w1") as first:
        first.until(first.is_ready, "ready")
        produce(0)
        with WorkerProcess(site, instance="w2") as second:
            produce(1)
            second.until(second.is_ready, "a partition has moved")
            produce(2)
            assert first.stop() == DONE
            produce(3)
            second.until(site.is_covered, "every record is on record")
            second.until(lambda: sum(site.committed().values()) == 4 * 161, "every record is acknowledged")
            assert second.stop() == DONE
    site.check()


def test_a_frozen_worker_writes_nothing_when_it_wakes(new_site: NewSite) -> None:
    site = new_site()
    rows = [*incidents("leeds", 160, 1), tick("leeds", END)]
    with WorkerProcess(site, instance="w1") as frozen:
        site.produce(rows[:80])
        frozen.until(lambda: site.covered()["leeds"] >= 79, "the first half is on record")
        frozen.process.send_signal(signal.SIGSTOP)
        site.produce(rows[80:120])
        with WorkerProcess(site, instance="w2") as other:
            other.until(lambda: site.covered()["leeds"] >= 119, "the other has taken over")
            frozen.process.send_signal(signal.SIGCONT)
            site.produce(rows[120:])
            other.until(site.is_covered, "every record is on record")
            other.until(lambda: sum(site.committed().values()) == 161, "every record is acknowledged")
            codes = [worker.process.poll() or worker.stop() for worker in (frozen, other)]
            assert codes in ([FENCED, DONE], [DONE, DONE])  # DONE if it notices its loss before it writes
    site.check()


def test_a_second_holder_of_an_instance_id_is_noticed(new_site: NewSite) -> None:
    site = new_site()
    with WorkerProcess(site, instance="same") as first:
        first.until(first.is_ready, "ready")
        with WorkerProcess(site, instance="same") as second:
            until(lambda: FENCED in (first.process.poll(), second.process.poll()), "one of them leaves")
            (line,) = [line for line in first.logged() if line["level"] == "critical"][:1]
            assert "instance id 'same'" in line["message"] or "taken over" in line["message"]


def test_a_worker_whose_engine_hangs_is_ended(new_site: NewSite) -> None:
    site = new_site(worker={"watchdog_s": 2})
    site.produce(incidents("leeds", 32, 1))
    with WorkerProcess(site, "stall:5") as worker:
        assert worker.wait() == STALLED
        assert worker.logged()[-1]["message"].startswith("the engine has made no progress for 2 s")


def test_a_port_that_is_taken_is_named(new_site: NewSite) -> None:
    site = new_site()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with WorkerProcess(site, environ={"HOTSPOTS_METRICS__PORT": str(port)}) as other:
            assert other.wait() == FAILED
            assert other.logged()[-1]["message"].startswith(f"metrics.port = {port}: cannot listen there on 127.0.0.1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partitions": 4}, "has 2 partitions: must be 4"),
        ({"topic_prefix": "never-made-"}, "never-made-incidents: topic is missing; `hotspots topics` creates it"),
        ({"bootstrap": "127.0.0.1:1"}, "127.0.0.1:1"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_a_worker_that_cannot_work_logs_why_in_one_line_and_leaves(
    new_site: NewSite, change: dict[str, object], message: str
) -> None:
    site = new_site()
    text = site.file.read_text()
    for key, value in change.items():
        old = getattr(site.kafka, key)
        text = text.replace(f"{key} = {json.dumps(old)}", f"{key} = {json.dumps(value)}")
    site.file.write_text(text)
    with WorkerProcess(site) as worker:
        assert worker.wait() == FAILED
        assert any(message in line["message"] for line in worker.logged())
        assert all("error" not in line for line in worker.logged())
