"""The event stream on a real server: every change once and in order, one reader for all viewers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from streams.console.data import hub
from streams.console.data.hub import read, written
from streams.console.data.store import Change
from streams.local_services.valkey import LocalValkey
from streams.redis_copy.keys import area_key
from tests.streams.console.site import Client, Feed, alert, alerts_of, configured, new_area, serving, watching


@pytest.fixture
def areas() -> tuple[str, str]:
    return new_area(), new_area()


@pytest.fixture
def client(valkey: Any, areas: tuple[str, str]) -> Iterator[Client]:
    """Of a console for this test alone, because a console remembers its positions."""
    with serving(configured(valkey.url, *areas)) as made:
        yield made


def numbers(events: list[Any]) -> list[int]:
    return [int(event.data["id"], 16) for event in events]


def until_read(client: Client, area: str, entry: str) -> None:
    """Wait until the console has read an area up to an entry, so that later viewers get only what follows."""
    follower, deadline = client.app.state.console.hub, time.monotonic() + 5
    while (follower._positions or {}).get(area) != entry:
        assert time.monotonic() < deadline, f"not read within 5 s: {entry}"
        time.sleep(0.01)


def test_a_change_reaches_every_viewer_at_once(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    with ExitStack() as stack:
        viewers = [stack.enter_context(watching(client)) for _ in range(5)]
        began = time.monotonic()
        feed.put(alert(1, areas[0]))
        for events in viewers:
            (event,) = alerts_of(events, 1)
            assert event.data["properties"]["area"] == areas[0]
            assert event.data == client.get(f"/api/alerts/{event.data['id']}").json()["alert"]
        assert time.monotonic() - began < 1


def test_viewers_share_one_reader(client: Client, valkey: Any) -> None:
    with Redis.from_url(valkey.url) as redis, ExitStack() as stack:
        before = len(redis.client_list())
        for _ in range(20):
            stack.enter_context(watching(client))
        assert len(redis.client_list()) - before <= 1


def test_without_an_id_only_new_changes_come(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    until_read(client, areas[0], "1-0")
    with watching(client) as events:
        feed.put(alert(2, areas[0]))
        assert numbers(alerts_of(events, 1)) == [2]


def test_a_viewer_of_one_area_gets_nothing_of_another(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    with watching(client, area=areas[1]) as events:
        feed.put(alert(1, areas[0]))
        feed.put(alert(2, areas[1]))
        feed.put(alert(3, areas[0]))
        feed.put(alert(4, areas[1]))
        assert numbers(alerts_of(events, 2)) == [2, 4]


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_viewer_resumes_without_gap_or_repetition(
    client: Client, feed: Feed, areas: tuple[str, str], how: str
) -> None:
    """It leaves after each event and comes back, while both areas keep changing."""
    for number in range(6):
        feed.put(alert(number, areas[number % 2]))
    seen: list[int] = []
    last = written(dict.fromkeys(areas, "0-0"))
    for number in range(6, 18):
        with watching(client, **({"last": last} if how == "header" else {"last_event_id": last})) as events:
            feed.put(alert(number, areas[number % 3 // 2]))
            for event in alerts_of(events, 1 + number % 2):
                assert event.id
                last = event.id
                seen += numbers([event])
    with watching(client, last=last) as events:
        seen += numbers(alerts_of(events, 18 - len(seen)))
    assert sorted(seen) == list(range(18))
    for area in (0, 1):
        own = [number for number in seen if (number % 2 if number < 6 else number % 3 // 2) == area]
        assert own == sorted(own)


def test_a_new_console_resumes_an_event_stream_of_an_old_one(valkey: Any, feed: Feed) -> None:
    area = new_area()
    configuration = configured(valkey.url, area)
    with serving(configuration) as client, watching(client) as events:
        feed.put(alert(1, area))
        (first,) = alerts_of(events, 1)
    feed.put(alert(2, area))
    with serving(configuration) as client, watching(client, last=first.id) as events:
        feed.put(alert(3, area))
        assert numbers(alerts_of(events, 2)) == [2, 3]


def test_a_viewer_that_got_no_alert_yet_resumes_as_well(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    until_read(client, areas[0], "1-0")
    with client.stream("GET", "/api/stream") as response:
        [place] = [line.removeprefix("id: ") for line in _first_event(response) if line.startswith("id: ")]
    feed.put(alert(2, areas[0]))
    with watching(client, last=place) as events:
        assert numbers(alerts_of(events, 1)) == [2]


def _first_event(response: Any) -> Iterator[str]:
    for line in response.iter_lines():
        if not line:
            return
        yield line


def test_an_id_of_something_else_is_refused(client: Client) -> None:
    for last in ("nonsense", "a=b-c", "a=1", "=1-0", "a=1-0,", "a=" + "9" * 30 + "-0", "a=²-0"):
        assert client.get("/api/stream", params={"last_event_id": last}).status_code == 422


def test_areas_that_no_longer_exist_are_ignored(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    with watching(client, last=f"gone=4-0,{areas[0]}=0-0") as events:
        feed.put(alert(1, areas[0]))
        (event,) = alerts_of(events, 1)
        assert read(event.id or "").keys() == set(areas)


def test_redis_goes_away_and_comes_back(tmp_path: Path) -> None:
    """A viewer gets the health, stays connected and gets what came meanwhile; so does one that connects meanwhile."""
    area = new_area()
    with LocalValkey(tmp_path) as server:
        feed = Feed(server.url)
        with serving(configured(server.url, area)) as client, watching(client) as events:
            feed.put(alert(1, area))
            (first,) = alerts_of(events, 1)
            copy = Redis.from_url(server.url).dump(area_key(area, "alerts"))
            server.stop()
            assert next(event for event in events if not event.data["redis"]).data["areas"] == []
            response = client.get("/api/alerts")
            assert response.status_code == 503
            assert "Redis" in response.json()["detail"]
            assert client.get("/api/health").json()["redis"] is False
            with client.stream("GET", "/api/stream", headers={"Last-Event-ID": first.id or ""}) as other:
                lines = other.iter_lines()
                assert '"redis":false' in next(line for line in lines if line.startswith("data"))
                server.start()
                feed.close()
                feed = Feed(server.url)
                with Redis.from_url(server.url) as redis:
                    if not redis.exists(area_key(area, "alerts")):
                        redis.restore(area_key(area, "alerts"), 0, copy)
                        redis.set(area_key(area, "offset"), 1)
                feed._offset[area] = 1
                feed.put(alert(2, area))
                received = numbers(alerts_of(events, 1))
                if received == [1]:  # again, because the console saw the server without it
                    received = numbers(alerts_of(events, 1))
                assert received == [2]
                assert any(f'"id":"{2:032x}"' in line for line in lines)
            assert client.get("/api/alerts").status_code == 200
        feed.close()


@pytest.mark.parametrize("empty_s", [0.0, 0.6])
def test_a_stream_that_restarts_is_sent_again(
    valkey: Any, feed: Feed, monkeypatch: pytest.MonkeyPatch, empty_s: float
) -> None:
    """Redis lost its alerts, or the topic was created again: entries count from 1 again, seen by the console or not."""
    monkeypatch.setattr(hub, "HEALTH_S", 0.2)
    area = new_area()
    for number in range(1, 6):
        feed.put(alert(number, area))
    with (
        serving(configured(valkey.url, area)) as client,
        watching(client) as events,
        closing(Feed(valkey.url)) as again,
    ):
        feed.put(alert(6, area))
        assert numbers(alerts_of(events, 1)) == [6]
        with Redis.from_url(valkey.url) as redis:
            redis.delete(*redis.keys(area_key(area, "*")))
        time.sleep(empty_s)
        for number in range(1, 4):
            again.put(alert(number, area))
        assert numbers(alerts_of(events, 3)) == [1, 2, 3]
        for number in range(4, 8):
            again.put(alert(number, area))
        assert numbers(alerts_of(events, 4)) == [4, 5, 6, 7]


def test_an_entry_that_is_not_an_alert_is_left_out(
    client: Client, feed: Feed, areas: tuple[str, str], valkey: Any
) -> None:
    with watching(client) as events, Redis.from_url(valkey.url) as redis:
        redis.xadd(area_key(areas[0], "alerts"), {"event": "nonsense"}, id="1-0")
        redis.xadd(area_key(areas[0], "alerts"), {"other": "{}"}, id="2-0")
        feed.put(alert(1, areas[1]))
        assert numbers(alerts_of(events, 1)) == [1]
        assert client.get("/healthz").status_code == 200


def test_a_stream_of_another_type_hides_no_other_area(
    client: Client, feed: Feed, areas: tuple[str, str], valkey: Any
) -> None:
    with watching(client) as events, Redis.from_url(valkey.url) as redis:
        redis.lpush(area_key(areas[0], "alerts"), "x")
        feed.put(alert(1, areas[1]))
        assert numbers(alerts_of(events, 1)) == [1]
        redis.delete(area_key(areas[0], "alerts"))
        feed.put(alert(2, areas[0]))
        assert numbers(alerts_of(events, 1)) == [2]


def test_a_reader_that_has_died_fails_the_health_check(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: Any) -> list[Change]:
        raise ZeroDivisionError

    hub = client.app.state.console.hub
    has_failed = threading.Event()
    hub.failed = has_failed.set
    monkeypatch.setattr(hub._store, "news", fail)
    assert has_failed.wait(5)
    deadline = time.monotonic() + 5
    while client.get("/healthz").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get("/healthz").status_code == 503
