"""A simulated Redis: the commands that the feeder and its scripts use, on contents that can be copied and lost.

Answers are as Redis sends them: numbers, bytes, lists, None. Keys do not expire: they outlive a simulated day by weeks.
Contract tests hold the commands against a real server.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from tests.simulation.redis_scripts import run_script
from tests.simulation.scheduler import Process
from tests.simulation.threads import scheduler

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
GROWING = frozenset({b"SET", b"HSET", b"XADD", b"XGROUP", b"ZADD", b"GEOADD"})
"""Commands that a full Redis refuses."""
WRITING = GROWING | {b"DEL", b"EXPIRE", b"HDEL", b"XTRIM", b"ZREM"}
MERCATOR = 85.05112878
"""Largest latitude that a geo set takes, in degrees."""
GEO_BITS = 26
"""Bits of a longitude or latitude in the score of a geo set."""


class Hash(dict[bytes, bytes]):
    """A hash."""


class Sorted(dict[bytes, float]):
    """A sorted set."""


class Stream:
    """A stream: its entries by id, the last id that it ever had, and its groups' last delivered ids."""

    def __init__(self) -> None:
        self.entries: list[tuple[tuple[int, int], dict[bytes, bytes]]] = []
        self.last = (0, 0)
        self.groups: dict[bytes, bytes] = {}

    def copy(self) -> Stream:
        """Return a copy."""
        made = Stream()
        made.entries, made.last, made.groups = list(self.entries), self.last, dict(self.groups)
        return made


Contents = dict[bytes, Any]
"""By key: bytes, a :class:`Hash`, a :class:`Stream` or a :class:`Sorted`."""
KINDS = {bytes: b"string", Hash: b"hash", Stream: b"stream", Sorted: b"zset"}


def raw(value: object) -> bytes:
    """Return a value as a client sends it."""
    if isinstance(value, bytes):
        return value
    return (repr(value) if isinstance(value, float) else str(value)).encode()


def copied(contents: Mapping[bytes, Any]) -> Contents:
    """Return a copy of contents."""
    makers: dict[type, Callable[[Any], Any]] = {bytes: bytes, Hash: Hash, Sorted: Sorted, Stream: Stream.copy}
    return {key: makers[type(value)](value) for key, value in contents.items()}


