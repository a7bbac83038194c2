"""Connections to Kafka of which a firewall knows nothing any more, while new ones work."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from benchmarks.faults.proxy import Proxy
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord
from tests.integration.webhook.test_webhook import open_desk, own_record, publish, webhook
from tests.integration.wire_proxy import ProxiedKafka
from tests.integration.worker_process import Site
from tests.streams.messages.alert_events import event

SOON_S = 60.0
"""Time limit for a delivery after the connections were forgotten, in seconds."""


def is_committed(site: Site, offset: int) -> bool:
    """Whether the group has done with all alerts before an offset."""
    arguments = {"bootstrap_servers": site.kafka.bootstrap, "group_id": site.configuration.webhook_group}
    at = TopicPartition(site.kafka.topic("alerts"), partition_of(b"leeds", site.kafka.partitions))
    with closing(KafkaConsumer(**arguments)) as consumer:
        return bool(consumer.committed(at) == offset)


def test_an_alert_is_sent_within_a_minute_after_the_connections_were_forgotten(tmp_path: Path) -> None:
    with ProxiedKafka(tmp_path / "kafka") as kafka, Proxy(kafka.behind, kafka.proxied) as link, open_desk() as desk:
        site = Site(tmp_path, kafka.through, "half-open")
        with webhook(site, desk.server_port) as process:
            process.until(process.is_ready, "it reads alerts")
            own_record(site, PartitionRecord(next_alert=1))
            publish(site, event("before"))
            process.until(lambda: is_committed(site, 1), "the first is sent")
            link.forget()
            own_record(site, PartitionRecord(next_alert=2))
            publish(site, event("after"))
            process.until(lambda: "after" in desk.asked, "the second is sent", SOON_S)
            process.until(lambda: is_committed(site, 2), "both are done", SOON_S)
            assert process.stop() == 0
        site.close()
