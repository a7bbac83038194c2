"""Lives of alerts on the topic, a feeder that reads them, and what Redis must hold."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from kafka import KafkaProducer
from prometheus_client import CollectorRegistry
from redis import ResponseError

from detectors.alerts.alert import Alert
from detectors.area.settings import AreaSettings
from detectors.scan.significance import TIERS
from detectors.window.further import FurtherShares
from streams.areas.health import AreaHealth
from streams.brokers.connection import producer_arguments
from streams.configuration.load import Configuration
from streams.messages.alert import PROVENANCE_HEADER, alert_event, read_alert
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord, encode, partition_key
from streams.messages.usual import Usual
from streams.redis_copy.keys import area_key
from streams.worker.background.redis_feeder import RedisFeeder
from streams.worker.metrics import Metrics
from tests.streams.messages.alert_events import ALERT, with_fields

AREAS = ("hull", "kirklees", "leeds", "york")
PARTITIONS = 2
USUAL = Usual(resolution=10, days=28.5, cells={"8a195da49b9ffff": 7})
HEALTH = AreaHealth(
    last_record_s=1_700_000_000.25,
    last_scan_s=None,
    lag=12,
    feed="healthy",
    clock_s=1_700_000_001.0,
    missing_days=12.349,
    silent_parts=("no drugs since 3 May 14:10: 0 in 12 h, 9.3 usual", "no incidents from the north-west"),
    further_shares=FurtherShares(0.12, 0.015, is_changed=True),
)

Revision = tuple[str, bytes]
Contents = dict[str, Any]


def history(seed: int, alerts: int, areas: Sequence[str] = AREAS) -> list[Revision]:
    """(area, event) of the lives of ``alerts`` alerts, interleaved; each alert's revisions are in order."""
    chance = random.Random(seed)
    lives: list[list[Alert]] = []
    for number in range(alerts):
        states = ["open", *chance.choices(["open", "escalated", "easing"], k=chance.randrange(4))]
        states += chance.choices([["ended"], ["withdrawn"], []])[0]
        area, tier = chance.choice(areas), chance.choice(TIERS)
        longitude, latitude = chance.uniform(-2, -1), chance.uniform(53, 54)
        members = tuple(f"{seed}-{number}-{member}" for member in range(3))
        lives.append(
            [
                with_fields(
                    ALERT,
                    id=f"{seed:04x}{number:04x}",
                    revision=revision,
                    area=area,
                    state=state,
                    tier=tier,
                    reason="opened" if revision == 1 else "new_members",
                    notice=chance.choice(["opened", "area_changed", ""]) if revision > 1 else "opened",
                    tick_s=60 * revision,
                    longitude=longitude,
                    latitude=latitude,
                    recurrence_interval_days=chance.uniform(30, 3000),
                    members=members,
                    new_members=members,
                )
                for revision, state in enumerate(states, 1)
            ]
        )
    revisions = []
    while lives:
        life = chance.choice(lives)
        alert = life.pop(0)
        revisions.append((alert.area, alert_event(alert, AreaSettings(), "0" * 64)))
        lives = [each for each in lives if each]
    return revisions


def publish(
    configuration: Configuration, revisions: Sequence[Revision], at_once: int = 6, provenance: bytes = b'{"host":"h"}'
) -> dict[str, list[int]]:
    """Write them as the worker does, in transactions with aborted ones between; return each area's offsets."""
    offsets: dict[str, list[int]] = {}
    topic = configuration.kafka.topic("alerts")
    ((_, aborted), *_) = history(2**20, 1)
    arguments = producer_arguments(configuration.kafka) | {"transactional_id": f"{topic}-test"}
    with closing(KafkaProducer(**arguments)) as producer:
        producer.init_transactions()
        for start in range(0, len(revisions), at_once):
            producer.begin_transaction()
            producer.send(topic, key=revisions[start][0].encode(), value=aborted).get(timeout=10)
            producer.abort_transaction()
            producer.begin_transaction()
            sent = [
                (
                    area,
                    producer.send(topic, key=area.encode(), value=event, headers=[(PROVENANCE_HEADER, provenance)]),
                )
                for area, event in revisions[start : start + at_once]
            ]
            producer.commit_transaction()
            for area, future in sent:
                offsets.setdefault(area, []).append(future.get(timeout=10).offset)
    return offsets


