"""The console's reader of Redis: alerts, their revisions, the Redis stream of changes, heartbeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from redis import ResponseError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.configuration.services import RedisSettings
from streams.console.metrics import Unreadable
from streams.console.models import AreaHealth
from streams.messages.alert import AlertFeature, is_delayed, read_alert
from streams.process.strict_json import StrictDecoder
from streams.redis_copy.keys import area_key, redis_arguments

TIMEOUT_S = 2.0
BLOCK_MS = 1000
"""Longest wait of one read for changes, in milliseconds. The console notices a lost connection after about as long."""
BATCH = 200
MAX_CHANGES = 5000
"""Largest number of an area's latest changes that one request reads."""


MAX_NOTED = 1000
"""Largest number of unreadable values of an area that are remembered."""

Scalar = bool | int | float | str | None
Flat = Scalar | list[Scalar] | dict[str, Scalar]
Nested = Scalar | list[Flat] | dict[str, Flat]
Property = Scalar | list[Nested] | dict[str, Nested]
"""A property of an alert, even one that only newer workers write: JSON of few levels."""


class _Feature(msgspec.Struct):
    properties: dict[str, Property]


class _Event(msgspec.Struct):
    data: _Feature


_event = StrictDecoder[_Event](_Event)

log = logging.getLogger(__name__)


class Change(NamedTuple):
    """One revision of an alert: its Feature, and its properties as written, with ``delayed``."""

    area: str
    alert: AlertFeature
    properties: dict[str, Any]


class Entry(NamedTuple):
    """An entry of an area's Redis stream of changes; ``change`` is None if it cannot be read."""

    area: str
    id: str
    change: Change | None


def read_change(area: str, event: bytes | None, provenance: bytes | None) -> Change:
    """Return the revision that the fields of an entry or a hash hold.

    Raises:
        msgspec.DecodeError: The fields are not a revision.
    """
    alert = read_alert(event).data
    properties = _event.decode(event).data.properties
    return Change(area, alert, {**properties, "delayed": is_delayed(provenance)})


def read_heartbeat(area: str, fields: Mapping[bytes, bytes]) -> AreaHealth:
    """Return the health of an area from the fields of its heartbeat. The worker counts as alive.

    Raises:
        ValueError: The fields are not a heartbeat.
    """
    known: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items() if value}
    known["silent_parts"] = known.get("silent_parts", "").splitlines()
    return msgspec.convert({**known, "area": area, "worker": "alive", "unreadable": 0}, AreaHealth, strict=False)


def _is_wrong_type(error: Exception) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")


