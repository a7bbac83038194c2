"""Topics on a real broker: created as they must be, and what is wrong with others is said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.brokers.connection import admin_arguments
from streams.brokers.topics import DAY_MS, check_topics, create_topics, retention_ms, topics
from streams.configuration.area import AreaTable
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration
from tests.conftest import GivenKafka
from tests.integration.worker_process import until

TOPICS = ["alerts", "alerts.undelivered", "incidents", "incidents.rejected", "responses", "scans", "settings"]


@pytest.fixture
def configuration(kafka: GivenKafka, topic_prefix: str) -> Configuration:
    """Two areas, one with a longer window, and few partitions."""
    short = hashlib.sha256(topic_prefix.encode()).hexdigest()[:12] + "-"  # a prefix of topics has a limit
    settings = KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=short, partitions=2)
    return Configuration(kafka=settings, areas={"leeds": AreaTable(), "york": AreaTable(window_days=120)})


@pytest.fixture
def admin(configuration: Configuration) -> Iterator[Any]:
    with closing(KafkaAdminClient(**admin_arguments(configuration.kafka))) as client:
        yield client


def found(admin: Any, topic: str, key: str) -> str:
    """A setting of a topic."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: None})
    return str(admin.describe_configs([resource], config_filter="all")["topic"][topic][key]["value"])


def expect(configuration: Configuration, faults: list[str]) -> None:
    """A broker learns a little later what its controller has changed."""
    until(lambda: check_topics(configuration) == faults, f"found {faults}", 10)


def test_topics_are_created_once_and_then_good(configuration: Configuration, admin: Any) -> None:
    prefix = configuration.kafka.topic_prefix
    assert check_topics(configuration) == [
        f"{plan.name}: topic is missing; `hotspots topics` creates it" for plan in topics(configuration).values()
    ]
    assert create_topics(configuration) == [prefix + name for name in TOPICS]
    assert create_topics(configuration) == []
    assert check_topics(configuration) == []
    admin.delete_topics([f"{prefix}scans"])
    expect(configuration, [f"{prefix}scans: topic is missing; `hotspots topics` creates it"])
    assert create_topics(configuration) == [f"{prefix}scans"]


def test_records_are_kept_for_two_of_the_longest_windows() -> None:
    assert retention_ms(Configuration(areas={"leeds": AreaTable(), "york": AreaTable(window_days=120)})) > 240 * DAY_MS


def test_the_number_of_partitions_is_checked(configuration: Configuration, admin: Any) -> None:
    create_topics(configuration)
    name = configuration.kafka.topic("alerts")
    admin.create_partitions({name: 3})
    expect(configuration, [f"{name}: has 3 partitions; must be 2, as kafka.partitions says"])


@pytest.mark.parametrize(
    ("topic", "key", "value", "fault"),
    [
        ("incidents", "retention.ms", "86400000", "must be at least 21340800000, for two windows and 7 days"),
        ("alerts", "retention.ms", "86400000", "must be at least 21340800000, for two windows and 7 days"),
        ("incidents", "retention.ms", "-1", None),
        ("incidents", "message.timestamp.type", "CreateTime", "must be LogAppendTime"),
        ("incidents", "cleanup.policy", "compact", "must be delete"),
        ("scans", "cleanup.policy", "delete", "must be compact"),
        ("scans", "min.compaction.lag.ms", "0", "must be at least 21340800000, for two windows and 7 days"),
        ("settings", "cleanup.policy", "delete", "must be compact"),
        ("rejected", "retention.ms", "-1", "must be at most 604800000; it may hold what must not be kept"),
        ("rejected", "retention.ms", "3600000", None),
    ],
)
def test_settings_that_would_lose_or_keep_too_much_are_named(
    configuration: Configuration, admin: Any, topic: Any, key: str, value: str, fault: str | None
) -> None:
    create_topics(configuration)
    name = configuration.kafka.topic(topic)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs={key: value})])
    until(lambda: value in found(admin, name, key), "the broker knows", 10)
    expect(configuration, [f"{name}: {key} = {value}: {fault}"] if fault else [])
