"""A stretch of one partition's log, read as fast as a client in Python can."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer
from kafka import KafkaConsumer, TopicPartition

from streams.brokers.connection import log_reader_arguments
from streams.configuration.kafka import KafkaSettings

FETCH_BYTES = 4 * 2**20
BATCH_RECORDS = 5000
BATCH_MS = 500
STALLED_S = 60.0
POLL_MS = 500


def read_log(
    kafka: KafkaSettings,
    topic: str,
    partition: int,
    start: int,
    end: int,
    take: Callable[[Any], None],
    cancelled: threading.Event,
) -> None:
    """Hand over every record from offset ``start`` to before ``end``, in order.

    Uncommitted records too. Call it from a thread without a running event loop.

    Raises:
        Cancelled: ``cancelled`` was set meanwhile.
        StalledError: Kafka gave no record for a long time.
        aiokafka.errors.KafkaError: Kafka cannot be reached, or refuses.
    """
    if start < end:
        asyncio.run(_read(kafka, aiokafka.TopicPartition(topic, partition), start, end, take, cancelled))


class Cancelled(Exception):
    """What was being read is no longer wanted."""


class StalledError(Exception):
    """Kafka gives nothing of what it has."""


class Progress:
    """Ends reading of ``what`` that is no longer wanted, or that gets no further for ``STALLED_S``."""

    def __init__(self, what: str, cancelled: threading.Event) -> None:
        self._what, self._cancelled = what, cancelled
        self._position = -1
        self._moved_s = time.monotonic()

    def at(self, position: int) -> None:
        """Reading has come to an offset.

        Raises:
            Cancelled: it is no longer wanted.
            StalledError: it has been there for too long.
        """
        now_s = time.monotonic()
        if position != self._position:
            self._position, self._moved_s = position, now_s
        if self._cancelled.is_set():
            raise Cancelled
        if now_s - self._moved_s > STALLED_S:
            raise StalledError(f"{self._what}: nothing was read for {STALLED_S:g} s at offset {position}")


async def _read(
    kafka: KafkaSettings,
    partition: aiokafka.TopicPartition,
    start: int,
    end: int,
    take: Callable[[Any], None],
    cancelled: threading.Event,
) -> None:
    consumer = AIOKafkaConsumer(
        **log_reader_arguments(kafka), max_partition_fetch_bytes=FETCH_BYTES, fetch_max_bytes=FETCH_BYTES
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        consumer.seek(partition, start)
        progress = Progress(f"{partition.topic}, partition {partition.partition}", cancelled)
        while (position := await consumer.position(partition)) < end:
            batches = await consumer.getmany(partition, timeout_ms=BATCH_MS, max_records=BATCH_RECORDS)
            for record in batches.get(partition, ()):
                if record.offset < end:
                    take(record)
            progress.at(position)
    finally:
        with suppress(asyncio.CancelledError):  # raised if the consumer's tasks never ran; it would hide the error
            await consumer.stop()


def records_between(
    consumer: KafkaConsumer, log: TopicPartition, start: int, end: int, cancelled: threading.Event
) -> Iterator[Any]:
    """The records from offset ``start`` to before ``end`` that the consumer may see; its position is changed.

    Raises:
        Cancelled: ``cancelled`` was set meanwhile.
        StalledError: Kafka gave no record for a long time.
    """
    consumer.seek(log, start)
    progress = Progress(f"{log.topic}, partition {log.partition}", cancelled)
    while (position := consumer.position(log)) < end:
        progress.at(position)
        for record in consumer.poll(timeout_ms=POLL_MS, max_records=end - start).get(log, ()):
            if record.offset < end:
                yield record