def own_record(configuration: Configuration, area: str, record: PartitionRecord) -> None:
    """Write the own record of an area's partition, as a worker does at the end of a transaction."""
    partition = partition_of(area.encode(), PARTITIONS)
    with closing(KafkaProducer(**producer_arguments(configuration.kafka))) as producer:
        topic, key = configuration.kafka.topic("scans"), partition_key(partition)
        producer.send(topic, encode(record), key=key, partition=partition).get(timeout=10)


class Feeding:
    """A running feeder and its figures."""

    def __init__(self, configuration: Configuration, heartbeat_s: float = 0.2) -> None:
        self.registry = CollectorRegistry()
        self.usual = {"leeds": USUAL}
        self.leaving: list[str] = []
        self.feeder = RedisFeeder(
            configuration.kafka,
            configuration.redis,
            configuration.areas,
            configuration.longest_window_days,
            health=lambda: {"leeds": HEALTH},
            usual=lambda: self.usual,
            metrics=Metrics(self.registry),
            heartbeat_s=heartbeat_s,
            leave=self.leaving.append,
        )

    def figure(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"hotspots_{name}", labels)


@contextmanager
def feeding(configuration: Configuration, heartbeat_s: float = 0.2) -> Iterator[Feeding]:
    running = Feeding(configuration, heartbeat_s)
    running.feeder.start()
    try:
        yield running
    finally:
        running.feeder.stop()


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = 30.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {deadline_s} s"
        time.sleep(0.02)


def stored(client: Any, area: str) -> int:
    return int(client.get(area_key(area, "offset")) or 0)


def wait_until_fed(client: Any, offsets: dict[str, list[int]]) -> None:
    """Wait until every record is in Redis: each area's stored offset is above its last record."""
    wait_for(lambda: all(stored(client, area) > max(each) for area, each in offsets.items()), "all records in Redis")


def contents(client: Any) -> Contents:
    """Every key with its whole value, except heartbeats, offsets, ledgers and what is usual."""
    read: dict[str, Callable[[str], Any]] = {
        "hash": client.hgetall,
        "stream": client.xrange,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "list": lambda key: client.lrange(key, 0, -1),
        "none": lambda _: None,  # deleted meanwhile
    }
    keys = sorted(key.decode() for key in client.scan_iter())
    others = (":health", ":offset", ":usual", ":ledger", ":ledger:alerts")
    return {key: read[client.type(key).decode()](key) for key in keys if not key.endswith(others)}


def is_whole(client: Any, expected: Contents) -> bool:
    """Whether Redis holds the expected contents; not while the type of a key changes."""
    with suppress(ResponseError):
        return contents(client) == expected
    return False


def model(revisions: Sequence[Revision], offsets: dict[str, list[int]]) -> Contents:
    """What Redis must hold, derived from the records alone."""
    made: Contents = {}
    for area in offsets:
        mine = [event for of, event in revisions if of == area]
        openings: dict[bytes, float] = {}
        for offset, event in zip(offsets[area], mine, strict=True):
            properties = read_alert(event).data.properties
            entry = {
                b"id": properties.id.encode(),
                b"revision": str(properties.revision).encode(),
                b"state": properties.state.value.encode(),
                b"tier": properties.tier.encode(),
                b"event": event,
                b"provenance": b'{"host":"h"}',
            }
            made.setdefault(area_key(area, "alerts"), []).append((f"{offset + 1}-0".encode(), entry))
            revision_key = area_key(area, f"alert:{properties.id}:revisions")
            made.setdefault(revision_key, []).append((f"{properties.revision}-0".encode(), entry))
            made[area_key(area, f"alert:{properties.id}")] = entry
            openings.pop(properties.id.encode(), None)
            if properties.state.value in ("open", "escalated", "easing"):
                openings[properties.id.encode()] = properties.recurrence_interval_days
        if openings:
            made[area_key(area, "open")] = sorted(openings.items(), key=lambda each: (each[1], each[0]))
    return made


def without_places(found: Contents) -> Contents:
    """The contents without the geo sets, which hold rounded coordinates."""
    return {key: value for key, value in found.items() if not key.endswith(":where")}
