"""The console with a real worker and a real broker: a response on one screen shows on every other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from streams.brokers.connection import consumer_arguments
from streams.brokers.topics import create_topics
from streams.configuration.area import AreaTable
from streams.configuration.console import ConsoleSettings
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.local_services.valkey import LocalValkey
from streams.messages.records import partition_of
from streams.messages.response import ResponseMessage
from streams.worker.consumer import DONE
from tests.integration.conftest import NewSite
from tests.integration.worker_process import WorkerProcess, incidents
from tests.streams.console.site import Feed, alert, alerts_of, new_area, serving, watching

FED = 117
"""Number of incidents of the feed after which alerts are open."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    with LocalValkey(tmp_path_factory.mktemp("console-valkey")) as local:
        yield local


def test_an_alert_is_acknowledged_and_every_screen_shows_it(new_site: NewSite, server: LocalValkey) -> None:
    site = new_site(redis=server.url)
    configuration = msgspec.structs.replace(site.configuration, console=ConsoleSettings(port=0))
    with ExitStack() as stack:
        client = stack.enter_context(serving(configuration))
        screens = [stack.enter_context(watching(client, **query)) for query in ({}, {"area": "leeds"})]
        worker = stack.enter_context(WorkerProcess(site))
        site.produce(incidents("leeds", 160, 1)[:FED])
        worker.until(lambda: site.covered()["leeds"] == FED - 1, "the feed is on record, except for its open tick")
        worker.until(lambda: client.get("/api/alerts").json()["features"], "an alert is shown")
        worker.until(lambda: client.get("/api/health").json()["areas"][0]["worker"] == "alive", "a heartbeat")
        alert_id = client.get("/api/alerts").json()["features"][0]["id"]
        assert client.act(f"/api/alerts/{alert_id}/acknowledge").status_code == 202
        assert client.act(f"/api/alerts/{alert_id}/outcome", json={"outcome": "venue"}).status_code == 202
        assert 'hotspots_console_answers_total{outcome="accepted"} 2.0' in client.get("/metrics").text
        for events in screens:
            reasons: list[str] = []
            while "outcome_noted" not in reasons:
                (event,) = alerts_of(events, 1)
                if event.data["id"] == alert_id:
                    reasons.append(event.data["properties"]["reason"])
            assert reasons[-2:] == ["acknowledged", "outcome_noted"]
        given = client.get(f"/api/alerts/{alert_id}").json()["alert"]["properties"]["response"]
        assert (given["acknowledged_by"], given["outcome"], given["outcome_by"]) == ("local", "venue", "local")
        revisions = client.get(f"/api/alerts/{alert_id}/revisions").json()["features"]
        numbers = [each["properties"]["revision"] for each in revisions]
        assert numbers == list(range(1, len(numbers) + 1))
        assert worker.stop() == DONE


def test_a_response_is_a_record_in_the_partition_of_its_area(
    kafka: Any, server: LocalValkey, topic_prefix: str
) -> None:
    area = new_area()
    configuration = Configuration(
        kafka=KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=3),
        redis=RedisSettings(url=server.url),
        console=ConsoleSettings(port=0),
        areas={area: AreaTable()},
    )
    create_topics(configuration.kafka, configuration.longest_window_days)
    feed = Feed(server.url)
    feed.put(alert(1, area))
    feed.close()
    with serving(configuration) as client:
        sent = [client.act(f"/api/alerts/{1:032x}/{action}").json()["id"] for action in ("acknowledge", "take")]
    with closing(KafkaConsumer(**consumer_arguments(configuration.kafka))) as consumer:
        home = TopicPartition(configuration.kafka.topic("responses"), partition_of(area.encode(), 3))
        consumer.assign([home])
        consumer.seek_to_beginning()
        records: list[Any] = []
        deadline = time.monotonic() + 20
        while len(records) < 2 and time.monotonic() < deadline:
            records += [each for batch in consumer.poll(timeout_ms=200).values() for each in batch]
    assert [record.key for record in records] == [area.encode()] * 2
    responses = [msgspec.json.decode(record.value, type=ResponseMessage) for record in records]
    assert [each.id for each in responses] == sent
    assert [(each.action, each.user, each.alert) for each in responses] == [
        ("acknowledge", "local", f"{1:032x}"),
        ("take", "local", f"{1:032x}"),
    ]


def test_without_kafka_a_response_fails_soon(server: LocalValkey) -> None:
    area = new_area()
    configuration = Configuration(
        kafka=KafkaSettings(bootstrap="127.0.0.1:1"),
        redis=RedisSettings(url=server.url),
        console=ConsoleSettings(port=0),
        areas={area: AreaTable()},
    )
    feed = Feed(server.url)
    feed.put(alert(2, area))
    feed.close()
    with serving(configuration) as client:
        began = time.monotonic()
        response = client.act(f"/api/alerts/{2:032x}/take")
        assert response.status_code == 503
        assert "Kafka" in response.json()["detail"]
        assert time.monotonic() - began < 8
        assert client.get("/api/alerts").status_code == 200
