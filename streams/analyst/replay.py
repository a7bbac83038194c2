"""Send rows of a file, or of a simulated city, to the topic ``incidents`` at a given speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.analyst.incident_file import Row
from streams.brokers.connection import BOOTSTRAP_MS, producer_arguments
from streams.configuration.kafka import KafkaSettings

LINGER_MS = 20
BATCH_BYTES = 262_144
BLOCKED_MS = 20_000
"""Time limit while the topic is unknown or the buffer is full, in milliseconds."""


class FeedError(Exception):
    """Records could not be delivered. The message is one line."""


class _Pace:
    """Lets rows pass at ``speed`` times recorded time, and those before ``live_from_s`` at once."""

    def __init__(self, speed: float, live_from_s: float | None) -> None:
        self._speed = speed
        self._live_from_s = live_from_s
        self._anchor: tuple[float, float] | None = None  # (recorded, monotonic) seconds of the same moment

    def wait(self, row: Row) -> None:
        if not self._speed or (self._live_from_s is not None and row.time_s < self._live_from_s):
            return
        if self._anchor is None:
            self._anchor = (row.time_s if self._live_from_s is None else self._live_from_s), time.monotonic()
        elif row.is_tick:
            # It announces a jump of the area's clock: months without records are not waited for.
            self._anchor = row.time_s, time.monotonic()
        recorded_s, started_s = self._anchor
        time.sleep(max(0.0, started_s + (row.time_s - recorded_s) / self._speed - time.monotonic()))


def feed(
    rows: Iterable[Row],
    kafka: KafkaSettings,
    *,
    speed: float = 0.0,
    live_from_s: float | None = None,
    on_sent: Callable[[Row], None] | None = None,
    on_written: Callable[[int, int], None] | None = None,
) -> int:
    """Send rows in order and wait until Kafka has acknowledged all; returns their number.

    ``speed``: times recorded time; 0 is as fast as Kafka takes them. Rows before ``live_from_s`` (seconds since 1970
    UTC), the history of a live feed, are sent at once; the time before a tick record is skipped. ``on_sent`` is called
    after each row is handed to the producer. ``on_written`` is called in another thread, with the partition and the
    offset of each record that Kafka has acknowledged.

    Raises:
        FeedError: A record could not be delivered, or the topic does not exist.
    """
    topic = kafka.topic("incidents")
    failures: list[Exception] = []
    pace = _Pace(speed, live_from_s)
    sent = 0
    producer = _producer(kafka, topic)
    try:
        for row in rows:
            pace.wait(row)
            future = producer.send(topic, key=row.key, value=row.value, headers=list(row.headers))
            future.add_errback(failures.append)
            if on_written is not None:
                future.add_callback(lambda written: on_written(written.partition, written.offset))
            if failures:
                break
            sent += 1
            if on_sent is not None:
                on_sent(row)
        producer.flush()
    except KafkaError as error:
        failures.append(error)
    finally:
        producer.close(timeout=BLOCKED_MS / 1000)
    if failures:
        raise FeedError(f"topic {topic} at {kafka.bootstrap}: a record was not accepted ({failures[0]})")
    return sent


def _producer(kafka: KafkaSettings, topic: str) -> KafkaProducer:
    try:
        producer = KafkaProducer(
            **producer_arguments(kafka),
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            max_block_ms=BLOCKED_MS,
            bootstrap_timeout_ms=BOOTSTRAP_MS,
        )
    except KafkaError as error:
        raise FeedError(f"no Kafka at {kafka.bootstrap} ({error})") from None
    try:
        producer.partitions_for(topic)
    except KafkaError as error:
        producer.close(timeout=0)
        raise FeedError(f"no topic {topic} at {kafka.bootstrap}; `hotspots topics` creates it ({error})") from None
    return producer
