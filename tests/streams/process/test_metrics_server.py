"""The port answers Prometheus and health checks, on one address, while it is open."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from streams.process import metrics_server
from streams.process.metric import Gauge, ProcessMetrics
from streams.process.metrics_server import MetricsServer


@contextmanager
def serving(registry: CollectorRegistry, **probes: object) -> Iterator[MetricsServer]:
    server = MetricsServer(registry, **probes)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def get(server: MetricsServer, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, server.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_the_metrics_of_the_registry_are_served() -> None:
    registry = CollectorRegistry()
    viewers = Gauge("viewers", "Those who look.", ())
    ProcessMetrics(registry, [viewers]).of(viewers).set(3)
    with serving(registry) as server:
        status, text = get(server, "/metrics")
    assert status == 200
    assert "viewers 3.0\n" in text
    assert {line.split()[0] for line in text.splitlines()} == {
        line.split()[0] for line in generate_latest(registry).decode().splitlines()
    }


def test_the_probes_give_the_reason() -> None:
    faults: dict[str, str | None] = {"dead": None, "not_ready": "leeds: rebuilding, 12000 records to go"}
    probes = {name: lambda name=name: faults[name] for name in faults}
    with serving(CollectorRegistry(), **probes) as server:
        assert get(server, "/healthz") == (200, "ok\n")
        assert get(server, "/readyz") == (503, "leeds: rebuilding, 12000 records to go\n")
        faults.update(dead="no progress for 120 s", not_ready=None)
        assert get(server, "/healthz") == (503, "no progress for 120 s\n")
        assert get(server, "/readyz") == (200, "ok\n")
        assert get(server, "/elsewhere")[0] == 404


def test_it_listens_on_loopback_alone_and_leaves_the_port() -> None:
    with serving(CollectorRegistry()) as server:
        assert get(server, "/healthz")[0] == 200
        with pytest.raises(OSError):  # noqa: PT011 (which one differs between systems)
            get(server, "/healthz", host="127.0.0.2")
        with pytest.raises(OSError, match="in use"):
            MetricsServer(CollectorRegistry(), port=server.port).start()
    with pytest.raises(ConnectionRefusedError):
        get(server, "/healthz")


CROWD = 1_005


def is_closed(connection: socket.socket) -> bool:
    """Read what there is; whether the server has then closed."""
    connection.settimeout(0)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTTP/1.1\r\nHost", b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["idle", "half a head", "half a body"],
)
def test_a_crowd_that_sends_nothing_shuts_nobody_out_and_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(metrics_server, "PATIENCE_S", 3.0)
    before = threading.active_count()
    with serving(CollectorRegistry()) as server, ExitStack() as stack:
        crowd = []
        for _ in range(CROWD):
            crowd.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5)))
            crowd[-1].sendall(sent)
        get(server, "/healthz")  # after the connections of the crowd, each of which needs a thread
        for path in ("/healthz", "/readyz", "/metrics"):
            began = time.monotonic()
            assert get(server, path)[0] == 200
            assert time.monotonic() - began < 1
        assert threading.active_count() - before <= metrics_server.MAX_CONNECTIONS + 5
        deadline = time.monotonic() + 3.0 + 3.0
        while not all(is_closed(each) for each in crowd):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert get(server, "/healthz")[0] == 200
        while threading.active_count() > before + 1:
            assert time.monotonic() < deadline + 3.0
            time.sleep(0.1)


def test_one_who_trickles_a_head_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "PATIENCE_S", 1.0)
    with (
        serving(CollectorRegistry()) as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as slow,
    ):
        began = time.monotonic()
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        with suppress(ConnectionError):
            while time.monotonic() - began < 10:
                slow.sendall(b"X-Slow: 1\r\n")
                time.sleep(0.1)
        assert 1.0 <= time.monotonic() - began < 4.0


def test_one_who_takes_no_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "PATIENCE_S", 1.0)
    registry = CollectorRegistry()
    large = Gauge("large", "x" * 20_000_000, ())
    ProcessMetrics(registry, [large]).of(large).set(1)
    before = threading.active_count()
    with (
        serving(registry) as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as slow,
    ):
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        deadline = time.monotonic() + 4.0
        while threading.active_count() < before + 2:
            assert time.monotonic() < deadline
        while threading.active_count() > before + 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_it_listens_on_version_6_of_the_protocol_as_well() -> None:
    server = MetricsServer(CollectorRegistry(), host="::1")
    server.start()
    try:
        assert get(server, "/healthz", host="::1")[0] == 200
    finally:
        server.stop()
