"""A Valkey for each file of tests, empty at the start of each test, and four areas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from streams.brokers.topics import create_topics
from streams.configuration.area import AreaTable
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.local_services.valkey import LocalValkey
from streams.messages.records import partition_of
from tests.integration.redis_copy.fed_redis import AREAS, PARTITIONS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey]:
    """A separate Valkey for each file, because the tests flush it."""
    with LocalValkey(tmp_path_factory.mktemp("feeder-valkey")) as local:
        yield local


@pytest.fixture
def valkey_client(server: LocalValkey) -> Iterator[Any]:
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def configuration(kafka: Any, server: LocalValkey, topic_prefix: str) -> Configuration:
    """Four areas on two partitions, of which none is empty and one holds several; the topics exist."""
    assert len({partition_of(area.encode(), PARTITIONS) for area in AREAS}) == PARTITIONS
    made = Configuration(
        kafka=KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS),
        redis=RedisSettings(url=server.url),
        areas={area: AreaTable() for area in AREAS},
    )
    create_topics(made.kafka, made.longest_window_days)
    return made
