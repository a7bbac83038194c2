"""The feeder without servers: it goes on while Kafka does not say which revisions count."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import RedisSettings
from streams.worker.background import redis_feeder
from streams.worker.background.redis_feeder import RedisFeeder
from streams.worker.metrics import Metrics
from tests.streams.brokers.kept_log import kept


class Uncertain:
    """Takes the coverage's place: Kafka answers nothing, then not yet."""

    def __init__(self) -> None:
        self.is_away = True

    def covers(self, *_: object) -> bool | None:
        if self.is_away:
            raise KafkaTimeoutError("frozen")
        return None


def test_a_frozen_broker_ends_no_turn_and_takes_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_feeder, "PAUSE_S", 0.0)
    redis = RedisSettings(url="redis://127.0.0.1:1/0")
    feeder = RedisFeeder(
        KafkaSettings(), redis, ["leeds"], 7, health=dict, usual=dict, metrics=Metrics(CollectorRegistry())
    )
    at, coverage = TopicPartition("alerts", 0), Uncertain()
    record: Any = kept(at, 7, b"leeds", b"{}")
    feeder._partition, feeder._stored, feeder._coverage = {"leeds": at}, {"leeds": 0}, coverage  # type: ignore[assignment]
    assert [feeder._apply(record) for _ in range(3)] == [False] * 3
    coverage.is_away = False
    assert feeder._apply(record) is False
    coverage.is_away = True
    feeder._apply(record)
    lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert (
        lines == ["the scan records of the topic alerts cannot be read, will try again: KafkaTimeoutError: frozen"] * 2
    )
