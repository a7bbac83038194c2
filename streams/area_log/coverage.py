"""Which revisions count: those that a committed scan record covers.

A torn transaction can leave revisions in ``alerts`` whose scan record was never written. The partition record, which
ends each transaction, states up to which offset ``alerts`` is covered.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.reading import STALLED_S, records_from_end
from streams.brokers.retrying_consumer import TIMEOUT_MS, TIMEOUTS
from streams.configuration.kafka import KafkaSettings
from streams.messages.scan import PartitionRecord, decode_partition, partition_key

FORMER_S = 1.0
"""Time for which a record of an earlier version, which lacks ``next_alert``, counts as the last one, in seconds.
"""


def last_partition_record(
    consumer: Reader, kafka: KafkaSettings, partition: int, limit_s: float = STALLED_S
) -> PartitionRecord:
    """Return the last committed partition record, or an empty one. The consumer's assignment changes.

    ``limit_s``: time limit for each request to Kafka, and for a wait without progress, in seconds.

    Raises:
        KafkaError: Kafka cannot be reached, refuses, or did not deliver a record in time.
    """
    scans = TopicPartition(kafka.topic("scans"), partition)
    for record in records_from_end(consumer, scans, threading.Event(), limit_s):
        if record.key == partition_key(partition):
            with suppress(msgspec.DecodeError):
                return decode_partition(record.value)
    return PartitionRecord()


def covers(own: PartitionRecord, offset: int) -> bool | None:
    """Return whether the revision at an offset of ``alerts`` counts; None if that is not known yet."""
    if own.next_alert is None:
        return True
    if offset >= own.next_alert:
        return None
    return not any(first <= offset < after for first, after in own.torn)


class Coverage:
    """A reader of partition records. It asks Kafka only about revisions that it does not know."""

    def __init__(self, kafka: KafkaSettings, broker: Broker = KAFKA) -> None:
        self._kafka = kafka
        self._broker = broker
        self._consumer: Reader | None = None
        self._known: dict[int, tuple[PartitionRecord, float]] = {}

    def covers(self, partition: int, offset: int) -> bool | None:
        """Return whether the revision at an offset counts; None if that is not known yet.

        Raises:
            KafkaError: Kafka cannot be reached, refuses, or does not answer within ``TIMEOUT_MS``.
        """
        own, read_s = self._known.get(partition, (PartitionRecord(), 0.0))
        is_former = own.next_alert is None and time.monotonic() - read_s > FORMER_S
        if is_former or covers(own, offset) is None:
            own = self._read(partition)
            self._known[partition] = own, time.monotonic()
        return covers(own, offset)

    def _read(self, partition: int) -> PartitionRecord:
        try:
            if self._consumer is None:
                self._consumer = self._broker.reader(self._kafka, **TIMEOUTS)
            return last_partition_record(self._consumer, self._kafka, partition, TIMEOUT_MS / 1000)
        except KafkaError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
