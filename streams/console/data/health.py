"""The health of the areas, from their heartbeats in Redis. A quiet area, a silent feed and a dead worker differ."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from redis import RedisError

from streams.console.data.store import Store
from streams.console.models import AreaHealth, Health

DEAD_S = 30.0
"""Age of a heartbeat from which the worker counts as dead, in seconds."""


async def health(store: Store) -> Health:
    """Return the current health; without Redis it has no areas."""
    now = datetime.now(UTC)
    try:
        beats = await store.heartbeats()
    except RedisError:
        return Health(time=now, redis=False, areas=[])
    return Health(time=now, redis=True, areas=[_area(area, beat, now) for area, beat in beats.items()])


def _area(area: str, beat: dict[str, str], now: datetime) -> AreaHealth:
    known: dict[str, Any] = {name: value for name, value in beat.items() if value}
    try:
        health = msgspec.convert({**known, "area": area, "worker": "alive"}, AreaHealth, strict=False)
    except msgspec.ValidationError:  # a heartbeat of another version
        return AreaHealth(area=area, worker="dead")
    if not isinstance(health.written_at, datetime):
        return AreaHealth(area=area, worker="dead")
    seconds = max(0.0, round((now - health.written_at).total_seconds(), 3))
    return msgspec.structs.replace(health, worker="alive" if seconds < DEAD_S else "dead", seconds=seconds)
