"""The simulated Redis holds what a real one holds after the same calls: changes in any order, losses, comparisons."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis, RedisError

from streams.configuration.services import RedisSettings
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import PROVENANCE_HEADER, read_alert
from streams.redis_copy import contents as contents_
from streams.redis_copy.contents import RedisCopy, RedisLost, Refusal
from streams.redis_copy.keys import area_key
from tests.integration.redis_copy.fed_redis import HEALTH, contents, history
from tests.simulation.invariants import _readable
from tests.simulation.redis_client import clients_of
from tests.simulation.redis_server import RedisWorld
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.threads import simulated

NOW_S = 1_700_000_000.0
TOPIC = "the topic's identity"
SLICE = 10**6
"""More alerts than there are, so that both compare all of them at once."""


def changes(seed: int, area: str) -> list[tuple[str, Any]]:
    """Calls to a copy: changes in order, some again, some with an offset that is behind, and losses between."""
    chance = random.Random(seed)
    calls: list[tuple[str, Any]] = []
    events = [event for _, event in history(seed, 12, [area])]
    ids = [read_alert(event).data.properties.id for event in events]
    records = [
        SimpleNamespace(
            offset=offset * 2,
            value=event,
            timestamp=int(NOW_S * 1000) - chance.choice([0, 3_600_000]),
            headers=[(PROVENANCE_HEADER, b'{"host":"h"}')],
        )
        for offset, event in enumerate(events)
    ]
    stored = 0
    for index, record in enumerate(records):
        for each in [record, *([chance.choice(records[: index + 1])] if chance.random() < 0.3 else [])]:
            calls.append(("advance", (area, min(stored, each.offset), each.offset + 1, index // 3, each, TOPIC)))
            stored = max(stored, each.offset + 1)
        if chance.random() < 0.1:
            calls.append(("advance", (area, stored + 5, stored + 9, 0, None, TOPIC)))  # it holds less
        if chance.random() < 0.2:
            calls.append(("advance", (area, stored, stored + 1, index // 3, None, TOPIC)))
            stored += 1
        if chance.random() < 0.1:
            lost = chance.choice(ids)
            names = ["alerts", "open", "where", "offset", f"alert:{lost}", f"alert:{lost}:revisions"]
            calls.append(("lose", chance.choice(names)))
        if chance.random() < 0.2:
            calls.append(("compare", (area, index // 3, chance.choice([None, 10**6]), TOPIC, 0, SLICE)))
    return [*calls, ("refusal", ([area],))]


def done(copy: RedisCopy, area: str, calls: list[tuple[str, Any]], delete: Any) -> list[object]:
    """Do the calls; return the answers."""
    answers: list[object] = []
    for name, arguments in calls:
        if name == "lose":
            delete(area_key(area, arguments))
            continue
        try:
            answers.append(getattr(copy, name)(*arguments))
        except RedisLost:
            answers.append("lost")
    return [*answers, copy.offset(area)]


@pytest.mark.parametrize("seed", range(8))
def test_both_hold_the_same_after_the_same_changes(
    valkey: Any, topic_prefix: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    area = f"{topic_prefix}leeds"
    calls = changes(seed, area)
    clock: Any = SimpleNamespace(now_s=lambda: NOW_S)
    settings = RedisSettings(url=valkey.url)
    with Redis.from_url(valkey.url) as client:
        real = RedisCopy(settings, 3600, clock)
        answers = done(real, area, calls, client.delete)
        mine = {key: value for key, value in contents(client).items() if f"{{{area}}}" in key}
        mine[area_key(area, "ledger")] = client.hgetall(area_key(area, "ledger"))
        real.close()
    world, scheduler = RedisWorld(), Scheduler(0, NOW_S)
    monkeypatch.setattr(contents_, "Redis", clients_of(world))
    simulated_answers: list[object] = []

    def work() -> None:
        copy = RedisCopy(settings, 3600, clock)
        copy.beat(area, HEALTH, datetime.fromtimestamp(NOW_S, UTC))
        simulated_answers.extend(done(copy, area, calls, lambda key: world.call(b"DEL", key.encode())))

    with simulated(scheduler):
        scheduler.spawn(Process("test"), "test", work)
        scheduler.run(NOW_S + 3600)
    assert scheduler.died == []
    assert simulated_answers == answers
    held = {
        key.decode(): _readable(value)
        for key, value in world.keys.items()
        if not key.endswith((b":offset", b":health", b":ledger:alerts"))
    }
    assert held == mine


def outcomes(copy: RedisCopy, set_full: Callable[[bool], object]) -> list[object]:
    """What the calls give while Redis is full, and afterwards; an error by its name."""
    first, *_ = changes(1, "leeds")
    trial = ("refusal", (["leeds"],))
    found: list[object] = []
    for is_full, (name, arguments) in [(True, first), (True, ("offset", ("leeds",))), (True, trial), (False, first)]:
        set_full(is_full)
        try:
            result = getattr(copy, name)(*arguments)
        except RedisError as error:
            result = type(error).__name__
        found.append(result.is_final if isinstance(result, Refusal) else result)
    return found


def test_both_refuse_a_change_as_a_whole_while_they_are_full(
    server: LocalValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Any = SimpleNamespace(now_s=lambda: NOW_S)
    settings = RedisSettings(url=server.url)
    with Redis.from_url(server.url) as client, closing(RedisCopy(settings, 3600, clock)) as copy:
        real = outcomes(copy, lambda is_full: client.config_set("maxmemory", int(is_full)))
    assert real == ["OutOfMemoryError", 0, False, 1]
    world, scheduler = RedisWorld(), Scheduler(0, NOW_S)
    monkeypatch.setattr(contents_, "Redis", clients_of(world))
    simulated_: list[object] = []

    def work() -> None:
        copy = RedisCopy(settings, 3600, clock)
        simulated_.extend(outcomes(copy, lambda is_full: setattr(world, "full_until_s", is_full * 2 * NOW_S)))

    with simulated(scheduler):
        scheduler.spawn(Process("test"), "test", work)
        scheduler.run(NOW_S + 3600)
    assert scheduler.died == []
    assert simulated_ == real
