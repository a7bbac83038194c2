"""The checks before a partition is taken over: whether its topics fit the partition record."""

from __future__ import annotations

import logging
import threading
from contextlib import closing

from kafka import TopicPartition
from msgspec import structs

from streams.area_log.last_records import ADVICE, Standing
from streams.brokers.broker import Broker
from streams.brokers.clients import Reader
from streams.brokers.connection import UNCOMMITTED
from streams.brokers.reading import records_between
from streams.configuration.kafka import KafkaSettings, Topic
from streams.messages.scan import PartitionRecord

INPUTS: tuple[Topic, ...] = ("incidents", "responses")
"""The topics whose identity is recorded, because positions in an earlier topic mean nothing in a new one."""
ANOTHER = "is not the topic that was read before"
"""The fault of a topic whose identity is not the recorded one."""

log = logging.getLogger(__name__)


class RebuildError(Exception):
    """The log cannot be read, or lacks what the scan records need."""


def created_again(topic: str, partition: int, problem: str) -> str:
    """Return the line for a topic that was created again since it was read or written."""
    return f"{topic}, partition {partition}: {problem}; the topic was created again. {ADVICE}"


def checked(
    kafka: KafkaSettings,
    consumer: Reader,
    partition: int,
    standing: Standing,
    cancelled: threading.Event,
    broker: Broker,
) -> PartitionRecord:
    """Return the partition record, brought up to date with the contents of the topics.

    Raises:
        RebuildError: The scan records were lost, or a topic was created again.
        Cancelled: ``cancelled`` was set meanwhile.
        StalledError: Kafka delivered no record for a long time.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    own = standing.own
    if standing.is_new and (trace := _trace_of_past(kafka, consumer, partition, cancelled, broker)):
        scans = kafka.topic("scans")
        raise RebuildError(f"{scans}, partition {partition}: lost, it holds no scan record, but {trace}. {ADVICE}")
    present = {topic: broker.topic_id(kafka, kafka.topic(topic)) for topic in INPUTS}
    for topic, topic_id in present.items():
        if is_another(own.topics.get(topic, ""), topic_id):
            raise RebuildError(created_again(kafka.topic(topic), partition, ANOTHER))
    responses = TopicPartition(kafka.topic("responses"), partition)
    end = consumer.end_offsets([responses])[responses] if own.next_response else 0
    if end < own.next_response:
        problem = f"ends before offset {own.next_response}, up to which responses took effect"
        raise RebuildError(created_again(responses.topic, partition, problem))
    known = {topic: topic_id for topic, topic_id in present.items() if topic_id}
    own = structs.replace(own, topics=own.topics | known)
    return _with_alerts(consumer, TopicPartition(kafka.topic("alerts"), partition), own, cancelled)


def is_another(recorded: str, present: str) -> bool:
    """Return whether two identities of a topic differ; an empty one is unknown."""
    return bool(recorded and present) and recorded != present


def _trace_of_past(
    kafka: KafkaSettings, consumer: Reader, partition: int, cancelled: threading.Event, broker: Broker
) -> str | None:
    """Return the evidence that a partition without scan records once had some; None if the partition is new."""
    incidents, alerts = (TopicPartition(kafka.topic(topic), partition) for topic in ("incidents", "alerts"))
    with closing(broker.reader(kafka, group_id=kafka.group)) as group:
        if committed := group.committed(incidents):
            return f"the group {kafka.group} has read {incidents.topic} up to offset {committed}"
    consumer.assign([alerts])
    begin, end = consumer.beginning_offsets([alerts])[alerts], consumer.end_offsets([alerts])[alerts]
    if any(True for _ in records_between(consumer, alerts, begin, end, cancelled)):
        return f"{alerts.topic} holds alerts"
    return None


def _with_alerts(
    consumer: Reader, alerts: TopicPartition, own: PartitionRecord, cancelled: threading.Event
) -> PartitionRecord:
    """Return the partition's position, with the revisions that lack a scan record. All their writers have ended."""
    consumer.assign([alerts])
    first, end = consumer.beginning_offsets([alerts])[alerts], consumer.end_offsets([alerts])[alerts]
    if own.next_alert is None or end < own.next_alert:  # an earlier version wrote them, or the topic is new
        return structs.replace(own, next_alert=end, torn=())
    found = records_between(consumer, alerts, max(first, own.next_alert), end, cancelled)
    if not (torn := [record.offset for record in found]):
        return own
    log.error(
        "%s, partition %d: no scan record covers the revisions at offsets %d to %d; they do not count",
        alerts.topic,
        alerts.partition,
        torn[0],
        torn[-1],
    )
    after = torn[-1] + 1
    return structs.replace(own, next_alert=after, torn=(*own.torn, (torn[0], after)))


def first_offset(kafka: KafkaSettings, incidents: TopicPartition, standing: Standing, broker: Broker) -> int:
    """Return the first offset that the log still has.

    Raises:
        RebuildError: The log ends before recorded offsets.
    """
    with closing(broker.reader(kafka, **UNCOMMITTED)) as consumer:
        first = int(consumer.beginning_offsets([incidents])[incidents])
        present = consumer.end_offsets([incidents])[incidents]
    end = max((standing.read_from, *(record.next_offset for record in standing.scans.values())))
    if present < end:
        problem = f"ends at offset {present}, but is on record up to {end}"
        raise RebuildError(created_again(incidents.topic, incidents.partition, problem))
    return first
