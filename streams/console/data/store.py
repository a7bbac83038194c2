"""What the console reads of Redis: alerts, their revisions, the stream of changes, heartbeats. It never writes."""

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
"""So long one read of the streams waits for news: a lost connection is noticed after about that."""
BATCH = 200
MAX_CHANGES = 5000
"""So many of an area's latest changes are looked through at most."""


class Change(NamedTuple):
    """One revision of an alert as it stands in Redis; ``entry`` is its id in the stream it was read from."""

    area: str
    event: bytes
    provenance: bytes
    entry: str = ""

    @property
    def glance(self) -> Glance:
        """What filters look at: cheaper than the whole.

        Raises:
            msgspec.DecodeError: it is no alert's event.
        """
        return glance(self.event)

    @property
    def feature(self) -> dict[str, Any]:
        """The event's Feature with every property that it has, and ``delayed``."""
        feature: dict[str, Any] = msgspec.json.decode(self.event)["data"]
        feature["properties"]["delayed"] = is_delayed(self.provenance)
        return feature


class Store:
    """Redis as the console sees it; every method raises ``redis.RedisError`` while it is away."""

    def __init__(self, settings: RedisSettings, areas: Sequence[str]) -> None:
        def client(timeout_s: float) -> Any:  # the types of the library leave open what it answers with
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
        """The latest revision of each open alert, the rarest first."""
        ids = await self._redis.zrevrange(area_key(area, "open"), 0, -1)
        return await self._latest((area, each.decode()) for each in ids)

    async def find(self, alert: str) -> Change | None:
        """The latest revision of an alert, in whichever area it is; None if there is none."""
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
        """Every revision of an alert that Redis holds, oldest first."""
        entries = await self._redis.xrange(area_key(change.area, f"alert:{alert}:revisions"))
        return [_change(change.area, *entry) for entry in entries]

    async def changes(self, area: str, since_s: float = float("-inf")) -> AsyncIterator[Change]:
        """The area's changes, the latest first, back to a tick: at most ``MAX_CHANGES``."""
        end = "+"
        for _ in range(MAX_CHANGES // BATCH):
            entries = await self._redis.xrevrange(area_key(area, "alerts"), max=end, count=BATCH)
            for entry in entries:
                change = _change(area, *entry)
                try:
                    tick_s = change.glance.properties.tick_s
                except msgspec.DecodeError:  # not ours
                    continue
                if tick_s < since_s:
                    return
                yield change
            if len(entries) < BATCH:
                return
            end = f"({entries[-1][0].decode()}"

    async def positions(self) -> dict[str, str]:
        """The id of the last entry of each area's stream of changes; ``0-0`` where there is none."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for area in self.areas:
                pipeline.xrevrange(area_key(area, "alerts"), count=1)
            rows = await pipeline.execute()
        return {area: row[0][0].decode() if row else "0-0" for area, row in zip(self.areas, rows, strict=True)}

    async def news(self, positions: Mapping[str, str]) -> list[Change]:
        """What was added to the streams of changes since; waits for it for ``BLOCK_MS``."""
        areas = {area_key(area, "alerts"): area for area in positions}
        streams: dict[Any, Any] = {key: positions[area] for key, area in areas.items()}
        answer = await self._waiting.xread(streams, count=BATCH, block=BLOCK_MS)
        return [_change(areas[key.decode()], *entry) for key, entries in answer for entry in entries]

    async def between(self, area: str, after: str, upto: str) -> AsyncIterator[Change]:
        """The area's changes after one entry up to another, oldest first."""
        while True:
            entries = await self._redis.xrange(area_key(area, "alerts"), min=f"({after}", max=upto, count=BATCH)
            for entry in entries:
                yield _change(area, *entry)
            if len(entries) < BATCH:
                return
            after = entries[-1][0].decode()

    async def heartbeats(self) -> dict[str, dict[str, str]]:
        """The fields of each area's heartbeat; empty where there is none."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for area in self.areas:
                pipeline.hgetall(area_key(area, "health"))
            rows = await pipeline.execute()
        return {
            area: {name.decode(): value.decode() for name, value in row.items()}
            for area, row in zip(self.areas, rows, strict=True)
        }

    async def usual(self, area: str) -> bytes | None:
        """How many incidents each cell has had in the window, JSON; None if it is not known yet."""
        found: bytes | None = await self._redis.get(area_key(area, "usual"))
        return found


def _change(area: str, entry: bytes, fields: Mapping[bytes, bytes]) -> Change:
    return Change(area, fields.get(b"event", b""), fields.get(b"provenance", b""), entry.decode())
