"""Asks a consumer group about its members."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaAdminClient

from streams.brokers.connection import admin_arguments
from streams.configuration.kafka import KafkaSettings


def unassigned(kafka: KafkaSettings, instance: str, topic: str, partition: int) -> str | None:
    """Return why the group has not assigned a partition to a member, in one line; None if it has.

    While the group moves partitions, no partition is assigned.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    with closing(KafkaAdminClient(**admin_arguments(kafka))) as admin:
        group = admin.describe_groups([kafka.group])[kafka.group]
    for member in group["members"]:
        if member["group_instance_id"] == instance and member["member_assignment"]:
            for assigned in member["member_assignment"]["assigned_partitions"]:
                if assigned["topic"] == topic and partition in assigned["partitions"]:
                    return None
    why = group["error"] or f"its state is {group['group_state']}"
    return f"group {kafka.group} has not assigned partition {partition} of {topic} to {instance}: {why}"
