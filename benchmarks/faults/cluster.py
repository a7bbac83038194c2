"""Three brokers, of which two can die while the leaders move."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

from streams.local_services.kafka import LocalKafka
from streams.local_services.service import HOST, free_port


def three(folder: Path) -> list[LocalKafka]:
    """Return three brokers with a copy of every record each; start the first first, it is also the controller."""
    controller = free_port("Kafka", 0)
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    copies = {
        "offsets.topic.replication.factor": "3",
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
        "min.insync.replicas": "2",
        "replica.lag.time.max.ms": "5000",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
    }
    nodes = []
    for number in (1, 2, 3):
        port = free_port("Kafka", 0)
        listeners = f"PLAINTEXT://{HOST}:{port}"
        own = {"node.id": str(number), "process.roles": "broker", "listeners": listeners}
        if number == 1:
            own |= {"process.roles": "broker,controller", "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}"}
        nodes.append(LocalKafka(folder / f"kafka-{number}", port, settings=copies | own, cluster_id=cluster))
    return nodes
