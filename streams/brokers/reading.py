"""Reading part of one partition's log, as fast as a client in Python can."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import aiokafka
from kafka import TopicPartition
from kafka.errors import RetriableError

from streams.brokers.clients import Reader
from streams.brokers.connection import log_reader_arguments
from streams.configuration.kafka import KafkaSettings
from streams.process.clock import MACHINE, Clock

FETCH_BYTES = 4 * 2**20
"""Size limit for a fetch, in bytes."""
BATCH_RECORDS = 5000
"""Largest number of records in one batch."""
BATCH_MS = 500
"""Time limit for one batch, in milliseconds."""
STALLED_S = 60.0
"""Time limit without progress, in seconds."""
POLL_MS = 500
"""Longest wait for records, in milliseconds."""
FIRST_STEP, LONGEST_STEP = 64, 1024
"""Number of offsets in the first and in the longest step backwards. Each step is twice as long as the previous one."""


def read_log(
    kafka: KafkaSettings,
    topic: str,
    partition: int,
    start: int,
    end: int,
    take: Callable[[Any], None],
    cancelled: threading.Event,
) -> None:
    """Pass every record from offset ``start`` to before ``end`` to ``take``, in order, committed or not.

    Call it from a thread without a running event loop.

    Raises:
        Cancelled: ``cancelled`` is set.
        StalledError: Kafka delivered no record for ``STALLED_S`` seconds.
        aiokafka.errors.KafkaError: Kafka cannot be reached, or refuses.
    """
    if start < end:
        asyncio.run(_read(kafka, aiokafka.TopicPartition(topic, partition), start, end, take, cancelled))


class Cancelled(Exception):
    """The read was cancelled."""


class StalledError(RetriableError):  # type: ignore[misc]  # the library is untyped
    """Kafka has records but delivers none. Like an outage, this ends by itself."""


class Progress:
    """Ends a read when it is cancelled, or makes no progress for ``limit_s`` seconds. ``what``: its name in errors."""

    def __init__(
        self, what: str, cancelled: threading.Event, limit_s: float = STALLED_S, clock: Clock = MACHINE
    ) -> None:
        self._what, self._cancelled, self._limit_s, self._clock = what, cancelled, limit_s, clock
        self._position = -1
        self._moved_s = clock.monotonic_s()

    def at(self, position: int) -> None:
        """Note that reading has reached an offset.

        Raises:
            Cancelled: The reading was cancelled.
            StalledError: The reading has been at this offset for too long.
        """
        now_s = self._clock.monotonic_s()
        if position != self._position:
            self._position, self._moved_s = position, now_s
        if self._cancelled.is_set():
            raise Cancelled
        if now_s - self._moved_s > self._limit_s:
            raise StalledError(f"{self._what}: nothing was read for {self._limit_s:g} s at offset {position}")


async def _read(
    kafka: KafkaSettings,
    partition: aiokafka.TopicPartition,
    start: int,
    end: int,
    take: Callable[[Any], None],
    cancelled: threading.Event,
) -> None:
    consumer = aiokafka.AIOKafkaConsumer(
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
    consumer: Reader, log: TopicPartition, start: int, end: int, cancelled: threading.Event, limit_s: float = STALLED_S
) -> Iterator[Any]:
    """Yield the records that the consumer sees from offset ``start`` to before ``end``. Its position changes.

    Raises:
        Cancelled: ``cancelled`` is set.
        StalledError: Kafka delivered no record for ``limit_s`` seconds.
    """
    consumer.seek(log, start)
    progress = Progress(f"{log.topic}, partition {log.partition}", cancelled, limit_s)
    while (position := consumer.position(log) or 0) < end:
        progress.at(position)
        for record in consumer.poll(timeout_ms=POLL_MS, max_records=end - start).get(log, ()):
            if record.offset < end:
                yield record


def records_from_end(
    consumer: Reader, log: TopicPartition, cancelled: threading.Event, limit_s: float = STALLED_S
) -> Iterator[Any]:
    """Yield the records that the consumer sees in a log, the last one first. Its assignment changes.

    ``limit_s``: time limit for each request to Kafka, and for a wait without progress, in seconds.

    Raises:
        Cancelled: ``cancelled`` is set.
        StalledError: Kafka delivered no record for ``limit_s`` seconds.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    consumer.assign([log])
    timeout_ms = limit_s * 1000
    first = consumer.beginning_offsets([log], timeout_ms=timeout_ms)[log]
    start = consumer.end_offsets([log], timeout_ms=timeout_ms)[log]
    step = FIRST_STEP
    while start > first:
        before, start = start, max(first, start - step)
        step = min(2 * step, LONGEST_STEP)
        yield from reversed(list(records_between(consumer, log, start, before, cancelled, limit_s)))
