"""Batches of every codec, with odd headers, or damaged on the broker's disk: every reader goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from redis import Redis

from detectors.alerts.lifecycle import TERMINAL
from streams.brokers.connection import admin_arguments
from streams.brokers.topics import topics
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import read_alert
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord
from streams.redis_copy.keys import area_key
from streams.worker.consumer import DONE
from tests.integration.conftest import NewSite
from tests.integration.webhook.test_webhook import open_desk, own_record, publish, webhook
from tests.integration.worker.test_responses import FED, open_alert, response, responses_of
from tests.integration.worker_process import HOTSPOTS, Row, Site, WorkerProcess, incidents
from tests.streams.brokers.raw_batches import RawName
from tests.streams.messages.alert_events import event

CODECS = ("gzip", "snappy", "lz4", "zstd")
ODD = ((RawName(b"\xff\xfe"), b"\xff"), (RawName(b""), b""), (RawName(b"\xc3" * 3_000), b"x" * 3_000))
IN_ONE_BATCH = {"linger_ms": 2_000, "batch_size": 2**23, "max_request_size": 2**23}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    with LocalValkey(tmp_path_factory.mktemp("codecs-valkey")) as local:
        yield local


def compress(site: Site, codec: str) -> None:
    """Have the broker store every topic in this codec, whoever writes it."""
    configs = {"compression.type": codec}
    names = [plan.name for plan in topics(site.kafka, site.configuration.longest_window_days).values()]
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=configs) for name in names])


def padded(row: Row) -> Row:
    """The incident with a field of 40 kB that nobody reads."""
    area, value, headers = row
    return area, json.dumps(json.loads(value) | {"note": "quiet night " * 3_400}).encode(), headers


def hotspots(site: Site, *arguments: str | Path, log: list[str] | None = None) -> str:
    """What a command prints; its log goes to ``log``."""
    command = [HOTSPOTS, *arguments, "--config", site.file]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=site.folder)
    assert run.returncode == 0, run.stdout + run.stderr
    if log is not None:
        log += run.stderr.splitlines()
    return run.stdout


def answer(site: Site, alert: str, codec: str) -> None:
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, compression_type=codec)) as producer:
        value = response(alert, "ann")
        producer.send(site.kafka.topic("responses"), value, key=b"leeds", headers=list(ODD)).get(timeout=30)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read_everywhere(codec: str, new_site: NewSite, valkey: LocalValkey, tmp_path: Path) -> None:
    site = new_site(redis=valkey.url)
    compress(site, codec)
    hotspots(site, "topics", "--check")
    rows = [(area, value, ODD) for area, value, _ in incidents("leeds", 160, 1)]
    with open_desk() as desk, webhook(site, desk.server_port) as sink, WorkerProcess(site) as worker:
        site.produce([padded(row) for row in rows[:50]], compression_type=codec, **IN_ONE_BATCH)
        worker.until(lambda: site.covered()["leeds"] == 49, "a batch of 2 MB is on record except for its open tick")
        assert worker.stop() == DONE
        sink.until(sink.is_ready, "the webhook reads alerts")
        with WorkerProcess(site) as again:
            site.produce(rows[50:FED], compression_type=codec)
            again.until(lambda: site.covered()["leeds"] == FED - 1, "the rest is on record after a restart")
            alerts = site.check()
            alert = open_alert(site)
            answer(site, alert, codec)
            again.until(lambda: responses_of(site, alert), "the response is on record")
            with Redis.from_url(valkey.url) as client:
                again.until(lambda: client.exists(area_key("leeds", f"alert:{alert}")), "the alert is in Redis")
            shown = again.asked("/metrics")[1]
            assert f'hotspots_unreadable_records_total{{topic="{site.kafka.topic("incidents")}"}} 0.0' in shown
            assert again.stop() == DONE
        audited = json.loads(hotspots(site, "audit", "--output", "json"))
        assert (audited["breaks"], audited["given"]) == ([], 0)
        assert json.loads(hotspots(site, "reproduce", alert, "--output", "json"))["differences"] == []
        hotspots(site, "export", tmp_path / "copy")
        exported = (tmp_path / "copy" / "incidents.jsonl").read_text().splitlines()
        assert len(exported) == FED
        assert json.loads(exported[0])["headers"][0][0] == "??"
        assert read_alert(alerts[-1]).data.properties.state not in TERMINAL
        publish(site, event("news"))
        own_record(site, PartitionRecord(next_alert=1_000_000))  # as if a worker had written it
        sink.until(lambda: ("news", "firing", "opened") in desk.accepted, "the webhook delivers")
        assert sink.stop() == DONE


def spoil(broker: LocalKafka, topic: str, value: bytes) -> None:
    """Change a byte of a stored value, as a fault of the disk does."""
    spoilt = 0
    for segment in (broker.directory / "data").glob(f"{topic}-*/*.log"):
        at = segment.read_bytes().find(value)
        if at >= 0:
            with segment.open("r+b") as file:
                file.seek(at + 10)
                file.write(b"\x00")
            spoilt += 1
    assert spoilt == 1


def test_a_batch_damaged_on_disk_costs_its_own_records_alone(tmp_path: Path, topic_prefix: str) -> None:
    with LocalKafka(tmp_path / "broker") as broker, closing(Site(tmp_path, broker.bootstrap, topic_prefix)) as site:
        rows = incidents("leeds", 160, 1)
        for first in range(0, FED, 20):
            site.produce(rows[first : min(first + 20, FED)], **IN_ONE_BATCH)
        topic = site.kafka.topic("incidents")
        spoil(broker, topic, rows[45][1])
        home = partition_of(b"leeds", 2)
        line = f"{topic}, partition {home}: offsets 40 to 59 cannot be read and are passed over: wrong checksum"
        for _ in ("live", "restarted"):
            with WorkerProcess(site) as worker:
                worker.until(lambda: site.covered()["leeds"] == FED - 1, "the others are on record")
                worker.until(worker.is_ready, "ready")
                assert f'hotspots_unreadable_records_total{{topic="{topic}"}} 20.0' in worker.asked("/metrics")[1]
                assert worker.stop() == DONE
            assert [each["message"] for each in worker.logged()].count(line) == 1
            worker.log.unlink()
        site.check()
        assert json.loads(hotspots(site, "audit", "--output", "json"))["breaks"] == []
        log = list[str]()
        hotspots(site, "export", tmp_path / "copy", log=log)
        assert log.count(line) == 1
        assert len((tmp_path / "copy" / "incidents.jsonl").read_text().splitlines()) == FED - 20
