"""The event stream: every change once and in order, whatever is interrupted, and one reader for all viewers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from streams.console.data import hub
from streams.console.data.hub import QUEUE, Hub, Subscriber, read, written
from streams.console.data.hub import Message as Told
from streams.console.data.store import Change
from streams.local_services.valkey import LocalValkey
from streams.redis_copy.keys import area_key
from tests.streams.console.site import Client, Feed, alert, alerts_of, configured, new_area, serving, watching


@pytest.fixture
def areas() -> tuple[str, str]:
    return new_area(), new_area()


@pytest.fixture
def client(valkey: Any, areas: tuple[str, str]) -> Iterator[Client]:
    """Of a console for this test alone: it remembers how far the streams of its areas had come."""
    with serving(configured(valkey.url, *areas)) as made:
        yield made


def numbers(events: list[Any]) -> list[int]:
    return [int(event.data["id"], 16) for event in events]


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


def test_without_an_id_only_what_is_new_comes(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    feed.put(alert(1, areas[0]))
    time.sleep(0.2)
    with watching(client) as events:
        feed.put(alert(2, areas[0]))
        assert numbers(alerts_of(events, 1)) == [2]


def test_a_viewer_of_one_area_hears_nothing_of_another(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
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
    """It leaves after each event it has seen and comes back, while changes of both areas go on."""
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


def test_a_new_console_resumes_what_an_old_one_began(valkey: Any, feed: Feed) -> None:
    area = new_area()
    configuration = configured(valkey.url, area)
    with serving(configuration) as client, watching(client) as events:
        feed.put(alert(1, area))
        (first,) = alerts_of(events, 1)
    feed.put(alert(2, area))
    with serving(configuration) as client, watching(client, last=first.id) as events:
        feed.put(alert(3, area))
        assert numbers(alerts_of(events, 2)) == [2, 3]


def test_a_viewer_that_has_heard_of_no_alert_resumes_as_well(
    client: Client, feed: Feed, areas: tuple[str, str]
) -> None:
    feed.put(alert(1, areas[0]))
    time.sleep(0.2)
    with client.stream("GET", "/api/stream") as answer:
        [place] = [line.removeprefix("id: ") for line in _first_event(answer) if line.startswith("id: ")]
    feed.put(alert(2, areas[0]))
    with watching(client, last=place) as events:
        assert numbers(alerts_of(events, 1)) == [2]


def _first_event(answer: Any) -> Iterator[str]:
    for line in answer.iter_lines():
        if not line:
            return
        yield line


def test_an_id_of_something_else_is_refused(client: Client) -> None:
    for last in ("nonsense", "a=b-c", "a=1", "=1-0", "a=1-0,", "a=" + "9" * 30 + "-0", "a=²-0"):
        assert client.get("/api/stream", params={"last_event_id": last}).status_code == 422


def test_areas_that_are_gone_are_passed_over(client: Client, feed: Feed, areas: tuple[str, str]) -> None:
    with watching(client, last=f"gone=4-0,{areas[0]}=0-0") as events:
        feed.put(alert(1, areas[0]))
        (event,) = alerts_of(events, 1)
        assert read(event.id or "").keys() == set(areas)


def test_redis_goes_away_and_comes_back(tmp_path: Path) -> None:
    """The viewer is told, stays, and gets what came meanwhile; one that comes meanwhile is told too."""
    area = new_area()
    with LocalValkey(tmp_path) as server:
        feed = Feed(server.url)
        with serving(configured(server.url, area)) as client, watching(client) as events:
            feed.put(alert(1, area))
            (first,) = alerts_of(events, 1)
            copy = Redis.from_url(server.url).dump(area_key(area, "alerts"))
            server.stop()
            assert next(event for event in events if not event.data["redis"]).data["areas"] == []
            answer = client.get("/api/alerts")
            assert answer.status_code == 503
            assert "Redis" in answer.json()["detail"]
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
                heard = numbers(alerts_of(events, 1))
                if heard == [1]:  # again, since the server was seen without it
                    heard = numbers(alerts_of(events, 1))
                assert heard == [2]
                assert any(f'"id":"{2:032x}"' in line for line in lines)
            assert client.get("/api/alerts").status_code == 200
        feed.close()


@pytest.mark.parametrize("empty_s", [0.0, 0.6])
def test_alerts_that_begin_anew_are_told_again(
    valkey: Any, feed: Feed, monkeypatch: pytest.MonkeyPatch, empty_s: float
) -> None:
    """Redis has lost its alerts, or the topic was made anew: entries count from 1 again, before or after it is seen."""
    monkeypatch.setattr(hub, "HEALTH_S", 0.2)
    area = new_area()
    for number in range(1, 6):
        feed.put(alert(number, area))
    with serving(configured(valkey.url, area)) as client, watching(client) as events, closing(Feed(valkey.url)) as anew:
        feed.put(alert(6, area))
        assert numbers(alerts_of(events, 1)) == [6]
        with Redis.from_url(valkey.url) as redis:
            redis.delete(*redis.keys(area_key(area, "*")))
        time.sleep(empty_s)
        for number in range(1, 4):
            anew.put(alert(number, area))
        assert numbers(alerts_of(events, 3)) == [1, 2, 3]
        for number in range(4, 8):
            anew.put(alert(number, area))
        assert numbers(alerts_of(events, 4)) == [4, 5, 6, 7]


def test_an_entry_that_is_no_alert_is_passed_over(
    client: Client, feed: Feed, areas: tuple[str, str], valkey: Any
) -> None:
    with watching(client) as events, Redis.from_url(valkey.url) as redis:
        redis.xadd(area_key(areas[0], "alerts"), {"event": "nonsense"}, id="1-0")
        redis.xadd(area_key(areas[0], "alerts"), {"other": "{}"}, id="2-0")
        feed.put(alert(1, areas[1]))
        assert numbers(alerts_of(events, 1)) == [1]
        assert client.get("/healthz").status_code == 200


def test_a_reader_that_has_died_is_said(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_viewer_that_is_too_slow_is_let_go() -> None:
    async def run() -> list[Told]:
        subscriber = Subscriber(frozenset({"a"}), {})
        for number in range(QUEUE + 5):
            subscriber.tell(Told("a", b"%d" % number))
            subscriber.tell(Told("b", b"not for it"))
        return [each async for each in subscriber.heard()]

    heard = asyncio.run(asyncio.wait_for(run(), 5))
    assert heard == []


class _Script:
    """A store whose streams grow while viewers read them, one change at a time."""

    def __init__(self, areas: tuple[str, ...], slowness: int) -> None:
        self.streams: dict[str, list[Change]] = {area: [] for area in areas}
        self.fails = 0
        self._slowness = slowness

    def add(self, area: str) -> None:
        number = len(self.streams[area]) + 1
        self.streams[area].append(Change(area, b"", b"", f"{number}-0"))

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise RedisConnectionError

    async def heartbeats(self) -> dict[str, dict[str, str]]:
        return {}

    async def positions(self) -> dict[str, str]:
        self._fail()
        return {area: f"{len(stream)}-0" for area, stream in self.streams.items()}

    async def news(self, positions: dict[str, str]) -> list[Change]:
        await asyncio.sleep(0)
        self._fail()
        return [
            change for area, stream in self.streams.items() for change in stream[int(positions[area].split("-")[0]) :]
        ]

    async def between(self, area: str, after: str, upto: str) -> AsyncIterator[Change]:
        first, last = (int(entry.split("-")[0]) for entry in (after, upto))
        for number in range(first, last):
            self._fail()
            for _ in range(self._slowness):  # meanwhile more may come
                await asyncio.sleep(0)
            if number >= len(self.streams[area]):
                return
            yield self.streams[area][number]


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(st.sampled_from(["a", "b", "a", "b", "pause", "fail", "leave"]), st.integers(1, 9)),
        min_size=20,
        max_size=60,
    ),
    st.integers(1, 5),
)
def test_no_order_of_things_loses_or_repeats_a_change(steps: list[str | int], slowness: int) -> None:
    """Changes, failures of Redis, and a viewer that reads some events, leaves, and resumes after the last it saw."""

    async def run() -> None:
        store = _Script(("a", "b"), slowness)
        shown = lambda change: {"change": [change.area, change.entry]}  # noqa: E731
        hub = Hub(store, shown)  # type: ignore[arg-type]
        hub.start()
        last = {"a": "0-0", "b": "0-0"}
        seen: list[tuple[str, str]] = []

        async def listen(number: int) -> None:
            nonlocal last
            events = hub.events(frozenset({"a", "b"}), last)
            async for text in events:
                if text.startswith(b"event: alert"):
                    last = read(text.decode().split("id: ")[1].strip())
                    data = text.decode().split("data: ")[1].split("\n")[0]
                    area, entry = data.removeprefix('{"change":["').removesuffix('"]}').split('","')
                    seen.append((area, entry))
                    number -= 1
                if not number:
                    break
            await events.aclose()

        listening: asyncio.Task[None] | None = None
        for step in [*steps, "leave", "end"]:
            if step in ("a", "b"):
                store.add(str(step))
            elif step == "fail":
                store.fails = 2
            elif step == "leave" and listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                listening = None
            elif isinstance(step, int) and (listening is None or listening.done()):
                listening = asyncio.create_task(listen(step))
            await asyncio.sleep(0)
        store.fails = 0
        missing = sum(map(len, store.streams.values())) - len(seen)
        if missing:
            await asyncio.wait_for(listen(missing), 5)
        await hub.stop()
        assert sorted(seen) == sorted((each.area, each.entry) for stream in store.streams.values() for each in stream)
        for area in ("a", "b"):
            own = [int(entry.split("-")[0]) for each, entry in seen if each == area]
            assert own == sorted(own)

    from streams.console.data import hub as module

    pause, module.PAUSE_S = module.PAUSE_S, 0.001
    try:
        asyncio.run(run())
    finally:
        module.PAUSE_S = pause


def test_a_read_that_swallows_its_cancellation_keeps_nobody_waiting() -> None:
    """As the client of Redis now and then does."""

    class Swallowing(_Script):
        async def news(self, positions: dict[str, str]) -> list[Change]:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(2)
            return await super().news(positions)

    async def run() -> None:
        hub = Hub(Swallowing(("a",), 1), lambda _: {})  # type: ignore[arg-type]
        hub.start()
        await asyncio.sleep(0.01)
        await asyncio.wait_for(hub.stop(), 1)

    asyncio.run(run())


@given(st.dictionaries(st.sampled_from(["a", "b-c", "d.e", "f_g"]), st.integers(0, 10**17), min_size=1))
def test_an_id_says_what_was_written(positions: dict[str, int]) -> None:
    entries = {area: f"{number}-0" for area, number in positions.items()}
    assert read(written(entries)) == entries