class RedisWorld:
    """The server's contents and what is wrong with it now."""

    def __init__(self, contents: Contents | None = None) -> None:
        self.keys: Contents = copied(contents or {})
        self.scripts: dict[bytes, bytes] = {}  # sources by their digests
        self.away_until_s = 0.0
        self.full_until_s = 0.0
        self.cut: dict[str, float] = {}  # by process
        self.wrong_password: dict[str, float] = {}  # by process, until when it is refused
        self.lost_answers = 0  # how many of the next answers are lost
        self.published: list[tuple[bytes, bytes]] = []
        self._commands = {
            name.removeprefix("do_").upper().encode(): getattr(self, name) for name in dir(self) if name[:3] == "do_"
        }
        self._refuses = False  # whether the script or command that runs may not write, because memory is full

    def snapshot(self) -> Contents:
        """Return a copy of all contents."""
        return copied(self.keys)

    def refuses(self, process: str, at_s: float) -> bool:
        """Return whether a process had, or has, a wrong password at a time."""
        return at_s < self.wrong_password.get(process, 0.0)

    def is_reachable(self, process: str) -> bool:
        """Return whether a process can reach Redis now."""
        return scheduler().now_s >= max(self.away_until_s, self.cut.get(process, 0.0))

    def check(self, process: Process) -> None:
        """Raise what a command of a process meets now."""
        now_s = scheduler().now_s
        if not self.is_reachable(process.name):
            raise RedisConnectionError("Error 111 connecting to Redis. Connection refused.")
        if self.refuses(process.name, now_s):
            raise redis.AuthenticationError("WRONGPASS invalid username-password pair or user is disabled.")

    def ask(self, name: str, *arguments: object) -> Any:
        """Do a command of a client, and return its answer.

        Raises:
            ResponseError: Redis refuses it.
        """
        self._refuses = scheduler().now_s < self.full_until_s
        return self.call(*name.encode().split(), *map(raw, arguments))

    def call(self, name: bytes, *arguments: bytes) -> Any:
        """Do a command, of a client or of a script that runs."""
        if self._refuses:
            if name in GROWING:
                raise redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
            self._refuses = name not in WRITING  # a script that has written may write on
        return self._commands[name](*arguments)

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

    def _removed(self, key: bytes, kind: type, members: tuple[bytes, ...]) -> int:
        held = self._typed(key, kind) or {}
        number = sum(held.pop(member, None) is not None for member in members)
        if number and not held:
            del self.keys[key]
        return number

    # Keys, strings, scripts

    def do_ping(self) -> bytes:
        return b"PONG"

    def do_time(self) -> list[bytes]:
        seconds, microseconds = divmod(int(scheduler().now_s * 1e6), 10**6)
        return [raw(seconds), raw(microseconds)]

    def do_info(self, *_: bytes) -> bytes:
        return b"maxmemory_policy:noeviction\r\n"

    def do_type(self, key: bytes) -> dict[bytes, bytes]:
        return {b"ok": KINDS[type(self.keys[key])] if key in self.keys else b"none"}

    def do_get(self, key: bytes) -> bytes | None:
        held: bytes | None = self._typed(key, bytes)
        return held

    def do_strlen(self, key: bytes) -> int:
        return len(self._typed(key, bytes) or b"")

    def do_set(self, key: bytes, value: bytes, *_: bytes) -> dict[bytes, bytes]:
        self.keys[key] = value
        return {b"ok": b"OK"}

    def do_del(self, *keys: bytes) -> int:
        return sum(self.keys.pop(key, None) is not None for key in keys)

    def do_exists(self, *keys: bytes) -> int:
        return sum(key in self.keys for key in keys)

    def do_expire(self, key: bytes, _seconds: bytes) -> int:
        return int(key in self.keys)

    def do_publish(self, channel: bytes, message: bytes) -> int:
        self.published.append((channel, message))
        return 0

    def do_script(self, _load: bytes, source: bytes) -> bytes:
        digest = sha1(source, usedforsecurity=False).hexdigest().encode()
        self.scripts[digest] = source
        return digest

    def do_evalsha(self, digest: bytes, number: bytes, *arguments: bytes) -> Any:
        if digest not in self.scripts:
            raise NoScriptError("No matching script.")
        keys = int(number)
        return run_script(self.scripts[digest], arguments[:keys], arguments[keys:], self.call)

    # Hashes

    def do_hget(self, key: bytes, field: bytes) -> bytes | None:
        held: Hash = self._typed(key, Hash) or Hash()
        return held.get(field)

    def do_hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        held: Hash = self._typed(key, Hash) or Hash()
        return [held.get(field) for field in fields]

    def do_hgetall(self, key: bytes) -> list[bytes]:
        return [part for pair in (self._typed(key, Hash) or {}).items() for part in pair]

    def do_hscan(self, key: bytes, cursor: bytes, *options: bytes) -> list[Any]:
        held: Hash = self._typed(key, Hash) or Hash()
        number = int(options[1]) if options else 10
        first, fields = int(cursor), sorted(held)
        following = first + number if first + number < len(fields) else 0
        return [raw(following), [part for field in fields[first : first + number] for part in (field, held[field])]]

    def do_hlen(self, key: bytes) -> int:
        return len(self._typed(key, Hash) or ())

    def do_hstrlen(self, key: bytes, field: bytes) -> int:
        return len(self.do_hget(key, field) or b"")

    def do_hset(self, key: bytes, *pairs: bytes) -> int:
        held: Hash = self._made(key, Hash)
        before = len(held)
        held.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(held) - before

    def do_hdel(self, key: bytes, *fields: bytes) -> int:
        return self._removed(key, Hash, fields)

    # Streams

    def do_xadd(self, key: bytes, id_: bytes, *pairs: bytes) -> bytes:
        number, _, sequence = id_.partition(b"-")
        made, held = (int(number), int(sequence)), self._typed(key, Stream)
        if held is not None and made <= held.last:
            raise ResponseError("The ID specified in XADD is equal or smaller than the target stream top item")
        stream: Stream = self._made(key, Stream)
        stream.entries.append((made, dict(zip(pairs[::2], pairs[1::2], strict=True))))
        stream.last = made
        return id_

    def do_xlen(self, key: bytes) -> int:
        stream: Stream | None = self._typed(key, Stream)
        return len(stream.entries) if stream else 0

    def do_xtrim(self, key: bytes, _minid: bytes, lowest: bytes) -> int:
        stream: Stream | None = self._typed(key, Stream)
        if stream is None:
            return 0
        first = bisect.bisect_left(stream.entries, ((int(lowest), 0),))
        del stream.entries[:first]
        return first

    def do_xinfo(self, what: bytes, key: bytes) -> list[Any]:
        stream: Stream | None = self._typed(key, Stream)
        if stream is None:
            raise ResponseError("no such key")
        if what == b"STREAM":
            return [b"length", len(stream.entries), b"last-generated-id", b"%d-%d" % stream.last]
        return [[b"name", name, b"last-delivered-id", last] for name, last in stream.groups.items()]

    def do_xpending(self, key: bytes, _group: bytes) -> list[Any]:
        self._typed(key, Stream)
        return [0, None, None, None]  # nobody reads here

    def do_xgroup(
        self, _create: bytes, key: bytes, name: bytes, position: bytes, _mkstream: bytes
    ) -> dict[bytes, bytes]:
        self._made(key, Stream).groups[name] = position
        return {b"ok": b"OK"}

    # Sorted sets

    def do_zadd(self, key: bytes, score: bytes, member: bytes) -> int:
        held: Sorted = self._made(key, Sorted)
        is_new = member not in held
        held[member] = float(score)
        return int(is_new)

    def do_zrem(self, key: bytes, *members: bytes) -> int:
        return self._removed(key, Sorted, members)

    def do_zscore(self, key: bytes, member: bytes) -> bytes | None:
        held: Sorted = self._typed(key, Sorted) or Sorted()
        score = held.get(member)
        return None if score is None else raw(int(score) if score.is_integer() else score)

    def do_zcard(self, key: bytes) -> int:
        return len(self._typed(key, Sorted) or ())

    def do_zrange(self, key: bytes, _first: bytes, _last: bytes) -> list[bytes]:
        """Return all members."""
        held: Sorted = self._typed(key, Sorted) or Sorted()
        return sorted(held, key=lambda member: (held[member], member))

    def do_geoadd(self, key: bytes, longitude: bytes, latitude: bytes, member: bytes) -> int:
        east, north = float(longitude), float(latitude)
        if not (abs(east) <= 180 and abs(north) <= MERCATOR):
            raise ResponseError(f"invalid longitude,latitude pair {east:f},{north:f}")
        return self.do_zadd(key, raw(_geohash(east, north)), member)


def _geohash(longitude: float, latitude: float) -> int:
    """Return the score of a place in a geo set: the bits of both numbers by turns."""
    east = int((longitude + 180) / 360 * 2**GEO_BITS)
    north = int((latitude + MERCATOR) / (2 * MERCATOR) * 2**GEO_BITS)
    return sum((east >> bit & 1) << 2 * bit + 1 | (north >> bit & 1) << 2 * bit for bit in range(GEO_BITS))
