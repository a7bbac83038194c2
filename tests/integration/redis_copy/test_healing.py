"""The feeder with a real broker and a real Valkey: whatever happens to Redis, it heals to the same contents."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import read_alert
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord
from streams.redis_copy.keys import area_key
from tests.integration.redis_copy.fed_redis import (
    AREAS,
    PARTITIONS,
    contents,
    feeding,
    history,
    model,
    own_record,
    publish,
    stored,
    wait_for,
    wait_until_fed,
    without_places,
)


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
    """No heartbeat is due: the change must notice the loss, or it would store its high offset."""
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
    """Redis is killed, and away while changes come: these wait in Kafka, and what Redis has lost comes again."""
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
    """It starts at the offset in Redis and not at the beginning: what was deleted below it stays deleted."""
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


def test_the_redis_of_another_topic_is_reported(
    configuration: Configuration, valkey_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    valkey_client.set(area_key("leeds", "offset"), 10**6)
    with caplog.at_level(logging.ERROR), feeding(configuration):
        wait_for(lambda: bool(caplog.messages), "an error in the log")
        assert "area leeds: Redis holds alerts up to offset 1000000" in caplog.messages[0]
        offsets = publish(configuration, history(15, 4, ["leeds"]))
        valkey_client.delete(area_key("leeds", "offset"))
        wait_until_fed(valkey_client, offsets)  # the advice of the message works


def test_a_revision_is_copied_once_a_scan_record_covers_it_and_a_torn_one_never(
    configuration: Configuration, valkey_client: Any
) -> None:
    revisions = history(6, 6, ("leeds",))
    offsets = publish(configuration, revisions, at_once=1)["leeds"]
    first, torn, last = offsets[0], offsets[1], offsets[-1]
    own_record(configuration, "leeds", PartitionRecord(next_alert=first + 1))
    with feeding(configuration) as running:
        wait_for(lambda: stored(valkey_client, "leeds") == torn, "what is covered is in Redis, markers included")
        assert valkey_client.xlen(area_key("leeds", "alerts")) == 1
        own_record(configuration, "leeds", PartitionRecord(next_alert=last + 1, torn=((torn, torn + 1),)))
        wait_for(lambda: stored(valkey_client, "leeds") > last, "the rest is in Redis")
        assert running.figure("redis_feeder_left_out_total", area="leeds") == 1
    whole = [(area, event) for offset, (area, event) in zip(offsets, revisions, strict=True) if offset != torn]
    expected = model(whole, {"leeds": [offset for offset in offsets if offset != torn]})
    assert without_places(contents(valkey_client)) == expected
