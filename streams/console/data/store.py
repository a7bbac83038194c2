"""The console's reader of Redis: alerts, their revisions, the Redis stream of changes, heartbeats."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.configuration.services import RedisSettings
from streams.redis_copy.keys import Glance, area_key, glance, is_delayed, redis_arguments

TIMEOUT_S = 2.0
BLOCK_MS = 1000
"""Longest wait of one read for news, in milliseconds. The console notices a lost connection after about this time."""
BATCH = 200
MAX_CHANGES = 5000
"""Largest number of an area's latest changes that one request reads."""


class Change(NamedTuple):
    """One revision of an alert in Redis; ``entry`` is its id in the Redis stream that it was read from."""

    area: str
    event: bytes
    provenance: bytes
    entry: str = ""

    @property
    def glance(self) -> Glance:
        """The few fields that filters need.

        Raises:
            msgspec.DecodeError: It is not an alert's event.
        """
        return glance(self.event)

    @property
    def feature(self) -> dict[str, Any]:
        """The event's Feature with all its properties, and ``delayed``."""
        feature: dict[str, Any] = msgspec.json.decode(self.event)["data"]
        feature["properties"]["delayed"] = is_delayed(self.provenance)
        return feature


class Store:
    """Reads Redis and never writes. Every method raises ``redis.RedisError`` while Redis is unavailable."""

    def __init__(self, settings: RedisSettings, areas: Sequence[str]) -> None:
        def client(timeout_s: float) -> Any:  # the library's types do not say what its methods return
            return Redis.from_url(
                settings.url,
                socket_timeout=timeout_s,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),
                **redis_arguments(settings),
            )

        self.areas = tuple(areas)
        self._redis = client(TIMEOUT_S)
        self._waiting = client(TIMEOUT_S + BLOCK_MS / 1000)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._waiting.aclose()

    async def open_alerts(self, area: str) -> list[Change]:
        """Return the latest revision of each open alert, the rarest first."""
        ids = await self._redis.zrevrange(area_key(area, "open"), 0, -1)
        return await self._latest((area, each.decode()) for each in ids)

    async def find(self, alert: str) -> Change | None:
        """Return the latest revision of an alert of any area; None if there is none."""
        found = await self._latest((area, alert) for area in self.areas)
        return found[0] if found else None

    async def _latest(self, wanted: Iterable[tuple[str, str]]) -> list[Change]:
        named = tuple(wanted)
        async with self._redis.pipeline(transaction=False) as pipeline:
            for area, alert in named:
                pipeline.hmget(area_key(area, f"alert:{alert}"), "event", "provenance")
            rows = await pipeline.execute() if named else []
        return [
            Change(area, event, provenance or b"")
            for (area, _), (event, provenance) in zip(named, rows, strict=True)
            if event is not None
        ]

    async def revisions(self, change: Change, alert: str) -> list[Change]:
        """Return every revision of an alert in Redis, the oldest first."""
        entries = await self._redis.xrange(area_key(change.area, f"alert:{alert}:revisions"))
        return [_change(change.area, *entry) for entry in entries]

    async def changes(self, area: str, since_s: float = float("-inf")) -> AsyncIterator[Change]:
        """Yield an area's changes back to a tick, the latest first, up to ``MAX_CHANGES``."""
        end = "+"
        for _ in range(MAX_CHANGES // BATCH):
            entries = await self._redis.xrevrange(area_key(area, "alerts"), max=end, count=BATCH)
            for entry in entries:
                change = _change(area, *entry)
                try:
                    tick_s = change.glance.properties.tick_s
                except msgspec.DecodeError:  # not an alert
                    continue
                if tick_s < since_s:
                    return
                yield change
            if len(entries) < BATCH:
                return
            end = f"({entries[-1][0].decode()}"

    async def positions(self) -> dict[str, str]:
        """Return the id of the last change of each area; ``0-0`` without any."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for area in self.areas:
                pipeline.xrevrange(area_key(area, "alerts"), count=1)
            rows = await pipeline.execute()
        return {area: row[0][0].decode() if row else "0-0" for area, row in zip(self.areas, rows, strict=True)}

    async def news(self, positions: Mapping[str, str]) -> list[Change]:
        """Return the changes after these positions; wait up to ``BLOCK_MS`` for the first."""
        areas = {area_key(area, "alerts"): area for area in positions}
        streams: dict[Any, Any] = {key: positions[area] for key, area in areas.items()}
        found = await self._waiting.xread(streams, count=BATCH, block=BLOCK_MS)
        return [_change(areas[key.decode()], *entry) for key, entries in found for entry in entries]

    async def between(self, area: str, after: str, upto: str) -> AsyncIterator[Change]:
        """Yield an area's changes after one entry up to another, the oldest first."""
        while True:
            entries = await self._redis.xrange(area_key(area, "alerts"), min=f"({after}", max=upto, count=BATCH)
            for entry in entries:
                yield _change(area, *entry)
            if len(entries) < BATCH:
                return
            after = entries[-1][0].decode()

    async def heartbeats(self) -> dict[str, dict[str, str]]:
        """Return the fields of each area's heartbeat; empty without one."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for area in self.areas:
                pipeline.hgetall(area_key(area, "health"))
            rows = await pipeline.execute()
        return {
            area: {name.decode(): value.decode() for name, value in row.items()}
            for area, row in zip(self.areas, rows, strict=True)
        }

    async def usual(self, area: str) -> bytes | None:
        """Return how many incidents each location has had in the window, JSON; None if not known yet."""
        found: bytes | None = await self._redis.get(area_key(area, "usual"))
        return found


def _change(area: str, entry: bytes, fields: Mapping[bytes, bytes]) -> Change:
    return Change(area, fields.get(b"event", b""), fields.get(b"provenance", b""), entry.decode())
