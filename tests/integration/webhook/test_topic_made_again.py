"""The topic ``alerts``, deleted and created again while the webhook runs."""

from __future__ import annotations

from contextlib import closing

from kafka.admin import KafkaAdminClient

from streams.brokers.connection import admin_arguments
from streams.brokers.topics import create_topics
from streams.messages.scan import PartitionRecord
from tests.integration.conftest import NewSite
from tests.integration.webhook.test_webhook import open_desk, own_record, publish, webhook
from tests.streams.messages.alert_events import event

SOON_S = 60.0
"""Time limit for the webhook to find the new topic, in seconds."""


def has_no_partition(admin: KafkaAdminClient, group: str) -> bool:
    """Whether the members of a group have agreed that there is nothing to read."""
    found = admin.describe_groups([group])[group]
    assigned = [(each["member_assignment"] or {}).get("assigned_partitions") for each in found["members"]]
    return found["group_state"] == "Stable" and bool(assigned) and not any(assigned)


def test_the_new_topic_is_read_within_a_minute(new_site: NewSite) -> None:
    site = new_site("leeds")
    topic = site.kafka.topic("alerts")
    with open_desk() as desk, webhook(site, desk.server_port) as process:
        process.until(process.is_ready, "it reads alerts")
        own_record(site, PartitionRecord(next_alert=1))
        publish(site, event("before"))
        process.until(lambda: "before" in desk.asked, "the first is sent")
        with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
            admin.delete_topics([topic])
            group = site.configuration.webhook_group
            process.until(lambda: has_no_partition(admin, group), "it misses the topic")
        assert not process.is_ready()
        create_topics(site.kafka, site.configuration.longest_window_days)
        process.until(process.is_ready, "it reads alerts again", SOON_S)
        publish(site, event("after"))
        process.until(lambda: "after" in desk.asked, "an alert of the new topic is sent")
        assert process.stop() == 0
