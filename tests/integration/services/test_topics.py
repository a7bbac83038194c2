"""Topics on a real broker: they are created as planned, and the faults of others are named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.brokers.connection import admin_arguments
from streams.brokers.topics import check_topics, create_topics, topics
from streams.configuration.kafka import KafkaSettings
from tests.conftest import GivenKafka
from tests.integration.worker_process import until

WINDOW_DAYS = 120
TOPICS = ["alerts", "alerts.undelivered", "incidents", "incidents.rejected", "responses", "scans", "settings"]


@pytest.fixture
def settings(kafka: GivenKafka, topic_prefix: str) -> KafkaSettings:
    """Few partitions."""
    short = hashlib.sha256(topic_prefix.encode()).hexdigest()[:12] + "-"  # a prefix of topics has a limit
    return KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=short, partitions=2)


@pytest.fixture
def admin(settings: KafkaSettings) -> Iterator[Any]:
    with closing(KafkaAdminClient(**admin_arguments(settings))) as client:
        yield client


def found(admin: Any, topic: str, key: str) -> str:
    """A setting of a topic."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: None})
    return str(admin.describe_configs([resource], config_filter="all")["topic"][topic][key]["value"])


def expect(settings: KafkaSettings, faults: list[str]) -> None:
    """Wait for these faults: a broker learns a little later what its controller has changed."""
    until(lambda: check_topics(settings, WINDOW_DAYS) == faults, f"found {faults}", 10)


def test_topics_are_created_once_and_then_good(settings: KafkaSettings, admin: Any) -> None:
    prefix = settings.topic_prefix
    assert check_topics(settings, WINDOW_DAYS) == [
        f"{plan.name}: topic is missing; `hotspots topics` creates it"
        for plan in topics(settings, WINDOW_DAYS).values()
    ]
    assert create_topics(settings, WINDOW_DAYS) == [prefix + name for name in TOPICS]
    assert create_topics(settings, WINDOW_DAYS) == []
    assert check_topics(settings, WINDOW_DAYS) == []
    admin.delete_topics([f"{prefix}scans"])
    expect(settings, [f"{prefix}scans: topic is missing; `hotspots topics` creates it"])
    assert create_topics(settings, WINDOW_DAYS) == [f"{prefix}scans"]


def test_the_number_of_partitions_is_checked(settings: KafkaSettings, admin: Any) -> None:
    create_topics(settings, WINDOW_DAYS)
    name = settings.topic("alerts")
    admin.create_partitions({name: 3})
    expect(
        settings, [f"{name}: has 3 partitions: must be 2 (kafka.partitions); `hotspots copy-inputs` changes the number"]
    )


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
        ("rejected", "retention.ms", "-1", "must be at most 604800000: dead letters can be confidential"),
        ("rejected", "retention.ms", "3600000", None),
    ],
)
def test_settings_that_would_lose_or_keep_too_much_are_named(
    settings: KafkaSettings, admin: Any, topic: Any, key: str, value: str, fault: str | None
) -> None:
    create_topics(settings, WINDOW_DAYS)
    name = settings.topic(topic)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs={key: value})])
    until(lambda: value in found(admin, name, key), "the broker knows", 10)
    expect(settings, [f"{name}: {key} = {value}: {fault}"] if fault else [])
