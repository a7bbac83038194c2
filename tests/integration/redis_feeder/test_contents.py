"""The feeder against a real broker and a real Valkey: whatever happens to Redis, it heals to the same contents."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from prometheus_client import CollectorRegistry
from redis import Redis

from detectors.inference import TIERS
from detectors.settings import AreaSettings
from detectors.tracking import Alert
from streams.brokers import (
    admin_arguments,
    create_topics,
    partition_of,
    producer_arguments,
    retention_ms,
)
from streams.configuration import Area, Configuration, KafkaSettings, RedisSettings
from streams.local_services import LocalValkey
from streams.messages import PROVENANCE_HEADER, alert_event, read_alert
from streams.metrics import AreaHealth, Metrics
from streams.redis_copy import RedisCopy, area_key
from streams.redis_feeder import RedisFeeder
from streams.usual import Usual

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
)

Revision = tuple[str, bytes]
Contents = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    """A Valkey of this module's own, because the tests flush it."""
    with LocalValkey(tmp_path_factory.mktemp("feeder-valkey")) as local:
        yield local


@pytest.fixture
def valkey_client(server: LocalValkey) -> Iterator[Any]:
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def configuration(kafka: Any, server: LocalValkey, topic_prefix: str) -> Configuration:
    """Four areas on two partitions, of which none is empty and one holds several; the topics exist."""
    assert len({partition_of(area.encode(), PARTITIONS) for area in AREAS}) == PARTITIONS
    made = Configuration(
        kafka=KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS),
        redis=RedisSettings(url=server.url),
        areas={area: Area() for area in AREAS},
    )
    create_topics(made)
    return made


