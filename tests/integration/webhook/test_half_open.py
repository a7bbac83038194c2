"""Connections to Kafka of which a firewall knows nothing any more, while new ones work."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.proxy import Proxy
from streams.messages.scan import PartitionRecord
from tests.integration.webhook.test_webhook import open_desk, own_record, publish, webhook
from tests.integration.wire_proxy import ProxiedKafka
from tests.integration.worker_process import Site
from tests.streams.messages.alert_events import event

SOON_S = 60.0
"""Time limit for a delivery after the connections were forgotten, in seconds."""


def test_an_alert_is_told_within_a_minute_after_the_connections_were_forgotten(tmp_path: Path) -> None:
    with ProxiedKafka(tmp_path / "kafka") as kafka, Proxy(kafka.behind, kafka.proxied) as link, open_desk() as desk:
        site = Site(tmp_path, kafka.through, "half-open")
        with webhook(site, desk.server_port) as process:
            process.until(process.is_ready, "it reads alerts")
            own_record(site, PartitionRecord(next_alert=1))
            publish(site, event("before"))
            process.until(lambda: "before" in desk.asked, "the first is told")
            link.forget()
            own_record(site, PartitionRecord(next_alert=2))
            publish(site, event("after"))
            process.until(lambda: "after" in desk.asked, "the second is told", SOON_S)
            process.until(process.is_ready, "it reads alerts", SOON_S)
            assert process.stop() == 0
        site.close()
