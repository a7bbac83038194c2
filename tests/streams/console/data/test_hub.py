"""The hub without a server or Redis: what a viewer gets in every order of changes, failures and interruptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from streams.console.data import hub as module
from streams.console.data.hub import QUEUE, Hub, Message, Subscriber, read, written
from streams.console.data.store import Entry


class _Store:
    """A store whose Redis streams grow while viewers read them, one change at a time."""

    def __init__(self, areas: tuple[str, ...], slowness: int = 1) -> None:
        self.streams: dict[str, list[Entry]] = {area: [] for area in areas}
        self.fails = 0
        self._slowness = slowness

    def add(self, area: str, is_unreadable: bool = False) -> None:
        number = len(self.streams[area]) + 1
        change: Any = SimpleNamespace(area=area, entry=f"{number}-0")
        self.streams[area].append(Entry(area, change.entry, None if is_unreadable else change))

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise RedisConnectionError

    async def heartbeats(self) -> tuple[datetime, dict[str, dict[str, str]]]:
        return datetime.now(UTC), {}

    async def positions(self) -> dict[str, str]:
        self._fail()
        return {area: f"{len(stream)}-0" for area, stream in self.streams.items()}

    async def news(self, positions: dict[str, str]) -> list[Entry]:
        await asyncio.sleep(0)
        self._fail()
        return [
            entry for area, stream in self.streams.items() for entry in stream[int(positions[area].split("-")[0]) :]
        ]

    async def between(self, area: str, after: str, upto: str) -> AsyncIterator[Entry]:
        first, last = (int(entry.split("-")[0]) for entry in (after, upto))
        for number in range(first, last):
            self._fail()
            for _ in range(self._slowness):  # more can come meanwhile
                await asyncio.sleep(0)
            if number >= len(self.streams[area]):
                return
            yield self.streams[area][number]


def kind_and_data(text: bytes) -> tuple[str, Any]:
    fields = dict(line.split(": ", 1) for line in text.decode().splitlines() if ": " in line)
    return fields["event"], msgspec.json.decode(fields["data"])


@contextmanager
def pauses(seconds: float) -> Iterator[None]:
    """After a failure the hub waits this long."""
    before, module.PAUSE_S = module.PAUSE_S, seconds
    try:
        yield
    finally:
        module.PAUSE_S = before


def test_health_comes_first_then_changes_of_the_areas_of_a_viewer() -> None:
    async def run() -> list[tuple[str, Any]]:
        store = _Store(("a", "b"))
        hub = Hub(store, lambda change: {"area": change.area})  # type: ignore[arg-type]
        hub.start()
        events = hub.events(frozenset({"b"}), None)
        received = [kind_and_data(await anext(events))]
        assert (hub.viewers, hub.is_alive) == (1, True)
        while not hub.is_up:
            await asyncio.sleep(0)
        for area in ("a", "b", "a"):
            store.add(area)
        while len(received) < 3:
            received.append(kind_and_data(await anext(events)))
        await events.aclose()
        await hub.stop()
        assert (hub.viewers, hub.is_alive) == (0, False)
        return received

    (kind, health), (second, back), third = asyncio.run(asyncio.wait_for(run(), 5))
    assert (kind, health["redis"], second, back["redis"]) == ("health", True, "health", True)
    assert third == ("alert", {"area": "b"})


def test_a_change_that_cannot_be_read_is_passed() -> None:
    async def run() -> tuple[str, Any]:
        store = _Store(("a",))
        hub = Hub(store, lambda change: {"entry": change.entry})  # type: ignore[arg-type,attr-defined]
        hub.start()
        store.add("a", is_unreadable=True)
        store.add("a")
        events = hub.events(frozenset({"a"}), {"a": "0-0"})
        received = [kind_and_data(await anext(events)) for _ in range(2)]
        while received[-1][0] == "health":
            received.append(kind_and_data(await anext(events)))
        await hub.stop()
        return received[-1]

    assert asyncio.run(asyncio.wait_for(run(), 5)) == ("alert", {"entry": "2-0"})


def test_a_hub_that_cannot_follow_reports_it() -> None:
    class Broken(_Store):
        async def news(self, positions: dict[str, str]) -> list[Entry]:
            raise ZeroDivisionError

    async def run() -> bool:
        hub = Hub(Broken(("a",)), lambda _: {})  # type: ignore[arg-type]
        failed = asyncio.Event()
        hub.failed = failed.set
        hub.start()
        await failed.wait()
        is_alive = hub.is_alive
        await hub.stop()
        return is_alive

    assert asyncio.run(asyncio.wait_for(run(), 5)) is False


def test_a_viewer_that_is_too_slow_is_disconnected() -> None:
    async def run() -> list[Message]:
        subscriber = Subscriber(frozenset({"a"}), {})
        for number in range(QUEUE + 5):
            subscriber.put(Message("a", b"%d" % number))
            subscriber.put(Message("b", b"not for it"))
        return [each async for each in subscriber.messages()]

    assert asyncio.run(asyncio.wait_for(run(), 5)) == []


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(st.sampled_from(["a", "b", "a", "b", "pause", "fail", "leave"]), st.integers(1, 9)),
        min_size=20,
        max_size=60,
    ),
    st.integers(1, 5),
)
def test_no_order_of_events_loses_or_repeats_a_change(steps: list[str | int], slowness: int) -> None:
    """Changes, failures of Redis, and a viewer that reads some events, leaves and resumes after the last one."""

    async def run() -> None:
        store = _Store(("a", "b"), slowness)
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
        assert sorted(seen) == sorted((each.area, each.id) for stream in store.streams.values() for each in stream)
        for area in ("a", "b"):
            own = [int(entry.split("-")[0]) for each, entry in seen if each == area]
            assert own == sorted(own)

    with pauses(0.001):
        asyncio.run(run())


def test_a_read_that_swallows_its_cancellation_does_not_block_the_end() -> None:
    """The client of Redis sometimes does."""

    class Swallowing(_Store):
        async def news(self, positions: dict[str, str]) -> list[Entry]:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(2)
            return await super().news(positions)

    async def run() -> None:
        hub = Hub(Swallowing(("a",)), lambda _: {})  # type: ignore[arg-type]
        hub.start()
        await asyncio.sleep(0.01)
        await asyncio.wait_for(hub.stop(), 1)

    asyncio.run(run())


@given(st.dictionaries(st.sampled_from(["a", "b-c", "d.e", "f_g"]), st.integers(0, 10**17), min_size=1))
def test_an_id_is_read_as_it_was_written(positions: dict[str, int]) -> None:
    entries = {area: f"{number}-0" for area, number in positions.items()}
    assert read(written(entries)) == entries
