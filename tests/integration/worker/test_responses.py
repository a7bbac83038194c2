"""Responses through a real broker take effect once, however the worker ends, and can be reproduced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec
import pytest
from kafka import KafkaProducer
from redis import Redis

from detectors.alerts.lifecycle import TERMINAL
from streams.area_log.audit import audit
from streams.area_log.reproduce import reproduce
from streams.area_log.sources import KafkaLog
from streams.local_services.valkey import LocalValkey
from streams.messages.alert import AlertEvent, read_alert
from streams.messages.records import Rejection, partition_of
from streams.messages.response import ResponseMessage
from streams.messages.scan import decode_scan
from streams.messages.usual import Usual
from streams.redis_copy.keys import area_key
from streams.worker.consumer import DONE
from tests.integration.conftest import NewSite
from tests.integration.worker_process import Site, WorkerProcess, incidents

FED = 117
"""The number of incidents of the feed after which alerts are open."""


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    with LocalValkey(tmp_path_factory.mktemp("responses-valkey")) as local:
        yield local


def send(site: Site, values: Sequence[bytes], key: bytes = b"leeds", partition: int | None = None) -> None:
    """Send responses in order and wait until Kafka has them."""
    topic = site.kafka.topic("responses")
    with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all")) as producer:
        for value in values:
            producer.send(topic, value, key=key, partition=partition).get(timeout=30)


def response(alert: str, user: str, action: Literal["acknowledge", "take"] = "acknowledge") -> bytes:
    return ResponseMessage(id=str(uuid4()), alert=alert, action=action, user=user, at=datetime.now(UTC)).encode()


def open_alert(site: Site) -> str:
    """The id of an alert that is open according to the topic ``alerts``."""
    last = {event.subject: event.data.properties for event in map(read_alert, site.alerts())}
    return next(alert for alert, properties in sorted(last.items()) if properties.state not in TERMINAL)


def revisions_of(site: Site, alert: str) -> list[AlertEvent]:
    return [event for event in map(read_alert, site.alerts()) if event.subject == alert]


def responses_of(site: Site, alert: str) -> list[tuple[str, Any]]:
    """The reason of each revision that a response made, and who acknowledged or took the alert."""
    revisions = [event.data.properties for event in revisions_of(site, alert)]
    return [
        (each.reason, each.response.taken_by if each.reason == "taken" else each.response.acknowledged_by)
        for each in revisions
        if each.reason in ("acknowledged", "taken") and each.response is not msgspec.UNSET
    ]


def test_a_response_takes_effect_once_however_the_worker_ends(new_site: NewSite, valkey: LocalValkey) -> None:
    site = new_site(redis=valkey.url)
    other = 1 - partition_of(b"leeds", 2)
    users = [("ann", "bob")[number % 2] for number in range(12)]
    with WorkerProcess(site) as worker:
        site.produce(incidents("leeds", 160, 1)[:FED])
        worker.until(lambda: site.covered()["leeds"] == FED - 1, "the feed is on record except for its open tick")
        alert = open_alert(site)
        before = len(revisions_of(site, alert))
        send(site, [response(alert, user) for user in users[:3]])
        worker.until(lambda: len(responses_of(site, alert)) == 3, "the first are on record")
        send(site, [response(alert, user) for user in users[3:6]])
        worker.kill()
    send(site, [response(alert, user) for user in users[6:9]])
    with WorkerProcess(site, fault="abort:1") as worker:
        send(site, [response(alert, user) for user in users[9:]])
        bad = [response("0" * 32, "ann"), b"{", response(alert, users[-1])]
        send(site, [*bad, response(alert, "ann", "take")])
        send(site, [response(alert, "ann")], partition=other)
        send(site, [response(alert, "ann")], key=b"hull")
        expected = [("acknowledged", user) for user in users] + [("taken", "ann")]
        worker.until(lambda: responses_of(site, alert) == expected, "all are on record")
        worker.until(lambda: len(site.read("rejected")) == 4, "the faulty ones are rejected")
        with Redis.from_url(valkey.url) as client:
            latest = revisions_of(site, alert)[-1]
            key = area_key("leeds", f"alert:{alert}")
            revision = str(latest.data.properties.revision).encode()
            worker.until(lambda: client.hget(key, "revision") == revision, "Redis has the last revision")
            assert read_alert(client.hget(key, "event")) == latest
            worker.until(lambda: client.exists(area_key("leeds", "usual")), "Redis has what is usual")
            usual = msgspec.json.decode(client.get(area_key("leeds", "usual")), type=Usual)
            assert 0 < sum(usual.cells.values()) < FED  # of a week
        assert 'hotspots_responses_total{action="take",area="leeds"} 1.0' in worker.asked("/metrics")[1]
        assert worker.stop() == DONE
    assert any(line["message"].startswith("transaction aborted") for line in worker.logged())
    assert [event.data.properties.revision for event in revisions_of(site, alert)] == list(range(1, before + 14))
    assert {event.data.properties.notice for event in revisions_of(site, alert)[before:]} == {""}
    rejected = [msgspec.json.decode(record.value, type=Rejection) for record in site.read("rejected")]
    assert sorted((each.topic == site.kafka.topic("responses"), each.reason) for each in rejected) == [
        (True, "bad_response"),
        (True, "no_such_alert"),
        (True, "unknown_area"),
        (True, "wrong_partition"),
    ]
    scans = [decode_scan(value) for value in site.scans()["leeds"]]
    assert [scan.number for scan in scans] == list(range(1, len(scans) + 1))
    named = [scan.next_response for scan in scans if scan.next_response]
    assert named == list(range(1, 17))  # each once and in order, rejected and repeated ones too
    log = KafkaLog(site.kafka, "leeds", 65_536)
    assert audit(log, lambda: None).breaks == []
    assert reproduce(log, alert, lambda: None).differences == []
