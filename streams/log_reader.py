"""A stretch of one partition's log, read as fast as a client in Python can."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.brokers import log_reader_arguments
from streams.configuration import KafkaSettings

FETCH_BYTES = 4 * 2**20
BATCH_RECORDS = 5000
BATCH_MS = 500


def read_log(
    kafka: KafkaSettings,
    topic: str,
    partition: int,
    start: int,
    end: int,
    take: Callable[[Any], None],
    cancelled: threading.Event,
) -> None:
    """Hand over every record from offset ``start`` to before ``end``, in order, until ``cancelled`` is set.

    Uncommitted records too, since the worker's own consumer reads them: both must see the same log. Call it from
    a thread without a running event loop.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached, or refuses.
    """
    if start < end:
        asyncio.run(_read(kafka, TopicPartition(topic, partition), start, end, take, cancelled))


async def _read(
    kafka: KafkaSettings,
    partition: TopicPartition,
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
        # At least one batch is asked for: a consumer that is stopped before its tasks ran raises CancelledError.
        while await consumer.position(partition) < end:
            batches = await consumer.getmany(partition, timeout_ms=BATCH_MS, max_records=BATCH_RECORDS)
            for record in batches.get(partition, ()):
                if record.offset < end:
                    take(record)
            if cancelled.is_set():
                break
    finally:
        await consumer.stop()
