"""Reads the topic ``responses`` of the owned partitions and passes the responses to the engine.

Reading begins where the partition's last transaction ended, so nothing is acknowledged here. The partition's next owner
reads again what was passed on but not put on record.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Sequence

from kafka import TopicPartition

from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.retrying_consumer import RetryingConsumer
from streams.configuration.kafka import KafkaSettings
from streams.messages.response import ResponseRecord, response_record
from streams.process.background_thread import BackgroundThread
from streams.worker.engine.partition import Partition

POLL_MS = 500
"""Longest wait for records, or for the engine before the next check whether to stop, in milliseconds."""
POLL_RECORDS = 200
"""Largest number of responses that are passed on at once."""

log = logging.getLogger(__name__)


class ResponseReader(BackgroundThread):
    """A thread with one consumer for all followed partitions.

    ``respond`` is called with a partition, its new responses in order, and a function to call when they are processed.
    A rebuilt partition is a new object, so it is not mistaken for the old one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        areas: Container[str],
        respond: Callable[[Partition, Sequence[ResponseRecord], Callable[[], None]], None],
        broker: Broker = KAFKA,
    ) -> None:
        super().__init__("responses")
        self._kafka = kafka
        self._topic = kafka.topic("responses")
        self._areas = areas
        self._respond = respond
        self._broker = broker
        self._followed: dict[int, Partition] = {}
        self._reading: dict[int, Partition] = {}  # the assignment of the open consumer

    def follow(self, partition: Partition) -> None:
        """Read a partition from its recorded position. Always called from the same thread."""
        self._followed = self._followed | {partition.number: partition}

    def leave(self, number: int) -> None:
        """Stop reading a partition. Called from the thread that calls :meth:`follow`."""
        self._followed = {known: partition for known, partition in self._followed.items() if known != number}

    def _run(self) -> None:
        consumer = RetryingConsumer(
            self._kafka,
            log,
            fault="responses cannot be read",
            recovery="responses are read again",
            broker=self._broker,
            max_poll_records=POLL_RECORDS,
        )
        consumer.run(self._stopping, self._opened, self._read)

    def _opened(self, _: Reader) -> None:
        self._reading = {}

    def _read(self, consumer: Reader) -> None:
        if self._reading != self._followed:
            self._reading = self._followed
            consumer.assign([TopicPartition(self._topic, number) for number in self._reading])
            # What was handed over and not processed yet is handed over again, and processed once.
            for number, partition in self._reading.items():
                consumer.seek(TopicPartition(self._topic, number), partition.next_response)
        if not self._reading:
            self._stopping.wait(POLL_MS / 1000)
            return
        for at, records in consumer.poll(timeout_ms=POLL_MS).items():
            responses = [response_record(record, self._kafka.partitions, self._areas) for record in records]
            self._hand_over(self._reading[at.partition], responses)

    def _hand_over(self, partition: Partition, responses: Sequence[ResponseRecord]) -> None:
        processed = threading.Event()
        self._respond(partition, responses, processed.set)
        while not (processed.wait(POLL_MS / 1000) or self._stopping.is_set()):
            pass
