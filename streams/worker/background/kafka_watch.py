"""Sees whether Kafka answers: the clients of a worker wait for it in silence, or say so only in their logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.brokers.connection import consumer_arguments
from streams.configuration.kafka import KafkaSettings
from streams.process.background_thread import BackgroundThread
from streams.worker.metrics import Metrics

ASK_S = 2.0
TIMEOUT_MS = 5000
RECONNECT_MS = 1000
"""The client's own 30 s would take a Kafka that has come back for one that is still away."""

log = logging.getLogger(__name__)


class KafkaWatch(BackgroundThread):
    """A thread that asks Kafka every ``ASK_S`` how far the ``owned`` partitions of the incidents reach, or else all.

    One line is logged when there is no answer, and one when there is again. The worker's clients do not depend on it:
    they wait for Kafka by themselves, and go on when it is back.
    """

    def __init__(self, kafka: KafkaSettings, metrics: Metrics, owned: Callable[[], Sequence[int]]) -> None:
        self._kafka = kafka
        self._metrics = metrics
        self._owned = owned
        self._away: str | None = None
        super().__init__("kafka-watch")

    def away(self) -> str | None:
        """That Kafka does not answer, in one line; None while it does."""
        return self._away

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                arguments = consumer_arguments(self._kafka) | {"reconnect_backoff_max_ms": RECONNECT_MS}
                with closing(KafkaConsumer(**arguments, bootstrap_timeout_ms=TIMEOUT_MS)) as consumer:
                    self._ask(consumer)
            except KafkaError as error:
                self._found(error)
                self._stopping.wait(ASK_S)

    def _ask(self, consumer: KafkaConsumer) -> None:
        topic = self._kafka.topic("incidents")
        while not self._stopping.is_set():
            numbers = self._owned() or range(self._kafka.partitions)
            partitions = [TopicPartition(topic, number) for number in numbers]
            try:
                consumer.end_offsets(partitions, timeout_ms=TIMEOUT_MS)
                self._found(None)
            except KafkaError as error:
                self._found(error)
            self._stopping.wait(ASK_S)

    def _found(self, error: KafkaError | None) -> None:
        self._metrics.kafka_up(error is None)
        away = f"Kafka at {self._kafka.bootstrap} does not answer"
        if error is not None and self._away is None:
            log.error("%s (%s): nothing is read or put on record until it does", away, error)
        if error is None and self._away is not None:
            log.info("Kafka at %s answers again", self._kafka.bootstrap)
        self._away = None if error is None else away
