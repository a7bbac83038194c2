"""How the areas are, from their heartbeats in Redis: a quiet area, a silent feed and a dead worker are told apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from redis import RedisError

from streams.console.data.store import Store
from streams.console.models import AreaHealth, Health

DEAD_S = 30.0
"""A worker that has not written for so long is dead."""


async def health(store: Store) -> Health:
    """The present health; without Redis there are no areas in it."""
    now = datetime.now(UTC)
    try:
        beats = await store.heartbeats()
    except RedisError:
        return Health(time=now, redis=False, areas=[])
    return Health(time=now, redis=True, areas=[_area(area, beat, now) for area, beat in beats.items()])


def _area(area: str, beat: dict[str, str], now: datetime) -> AreaHealth:
    known: dict[str, Any] = {name: value for name, value in beat.items() if value}
    try:
        told = msgspec.convert({**known, "area": area, "worker": "alive"}, AreaHealth, strict=False)
    except msgspec.ValidationError:  # no heartbeat of this version
        return AreaHealth(area=area, worker="dead")
    if not isinstance(told.written_at, datetime):
        return AreaHealth(area=area, worker="dead")
    seconds = max(0.0, round((now - told.written_at).total_seconds(), 3))
    return msgspec.structs.replace(told, worker="alive" if seconds < DEAD_S else "dead", seconds=seconds)
