"""The interface of the broker: everything that the worker and the readers of an area's log need from Kafka.

``KAFKA`` is the real broker. Tests can pass another one.
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
from streams.brokers.topics import topic_id
from streams.brokers.transactional_producer import TransactionalProducer
from streams.configuration.kafka import KafkaSettings


class Broker:
    """Kafka. Tests can pass another broker."""

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

    def topic_id(self, kafka: KafkaSettings, topic: str) -> str:
        """Return the identity of a topic: see :func:`~streams.brokers.topics.topic_id`."""
        return topic_id(kafka, topic)

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
        """Return why a member lacks a partition, None if it has it: see :func:`~streams.brokers.groups.unassigned`."""
        return unassigned(kafka, instance, topic, partition)


KAFKA = Broker()
