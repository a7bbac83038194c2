"""What Redis can answer to a running feeder: it says so once, goes on when that is over, and loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.configuration.sources import Secret
from streams.local_services.valkey import LocalValkey
from tests.integration.redis_copy.fed_redis import (
    contents,
    feeding,
    history,
    model,
    publish,
    wait_for,
    wait_until_fed,
    without_places,
)

REFUSED = "Redis does not take alerts, which wait in Kafka; will try again: "


def full(admin: Any) -> None:
    admin.config_set("maxmemory", 1)


def not_full(admin: Any) -> None:
    admin.config_set("maxmemory", 0)


def a_replica(admin: Any) -> None:
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")


def a_master(admin: Any) -> None:
    admin.execute_command("REPLICAOF", "NO", "ONE")


def another_password(admin: Any) -> None:
    admin.execute_command("ACL", "SETUSER", "worker", "resetpass", ">other")
    admin.execute_command("CLIENT", "KILL", "USER", "worker")


def the_former_password(admin: Any) -> None:
    admin.execute_command("ACL", "SETUSER", "worker", "resetpass", ">right")


@pytest.mark.parametrize(
    ("begin", "end", "text"),
    [
        (full, not_full, "used memory > 'maxmemory'"),
        (a_replica, a_master, "read only replica"),
        (another_password, the_former_password, "invalid username-password pair"),
    ],
)
def test_a_refusal_passes_and_nothing_is_lost(
    configuration: Configuration,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    begin: Callable[[Any], None],
    end: Callable[[Any], None],
    text: str,
) -> None:
    revisions = history(31, 24)
    with LocalValkey(tmp_path) as server, Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "worker", "on", ">right", "~*", "&*", "+@all")
        redis = RedisSettings(url=server.url, username="worker", password=Secret("right"))
        with (
            caplog.at_level(logging.INFO, "streams"),
            feeding(msgspec.structs.replace(configuration, redis=redis)) as running,
        ):
            offsets = publish(configuration, revisions[:12])
            wait_until_fed(admin, offsets)
            wait_for(lambda: running.figure("redis_up") == 1, "Redis seen to take alerts")
            begin(admin)
            wait_for(lambda: running.figure("redis_up") == 0, "the refusal seen")
            for area, later in publish(configuration, revisions[12:]).items():
                offsets.setdefault(area, []).extend(later)
            end(admin)
            wait_until_fed(admin, offsets)
            wait_for(lambda: running.figure("redis_up") == 1, "Redis seen to take alerts again")
        assert without_places(contents(admin)) == model(revisions, offsets)
    said = [message for message in caplog.messages if message.startswith(REFUSED)]
    assert len(said) == 1
    assert text in said[0]
    assert caplog.messages.count("Redis takes alerts again") == 1
