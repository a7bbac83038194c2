"""The broker behind a port: all that the worker and the readers of an area's log ask of Kafka.

``KAFKA`` is the real one, the only one in use; a test can hand in another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from streams.brokers.clients import Reader, Writer
from streams.brokers.connection import MAX_REQUEST_BYTES, consumer_arguments, producer_arguments
from streams.brokers.reading import read_log
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
        writer: Writer = _Producer(
            **producer_arguments(kafka), transactional_id=transactional_id, max_request_size=MAX_REQUEST_BYTES
        )
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


class _Producer(KafkaProducer):  # type: ignore[misc]  # the library is untyped
    def close(self, timeout: float) -> None:
        try:
            super().close(timeout=timeout)
        except KafkaTimeoutError:
            # After a broker has died, the library gives up before it ends its own thread. That would send on for ever,
            # take a new epoch when Kafka is back, and fence the owner of the partition at that time.
            self._sender.force_close()


KAFKA = Broker()
