"""The alerts in Redis: the application of one change, and the heartbeat.

Needs Valkey, or Redis 7 or newer: older versions are not tested.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord
from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from detectors.alerts.lifecycle import TERMINAL
from streams.areas.health import AreaHealth
from streams.configuration.services import RedisSettings
from streams.messages.alert import PROVENANCE_HEADER, is_delayed
from streams.messages.usual import Usual
from streams.process.clock import MACHINE, Clock
from streams.redis_copy.keys import SPEAKING_TIERS, area_key, glance, redis_arguments

FRESH_S = 60.0
"""Age limit for a record on the channel, in seconds: the channel is silent while Redis is filled again."""

TIMEOUT_S = 2.0
"""Time limit for Redis to answer, in seconds."""


class RedisLost(Exception):
    """Redis holds less of an area than before: it was flushed, restored or failed over. Nothing was changed."""


class RedisCopy:
    """The areas' alerts in Redis. Every call raises redis.RedisError if Redis is away or refuses it."""

    def __init__(self, settings: RedisSettings, expiry_s: int, clock: Clock = MACHINE) -> None:
        self._redis = Redis.from_url(
            settings.url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries=2),
            **redis_arguments(settings),
        )
        self._apply_change = self._redis.register_script(
            files("streams.redis_copy").joinpath("apply_change.lua").read_text()
        )
        self._expiry_s = expiry_s
        self._clock = clock

    def offset(self, area: str) -> int:
        """Return the offset below which every record of the area is in Redis; 0 if Redis holds none."""
        stored: Any = self._redis.get(area_key(area, "offset"))
        return int(stored) if re.fullmatch(rb"[0-9]{1,16}", stored or b"") else 0  # as apply_change.lua reads it

    def advance(self, area: str, expected: int, reached: int, first: int, record: ConsumerRecord | None = None) -> int:
        """Apply ``record``, if given, store the offset ``reached``, and return the stored offset.

        ``expected`` is the offset that Redis last had, ``first`` the offset of the oldest record in the topic. The
        returned offset is above ``reached`` if another feeder is ahead.

        Raises:
            RedisLost: The stored offset is below ``expected``.
            msgspec.DecodeError: The record is not the event of an alert.
        """
        keys = [area_key(area, "offset"), area_key(area, "alerts")]
        arguments: list[Any] = [expected, reached, first, self._expiry_s]
        if record is not None:
            alert = glance(record.value)
            revision = alert.properties
            provenance = dict(record.headers).get(PROVENANCE_HEADER) or b""
            is_news = self._clock.now_s() - record.timestamp / 1000 <= FRESH_S and not is_delayed(provenance)
            speaks = revision.tier in SPEAKING_TIERS and is_news and bool(revision.notice)
            entry = {
                "id": alert.id,
                "revision": revision.revision,
                "state": revision.state,
                "tier": revision.tier,
                "event": record.value,
                "provenance": provenance,
            }
            names = (f"alert:{alert.id}", f"alert:{alert.id}:revisions", "open", "where")
            keys += [area_key(area, name) for name in names]
            is_open, interval = int(revision.state not in TERMINAL), revision.recurrence_interval_days
            arguments += [is_open, interval, *alert.geometry.coordinates]
            arguments += [int(speaks), *(part for field in entry.items() for part in field)]
        stored = int(self._apply_change(keys, arguments))
        if stored < expected:
            raise RedisLost(area)
        return stored

    def beat(self, area: str, health: AreaHealth, now: datetime) -> None:
        """Write the heartbeat of an area; unknown times are empty."""
        heartbeat: dict[Any, Any] = {
            "last_record": _rfc3339(health.last_record_s),
            "last_scan": _rfc3339(health.last_scan_s),
            "clock": _rfc3339(health.clock_s),
            "lag": health.lag,
            "feed": health.feed,
            "missing_days": round(health.missing_days, 2),
            "written_at": now.isoformat(timespec="milliseconds"),
        }
        with self._redis.pipeline() as pipeline:
            pipeline.hset(area_key(area, "health"), mapping=heartbeat)
            pipeline.expire(area_key(area, "health"), self._expiry_s)
            pipeline.execute()

    def write_usual(self, area: str, usual: Usual, now: datetime) -> None:
        """Write how many incidents are usual at each location of an area."""
        self._redis.set(area_key(area, "usual"), usual.encode(now), ex=self._expiry_s)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _rfc3339(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
