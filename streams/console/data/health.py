"""The health of the areas, from heartbeats in Redis. Tells a quiet area, a silent feed and a dead worker apart.

Only the clock of Redis decides whether a worker is alive: the clocks of worker and console can be wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import UnsetType
from redis import RedisError

from streams.console.data.store import Store
from streams.console.models import AreaHealth, Health

DEAD_S = 30.0
"""Age of a heartbeat from which the worker counts as dead, in seconds."""


async def health(store: Store) -> Health:
    """Return the current health; without Redis it has no areas."""
    now = datetime.now(UTC)
    try:
        redis_now, beats = await store.heartbeats()
    except RedisError:
        return Health(time=now, redis=False, areas=[])
    areas = [_area(area, beat, len(store.unreadable[area]), redis_now) for area, beat in beats.items()]
    return Health(time=now, redis=True, areas=areas)


def _area(area: str, beat: AreaHealth | None, unreadable: int, now: datetime) -> AreaHealth:
    if beat is None or isinstance(beat.written_at, UnsetType):
        return AreaHealth(area=area, worker="dead", unreadable=unreadable)
    seconds = max(0.0, round((now - beat.written_at).total_seconds(), 3))
    worker: Literal["alive", "dead"] = "alive" if seconds < DEAD_S else "dead"
    return msgspec.structs.replace(beat, worker=worker, seconds=seconds, unreadable=unreadable)
