"""Reads the topic ``responses`` of the owned partitions and hands it to the engine.

Where reading begins is what the last transaction of the partition covers, so nothing is acknowledged here, and what
was handed over and not put on record is read again by whoever owns the partition next.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Sequence
from contextlib import closing

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from streams.brokers.connection import consumer_arguments
from streams.configuration.kafka import KafkaSettings
from streams.messages.response import ResponseRecord, decode_response
from streams.process.background_thread import BackgroundThread
from streams.worker.engine.partition import Partition

POLL_MS = 500
POLL_RECORDS = 200
PAUSE_S = 1.0
TIMEOUT_MS = 5000
RECONNECT_MS = 1000
"""The client's own 30 s would keep responses waiting for as long after Kafka has come back."""

log = logging.getLogger(__name__)


class ResponseReader(BackgroundThread):
    """A thread with one consumer, without a group, for all partitions that are followed.

    ``respond`` is given a partition, the responses read of it since it was followed, in order, and what to call when
    they are taken. A partition that is rebuilt is another one, so that the two are never taken for each other.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        areas: Container[str],
        respond: Callable[[Partition, Sequence[ResponseRecord], Callable[[], None]], None],
    ) -> None:
        self._kafka = kafka
        self._topic = kafka.topic("responses")
        self._areas = areas
        self._respond = respond
        self._followed: dict[int, Partition] = {}
        super().__init__("responses")

    def follow(self, partition: Partition) -> None:
        """Read a partition from where it stands; always from one and the same thread."""
        self._followed = self._followed | {partition.number: partition}

    def leave(self, number: int) -> None:
        """Read a partition no more (the thread that calls :meth:`follow`)."""
        self._followed = {known: partition for known, partition in self._followed.items() if known != number}

    def _run(self) -> None:
        arguments = consumer_arguments(self._kafka) | {
            "bootstrap_timeout_ms": TIMEOUT_MS,
            "reconnect_backoff_max_ms": RECONNECT_MS,
            "max_poll_records": POLL_RECORDS,
        }
        while not self._stopping.is_set():
            try:
                with closing(KafkaConsumer(**arguments)) as consumer:
                    self._read(consumer)
            except KafkaError as error:
                log.warning("responses cannot be read, will try again: %s", error)
                self._stopping.wait(PAUSE_S)

    def _read(self, consumer: KafkaConsumer) -> None:
        reading: dict[int, Partition] = {}
        while not self._stopping.is_set():
            if reading != self._followed:
                reading = self._followed
                consumer.assign([TopicPartition(self._topic, number) for number in reading])
                # What was handed over and not taken yet is handed over once more, and taken once.
                for number, partition in reading.items():
                    consumer.seek(TopicPartition(self._topic, number), partition.next_response)
            if not reading:
                self._stopping.wait(POLL_MS / 1000)
                continue
            for at, records in consumer.poll(timeout_ms=POLL_MS).items():
                self._hand_over(reading[at.partition], [self._decoded(record) for record in records])

    def _decoded(self, record: ConsumerRecord) -> ResponseRecord:
        area, said = decode_response(record.key, record.value, record.partition, self._kafka.partitions, self._areas)
        arrival_s = record.timestamp / 1000
        return ResponseRecord(record.offset, arrival_s, area, said, record.key, record.value, record.headers)

    def _hand_over(self, partition: Partition, responses: Sequence[ResponseRecord]) -> None:
        taken = threading.Event()
        self._respond(partition, responses, taken.set)
        while not (taken.wait(POLL_MS / 1000) or self._stopping.is_set()):
            pass
