"""The command ``copy-inputs``: makes new topics, from which a worker derives everything again.

Incidents and responses are copied in order of arrival, with their times of arrival, each to the new partition of its
area. The number of partitions can differ. A worker then begins without scan records and applies them tick by tick.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import tenacity
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from streams.brokers.connection import (
    MAX_REQUEST_BYTES,
    UNCOMMITTED,
    admin_arguments,
    consumer_arguments,
    producer_arguments,
)
from streams.brokers.reading import records_between
from streams.brokers.topics import create_topics, stamp_arrivals, topics
from streams.configuration.kafka import KafkaSettings, Topic
from streams.messages.incident import decode
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord, encode, partition_key

INPUTS: tuple[Topic, ...] = ("incidents", "responses")
COPIED: tuple[Topic, ...] = (*INPUTS, "settings")
LINGER_MS = 20
FORGOTTEN_S = 20.0
"""Time limit for the group to forget a worker that has left, in seconds: twice the default session time-out."""


class CopyError(Exception):
    """The topics cannot be copied. The message is one line."""


def copy_inputs(
    source: KafkaSettings,
    target: KafkaSettings,
    areas: Collection[str],
    window_days: int,
    max_record_bytes: int,
    step: Callable[[], object],
) -> Counter[Topic]:
    """Create the topics of ``target``, copy the inputs of ``source``, and return the number of records by topic.

    ``step`` is called at each record. Until the end the new topics keep the times that the copied records have, and a
    worker refuses the topics.

    Raises:
        CopyError: A worker runs, a topic of ``target`` exists, or records came while the topics were copied.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    with closing(KafkaAdminClient(**admin_arguments(source))) as admin:
        if _has_members(admin, source.group):
            raise CopyError(f"group {source.group}: a worker is running; stop the workers and the feeds first")
        present = set(admin.list_topics())
        for plan in topics(target, window_days).values():
            if plan.name in present:
                raise CopyError(f"{plan.name}: already exists; give a prefix that has no topics")
    create_topics(target, window_days, keep_times=INPUTS)
    copied = Counter[Topic]()
    ends = _ends(source)
    for topic in COPIED:
        copied[topic] = _copy(topic, source, target, ends, areas, max_record_bytes, step)
    if late := sorted({log.topic for log, end in _ends(source).items() if ends.get(log) != end}):
        raise CopyError(f"{', '.join(late)}: records arrived meanwhile; stop the feeds and copy to another prefix")
    _begin(target)
    stamp_arrivals(target, INPUTS)
    return copied


@tenacity.retry(
    stop=tenacity.stop_after_delay(FORGOTTEN_S),
    wait=tenacity.wait_fixed(1.0),
    retry=tenacity.retry_if_result(bool),
    retry_error_callback=lambda _: True,
)
def _has_members(admin: KafkaAdminClient, group: str) -> bool:
    """Return whether a group still has members after the time in which Kafka forgets those that have left."""
    return bool(admin.describe_groups([group])[group]["members"])


def _copy(
    topic: Topic,
    source: KafkaSettings,
    target: KafkaSettings,
    ends: Mapping[TopicPartition, int],
    areas: Collection[str],
    max_record_bytes: int,
    step: Callable[[], object],
) -> int:
    """Copy one topic up to its ``ends``; returns the number of records."""
    number = 0
    failures: list[Exception] = []
    arguments = producer_arguments(target) | {"linger_ms": LINGER_MS, "max_request_size": MAX_REQUEST_BYTES}
    with ExitStack() as closed, closing(KafkaProducer(**arguments, enable_idempotence=True)) as producer:
        streams = [
            _records(closed.enter_context(closing(_consumer(source))), log, end)
            for log, end in ends.items()
            if log.topic == source.topic(topic)
        ]
        for record in heapq.merge(*streams, key=lambda record: record.timestamp):
            sent = producer.send(
                target.topic(topic),
                record.value,
                key=record.key,
                headers=list(record.headers),
                partition=partition_of(_area(topic, record, areas, max_record_bytes), target.partitions),
                timestamp_ms=record.timestamp,
            )
            sent.add_errback(failures.append)
            if failures:
                break
            number += 1
            step()
        producer.flush()
        if failures:
            raise CopyError(f"{target.topic(topic)}: a record was not accepted ({failures[0]})")
    return number


def _ends(kafka: KafkaSettings) -> dict[TopicPartition, int]:
    """Return the offset after the last record of each partition that the topics really have."""
    with closing(_consumer(kafka)) as consumer:
        logs = []
        for topic in map(kafka.topic, COPIED):
            if not (found := consumer.partitions_for_topic(topic)):
                raise CopyError(f"{topic}: topic is missing")
            logs += [TopicPartition(topic, partition) for partition in sorted(found)]
        ends: dict[TopicPartition, int] = consumer.end_offsets(logs)
    return ends


def _consumer(kafka: KafkaSettings) -> KafkaConsumer:
    return KafkaConsumer(**consumer_arguments(kafka) | UNCOMMITTED)


def _records(consumer: KafkaConsumer, log: TopicPartition, end: int) -> Iterator[Any]:
    consumer.assign([log])
    begin = consumer.beginning_offsets([log])[log]
    return records_between(consumer, log, begin, end, threading.Event())


def _area(topic: Topic, record: Any, areas: Collection[str], max_record_bytes: int) -> bytes:
    """Return the area of a record, whatever its partition; the record's key if it belongs to no area."""
    key: bytes = record.key or b""
    if topic == "settings":
        return key.partition(b":")[0]
    if topic == "incidents" and not key:
        area, _ = decode(record.key, record.value, record.headers, 0, 1, areas, max_record_bytes)
        return (area or "").encode()
    return key


def _begin(kafka: KafkaSettings) -> None:
    """Note in each partition of ``scans`` how many of its incidents are copies."""
    incidents = [TopicPartition(kafka.topic("incidents"), number) for number in range(kafka.partitions)]
    with closing(KafkaConsumer(**consumer_arguments(kafka))) as consumer:
        ends = consumer.end_offsets(incidents)
    with closing(KafkaProducer(**producer_arguments(kafka))) as producer:
        for log in incidents:
            value = encode(PartitionRecord(read_from=0, copied=ends[log]))
            sent = producer.send(kafka.topic("scans"), value, key=partition_key(log.partition), partition=log.partition)
            try:
                sent.get(timeout=30)
            except KafkaError as error:
                raise CopyError(f"{kafka.topic('scans')}: a record was not accepted ({error})") from None
