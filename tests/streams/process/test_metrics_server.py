"""The port answers Prometheus and health checks, on one address, while it is open."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, generate_latest

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
