"""Detects that Kafka does not answer. The worker's clients only wait for it, or report it only in their logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from kafka import TopicPartition

from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.retrying_consumer import TIMEOUT_MS, RetryingConsumer
from streams.configuration.kafka import KafkaSettings
from streams.process.background_thread import BackgroundThread
from streams.worker.metrics import Metrics

ASK_S = 2.0
"""Interval between two requests to Kafka, in seconds."""

log = logging.getLogger(__name__)


class KafkaWatch(BackgroundThread):
    """A thread that asks Kafka every ``ASK_S`` for the end offsets of the ``owned`` partitions, or of all if none.

    The worker's clients do not depend on this thread: they wait for Kafka and continue when it is back.
    """

    def __init__(
        self, kafka: KafkaSettings, metrics: Metrics, owned: Callable[[], Sequence[int]], broker: Broker = KAFKA
    ) -> None:
        super().__init__("kafka-watch")
        self._kafka = kafka
        self._metrics = metrics
        self._owned = owned
        self._away = f"Kafka at {self._kafka.bootstrap} does not answer"
        self._consumer = RetryingConsumer(
            self._kafka,
            log,
            fault=f"{self._away}, nothing is read or put on record",
            recovery=f"Kafka at {self._kafka.bootstrap} answers again",
            level=logging.ERROR,
            failed=lambda: metrics.kafka_up(False),
            broker=broker,
        )

    def away(self) -> str | None:
        """Return one line if Kafka does not answer, else None."""
        return self._away if self._consumer.is_failing else None

    def _run(self) -> None:
        self._consumer.run(self._stopping, lambda _: None, self._ask, ASK_S)

    def _ask(self, consumer: Reader) -> None:
        topic = self._kafka.topic("incidents")
        numbers = self._owned() or range(self._kafka.partitions)
        consumer.end_offsets([TopicPartition(topic, number) for number in numbers], timeout_ms=TIMEOUT_MS)
        self._metrics.kafka_up(True)
