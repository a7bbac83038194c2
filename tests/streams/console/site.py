"""A console on a real Valkey: put alerts there, send requests to a server, read its event stream."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import h3
import httpx
import msgspec
from fastapi import FastAPI

from detectors.alerts.alert import Alert
from detectors.area.settings import AreaSettings
from streams.areas.health import AreaHealth, FeedState
from streams.configuration.area import AreaTable
from streams.configuration.console import ConsoleSettings
from streams.configuration.kafka import KafkaSettings
from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.console.application import application
from streams.console.server import Server
from streams.messages.alert import PROVENANCE_HEADER, Provenance, alert_event
from streams.redis_copy.contents import RedisCopy
from tests.streams.messages.alert_events import ALERT, with_fields

NO_KAFKA = KafkaSettings(bootstrap="127.0.0.1:1")
CELL = h3.latlng_to_cell(53.8, -1.55, 10)
LATITUDE, LONGITUDE = h3.cell_to_latlng(CELL)
START_S = 1_790_000_000


def alert(number: int, area: str, **changed: Any) -> Alert:
    """Return an alert whose id is its number."""
    fields: dict[str, Any] = {
        "id": f"{number:032x}",
        "revision": 1,
        "area": area,
        "stream": "violence",
        "state": "open",
        "tier": "alert",
        "reason": "opened",
        "notice": "opened",
        "opened_s": START_S,
        "alerted_s": None,
        "tick_s": START_S + 60 * number,
        "ended_s": None,
        "split_from": "",
        "merged_into": "",
        "centre": CELL,
        "longitude": LONGITUDE,
        "latitude": LATITUDE,
        "radius_m": 150.0,
        "locations": tuple(h3.grid_disk(CELL, 1)),
        "duration_h": 4,
        "start_s": START_S - 3600,
        "observed": 3,
        "expected": 0.5,
        "llr": 9.0,
        "score": 4.0,
        "recurrence_interval_days": 400.0 + number,
        "members": tuple(f"{number}-{member}" for member in range(3)),
        "new_members": (),
        "breakdown": {"violence": 3},
        "interval_times": 0,
        "reported": 3,
        "trigger_score": 4.0,
    }
    return with_fields(ALERT, **(fields | changed))


class Feed:
    """Puts alerts into Redis as the feeder does: with the same script, one offset after the other."""

    def __init__(self, url: str) -> None:
        self._copy = RedisCopy(RedisSettings(url=url), 3600)
        self._offset: dict[str, int] = {}

    def put(self, revision: Alert, *, delayed: bool = False) -> None:
        """Put one revision."""
        offset = self._offset.get(revision.area, 0)
        provenance = Provenance(version="0", host="", partition=0, next_offset=0, latency_s=0.0, delayed=delayed)
        record: Any = SimpleNamespace(
            value=alert_event(revision, AreaSettings(), "configuration"),
            headers=[(PROVENANCE_HEADER, provenance.encode())],
            timestamp=time.time() * 1000,
        )
        self._copy.advance(revision.area, offset, offset + 1, 0, record)
        self._offset[revision.area] = offset + 1

    def beat(
        self,
        area: str,
        written_at: datetime | None = None,
        feed: FeedState = "healthy",
        silent_parts: tuple[str, ...] = (),
    ) -> None:
        """Write a heartbeat."""
        health = AreaHealth(last_record_s=START_S + 0.5, last_scan_s=None, lag=7, feed=feed, silent_parts=silent_parts)
        self._copy.beat(area, health, written_at or datetime.now(UTC))

    def close(self) -> None:
        self._copy.close()


def configured(url: str, *areas: str, kafka: KafkaSettings = NO_KAFKA, **settings: Any) -> Configuration:
    """Return a configuration of these areas, which no other test has."""
    return Configuration(
        kafka=kafka,
        redis=RedisSettings(url=url),
        console=ConsoleSettings(port=0, **settings),
        areas={area: AreaTable(timezone="Europe/London") for area in areas},
    )


def new_area() -> str:
    """Return a name that no other test has."""
    return f"area-{uuid.uuid4().hex[:10]}"


class Client(httpx.Client):
    """An HTTP client that handles cookies and the token as a browser does."""

    app: FastAPI

    def act(self, path: str, **arguments: Any) -> httpx.Response:
        """Send a POST as the page does."""
        token = self.get("/api/session").json()["csrf"]
        return self.post(path, headers={"X-CSRF-Token": token}, **arguments)

    def sign_in(self, user: str, password: str) -> httpx.Response:
        return self.act("/api/login", json={"user": user, "password": password})


@contextmanager
def serving(configuration: Configuration) -> Iterator[Client]:
    """Run a server in a thread, with a client for it."""
    app = application(configuration)
    server = Server(app, configuration.console)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            client.app = app
            yield client
    finally:
        server.should_exit = True
        thread.join()


class Event(msgspec.Struct):
    """One server-sent event."""

    kind: str
    data: Any
    id: str | None


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Yield the events in the lines of an event stream."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], msgspec.json.decode(fields["data"]), fields.get("id"))
            fields = {}


@contextmanager
def watching(client: Client, **query: Any) -> Iterator[Iterator[Event]]:
    """Yield the events of a viewer whose event stream is open."""
    headers = {"Last-Event-ID": query.pop("last")} if "last" in query else {}
    with client.stream("GET", "/api/stream", params=query, headers=headers) as response:
        assert response.status_code == 200
        events = read_events(response.iter_lines())
        assert next(events).kind == "health"
        yield events


def alerts_of(events: Iterator[Event], number: int) -> list[Event]:
    """Return the next alerts."""
    found: list[Event] = []
    until_s = time.monotonic() + 30
    while len(found) < number:
        event = next(events)  # health comes repeatedly
        assert time.monotonic() < until_s, f"{len(found)} of {number} alerts have come"
        if event.kind == "alert":
            found.append(event)
    return found
