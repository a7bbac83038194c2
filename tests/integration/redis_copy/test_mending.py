"""Single keys of Redis that were evicted, deleted or altered come back, and nothing else changes meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from redis import Redis, ResponseError

from streams.brokers.connection import admin_arguments
from streams.brokers.topics import create_topics
from streams.configuration.load import Configuration
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import read_alert
from streams.redis_copy.keys import area_key
from tests.integration.redis_copy.fed_redis import (
    contents,
    feeding,
    history,
    is_whole,
    model,
    publish,
    wait_for,
    wait_until_fed,
    without_places,
)

Damage = Callable[[Any, str, str], object]
"""Harms the keys in Redis of an area with these ids of an open and of an ended alert."""


def key(name: str) -> str:
    return area_key("leeds", name)


def in_the_middle(redis: Any, stream: str) -> Any:
    entries = redis.xrange(stream)
    return entries[len(entries) // 2][0]


def change_type(redis: Any, name: str) -> None:
    with redis.pipeline() as pipeline:
        pipeline.delete(key(name))
        pipeline.lpush(key(name), "x")
        pipeline.execute()


DAMAGES: dict[str, Damage] = {
    "an open alert": lambda redis, open_, _: redis.delete(key(f"alert:{open_}")),
    "an ended alert": lambda redis, _, ended: redis.delete(key(f"alert:{ended}")),
    "revisions": lambda redis, _, ended: redis.delete(key(f"alert:{ended}:revisions")),
    "one revision": lambda redis, open_, _: redis.xtrim(key(f"alert:{open_}:revisions"), maxlen=0),
    "open": lambda redis, *_: redis.delete(key("open")),
    "one of open": lambda redis, open_, _: redis.zrem(key("open"), open_),
    "a rank in open": lambda redis, open_, _: redis.zadd(key("open"), {open_: 1.0}),
    "a stranger in open": lambda redis, *_: redis.zadd(key("open"), {"stranger": 1.0}),
    "an ended alert in open": lambda redis, _, ended: redis.zadd(key("open"), {ended: 1.0}),
    "where": lambda redis, *_: redis.delete(key("where")),
    "one of where": lambda redis, open_, _: redis.zrem(key("where"), open_),
    "a place": lambda redis, open_, _: redis.geoadd(key("where"), [10.0, 10.0, open_]),
    "a place of an ended alert": lambda redis, _, ended: redis.geoadd(key("where"), [10.0, 10.0, ended]),
    "the Redis stream": lambda redis, *_: redis.delete(key("alerts")),
    "an entry": lambda redis, *_: redis.xdel(key("alerts"), in_the_middle(redis, key("alerts"))),
    "the first entries": lambda redis, *_: redis.xtrim(key("alerts"), maxlen=3),
    "a stranger's entry": lambda redis, *_: redis.xadd(key("alerts"), {"a": "b"}),
    "a stranger's last id": lambda redis, *_: redis.xdel(key("alerts"), redis.xadd(key("alerts"), {"a": "b"})),
    "the offset": lambda redis, *_: redis.delete(key("offset")),
    "an offset behind": lambda redis, *_: redis.set(key("offset"), 3),
    "an offset that is none": lambda redis, *_: redis.set(key("offset"), "soon"),
    "the ledger": lambda redis, *_: redis.delete(key("ledger")),
    "the alerts in the ledger": lambda redis, *_: redis.delete(key("ledger:alerts")),
    "both ledgers": lambda redis, *_: redis.delete(key("ledger"), key("ledger:alerts")),
    "a line of the ledger": lambda redis, open_, _: redis.hset(key("ledger:alerts"), open_, "no line"),
    "a missing line of the ledger": lambda redis, open_, _: redis.hdel(key("ledger:alerts"), open_),
    "a figure of the ledger": lambda redis, *_: redis.hset(key("ledger"), "open", "many"),
    "a later revision by hand": lambda redis, open_, _: redis.hset(key(f"alert:{open_}"), "revision", "99"),
    "a state by hand": lambda redis, open_, _: redis.hset(key(f"alert:{open_}"), "state", "ended"),
    "an event by hand": lambda redis, _, ended: redis.hset(key(f"alert:{ended}"), "event", "{}"),
    "a field more": lambda redis, open_, _: redis.hset(key(f"alert:{open_}"), "note", "seen"),
    "a field less": lambda redis, open_, _: redis.hdel(key(f"alert:{open_}"), "tier"),
}
TYPED = ("alerts", "alert:<id>", "alert:<id>:revisions", "open", "where", "offset", "ledger", "ledger:alerts")


def with_another_type(name: str) -> Damage:
    return lambda redis, open_, _: change_type(redis, name.replace("<id>", open_))


DAMAGES |= {f"the type of {name}": with_another_type(name) for name in TYPED}


def test_single_keys_that_were_harmed_come_back(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(21, 30, ["leeds", "york"])
    with feeding(configuration) as running:
        offsets = publish(configuration, revisions)
        wait_until_fed(valkey_client, offsets)
        open_ids = {each.decode() for each in valkey_client.zrange(key("open"), 0, -1)}
        long = max(open_ids, key=lambda each: valkey_client.xlen(key(f"alert:{each}:revisions")))
        ended = next(
            each.id
            for _, event in revisions
            if (each := read_alert(event).data).id not in open_ids and each.properties.area == "leeds"
        )

        def is_right() -> bool:
            with suppress(ResponseError):  # the type of a key changes meanwhile
                return without_places(contents(valkey_client)) == model(revisions, offsets)
            return False

        for number, (what, harm) in enumerate(DAMAGES.items()):
            before = contents(valkey_client)
            harm(valkey_client, long, ended)
            places = partial(is_whole, valkey_client, before)
            wait_for(places if "place" in what or "where" in what else is_right, f"mended: {what}")
            news = history(1000 + number, 1, ["leeds"])
            offsets["leeds"] += publish(configuration, news)["leeds"]
            revisions += news
            wait_for(is_right, f"the next change after {what}")
        assert running.feeder.is_alive
        assert (running.figure("redis_feeder_rewinds_total", area="leeds") or 0) > 20


@pytest.mark.parametrize(("name", "kind"), [("usual", b"string"), ("health", b"hash")])
def test_what_is_usual_and_the_heartbeat_come_back(
    configuration: Configuration, valkey_client: Any, name: str, kind: bytes
) -> None:
    with feeding(configuration):
        wait_for(lambda: valkey_client.type(key(name)) == kind, f"{name} is there")
        valkey_client.delete(key(name))
        wait_for(lambda: valkey_client.type(key(name)) == kind, f"{name} is there again")
        change_type(valkey_client, name)
        wait_for(lambda: valkey_client.type(key(name)) == kind, f"{name} is there again")


def test_while_an_area_is_mended_its_other_alerts_stay(configuration: Configuration, valkey_client: Any) -> None:
    """Everything is read again after the loss of the stream, and no alert is missing or goes back meanwhile."""
    revisions = history(22, 120, ["leeds"])
    stop, seen = threading.Event(), set[tuple[int, int]]()
    with feeding(configuration) as running:
        offsets = publish(configuration, revisions, at_once=100)
        wait_until_fed(valkey_client, offsets)
        before = contents(valkey_client)
        ids = [each for each in before if each.count(":") == 3]
        revised = sum(int(before[each][b"revision"]) for each in ids)

        def watch() -> None:
            with Redis.from_url(configuration.redis.url) as redis:
                while not stop.is_set():
                    with redis.pipeline() as pipeline:
                        pipeline.zcard(key("open"))
                        for each in ids:
                            pipeline.hget(each, "revision")
                        found, *numbers = pipeline.execute()
                    seen.add((found, sum(map(int, numbers))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        valkey_client.delete(key("alerts"))
        wait_for(lambda: is_whole(valkey_client, before), "all as before")
        stop.set()
        watcher.join()
        assert seen == {(len(before[key("open")]), revised)}
        assert running.figure("redis_feeder_rewinds_total", area="leeds") == 1


def test_groups_of_readers_survive(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(23, 20, ["leeds"])
    with feeding(configuration):
        offsets = publish(configuration, revisions)
        wait_until_fed(valkey_client, offsets)
        stream = key("alerts")
        valkey_client.xgroup_create(stream, "desk", "0")
        taken = valkey_client.xreadgroup("desk", "a", {stream: ">"}, count=5)[0][1]
        valkey_client.xack(stream, "desk", *(id_ for id_, _ in taken[:3]))
        before = contents(valkey_client)
        valkey_client.xdel(stream, in_the_middle(valkey_client, stream))
        wait_for(lambda: is_whole(valkey_client, before), "the stream as before")
        rest = valkey_client.xreadgroup("desk", "a", {stream: ">"})[0][1]
    assert taken[:3] + rest == before[stream]  # what was taken and not acknowledged comes again


def test_two_feeders_mend_the_same_area(configuration: Configuration, valkey_client: Any) -> None:
    revisions = history(24, 40, ["leeds", "york"])
    with feeding(configuration, 0.1) as one, feeding(configuration, 0.13) as other:
        offsets = publish(configuration, revisions)
        wait_until_fed(valkey_client, offsets)
        before = contents(valkey_client)

        def is_mended() -> bool:
            """Whether all is as before, also the ledger; what was lost from it is noticed later."""
            is_noticed = valkey_client.exists(*map(key, ("ledger", "ledger:alerts", "offset"))) == 3
            return is_noticed and not valkey_client.hexists(key("ledger"), "until") and is_whole(valkey_client, before)

        for name in ("alerts", "open", "ledger", "ledger:alerts", "offset"):
            valkey_client.delete(key(name))
            wait_for(is_mended, f"{name} mended")
        assert one.feeder.is_alive
        assert other.feeder.is_alive


def test_the_topic_made_again_is_noticed_by_its_identity(
    configuration: Configuration, valkey_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """More records come than before, so that its end says nothing. What is open stays until its next revision."""
    topic = configuration.kafka.topic("alerts")
    former = history(25, 12, ["leeds"])
    with caplog.at_level(logging.WARNING), feeding(configuration) as running:
        wait_until_fed(valkey_client, publish(configuration, former))
        open_before = {each for each, _ in contents(valkey_client)[key("open")]}
        with closing(KafkaAdminClient(**admin_arguments(configuration.kafka))) as admin:
            admin.delete_topics([topic])
            wait_for(lambda: topic not in admin.list_topics(), "the topic is gone")
        create_topics(configuration.kafka, configuration.longest_window_days)
        new = history(26, 40, ["leeds"])
        offsets = publish(configuration, new)
        expected = model(new, offsets)
        wait_for(lambda: contents(valkey_client).get(key("alerts")) == expected[key("alerts")], "its stream")
        found = contents(valkey_client)
        assert {each for each, _ in found[key("open")]} == open_before | {each for each, _ in expected[key("open")]}
        assert {name: value for name, value in found.items() if name in expected and name != key("open")} == {
            name: value for name, value in expected.items() if name != key("open")
        }
        again = [each for each in former if read_alert(each[1]).data.id in {each.decode() for each in open_before}]
        later = publish(configuration, again)["leeds"]
        wait_for(
            lambda: contents(valkey_client)[key("alerts")][-1][0] == f"{later[-1] + 1}-0".encode(),
            "alerts of the former topic begin again",
        )
        assert running.feeder.is_alive
    assert [message for message in caplog.messages if "was created again" in message]


def test_an_eviction_policy_is_shown(
    configuration: Configuration, server: LocalValkey, valkey_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), feeding(configuration) as running:
        wait_for(lambda: running.figure("redis_evicts") == 0, "the policy")
        assert not [message for message in caplog.messages if "maxmemory" in message]
        valkey_client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            wait_for(lambda: running.figure("redis_evicts") == 1, "the new policy")
        finally:
            valkey_client.config_set("maxmemory-policy", "noeviction")
        wait_for(lambda: running.figure("redis_evicts") == 0, "the former policy")
    assert "Redis has maxmemory-policy allkeys-lru and can evict alerts: it must be noeviction" in caplog.messages
