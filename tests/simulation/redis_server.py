"""A simulated Redis: the commands that the feeder uses, and a twin of ``apply_change.lua``.

Contract tests hold the commands and the twin against a real server.
"""

from __future__ import annotations

import bisect
import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tests.simulation.scheduler import Process
from tests.simulation.threads import scheduler

Hash = dict[bytes, bytes]
Stream = list[tuple[tuple[int, int], Hash]]
SortedSet = dict[bytes, float]
Contents = dict[bytes, Any]
"""By key: bytes, a hash, a stream (list) or a sorted set (a dict with numbers)."""

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
MERCATOR = 85.05112878
"""Largest latitude that a geo set takes, in degrees."""


class Sorted(dict[bytes, float]):
    """A sorted set."""


def raw(value: object) -> bytes:
    """Return a value as a client sends it."""
    if isinstance(value, bytes):
        return value
    return (repr(value) if isinstance(value, float) else str(value)).encode()


class RedisWorld:
    """The server's contents and what is wrong with it now."""

    def __init__(self, contents: Contents | None = None) -> None:
        self.keys: Contents = copy.deepcopy(contents or {})
        self.away_until_s = 0.0
        self.full_until_s = 0.0
        self.cut: dict[str, float] = {}  # by process
        self.wrong_password: set[str] = set()  # processes that it refuses
        self.lost_answers = 0  # how many of the next answers are lost
        self.published: list[tuple[bytes, bytes]] = []

    def snapshot(self) -> Contents:
        """Return a copy of all contents."""
        return copy.deepcopy(self.keys)

    def check(self, process: Process) -> None:
        """Raise what a command of a process meets now."""
        now_s = scheduler().now_s
        if now_s < max(self.away_until_s, self.cut.get(process.name, 0.0)):
            raise RedisConnectionError("Error 111 connecting to Redis. Connection refused.")
        if process.name in self.wrong_password:
            raise redis.AuthenticationError("WRONGPASS invalid username-password pair or user is disabled.")
        if now_s < self.full_until_s:
            raise redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    def call(self, name: str, *arguments: object) -> Any:
        """Do one command, and return its raw answer."""
        command: Callable[..., Any] | None = getattr(self, f"_{name.lower()}", None)
        if command is None:
            raise NotImplementedError(f"the simulated Redis has no command {name}")
        return command(*(raw(each) for each in arguments))

    def _typed(self, key: bytes, kind: type) -> Any:
        held = self.keys.get(key)
        if held is not None and type(held) is not kind:
            raise ResponseError(WRONG_TYPE)
        return held

    def _made(self, key: bytes, kind: type) -> Any:
        held = self._typed(key, kind)
        if held is None:
            held = self.keys[key] = kind()
        return held

    def _ping(self) -> bool:
        return True

    def _get(self, key: bytes) -> bytes | None:
        held: bytes | None = self._typed(key, bytes)
        return held

    def _set(self, key: bytes, value: bytes, *_: bytes) -> bool:
        self.keys[key] = value
        return True

    def _del(self, *keys: bytes) -> int:
        return sum(self.keys.pop(key, None) is not None for key in keys)

    def _exists(self, *keys: bytes) -> int:
        return sum(key in self.keys for key in keys)

    def _expire(self, key: bytes, seconds: bytes) -> int:
        return int(key in self.keys)

    def _hget(self, key: bytes, field: bytes) -> bytes | None:
        held: Hash = self._typed(key, dict) or {}
        return held.get(field)

    def _hgetall(self, key: bytes) -> Hash:
        return dict(self._typed(key, dict) or {})

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        held: Hash = self._made(key, dict)
        before = len(held)
        held.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(held) - before

    def _xadd(self, key: bytes, id_: bytes, *pairs: bytes) -> bytes:
        stream: Stream = self._made(key, list)
        number, _, sequence = id_.partition(b"-")
        made = int(number), int(sequence)
        if stream and made <= stream[-1][0]:
            raise ResponseError("The ID specified in XADD is equal or smaller than the target stream top item")
        stream.append((made, dict(zip(pairs[::2], pairs[1::2], strict=True))))
        return id_

    def _xtrim(self, key: bytes, _: bytes, lowest: bytes) -> int:
        stream: Stream = self._typed(key, list) or []
        first = bisect.bisect_left(stream, ((int(lowest), 0),))
        del stream[:first]
        return first

    def _zadd(self, key: bytes, score: bytes, member: bytes) -> int:
        held = self._made(key, Sorted)
        is_new = member not in held
        held[member] = float(score)
        return int(is_new)

    def _zrem(self, key: bytes, member: bytes) -> int:
        held = self._typed(key, Sorted)
        if held is None or held.pop(member, None) is None:
            return 0
        if not held:
            del self.keys[key]
        return 1

    def _geoadd(self, key: bytes, longitude: bytes, latitude: bytes, member: bytes) -> int:
        if abs(float(latitude)) > MERCATOR or not math.isfinite(float(longitude)):
            raise ResponseError("ERR invalid longitude,latitude pair")
        return self._zadd(key, raw(_place(float(longitude), float(latitude))), member)

    def _publish(self, channel: bytes, message: bytes) -> int:
        self.published.append((channel, message))
        return 0


