"""The alerts in Redis: the application of one change, the comparison with the ledger, and the heartbeat.

Needs Valkey, or Redis 7 or newer: older versions are not tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from ssl import SSLCertVerificationError
from typing import Any, Literal, NamedTuple

from kafka.consumer.fetcher import ConsumerRecord
from redis import AuthenticationError, InvalidResponse, Redis, RedisError, ResponseError
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    TryAgainError,
)
from redis.retry import Retry

from detectors.alerts.lifecycle import TERMINAL
from streams.areas.health import AreaHealth
from streams.configuration.services import RedisSettings
from streams.messages.alert import PROVENANCE_HEADER, is_delayed
from streams.messages.usual import Usual
from streams.messages.wording import further_words
from streams.process.clock import MACHINE, Clock
from streams.redis_copy.keys import SPEAKING_TIERS, area_key, glance, redis_arguments

FRESH_S = 60.0
"""Age limit for a record on the channel, in seconds: the channel is silent while Redis is filled again."""

TIMEOUT_S = 2.0
"""Time limit for Redis to answer, in seconds."""

PASSING = (BusyLoadingError, ClusterDownError, MasterDownError, OutOfMemoryError, TryAgainError)
PASSING_WORDS = ("BUSY", "MISCONF", "NOREPLICAS")
"""Temporary errors, and errors that more memory or disk ends, without a new configuration: types, or first words."""


class RedisLost(Exception):
    """Redis holds less of an area than before, or the alerts of another topic. Nothing was changed."""


class Comparison(NamedTuple):
    """The result of a comparison of an area in Redis with its ledger, and where the next comparison continues.

    ``outcome``: "mended" if some alerts were forgotten, "lost" if all were, "replaced" if Redis held another topic.
    ``stored``: the offset from which to read. ``lost``: number of alerts that differed. ``alerts``: number of alerts in
        the ledger.
    """

    outcome: Literal["kept", "mended", "lost", "replaced"]
    stored: int
    lost: int
    alerts: int
    cursor: int


class Refusal(NamedTuple):
    """Why Redis does not take alerts. ``is_final``: only a change of the configuration can help."""

    text: str
    is_final: bool


def _is_final(error: RedisError) -> bool:
    if isinstance(error, PASSING) or str(error).startswith(PASSING_WORDS):
        return False
    is_untrusted = isinstance(error.__context__, SSLCertVerificationError)
    return is_untrusted or isinstance(error, AuthenticationError | InvalidResponse | ResponseError)


class RedisCopy:
    """The areas' alerts in Redis. Every call raises redis.RedisError if Redis is away or refuses the call."""

    def __init__(self, settings: RedisSettings, expiry_s: int, clock: Clock = MACHINE) -> None:
        self._redis = Redis.from_url(
            settings.url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries=2),
            **redis_arguments(settings),
        )
        self._apply_change = self._script("apply_change.lua")
        self._compare = self._script("compare.lua")
        self._trial = self._script("trial.lua")
        self._expiry_s = expiry_s
        self._clock = clock

    def _script(self, name: str) -> Any:
        return self._redis.register_script(_source(name))

    def refusal(self, areas: Iterable[str]) -> Refusal | None:
        """Return why Redis does not take these areas' alerts; None if it takes them."""
        for area in areas:
            try:
                self._try(area_key(area, "trial"))
            except RedisError as error:
                return Refusal(str(error), _is_final(error))
        return None

    def _try(self, key: str) -> None:
        """Try everything that the feeder does once, and leave nothing behind."""
        self._trial([key], [key])
        with self._redis.pipeline() as pipeline:
            pipeline.set(key, "1", ex=1)
            pipeline.strlen(key)
            pipeline.get(key)
            pipeline.delete(key)
            pipeline.execute()
        self.time()

    def time(self) -> datetime:
        """Return the time by the clock of Redis, which all its readers and writers share."""
        seconds, microseconds = self._redis.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)

    def offset(self, area: str) -> int:
        """Return the offset below which every record of the area is in Redis; 0 if Redis holds none."""
        try:
            stored: Any = self._redis.get(area_key(area, "offset"))
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            stored = b""  # not ours; apply_change.lua replaces it
        return int(stored) if re.fullmatch(rb"[0-9]{1,16}", stored or b"") else 0  # as apply_change.lua reads it

    def advance(
        self, area: str, expected: int, reached: int, first: int, record: ConsumerRecord | None = None, topic: str = ""
    ) -> int:
        """Apply ``record``, if given, store the offset ``reached``, and return the stored offset.

        ``expected`` is the offset that Redis had last, ``first`` the offset of the oldest record in the topic,
        ``topic`` the topic's identity if it is known. If another feeder is ahead, the returned offset is above
        ``reached``.

        Raises:
            RedisLost: The stored offset is below ``expected``, the ledger is lost, or it is that of another topic.
            msgspec.DecodeError: The record is not the event of an alert.
        """
        keys = [area_key(area, name) for name in ("offset", "alerts", "ledger", "ledger:alerts")]
        arguments: list[Any] = [expected, reached, first, self._expiry_s, topic]
        if record is not None:
            alert = glance(record.value)
            revision = alert.properties
            provenance = dict(record.headers).get(PROVENANCE_HEADER) or b""
            is_news = self._clock.now_s() - record.timestamp / 1000 <= FRESH_S and not is_delayed(provenance)
            speaks = revision.tier in SPEAKING_TIERS and is_news and bool(revision.notice)
            entry = [alert.id, revision.revision, revision.state, revision.tier, record.value, provenance]
            names = (f"alert:{alert.id}", f"alert:{alert.id}:revisions", "open", "where")
            keys += [area_key(area, name) for name in names]
            is_open, interval = int(revision.state not in TERMINAL), revision.recurrence_interval_days
            arguments += [is_open, interval, *alert.geometry.coordinates]
            arguments += [int(speaks), *entry]
        stored = int(self._apply_change(keys, arguments))
        if stored < expected:
            raise RedisLost(area)
        return stored

    def compare(self, area: str, first: int, end: int | None, topic: str, cursor: int, slice_: int) -> Comparison:
        """Compare about ``slice_`` alerts from ``cursor`` on, and the area's figures, with its ledger.

        Alerts that differ are removed from the ledger, so that they are written again when the records from the stored
        offset on are read. The topic with the identity ``topic`` begins at offset ``first``. No offset above ``end``
        was ever stored for it.
        """
        names = ("offset", "alerts", "ledger", "ledger:alerts", "open", "where")
        keys = [area_key(area, name) for name in names]
        limit, prefix = 2**53 if end is None else end, area_key(area, "alert:")
        arguments = [first, limit, self._expiry_s, topic, prefix, cursor, slice_]
        outcome, *figures = self._compare(keys, arguments)
        return Comparison(outcome.decode(), *map(int, figures))

    def eviction_policy(self) -> str:
        """Return what Redis does when its memory is full: "noeviction", what it evicts, or "unknown"."""
        try:
            memory: Any = self._redis.info("memory")
        except ResponseError:  # forbidden, renamed
            return "unknown"
        return str(memory.get("maxmemory_policy", "unknown"))

    def beat(self, area: str, health: AreaHealth, now: datetime) -> None:
        """Write the heartbeat of an area at a time by the clock of Redis; unknown times are empty."""
        shares = health.further_shares
        heartbeat: dict[Any, Any] = {
            "last_record": _rfc3339(health.last_record_s),
            "last_scan": _rfc3339(health.last_scan_s),
            "clock": _rfc3339(health.clock_s),
            "lag": health.lag,
            "feed": health.feed,
            "missing_days": round(health.missing_days, 2),
            "silent_parts": "\n".join(health.silent_parts),
            "further_records": further_words(shares) if shares is not None and shares.is_changed else "",
            "written_at": now.isoformat(timespec="milliseconds"),
        }
        with self._redis.pipeline() as pipeline:
            pipeline.delete(area_key(area, "health"))  # it can be of another type, or hold more
            pipeline.hset(area_key(area, "health"), mapping=heartbeat)
            pipeline.expire(area_key(area, "health"), self._expiry_s)
            pipeline.execute()

    def write_usual(self, area: str, usual: Usual, now: datetime) -> int:
        """Write how many incidents are usual at each location of an area; returns the number of bytes."""
        value = usual.encode(now)
        self._redis.set(area_key(area, "usual"), value, ex=self._expiry_s)
        return len(value)

    def has_usual(self, area: str, size: int) -> bool:
        """Return whether what :meth:`write_usual` wrote last, of this size, is still there."""
        try:
            return bool(self._redis.strlen(area_key(area, "usual")) == size)
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            return False

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


@cache
def _source(name: str) -> str:
    """Return a script, with what all scripts share before it."""
    folder = files("streams.redis_copy")
    return "".join(folder.joinpath(each).read_text() for each in ("ledger.lua", name))


def _rfc3339(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
