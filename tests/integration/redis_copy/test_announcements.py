"""What the feeder writes besides alerts: the channel, the heartbeat, what is usual."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.configuration.load import Configuration
from streams.messages.alert import read_alert
from streams.redis_copy.keys import area_key
from tests.integration.redis_copy.fed_redis import USUAL, feeding, history, publish, wait_for, wait_until_fed


def heard(channel: Any) -> list[bytes]:
    """The messages on the channel until it was silent for a while."""
    messages = []
    while message := channel.get_message(timeout=0.5):
        messages.append(message["data"])
    return messages


def test_the_channel_carries_notices_from_the_tier_alert_on(
    configuration: Configuration, valkey_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = history(12, 20, ["leeds"])
    all_ = {event: read_alert(event).data.properties for _, event in revisions}
    spoken = [event for event, each in all_.items() if each.tier in ("alert", "urgent") and each.notice]
    assert 0 < len(spoken) < sum(each.tier in ("alert", "urgent") for each in all_.values()) < len(revisions)
    with valkey_client.pubsub(ignore_subscribe_messages=True) as channel, feeding(configuration):
        channel.subscribe(area_key("leeds", "alerts"))
        channel.get_message(timeout=5)
        offsets = publish(configuration, revisions)
        wait_until_fed(valkey_client, offsets)
        assert heard(channel) == spoken
        monkeypatch.setattr("streams.redis_copy.contents.FRESH_S", 0.0)  # the records are old now
        valkey_client.flushall()
        wait_until_fed(valkey_client, offsets)
        assert heard(channel) == []


def test_the_channel_carries_no_delayed_revisions(configuration: Configuration, valkey_client: Any) -> None:
    with valkey_client.pubsub(ignore_subscribe_messages=True) as channel, feeding(configuration):
        channel.subscribe(area_key("leeds", "alerts"))
        channel.get_message(timeout=5)
        offsets = publish(configuration, history(12, 20, ["leeds"]), provenance=b'{"host":"h","delayed":true}')
        wait_until_fed(valkey_client, offsets)
        assert heard(channel) == []


def test_the_heartbeat_distinguishes_silence_from_death(configuration: Configuration, valkey_client: Any) -> None:
    key = area_key("leeds", "health")
    with feeding(configuration):
        wait_for(lambda: bool(valkey_client.exists(key)), "a heartbeat")
        beat = valkey_client.hgetall(key)
        wait_for(lambda: valkey_client.hget(key, "written_at") != beat[b"written_at"], "another heartbeat")
    assert beat.pop(b"written_at").endswith(b"+00:00")
    assert beat == {
        b"last_record": b"2023-11-14T22:13:20.250+00:00",
        b"last_scan": b"",
        b"clock": b"2023-11-14T22:13:21.000+00:00",
        b"lag": b"12",
        b"feed": b"healthy",
        b"missing_days": b"12.35",
        b"silent_parts": b"no drugs since 3 May 14:10: 0 in 12 h, 9.3 usual\nno incidents from the north-west",
        b"further_records": b"12 % of the last week's incidents are of an event already counted, 1.5 % before",
    }
    assert not valkey_client.exists(area_key("york", "health"))  # another worker's


def test_what_is_usual_is_written_when_it_is_new_and_again_after_a_flush(
    configuration: Configuration, valkey_client: Any
) -> None:
    key = area_key("leeds", "usual")

    def usual() -> dict[str, Any]:
        return msgspec.json.decode(valkey_client.get(key) or b"{}")  # type: ignore[no-any-return]

    def cells() -> dict[str, int] | None:
        return usual().get("cells")

    with feeding(configuration) as running:
        publish(configuration, history(3, 5, ["leeds"]))
        wait_for(lambda: cells() == USUAL.cells, "what is usual")
        first = usual()
        assert first.pop("written_at").endswith("Z")
        assert first == {"resolution": 10, "days": 28.5, "cells": {"8a195da49b9ffff": 7}}
        assert valkey_client.ttl(key) > 86_400
        beat = valkey_client.hget(area_key("leeds", "health"), "written_at")
        wait_for(lambda: valkey_client.hget(area_key("leeds", "health"), "written_at") > beat, "the next heartbeat")
        assert usual() == first | {"written_at": usual()["written_at"]}
        running.usual = {"leeds": msgspec.structs.replace(USUAL, cells={"8a195da49b9ffff": 8})}
        wait_for(lambda: cells() == {"8a195da49b9ffff": 8}, "what is usual now")
        valkey_client.flushall()
        wait_for(lambda: cells() == {"8a195da49b9ffff": 8}, "what is usual after a flush")
