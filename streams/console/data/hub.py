"""One reader of the Redis streams of changes for all viewers: each change is read and encoded once.

The id of each event holds a viewer's position in every area. After an interruption the viewer continues from there. The
changes that it missed are read for it alone, and no change comes twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from fastapi.sse import format_sse_event
from redis import RedisError

from streams.console.data.health import health
from streams.console.data.store import Change, Store

HEALTH_S = 5.0
"""Interval between two events with the health, in seconds."""
PAUSE_S = 0.5
"""Pause between attempts to read Redis after a failure, in seconds."""
QUEUE = 500
"""Largest number of events that wait for a viewer. A viewer that falls further behind is disconnected and resumes."""

log = logging.getLogger(__name__)


class Message(NamedTuple):
    """An event, ready to send; ``area`` is empty for health, which every viewer gets."""

    area: str
    text: bytes


class Subscriber:
    """One open event stream, with the queue of its events."""

    def __init__(self, areas: frozenset[str], joined: Mapping[str, str] | None) -> None:
        self.areas = areas
        self.joined = joined  # entry of each area after which the queue holds all; None: not known yet
        self._queue: asyncio.Queue[Message] = asyncio.Queue(QUEUE)
        self._is_slow = False

    def put(self, message: Message) -> None:
        """Put an event into the queue if it concerns the viewer."""
        if message.area and message.area not in self.areas:
            return
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._is_slow = True

    async def messages(self) -> AsyncIterator[Message]:
        """Yield the events until the viewer is too slow."""
        while not self._is_slow:
            yield await self._queue.get()


class Hub:
    """Follows the Redis streams of changes of all areas. ``shown`` turns a change into the form that viewers see.

    It calls ``failed`` (an attribute that can be set) when it can no longer follow, so that viewers would get nothing.
    """

    def __init__(self, store: Store, shown: Callable[[Change], dict[str, Any]]) -> None:
        self.failed: Callable[[], None] = lambda: None
        self._store = store
        self._shown = shown
        self._subscribers: set[Subscriber] = set()
        self._positions: dict[str, str] | None = None
        self.is_up = False  # whether the last read of Redis succeeded
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def viewers(self) -> int:
        """Number of open event streams."""
        return len(self._subscribers)

    @property
    def is_alive(self) -> bool:
        """Whether the hub follows Redis or waits for it. Once this is False, it stays so."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def start(self) -> None:
        """Begin to follow the Redis streams."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beat())]
        for task in self._tasks:
            task.add_done_callback(self._end)

    async def stop(self) -> None:
        """Stop following the Redis streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def events(self, areas: frozenset[str], resumed: Mapping[str, str] | None) -> AsyncGenerator[bytes]:
        """Yield the events for a viewer of these areas: first health, with the position to resume from, then changes.

        ``resumed``: the last entry of each area that the viewer has seen; None for new changes only.
        """
        subscriber = Subscriber(areas, self._positions and dict(self._positions))
        self._subscribers.add(subscriber)
        try:
            begins = written(subscriber.joined) if resumed is None and subscriber.joined else None
            yield (await self._health(begins)).text
            held: list[Message] = []
            async for message in self._woken(subscriber) if resumed is not None else subscriber.messages():
                if resumed is None:
                    yield message.text
                    continue
                if message.area:
                    held.append(message)  # for after the missed changes
                elif message.text:
                    yield message.text
                if len(held) > QUEUE:
                    return
                if self.is_up and subscriber.joined is not None:
                    with suppress(RedisError):
                        async for missed, seen in self._missed(subscriber, resumed):
                            yield missed
                            resumed = seen
                        resumed = None
                        for each in held:
                            yield each.text
        finally:
            self._subscribers.discard(subscriber)

    async def _woken(self, subscriber: Subscriber) -> AsyncIterator[Message]:
        """Yield one empty message, so that the caller begins at once, then the viewer's events."""
        yield Message("", b"")
        async for message in subscriber.messages():
            yield message

    async def _missed(
        self, subscriber: Subscriber, seen: Mapping[str, str]
    ) -> AsyncIterator[tuple[bytes, dict[str, str]]]:
        """Yield the changes between the last that the viewer has seen and the first in its queue, with positions."""
        positions = dict(subscriber.joined or {}) | dict(seen)
        for area in sorted(subscriber.areas & seen.keys()):
            async for entry in self._store.between(area, seen[area], (subscriber.joined or {})[area]):
                positions = positions | {area: entry.id}
                if entry.change is not None:
                    yield self._event(entry.change, positions), positions
            positions = positions | {area: (subscriber.joined or {})[area]}

    async def _follow(self) -> None:
        while _goes_on():
            try:
                if self._positions is None:
                    self._place(await self._store.positions())
                await self._read(self._positions or {})
            except RedisError as error:
                log.warning("Redis cannot be read, will try again: %s", error)
                if self.is_up:
                    self.is_up = False
                    await self._send_health()
                await asyncio.sleep(PAUSE_S)

    def _place(self, positions: dict[str, str]) -> None:
        self._positions = positions
        for subscriber in self._subscribers:
            subscriber.joined = dict(positions)

    async def _read(self, positions: dict[str, str]) -> None:
        if not self.is_up:
            await self._restart_where_shorter(positions)
        asked = dict(positions)
        entries = await self._store.news(asked)
        if not self.is_up:
            self.is_up = True
            await self._send_health()
        restarted = {area for area in asked if positions[area] != asked[area]}  # meanwhile: their changes come again
        for entry in entries:
            if entry.area in restarted:
                continue
            positions[entry.area] = entry.id
            if entry.change is not None:
                self._send(Message(entry.area, self._event(entry.change, positions)))

    def _event(self, change: Change, positions: Mapping[str, str]) -> bytes:
        data = msgspec.json.encode(self._shown(change)).decode()
        return format_sse_event(event="alert", id=written(positions), data_str=data)

    def _send(self, message: Message) -> None:
        for subscriber in self._subscribers:
            subscriber.put(message)

    async def _health(self, position: str | None = None) -> Message:
        data = msgspec.json.encode(await health(self._store)).decode()
        return Message("", format_sse_event(event="health", id=position, data_str=data, retry=2000))

    async def _send_health(self) -> None:
        if self._subscribers:
            self._send(await self._health())

    async def _beat(self) -> None:
        """Send the health every ``HEALTH_S``, which also keeps the connections alive."""
        while _goes_on():
            await asyncio.sleep(HEALTH_S)
            # Together, because a hanging Redis delays both, and pages wait only so long for health.
            await asyncio.gather(self._send_health(), self._check_positions())

    async def _check_positions(self) -> None:
        with suppress(RedisError):
            await self._restart_where_shorter(self._positions or {})

    async def _restart_where_shorter(self, positions: dict[str, str]) -> None:
        """Restart areas whose Redis stream ends before their position, because the topic or Redis was created again."""
        known = dict(positions)
        last = await self._store.positions()
        for area, entry in known.items():
            if _number(last[area]) < _number(entry):
                log.warning("area %s: Redis holds fewer changes than were read: sending all of them again", area)
                positions[area] = "0-0"

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("the console cannot follow Redis any more: leaving", exc_info=error)
            self.failed()


def _goes_on() -> bool:
    """Return whether this task is not cancelled. A cancelled read of Redis can return as if it were not cancelled."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _number(entry: str) -> int:
    return int(entry.partition("-")[0])


def written(positions: Mapping[str, str]) -> str:
    """Return the entry of each area as the id of an event."""
    return ",".join(f"{area}={entry}" for area, entry in sorted(positions.items()))


def read(event_id: str) -> dict[str, str]:
    """Return the positions that :func:`written` wrote.

    Raises:
        ValueError: The text is not the id of an event.
    """
    positions = {}
    for part in event_id.split(","):
        area, _, entry = part.partition("=")
        number, _, sequence = entry.partition("-")
        if not area or not all(each.isascii() and each.isdigit() and len(each) <= 18 for each in (number, sequence)):
            raise ValueError("must be the id of an event of this stream")
        positions[area] = entry
    return positions
