"""The oldest supported versions of Kafka and Redis: a replay gives the alerts of a backtest, in Kafka and in Redis."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from streams.local_services.kafka import LocalKafka
from streams.local_services.kafka_jars import OLDEST_KAFKA_VERSION
from streams.local_services.valkey import LocalValkey
from streams.redis_copy.keys import area_key
from tests.integration.worker_process import HOTSPOTS, Site, WorkerProcess, incidents

AREA = "leeds"


def hotspots(*arguments: object) -> str:
    """Return the output of a command, which must succeed."""
    return subprocess.run([HOTSPOTS, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def write(path: Path) -> None:
    """Twelve days of a small town with four bursts, as a table."""
    rows = [json.loads(value) for _, value, _ in incidents(AREA, 320, seed=3)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.debian
def test_the_oldest_kafka_and_redis_take_a_replay(tmp_path: Path) -> None:
    table, events = tmp_path / "incidents.csv", tmp_path / "alerts.jsonl"
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: apt-get install --no-install-recommends redis-server"
    write(table)
    with (
        LocalKafka(tmp_path / "kafka", version=OLDEST_KAFKA_VERSION) as kafka,
        LocalValkey(tmp_path / "redis", program=Path(program)) as valkey,
        Redis.from_url(valkey.url) as redis,
    ):
        assert redis.info("server")["redis_version"].startswith("7.")
        site = Site(tmp_path, kafka.bootstrap, "oldest", (AREA,), redis=valkey.url)
        config = ("--config", site.file)
        assert hotspots("topics", *config, "--check") != ""
        hotspots("backtest", table, *config, "--alerts", events)
        expected = events.read_bytes().splitlines()
        assert len(expected) >= 10
        with WorkerProcess(site) as worker:
            hotspots("replay", table, *config)
            worker.until(site.is_covered, "every record is on record")
            worker.until(lambda: redis.xlen(area_key(AREA, "alerts")) == len(expected), "Redis has every revision")
            assert worker.stop() == 0
        assert site.alerts() == expected
        assert [fields[b"event"] for _, fields in redis.xrange(area_key(AREA, "alerts"))] == expected
        audited = json.loads(hotspots("audit", *config, "--output", "json"))
        assert (audited["breaks"], audited["given"]) == ([], 0)
        site.close()