class Store:
    """Reads Redis and never writes. Every method raises ``redis.RedisError`` while Redis is unavailable.

    A value that cannot be read, or a key of another type, is left out, logged, and passed to ``count``.
    :attr:`unreadable` has, by area, the alerts and entries that could not be read since the last :meth:`open_alerts`.
    """

    def __init__(
        self, settings: RedisSettings, areas: Sequence[str], count: Callable[[Unreadable], None] = lambda _: None
    ) -> None:
        def client(timeout_s: float) -> Any:  # the library's types do not say what its methods return
            return Redis.from_url(
                settings.url,
                socket_timeout=timeout_s,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),
                **redis_arguments(settings),
            )

        self.areas = tuple(areas)
        self.unreadable: dict[str, set[str]] = {area: set() for area in areas}
        self._count = count
        self._redis = client(TIMEOUT_S)
        self._waiting = client(TIMEOUT_S + BLOCK_MS / 1000)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._waiting.aclose()

    async def open_alerts(self, area: str) -> list[Change]:
        """Return the latest revision of each open alert, rarest first."""
        self.unreadable[area].clear()
        ids = await self._typed("alert", area, "open", self._redis.zrevrange(area_key(area, "open"), 0, -1))
        return await self._latest((area, each.decode(errors="replace")) for each in ids)

    async def find(self, alert: str) -> Change | None:
        """Return the latest revision of an alert in any area; None if there is no such alert."""
        found = await self._latest((area, alert) for area in self.areas)
        return found[0] if found else None

    async def _latest(self, wanted: Iterable[tuple[str, str]]) -> list[Change]:
        named = tuple(wanted)

        def ask(pipeline: Any) -> None:
            for area, alert in named:
                pipeline.hmget(area_key(area, f"alert:{alert}"), "event", "provenance")

        rows = await self._replies(ask) if named else []
        found = [
            self._change("alert", area, alert, *row)
            for (area, alert), reply in zip(named, rows, strict=True)
            if (row := self._of_type("alert", area, alert, reply)) and row[0] is not None
        ]
        return [change for change in found if change is not None]

    async def revisions(self, change: Change, alert: str) -> list[Change]:
        """Return every revision of an alert in Redis, the oldest first."""
        key = area_key(change.area, f"alert:{alert}:revisions")
        entries = await self._typed("change", change.area, alert, self._redis.xrange(key))
        found = [self._entry(change.area, *entry).change for entry in entries]
        return [each for each in found if each is not None]

    async def changes(self, area: str, since_s: float = float("-inf")) -> AsyncIterator[Change]:
        """Yield an area's changes back to a tick, the latest first, up to ``MAX_CHANGES``."""
        end = "+"
        for _ in range(MAX_CHANGES // BATCH):
            reading = self._redis.xrevrange(area_key(area, "alerts"), max=end, count=BATCH)
            entries = await self._typed("change", area, "alerts", reading)
            for entry in entries:
                change = self._entry(area, *entry).change
                if change is None:
                    continue
                if change.alert.properties.tick_s < since_s:
                    return
                yield change
            if len(entries) < BATCH:
                return
            end = f"({entries[-1][0].decode()}"

    async def positions(self) -> dict[str, str]:
        """Return the id of the last change of each area; ``0-0`` for none."""

        def ask(pipeline: Any) -> None:
            for area in self.areas:
                pipeline.xrevrange(area_key(area, "alerts"), count=1)

        replies = await self._replies(ask)
        rows = {
            area: self._of_type("change", area, "alerts", reply)
            for area, reply in zip(self.areas, replies, strict=True)
        }
        return {area: row[0][0].decode() if row else "0-0" for area, row in rows.items()}

    async def news(self, positions: Mapping[str, str]) -> list[Entry]:
        """Return the changes after these positions; wait up to ``BLOCK_MS`` for the first."""
        areas = {area_key(area, "alerts"): area for area in positions}
        streams: dict[Any, Any] = {key: positions[area] for key, area in areas.items()}
        try:
            found = await self._waiting.xread(streams, count=BATCH, block=BLOCK_MS)
        except ResponseError as error:
            if not _is_wrong_type(error):
                raise
            await self.positions()  # notes which
            await asyncio.sleep(BLOCK_MS / 1000)
            found = []
            for key, area in areas.items():
                reading = self._redis.xread({key: positions[area]}, count=BATCH)
                found += await self._typed("change", area, "alerts", reading)
        return [self._entry(areas[key.decode()], *entry) for key, entries in found for entry in entries]

    async def between(self, area: str, after: str, upto: str) -> AsyncIterator[Entry]:
        """Yield an area's changes after one entry up to another, the oldest first."""
        while True:
            reading = self._redis.xrange(area_key(area, "alerts"), min=f"({after}", max=upto, count=BATCH)
            entries = await self._typed("change", area, "alerts", reading)
            for entry in entries:
                yield self._entry(area, *entry)
            if len(entries) < BATCH:
                return
            after = entries[-1][0].decode()

    async def heartbeats(self) -> tuple[datetime, dict[str, AreaHealth | None]]:
        """Return the time by the clock of Redis, and each area's heartbeat; None for a missing or unreadable one."""

        def ask(pipeline: Any) -> None:
            pipeline.time()
            for area in self.areas:
                pipeline.hgetall(area_key(area, "health"))

        (seconds, microseconds), *replies = await self._replies(ask)
        beats: dict[str, AreaHealth | None] = dict.fromkeys(self.areas)
        for area, reply in zip(self.areas, replies, strict=True):
            row = self._of_type("heartbeat", area, "heartbeat", reply)
            try:
                beats[area] = read_heartbeat(area, row) if row else None
                self.unreadable[area].discard("heartbeat")
            except ValueError as error:
                self.leave_out("heartbeat", area, "heartbeat", error)
        return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC), beats

    async def usual(self, area: str) -> bytes | None:
        """Return how many events each location has had in the window, JSON; None if not known yet."""
        found: bytes | None = await self._typed("usual", area, "usual", self._redis.get(area_key(area, "usual")))
        return found or None

    async def _replies(self, ask: Callable[[Any], None]) -> list[Any]:
        """Return the replies to the commands of a pipeline; for a key of another type, an error."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            ask(pipeline)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and not _is_wrong_type(reply):
                raise reply
        return replies

    async def _typed(self, kind: Unreadable, area: str, name: str, reading: Awaitable[Any]) -> Any:
        """Return the result of a read; nothing if the key is of another type."""
        try:
            return await reading
        except ResponseError as error:
            return self._of_type(kind, area, name, error)

    def _of_type(self, kind: Unreadable, area: str, name: str, reply: Any) -> Any:
        """Return the reply to a command; nothing if the key is of another type.

        Raises:
            redis.RedisError: Redis has refused the command for another reason.
        """
        if not isinstance(reply, Exception):
            return reply
        if not _is_wrong_type(reply):
            raise reply
        self.leave_out(kind, area, name, reply)
        return ()

    def leave_out(self, kind: Unreadable, area: str, name: str, error: Exception) -> None:
        """Note a value of an area that cannot be read."""
        self._count(kind)
        noted = self.unreadable[area]
        if name not in noted and len(noted) < MAX_NOTED:
            noted.add(name)
            log.warning("area %s: the %s %s in Redis cannot be read and is left out: %s", area, kind, name, error)

    def _change(
        self, kind: Unreadable, area: str, name: str, event: bytes | None, provenance: bytes | None
    ) -> Change | None:
        try:
            return read_change(area, event, provenance)
        except msgspec.DecodeError as error:
            self.leave_out(kind, area, name, error)
            return None

    def _entry(self, area: str, id_: bytes, fields: Mapping[bytes, bytes]) -> Entry:
        name = id_.decode()
        return Entry(area, name, self._change("change", area, name, fields.get(b"event"), fields.get(b"provenance")))