def history(seed: int, alerts: int, areas: Sequence[str] = AREAS) -> list[Revision]:
    """(area, event) of so many alerts' lives, interleaved; each alert's revisions are in order."""
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
                Alert(
                    id=f"{seed:04x}{number:04x}",
                    revision=revision,
                    area=area,
                    stream="violence",
                    state=state,
                    tier=tier,
                    reason="opened" if revision == 1 else "new_members",
                    notice=chance.choice(["opened", "area_changed", ""]) if revision > 1 else "opened",
                    opened_s=0,
                    alerted_s=None,
                    tick_s=60 * revision,
                    ended_s=None,
                    split_from="",
                    merged_into="",
                    centre="c",
                    longitude=longitude,
                    latitude=latitude,
                    radius_m=100.0,
                    locations=("c",),
                    duration_h=2,
                    start_s=-3600,
                    observed=3,
                    expected=0.1,
                    llr=9.0,
                    score=4.0,
                    recurrence_interval_days=chance.uniform(30, 3000),
                    members=members,
                    new_members=members,
                    breakdown={"violence": 3},
                    interval_times=0,
                    reported=3,
                    trigger_score=4.0,
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
    """Write them as the worker does, in transactions with an aborted one between; returns each area's offsets."""
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


class Feeding:
    """A running feeder and its figures."""

    def __init__(self, configuration: Configuration, heartbeat_s: float = 0.2) -> None:
        self.registry = CollectorRegistry()
        self.usual = {"leeds": USUAL}
        self.feeder = RedisFeeder(
            configuration,
            health=lambda: {"leeds": HEALTH},
            usual=lambda: self.usual,
            metrics=Metrics(self.registry),
            heartbeat_s=heartbeat_s,
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
    """Wait until every record is in Redis: nothing is below the stored offset that was not applied."""
    wait_for(lambda: all(stored(client, area) > max(each) for area, each in offsets.items()), "all records in Redis")


def contents(client: Any) -> Contents:
    """Every key but the heartbeats and offsets, with its whole value."""
    read: dict[str, Callable[[str], Any]] = {
        "hash": client.hgetall,
        "stream": client.xrange,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    keys = sorted(key.decode() for key in client.scan_iter())
    return {
        key: read[client.type(key).decode()](key) for key in keys if not key.endswith((":health", ":offset", ":usual"))
    }


def model(revisions: Sequence[Revision], offsets: dict[str, list[int]]) -> Contents:
    """What Redis must hold, worked out from the records alone."""
    made: Contents = {}
    for area in offsets:
        mine = [event for of, event in revisions if of == area]
        openings: dict[bytes, float] = {}
        for offset, event in zip(offsets[area], mine, strict=True):
            told = read_alert(event).data.properties
            entry = {
                b"id": told.id.encode(),
                b"revision": str(told.revision).encode(),
                b"state": told.state.value.encode(),
                b"tier": told.tier.encode(),
                b"event": event,
                b"provenance": b'{"host":"h"}',
            }
            made.setdefault(area_key(area, "alerts"), []).append((f"{offset + 1}-0".encode(), entry))
            revision_key = area_key(area, f"alert:{told.id}:revisions")
            made.setdefault(revision_key, []).append((f"{told.revision}-0".encode(), entry))
            made[area_key(area, f"alert:{told.id}")] = entry
            openings.pop(told.id.encode(), None)
            if told.state.value in ("open", "escalated", "easing"):
                openings[told.id.encode()] = told.recurrence_interval_days
        if openings:
            made[area_key(area, "open")] = sorted(openings.items(), key=lambda each: (each[1], each[0]))
    return made


def without_places(found: Contents) -> Contents:
    """The geo sets hold what Redis makes of coordinates; see test_open_alerts_are_found_by_place."""
    return {key: value for key, value in found.items() if not key.endswith(":where")}


def test_redis_holds_what_the_topic_says(configuration: Configuration, valkey_client: Any) -> None:
    """Two partitions, four areas; records of an aborted transaction are never seen."""
    revisions = history(1, 30)
    offsets = publish(configuration, revisions)
    assert offsets.keys() == set(AREAS)
    with feeding(configuration) as running:
        wait_until_fed(valkey_client, offsets)
        wait_for(
            lambda: all(running.figure("redis_feeder_lag_records", area=area) == 0 for area in AREAS),
            "a lag of nothing, transaction markers included",
        )
        assert running.figure("redis_up") == 1
        assert not any(running.figure("redis_feeder_rewinds_total", area=area) for area in AREAS)
    assert without_places(contents(valkey_client)) == model(revisions, offsets)
    kept_s = retention_ms(configuration) / 1000
    assert all(valkey_client.ttl(key) > kept_s for key in valkey_client.scan_iter())


def test_open_alerts_are_found_by_place(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(2, 20, ["leeds"])
    offsets = publish(configuration, revisions)
    with feeding(configuration):
        wait_until_fed(valkey_client, offsets)
    ids = [each.decode() for each in valkey_client.zrange(area_key("leeds", "open"), 0, -1)]
    places = dict(zip(ids, valkey_client.geopos(area_key("leeds", "where"), *ids), strict=True))
    assert valkey_client.zcard(area_key("leeds", "where")) == len(ids) > 3
    for event in (read_alert(event).data for _, event in revisions):
        if event.id in places:
            assert places[event.id] == pytest.approx(event.geometry.coordinates, abs=1e-5)


def test_a_flushed_redis_heals_by_the_heartbeat(configuration: Configuration, valkey_client: Any) -> None:
    offsets = publish(configuration, history(3, 30))
    with feeding(configuration) as running:
        wait_until_fed(valkey_client, offsets)
        before = contents(valkey_client)
        for _ in range(3):
            valkey_client.flushall()
            wait_until_fed(valkey_client, offsets)
            assert contents(valkey_client) == before
        assert (running.figure("redis_feeder_rewinds_total", area="leeds") or 0) >= 1


def test_a_change_after_a_flush_does_not_hide_the_loss(configuration: Configuration, valkey_client: Any) -> None:
    """No heartbeat is due for long: the change itself must notice, or it would store its high offset."""
    revisions = history(4, 30)
    first, second = revisions[:-8], revisions[-8:]
    with feeding(configuration, heartbeat_s=3600):
        offsets = publish(configuration, first)
        wait_until_fed(valkey_client, offsets)
        valkey_client.flushall()
        for area, later in publish(configuration, second).items():
            offsets.setdefault(area, []).extend(later)
        wait_until_fed(valkey_client, offsets)
    assert without_places(contents(valkey_client)) == model(revisions, offsets)


def test_a_restored_backup_heals(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(5, 30)
    with feeding(configuration):
        offsets = publish(configuration, revisions[:20])
        wait_until_fed(valkey_client, offsets)
        backup = {key: valkey_client.dump(key) for key in valkey_client.scan_iter()}
        for area, later in publish(configuration, revisions[20:]).items():
            offsets.setdefault(area, []).extend(later)
        wait_until_fed(valkey_client, offsets)
        before = contents(valkey_client)
        with valkey_client.pipeline() as pipeline:
            pipeline.flushall()
            for key, value in backup.items():
                pipeline.restore(key, 10**9, value)
            pipeline.execute()
        wait_until_fed(valkey_client, offsets)
    assert contents(valkey_client) == before == before | model(revisions, offsets)


@pytest.mark.parametrize("back", ["empty", "with its data"])
def test_redis_away_while_alerts_are_published(configuration: Configuration, tmp_path: Path, back: str) -> None:
    """Killed, and gone while changes come: those wait in Kafka, and what Redis has lost comes again."""
    revisions = history(6, 30)
    with LocalValkey(tmp_path / "one") as server:
        elsewhere = msgspec.structs.replace(configuration, redis=RedisSettings(url=server.url))
        with feeding(elsewhere) as running:
            with Redis.from_url(server.url) as client:
                offsets = publish(configuration, revisions[:15])
                wait_until_fed(client, offsets)
            server.kill()
            for area, later in publish(configuration, revisions[15:]).items():
                offsets.setdefault(area, []).extend(later)
            wait_for(lambda: running.figure("redis_up") == 0, "Redis seen to be away")
            wait_for(
                lambda: (running.figure("redis_feeder_lag_records", area="leeds") or 0) > 0, "the lag seen to grow"
            )
            folder = server.directory if back == "with its data" else tmp_path / "empty"
            with LocalValkey(folder, server.port) as again, Redis.from_url(again.url) as client:
                wait_until_fed(client, offsets)
                assert without_places(contents(client)) == model(revisions, offsets)
                wait_for(lambda: running.figure("redis_up") == 1, "Redis seen to be back")


def test_redis_need_not_be_there_at_the_start(configuration: Configuration, tmp_path: Path) -> None:
    revisions = history(7, 10)
    with LocalValkey(tmp_path) as server:
        pass
    offsets = publish(configuration, revisions)
    with feeding(msgspec.structs.replace(configuration, redis=RedisSettings(url=server.url))) as running:
        wait_for(lambda: running.figure("redis_up") == 0, "Redis seen to be away")
        with server, Redis.from_url(server.url) as client:
            wait_until_fed(client, offsets)
            assert without_places(contents(client)) == model(revisions, offsets)


def test_a_restarted_feeder_goes_on(
    configuration: Configuration, valkey_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It starts where Redis stands and not at the beginning: what was taken away below that offset stays away."""
    revisions = history(8, 30)
    offsets = publish(configuration, revisions[:20])
    with feeding(configuration):
        wait_until_fed(valkey_client, offsets)
    before = contents(valkey_client)
    valkey_client.delete(*(key for key in before if ":alert:" in key))
    for area, later in publish(configuration, revisions[20:]).items():
        offsets.setdefault(area, []).extend(later)
    starts: dict[int, int] = {}
    for area in AREAS:
        partition = partition_of(area.encode(), PARTITIONS)
        starts[partition] = min(stored(valkey_client, area), starts.get(partition, 10**9))
    assert all(starts.values())
    with caplog.at_level(logging.INFO, "streams"), feeding(configuration):
        wait_until_fed(valkey_client, offsets)
    for partition, start in starts.items():
        assert (
            f"partition {partition} of {configuration.kafka.topic('alerts')} is read from offset {start}"
            in caplog.messages
        )
    after, expected = contents(valkey_client), model(revisions, offsets)
    for area in AREAS:
        assert after[area_key(area, "alerts")] == expected[area_key(area, "alerts")]
    later_ids = {read_alert(event).subject for _, event in revisions[20:]}
    assert {key.split(":")[3] for key in after if ":alert:" in key} == later_ids


def test_an_area_that_is_added_later_is_fed_from_the_beginning(
    configuration: Configuration, valkey_client: Any
) -> None:
    revisions = history(9, 20)
    offsets = publish(configuration, revisions)
    fewer = {area: Area() for area in AREAS if area != "leeds"}
    with feeding(msgspec.structs.replace(configuration, areas=fewer)):
        wait_until_fed(valkey_client, {area: each for area, each in offsets.items() if area != "leeds"})
    assert not [key for key in contents(valkey_client) if "leeds" in key]
    with feeding(configuration):
        wait_until_fed(valkey_client, offsets)
    assert without_places(contents(valkey_client)) == model(revisions, offsets)


def test_an_older_or_repeated_revision_changes_nothing(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(10, 12, ["leeds"])
    offsets = publish(configuration, revisions)
    with feeding(configuration):
        wait_until_fed(valkey_client, offsets)
        before = contents(valkey_client)
        again = publish(configuration, random.Random(0).sample(revisions, len(revisions)))
        wait_until_fed(valkey_client, again)
    assert contents(valkey_client) == before


def delivered(revisions: Sequence[Revision]) -> list[ConsumerRecord]:
    """The revisions as a consumer would hand them over, at every third offset."""
    headers = [(PROVENANCE_HEADER, b'{"host":"h"}')]
    return [
        ConsumerRecord("alerts", 0, 0, 3 * number, 0, 0, area.encode(), event, headers, None, 0, 0, 0)
        for number, (area, event) in enumerate(revisions)
    ]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), data=st.data())
def test_reading_again_from_any_older_offset_changes_nothing(
    server: LocalValkey, seed: int, data: st.DataObject
) -> None:
    revisions = history(seed, 4, ["leeds"])
    records = delivered(revisions)
    starts = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=4), "where reading begins again")
    ends = [data.draw(st.integers(start, len(records)), "and how far it comes") for start in starts]
    with Redis.from_url(server.url) as client, closing(RedisCopy(RedisSettings(url=server.url), 3600)) as copy:
        client.flushall()
        reached = 0
        for start, end in [*zip(starts, ends, strict=True), (0, len(records))]:
            for record in records[start if start <= reached else reached : end]:
                copy.advance("leeds", 0, record.offset + 1, 0, record)
            reached = max(reached, end)
        made = without_places(contents(client))
        assert copy.offset("leeds") == records[-1].offset + 1
    assert made == model(revisions, {"leeds": [record.offset for record in records]})


def test_what_has_expired_does_not_come_back_by_reading_again(server: LocalValkey, valkey_client: Any) -> None:
    records = delivered(history(16, 3, ["leeds"]))
    with closing(RedisCopy(RedisSettings(url=server.url), 3600)) as copy:
        for record in records:
            copy.advance("leeds", 0, record.offset + 1, 0, record)
        valkey_client.delete(*valkey_client.scan_iter("*:alert:*"))
        before = contents(valkey_client)
        for record in records:
            copy.advance("leeds", 0, record.offset + 1, 0, record)
    assert contents(valkey_client) == before


def test_bad_records_do_not_harm_their_neighbours(
    configuration: Configuration, valkey_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    good = history(11, 4, ["leeds"])
    polar = msgspec.json.decode(good[0][1])
    polar["data"]["id"] = "polar"
    polar["data"]["geometry"]["coordinates"] = [0.0, 89.0]
    bad = [
        ("leeds", b"\xff\x00 no JSON"),
        ("leeds", b"{}"),
        ("leeds", msgspec.json.encode({"data": {"id": "x", "geometry": {"coordinates": "here"}, "properties": {}}})),
        ("nowhere", good[0][1]),
        ("leeds", b""),
        ("leeds", msgspec.json.encode(polar)),
    ]
    mixed = [each for pair in zip(bad, good * 2, strict=False) for each in pair]
    with caplog.at_level(logging.WARNING), feeding(configuration) as running:
        offsets = publish(configuration, mixed)
        wait_until_fed(valkey_client, offsets | {"nowhere": [-1]})
        assert running.feeder.is_alive
    assert valkey_client.hget(area_key("leeds", "alert:polar"), "revision") == b"1"
    assert {read_alert(event).subject for _, event in good} <= {
        key.split(":")[3] for key in contents(valkey_client) if ":alert:" in key
    }
    assert sum("not an alert" in message for message in caplog.messages) == 4
    assert not [message for message in caplog.messages if "Redis" in message]  # it had no reason to refuse anything
    assert not [key for key in contents(valkey_client) if "nowhere" in key]


def heard(channel: Any) -> list[bytes]:
    """What the channel said until it was silent for a while."""
    messages = []
    while message := channel.get_message(timeout=0.5):
        messages.append(message["data"])
    return messages


def test_the_channel_speaks_from_the_tier_alert_on_when_there_is_something_to_say(
    configuration: Configuration, valkey_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = history(12, 20, ["leeds"])
    told = {event: read_alert(event).data.properties for _, event in revisions}
    spoken = [event for event, each in told.items() if each.tier in ("alert", "urgent") and each.notice]
    assert 0 < len(spoken) < sum(each.tier in ("alert", "urgent") for each in told.values()) < len(revisions)
    with valkey_client.pubsub(ignore_subscribe_messages=True) as channel, feeding(configuration):
        channel.subscribe(area_key("leeds", "alerts"))
        channel.get_message(timeout=5)
        offsets = publish(configuration, revisions)
        wait_until_fed(valkey_client, offsets)
        assert heard(channel) == spoken
        monkeypatch.setattr("streams.redis_copy.FRESH_S", 0.0)  # the records are old now
        valkey_client.flushall()
        wait_until_fed(valkey_client, offsets)
        assert heard(channel) == []


def test_the_channel_is_silent_of_what_was_delayed(configuration: Configuration, valkey_client: Any) -> None:
    with valkey_client.pubsub(ignore_subscribe_messages=True) as channel, feeding(configuration):
        channel.subscribe(area_key("leeds", "alerts"))
        channel.get_message(timeout=5)
        offsets = publish(configuration, history(12, 20, ["leeds"]), provenance=b'{"host":"h","delayed":true}')
        wait_until_fed(valkey_client, offsets)
        assert heard(channel) == []


def test_the_heartbeat_tells_silence_from_death(configuration: Configuration, valkey_client: Any) -> None:
    key = area_key("leeds", "health")
    with feeding(configuration):
        wait_for(lambda: bool(valkey_client.exists(key)), "a heartbeat")
        told = valkey_client.hgetall(key)
        wait_for(lambda: valkey_client.hget(key, "written_at") != told[b"written_at"], "another heartbeat")
    assert told.pop(b"written_at").endswith(b"+00:00")
    assert told == {
        b"last_record": b"2023-11-14T22:13:20.250+00:00",
        b"last_scan": b"",
        b"clock": b"2023-11-14T22:13:21.000+00:00",
        b"lag": b"12",
        b"feed": b"healthy",
        b"missing_days": b"12.35",
    }
    assert not valkey_client.exists(area_key("york", "health"))  # another worker's


def test_what_is_usual_is_told_when_it_is_new_and_again_after_a_flush(
    configuration: Configuration, valkey_client: Any
) -> None:
    key = area_key("leeds", "usual")

    def told() -> dict[str, Any]:
        return msgspec.json.decode(valkey_client.get(key) or b"{}")  # type: ignore[no-any-return]

    def cells() -> dict[str, int] | None:
        return told().get("cells")

    with feeding(configuration) as running:
        publish(configuration, history(3, 5, ["leeds"]))
        wait_for(lambda: cells() == USUAL.cells, "what is usual")
        first = told()
        assert first.pop("written_at").endswith("Z")
        assert first == {"resolution": 10, "days": 28.5, "cells": {"8a195da49b9ffff": 7}}
        assert valkey_client.ttl(key) > 86_400
        beat = valkey_client.hget(area_key("leeds", "health"), "written_at")
        wait_for(lambda: valkey_client.hget(area_key("leeds", "health"), "written_at") > beat, "the next heartbeat")
        assert told() == first | {"written_at": told()["written_at"]}
        running.usual = {"leeds": msgspec.structs.replace(USUAL, cells={"8a195da49b9ffff": 8})}
        wait_for(lambda: cells() == {"8a195da49b9ffff": 8}, "what is usual now")
        valkey_client.flushall()
        wait_for(lambda: cells() == {"8a195da49b9ffff": 8}, "what is usual after a flush")


def test_the_stream_keeps_what_the_topic_keeps(configuration: Configuration, valkey_client: Any) -> None:
    """After the topic has dropped its oldest records, a healed Redis equals one that was never flushed."""
    offsets = publish(configuration, history(13, 20, ["leeds"]))["leeds"]
    partition = TopicPartition(configuration.kafka.topic("alerts"), partition_of(b"leeds", PARTITIONS))
    stream = area_key("leeds", "alerts")
    with feeding(configuration):
        wait_until_fed(valkey_client, {"leeds": offsets})
        with closing(KafkaAdminClient(**admin_arguments(configuration.kafka))) as admin:
            admin.delete_records({partition: offsets[12]})
        kept = [f"{offset + 1}-0".encode() for offset in offsets[12:]]
        wait_for(lambda: [id_ for id_, _ in valkey_client.xrange(stream)] == kept, "the stream trimmed")
        before = valkey_client.xrange(stream)
        valkey_client.flushall()
        wait_until_fed(valkey_client, {"leeds": offsets})
        assert valkey_client.xrange(stream) == before


def test_two_feeders_at_once_make_the_same_contents(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(14, 40)
    with feeding(configuration, 0.1), feeding(configuration, 0.3) as other:
        offsets = publish(configuration, revisions[:30])
        wait_until_fed(valkey_client, offsets)
        valkey_client.flushall()
        for area, later in publish(configuration, revisions[30:]).items():
            offsets.setdefault(area, []).extend(later)
        wait_until_fed(valkey_client, offsets)
        assert other.feeder.is_alive
    assert without_places(contents(valkey_client)) == model(revisions, offsets)


def test_another_topics_redis_is_told_of(
    configuration: Configuration, valkey_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    valkey_client.set(area_key("leeds", "offset"), 10**6)
    with caplog.at_level(logging.ERROR), feeding(configuration):
        wait_for(lambda: bool(caplog.messages), "an error in the log")
        assert "area leeds: Redis holds alerts up to offset 1000000" in caplog.messages[0]
        offsets = publish(configuration, history(15, 4, ["leeds"]))
        valkey_client.delete(area_key("leeds", "offset"))
        wait_until_fed(valkey_client, offsets)  # what the message says helps
