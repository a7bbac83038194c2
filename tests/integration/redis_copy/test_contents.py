"""What Redis holds of the alerts on the topic, however often and in whatever order they come."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaAdminClient, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from redis import Redis

from streams.brokers.connection import admin_arguments
from streams.brokers.topics import retention_ms
from streams.configuration.area import AreaTable
from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import PROVENANCE_HEADER, read_alert
from streams.messages.records import partition_of
from streams.redis_copy.contents import RedisCopy
from streams.redis_copy.keys import area_key, glance
from tests.integration.redis_copy.fed_redis import (
    AREAS,
    PARTITIONS,
    Revision,
    contents,
    feeding,
    history,
    model,
    publish,
    wait_for,
    wait_until_fed,
    without_places,
)


def test_redis_holds_what_the_topic_holds(configuration: Configuration, valkey_client: Any) -> None:
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
    kept_s = retention_ms(configuration.longest_window_days) / 1000
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


def test_an_area_that_is_added_later_is_fed_from_the_beginning(
    configuration: Configuration, valkey_client: Any
) -> None:
    revisions = history(9, 20)
    offsets = publish(configuration, revisions)
    fewer = {area: AreaTable() for area in AREAS if area != "leeds"}
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
    """The revisions as a consumer delivers them, at every third offset."""
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


def test_what_expires_is_no_loss(server: LocalValkey, valkey_client: Any) -> None:
    """Of two alerts the older one expires; its record is still in the topic or not."""
    records = delivered(history(17, 40, ["leeds"]))
    older, later = records[: len(records) // 2], records[len(records) // 2 :]
    end = records[-1].offset + 1
    with closing(RedisCopy(RedisSettings(url=server.url), 1)) as short:
        for record in older:
            short.advance("leeds", 0, record.offset + 1, 0, record)
    with closing(RedisCopy(RedisSettings(url=server.url), 3600)) as copy:
        for record in later:
            copy.advance("leeds", 0, record.offset + 1, 0, record)
        ids = {glance(record.value).id for record in records}
        kept = {glance(record.value).id for record in later}
        ledger = area_key("leeds", "ledger:alerts")
        assert len(ids) == valkey_client.hlen(ledger) > len(kept)
        gone = [area_key("leeds", f"alert:{each}") for each in ids - kept]
        wait_for(lambda: not valkey_client.exists(*gone), "the older ones expired")
        found = copy.compare("leeds", 0, end, "", 0, 1000)
        assert found == ("kept", end, 0, len(ids), 0)
        assert {each.decode() for each in valkey_client.hkeys(ledger)} == kept
        assert copy.compare("leeds", 0, end, "", 0, 1000) == ("kept", end, 0, len(kept), 0)
        valkey_client.delete(area_key("leeds", f"alert:{min(kept)}"))
        assert copy.compare("leeds", 0, end, "", 0, 1000)[::2] == ("mended", 1, 0)


def test_a_later_revision_does_not_hide_that_earlier_ones_were_evicted(server: LocalValkey, valkey_client: Any) -> None:
    revisions = history(18, 12, ["leeds"])
    records = delivered(revisions)
    ids = [glance(record.value).id for record in records]
    last = max(index for index, id_ in enumerate(ids) if id_ in ids[:index])
    with closing(RedisCopy(RedisSettings(url=server.url), 3600)) as copy:
        for record in records[:last]:
            copy.advance("leeds", 0, record.offset + 1, 0, record)
        valkey_client.delete(area_key("leeds", f"alert:{ids[last]}:revisions"))
        for record in records[last:]:
            copy.advance("leeds", 0, record.offset + 1, 0, record)
        first = records[ids.index(ids[last])].offset
        end = records[-1].offset + 1
        assert copy.compare("leeds", 0, end, "", 0, 1000) == ("mended", first, 1, len(set(ids)), 0)
        for record in records:
            copy.advance("leeds", 0, record.offset + 1, 0, record)
        assert copy.compare("leeds", 0, end, "", 0, 1000) == ("kept", end, 0, len(set(ids)), 0)
    offsets = {"leeds": [record.offset for record in records]}
    assert without_places(contents(valkey_client)) == model(revisions, offsets)


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
    assert not [message for message in caplog.messages if "Redis" in message]  # Redis refused nothing
    assert not [key for key in contents(valkey_client) if "nowhere" in key]


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
