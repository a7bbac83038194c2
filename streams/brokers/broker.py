"""The broker behind a port: all that the worker and the readers of an area's log ask of Kafka.

``KAFKA`` is the real one, the only one in use; a test can hand in another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streams.brokers.clients import Reader, Writer
from streams.brokers.connection import consumer_arguments
from streams.brokers.groups import unassigned
from streams.brokers.reading import read_log
from streams.brokers.transactional_producer import TransactionalProducer
from streams.configuration.kafka import KafkaSettings


class Broker:
    """Kafka; a test can hand in another."""

    def reader(self, kafka: KafkaSettings, **arguments: object) -> Reader:
        """Return a reader of committed records, unless ``arguments`` of a ``KafkaConsumer`` say otherwise.

        Raises:
            KafkaError: Kafka cannot be reached.
        """
        reader: Reader = KafkaConsumer(**consumer_arguments(kafka) | arguments)
        return reader

    def writer(self, kafka: KafkaSettings, transactional_id: str) -> Writer:
        """Return a writer of transactions.

        Raises:
            KafkaError: Kafka cannot be reached.
        """
        writer: Writer = TransactionalProducer(kafka, transactional_id)
        return writer

    def read(
        self,
        kafka: KafkaSettings,
        partition: TopicPartition,
        start: int,
        end: int,
        take: Callable[[Any], None],
        cancelled: threading.Event,
    ) -> None:
        """Pass all records of a stretch to ``take``: see :func:`~streams.brokers.reading.read_log`."""
        read_log(kafka, partition.topic, partition.partition, start, end, take, cancelled)

    def unassigned(self, kafka: KafkaSettings, instance: str, topic: str, partition: int) -> str | None:
        """Return why a member lacks a partition, if it does: see :func:`~streams.brokers.groups.unassigned`."""
        return unassigned(kafka, instance, topic, partition)


KAFKA = Broker()