def _place(longitude: float, latitude: float) -> float:
    """Return a score that differs from place to place; the real one is a geohash, which nobody reads here."""
    return round((longitude + 180) * 1e5) * 1e8 + round((latitude + 90) * 1e5)


def apply_change(world: RedisWorld, keys: Sequence[str], arguments: Sequence[object]) -> int:
    """The twin of ``apply_change.lua``, line by line."""
    offset_key, stream, alert, revisions, open_, where = (*keys, None, None, None, None)[:6]
    expected, reached, first, expiry_s = (int(str(each)) for each in arguments[:4])

    def whole(text: bytes | None) -> int:
        return int(text) if text is not None and len(text) <= 16 and text.isdigit() else 0

    def tried(*command: object) -> None:
        try:
            world.call(*command)  # type: ignore[arg-type]
        except ResponseError:
            return

    stored = whole(world.call("GET", offset_key))
    if stored < expected:
        return stored

    def apply() -> None:
        is_open, urgency, longitude, latitude, speaks, *entry = arguments[4:]
        id_, revision, event = entry[1], entry[3], entry[9]
        if int(str(revision)) <= whole(world.call("HGET", alert, "revision")):
            return
        tried("XADD", stream, f"{reached}-0", *entry)
        tried("XADD", revisions, f"{revision}-0", *entry)
        world.call("HSET", alert, *entry)
        if raw(is_open) == b"1":
            world.call("ZADD", open_, urgency, id_)
            tried("GEOADD", where, longitude, latitude, id_)
        else:
            world.call("ZREM", open_, id_)
            world.call("ZREM", where, id_)
        if raw(speaks) == b"1":
            world.call("PUBLISH", stream, event)

    if alert and stored < reached:
        apply()
    stored = max(stored, reached)
    world.call("XTRIM", stream, "MINID", first + 1)
    world.call("SET", offset_key, stored, "EX", expiry_s)
    return stored


SCRIPTS: dict[str, Callable[[RedisWorld, Sequence[str], Sequence[object]], object]] = {"apply_change": apply_change}
"""The twins of the scripts, each known by a word of its source."""


class SimulatedRedis:
    """A client, as far as the feeder uses one."""

    def __init__(self, world: RedisWorld) -> None:
        self._world = world

    def _do(self, command: Callable[[], Any]) -> Any:
        world, process = self._world, scheduler().process
        assert process is not None
        scheduler().sleep(0.0005)
        world.check(process)
        answer = command()
        if world.lost_answers:
            world.lost_answers -= 1
            raise redis.exceptions.TimeoutError("Timeout reading from socket")
        return answer

    def execute_command(self, name: str, *arguments: object) -> Any:
        return self._do(lambda: self._world.call(name, *arguments))

    def ping(self) -> Any:
        return self.execute_command("PING")

    def get(self, key: str) -> Any:
        return self.execute_command("GET", key)

    def set(self, key: str, value: object, ex: int | None = None) -> Any:
        return self.execute_command("SET", key, value)

    def hgetall(self, key: str) -> Any:
        return self.execute_command("HGETALL", key)

    def register_script(self, source: str) -> Callable[..., Any]:
        ((twin,)) = [twin for word, twin in SCRIPTS.items() if word in source or word == "apply_change"]
        return lambda keys, args: self._do(lambda: twin(self._world, keys, args))

    def pipeline(self, transaction: bool = True) -> SimulatedPipeline:
        return SimulatedPipeline(self, self._world)

    def close(self) -> None: ...


class SimulatedPipeline:
    """Commands that are done at once, one after the other."""

    def __init__(self, client: SimulatedRedis, world: RedisWorld) -> None:
        self._client, self._world = client, world
        self._commands: list[tuple[object, ...]] = []

    def __enter__(self) -> SimulatedPipeline:
        return self

    def __exit__(self, *_: object) -> None: ...

    def hset(self, key: str, mapping: dict[Any, Any]) -> None:
        self._commands.append(("HSET", key, *(part for pair in mapping.items() for part in pair)))

    def expire(self, key: str, seconds: int) -> None:
        self._commands.append(("EXPIRE", key, seconds))

    def execute(self) -> list[Any]:
        commands, self._commands = self._commands, []
        result: list[Any] = self._client._do(lambda: [self._world.call(*each) for each in commands])  # type: ignore[arg-type]
        return result


def from_url(world: RedisWorld) -> type:
    """Return what stands in for the class ``Redis``: its clients reach this world."""

    class Clients:
        @staticmethod
        def from_url(*_: object, **__: object) -> SimulatedRedis:
            return SimulatedRedis(world)

    return Clients
