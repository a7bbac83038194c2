"""What Kafka keeps for the webhook's group in each partition: the offset, and which alerts the tool knows."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.brokers.connection import group_admin_arguments
from streams.configuration.kafka import KafkaSettings
from streams.webhook.known_alerts import KnownAlerts

log = logging.getLogger(__name__)


async def begun(
    kafka: KafkaSettings, group: str, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, KnownAlerts]:
    """Return which alerts of each partition the tool knows, by what the group has committed.

    A partition that the group has never read begins at its end: nobody is called for alerts that are long over.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached, or refuses.
    """
    new = [partition for partition in partitions if await consumer.committed(partition) is None]
    known = {partition: KnownAlerts() for partition in new}
    known |= await _known_before(kafka, group, set(partitions) - set(new))
    ends = await consumer.end_offsets(new) if new else {}
    for partition, offset in ends.items():
        consumer.seek(partition, offset)
    if ends:
        await consumer.commit({partition: (offset, KnownAlerts().metadata) for partition, offset in ends.items()})
    return known


async def _known_before(
    kafka: KafkaSettings, group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, KnownAlerts]:
    if not partitions:
        return {}
    admin = AIOKafkaAdminClient(**group_admin_arguments(kafka))
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
    finally:
        await admin.close()
    if set(partitions) - found.keys():
        raise KafkaError(f"the offsets of group {group} cannot be read")
    known = {}
    for partition in partitions:
        metadata = found[partition].metadata or ""
        if not KnownAlerts.is_kept(metadata):
            where = f"partition {partition.partition}: offset {found[partition].offset} of group {group}"
            log.warning("%s was set by another program: earlier alerts count as known, skipped are not sent", where)
        known[partition] = KnownAlerts.read(metadata, time.time())
    return known
