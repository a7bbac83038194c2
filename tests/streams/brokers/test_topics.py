"""The plans of the topics, without a broker: settings, retention, faults."""

from __future__ import annotations

from typing import get_args

import pytest

from streams.brokers.connection import MAX_REQUEST_BYTES
from streams.brokers.topics import DAY_MS, TopicPlan, retention_ms, topics
from streams.configuration.kafka import KafkaSettings, Topic

KAFKA = KafkaSettings(topic_prefix="city-")
WINDOW_DAYS = 120
KEPT_MS = (2 * WINDOW_DAYS + 7) * DAY_MS
PLANS = topics(KAFKA, WINDOW_DAYS)
DEFAULT = {"compression.type": "producer"}

each_topic = pytest.mark.parametrize("topic", get_args(Topic))


def test_records_are_kept_for_two_windows_and_a_week() -> None:
    assert retention_ms(WINDOW_DAYS) == KEPT_MS


@each_topic
def test_a_topic_as_planned_has_no_fault(topic: Topic) -> None:
    plan = PLANS[topic]
    assert plan.name == KAFKA.topic(topic)
    assert plan.name.startswith("city-")
    assert list(plan.faults(DEFAULT | plan.configs)) == []


@each_topic
def test_a_topic_that_loses_or_keeps_records_has_a_fault(topic: Topic) -> None:
    plan = PLANS[topic]
    policy = "delete" if plan.compacted else "compact"
    assert list(plan.faults(DEFAULT | plan.configs | {"cleanup.policy": policy})) == [
        f"{plan.name}: cleanup.policy = {policy}: must be {plan.configs['cleanup.policy']}"
    ]
    for key in {"retention.ms", "min.compaction.lag.ms"} & plan.configs.keys():
        shorter, longer = (str(int(plan.configs[key]) + step) for step in (-1, 1))
        outcomes = [list(plan.faults(DEFAULT | plan.configs | {key: value})) for value in (shorter, longer, "-1")]
        assert [bool(faults) for faults in outcomes] == ([False, True, True] if plan.short else [True, False, False])


def test_the_faults_name_setting_value_and_bound() -> None:
    plan = TopicPlan(name="t", keep_ms=1000, is_large=True)
    found = {
        "compression.type": "brotli",
        "message.timestamp.type": "CreateTime",
        "cleanup.policy": "delete",
        "retention.ms": "999",
        "max.message.bytes": "1048588",
    }
    assert list(plan.faults(found)) == [
        "t: compression.type = brotli: must be one of producer, uncompressed, gzip, snappy, lz4, zstd",
        "t: message.timestamp.type = CreateTime: must be LogAppendTime",
        f"t: max.message.bytes = 1048588: must be at least {MAX_REQUEST_BYTES}, for long scan records",
        "t: retention.ms = 999: must be at least 1000, for two windows and 7 days",
    ]


def test_only_scan_records_are_both_compacted_and_kept() -> None:
    kept = {topic: (plan.compacted, plan.keep_ms) for topic, plan in PLANS.items()}
    assert kept == {
        **dict.fromkeys(("incidents", "alerts", "responses", "undelivered"), (False, KEPT_MS)),
        "scans": (True, KEPT_MS),
        "settings": (True, None),
        "rejected": (False, 7 * DAY_MS),
    }
