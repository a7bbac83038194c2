"""The metrics of the console."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streams.console.metrics import CONSOLE_METRICS
from streams.local_services.valkey import LocalValkey
from tests.integration.worker_process import until
from tests.streams.console.site import Client, Feed, alert, configured, new_area, serving, watching


def figures(client: Client) -> dict[str, float]:
    """Return the console's own metrics by name, or name and outcome."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("hotspots_")
    }


def test_every_declared_metric_exists_from_the_beginning(client: Client) -> None:
    assert {name.split()[0] for name in figures(client)} == {each.name for each in CONSOLE_METRICS}


def test_open_streams_are_counted(client: Client) -> None:
    with watching(client), watching(client):
        assert figures(client)["hotspots_console_viewers"] == 2
    until(lambda: figures(client)["hotspots_console_viewers"] == 0, "those that have left are not counted")


def test_an_unavailable_redis_shows(tmp_path: Path) -> None:
    with LocalValkey(tmp_path) as server, serving(configured(server.url, new_area())) as client:
        until(lambda: figures(client)["hotspots_console_redis_up"] == 1, "it can be read")
        server.stop()
        until(lambda: figures(client)["hotspots_console_redis_up"] == 0, "it is unavailable")
        server.start()
        until(lambda: figures(client)["hotspots_console_redis_up"] == 1, "it is back")


def test_a_response_that_kafka_does_not_accept_is_counted(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    assert client.act(f"/api/alerts/{1:032x}/take").status_code == 503
    found = figures(client)
    assert found["hotspots_console_answers_total refused"] == 1
    assert found["hotspots_console_answers_total accepted"] == 0
