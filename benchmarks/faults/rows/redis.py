"""Faults of Redis: away, full, emptied, set back, and no longer writable."""

from __future__ import annotations

import os
import random
import signal

from redis import Redis

from benchmarks.faults.fault import fault
from benchmarks.faults.feed import STEADY
from benchmarks.faults.stage import Stage
from streams.redis_copy.keys import area_key

PASSWORD = "another"
SCARCE_BYTES = 2**20
"""Memory that Redis is left with when it is full, far below what an empty server needs."""


@fault("Redis killed, back after {away_s:.0f} s", rule="HotspotsRedisAway")
def killed(stage: Stage) -> None:
    """Its data survives, except the last second."""
    stage.valkey.kill()
    stage.hold(stage.form.away_s)
    stage.valkey.start()


@fault("Redis frozen for {away_s:.0f} s (SIGSTOP)", rule="HotspotsRedisAway")
def frozen(stage: Stage) -> None:
    """Connections stay, and nothing answers."""
    os.kill(stage.valkey.process.pid, signal.SIGSTOP)
    stage.hold(stage.form.away_s)
    os.kill(stage.valkey.process.pid, signal.SIGCONT)


@fault("Redis full for {away_s:.0f} s", rule="HotspotsRedisAway")
def full(stage: Stage) -> None:
    """It reads, and refuses every write."""
    stage.redis.config_set("maxmemory", SCARCE_BYTES)
    stage.hold(stage.form.away_s)
    stage.redis.config_set("maxmemory", 0)


@fault("Redis flushed", rule="HotspotsRedisLosesAlerts")
def flushed(stage: Stage) -> None:
    """Everything is gone at once, while a page is open."""
    stage.hold(stage.form.away_s / 4)
    stage.redis.flushall()
    stage.hold(stage.form.away_s / 4)


@fault("Redis restored from an old snapshot", rule="HotspotsRedisLosesAlerts")
def old_snapshot(stage: Stage) -> None:
    """It holds what it held before the fault began."""
    held = {key: stage.redis.dump(key) for key in stage.redis.scan_iter()}
    stage.hold(stage.form.away_s / 2)
    with stage.redis.pipeline() as pipeline:
        pipeline.flushall()
        for key, value in held.items():
            pipeline.restore(key, 0, value)
        pipeline.execute()
    stage.hold(stage.form.away_s / 4)


@fault("keys evicted from Redis, one by one", rule="HotspotsRedisEvicts")
def evicted(stage: Stage) -> None:
    """Half of the alerts' keys vanish, and the list of open ones; the stored offset stays."""
    stage.redis.config_set("maxmemory-policy", "allkeys-lru")
    chance = random.Random(5)
    keys = sorted(stage.redis.keys(area_key(STEADY, "alert:*").replace("{", "[{]").replace("}", "[}]")))
    for key in [*chance.sample(keys, len(keys) // 2), area_key(STEADY, "open"), area_key(STEADY, "where")]:
        stage.redis.delete(key)
        stage.hold(0.1)
    stage.hold(stage.form.away_s / 2)
    stage.redis.config_set("maxmemory-policy", "noeviction")


@fault("Redis becomes a read-only replica for {away_s:.0f} s", rule="HotspotsRedisAway")
def read_only(stage: Stage) -> None:
    """A failover has made another server the master."""
    stage.redis.replicaof("127.0.0.1", 1)
    stage.hold(stage.form.away_s)
    stage.redis.replicaof("NO", "ONE")


@fault("Redis's password changed for {away_s:.0f} s", rule="HotspotsRedisAway")
def password_changed(stage: Stage) -> None:
    """Nobody may connect any more; those who are connected are thrown out."""
    stage.redis.config_set("requirepass", PASSWORD)
    with Redis.from_url(stage.valkey.url, password=PASSWORD) as owner:
        owner.client_kill_filter(_type="normal", skipme=True)
        stage.hold(stage.form.away_s)
        owner.config_set("requirepass", "")
