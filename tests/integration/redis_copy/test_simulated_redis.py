"""The simulated Redis holds what a real one holds after the same changes, in any order and more than once."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from streams.configuration.services import RedisSettings
from streams.messages.alert import PROVENANCE_HEADER
from streams.redis_copy import contents as contents_
from streams.redis_copy.contents import RedisCopy, RedisLost
from streams.redis_copy.keys import area_key
from tests.integration.redis_copy.fed_redis import HEALTH, contents, history
from tests.simulation.invariants import _readable
from tests.simulation.redis_server import RedisWorld, from_url
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.threads import simulated

NOW_S = 1_700_000_000.0


def changes(seed: int, area: str) -> list[tuple[str, Any]]:
    """Calls to a copy: changes in order, some again, some with an offset that is behind, and losses between."""
    chance = random.Random(seed)
    calls: list[tuple[str, Any]] = []
    records = [
        SimpleNamespace(
            offset=offset * 2,
            value=event,
            timestamp=int(NOW_S * 1000) - chance.choice([0, 3_600_000]),
            headers=[(PROVENANCE_HEADER, b'{"host":"h"}')],
        )
        for offset, (_, event) in enumerate(history(seed, 12, [area]))
    ]
    stored = 0
    for index, record in enumerate(records):
        for each in [record, *([chance.choice(records[: index + 1])] if chance.random() < 0.3 else [])]:
            calls.append(("advance", (area, min(stored, each.offset), each.offset + 1, index // 3, each)))
            stored = max(stored, each.offset + 1)
        if chance.random() < 0.1:
            calls.append(("advance", (area, stored + 5, stored + 9, 0)))  # Redis holds less than is expected
        if chance.random() < 0.2:
            calls.append(("advance", (area, stored, stored + 1, index // 3)))
            stored += 1
        if chance.random() < 0.1:
            calls.append(("lose", chance.choice(["alerts", "open", "offset"])))
            stored = 0 if calls[-1][1] == "offset" else stored
    return calls


def done(copy: RedisCopy, area: str, calls: list[tuple[str, Any]], delete: Any) -> list[object]:
    """Do the calls; return the answers."""
    answers: list[object] = []
    for name, arguments in calls:
        if name == "lose":
            delete(area_key(area, arguments))
            continue
        try:
            answers.append(copy.advance(*arguments))
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
        real.close()
    world, scheduler = RedisWorld(), Scheduler(0, NOW_S)
    monkeypatch.setattr(contents_, "Redis", from_url(world))
    simulated_answers: list[object] = []

    def work() -> None:
        copy = RedisCopy(settings, 3600, clock)
        copy.beat(area, HEALTH, datetime.fromtimestamp(NOW_S, UTC))
        simulated_answers.extend(done(copy, area, calls, lambda key: world.call("DEL", key)))

    with simulated(scheduler):
        scheduler.spawn(Process("test"), "test", work)
        scheduler.run(NOW_S + 3600)
    assert scheduler.died == []
    assert simulated_answers == answers
    held = {
        key.decode(): _readable(value)
        for key, value in world.keys.items()
        if not key.endswith((b":offset", b":health"))
    }
    places = {key for key in mine if key.endswith(":where")}
    assert {key: held.pop(key) for key in places}.keys() == places  # the numbers of places are not modelled
    assert held == {key: value for key, value in mine.items() if key not in places}
