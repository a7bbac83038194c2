"""One reader of the streams of changes for all viewers: each change is read and encoded once, however many look.

A viewer's place in the streams travels in the id of each event, so that it goes on where it was after any
interruption: what it missed is read for it alone, and nothing comes twice.
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
PAUSE_S = 0.5
"""So long after a failure Redis is tried again."""
QUEUE = 500
"""So many events may wait for a viewer; one that falls further behind is let go, and resumes."""
MAX_VIEWERS = 500

log = logging.getLogger(__name__)


class Message(NamedTuple):
    """An event, ready to be sent; ``area`` is empty for health, which belongs to all."""

    area: str
    text: bytes


class Subscriber:
    """One open event stream: what waits for it."""

    def __init__(self, areas: frozenset[str], joined: Mapping[str, str] | None) -> None:
        self.areas = areas
        self.joined = joined  # entry of each area after which its queue holds everything; None: not known yet
        self._queue: asyncio.Queue[Message] = asyncio.Queue(QUEUE)
        self._is_slow = False

    def tell(self, message: Message) -> None:
        """Put an event into the queue, if it concerns the viewer."""
        if message.area and message.area not in self.areas:
            return
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._is_slow = True

    async def heard(self) -> AsyncIterator[Message]:
        """What it is told, until it has been too slow."""
        while not self._is_slow:
            yield await self._queue.get()


class Hub:
    """Follows the streams of changes of all areas; ``shown`` makes of a change what viewers see.

    ``failed`` is called, and may be set, for the case that it cannot follow any longer: viewers would hear of nothing.
    """

    def __init__(self, store: Store, shown: Callable[[Change], dict[str, Any]]) -> None:
        self.failed: Callable[[], None] = lambda: None
        self._store = store
        self._shown = shown
        self._subscribers: set[Subscriber] = set()
        self._positions: dict[str, str] | None = None
        self.is_up = False  # whether Redis could be read when it was last tried
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def viewers(self) -> int:
        """How many event streams are open."""
        return len(self._subscribers)

    @property
    def is_full(self) -> bool:
        """Whether there are ``MAX_VIEWERS``."""
        return self.viewers >= MAX_VIEWERS

    @property
    def is_alive(self) -> bool:
        """Whether it follows Redis, or waits for it; for good if not."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def start(self) -> None:
        """Begin to follow."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beat())]
        for task in self._tasks:
            task.add_done_callback(self._say)

    async def stop(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def events(self, areas: frozenset[str], resumed: Mapping[str, str] | None) -> AsyncGenerator[bytes]:
        """What a viewer of these areas is sent: health at once, with the place to resume from, then what is new.

        ``resumed``: the entry of each area that it has seen; None for nothing but what is new from now on.
        """
        subscriber = Subscriber(areas, self._positions and dict(self._positions))
        self._subscribers.add(subscriber)
        try:
            begins = written(subscriber.joined) if resumed is None and subscriber.joined else None
            yield (await self._told_health(begins)).text
            held: list[Message] = []
            async for message in self._woken(subscriber) if resumed is not None else subscriber.heard():
                if resumed is None:
                    yield message.text
                    continue
                if message.area:
                    held.append(message)  # it comes after what was missed
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
        """What the viewer is told, after one message that says nothing: to begin with."""
        yield Message("", b"")
        async for message in subscriber.heard():
            yield message

    async def _missed(
        self, subscriber: Subscriber, seen: Mapping[str, str]
    ) -> AsyncIterator[tuple[bytes, dict[str, str]]]:
        """The changes between what the viewer has seen and what its queue holds, each with what it has seen then."""
        positions = dict(subscriber.joined or {}) | dict(seen)
        for area in sorted(subscriber.areas & seen.keys()):
            async for change in self._store.between(area, seen[area], (subscriber.joined or {})[area]):
                positions = positions | {area: change.entry}
                if (text := self._event(change, positions)) is not None:
                    yield text, positions
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
                    await self._tell_health()
                await asyncio.sleep(PAUSE_S)

    def _place(self, positions: dict[str, str]) -> None:
        self._positions = positions
        for subscriber in self._subscribers:
            subscriber.joined = dict(positions)

    async def _read(self, positions: dict[str, str]) -> None:
        if not self.is_up:
            await self._begin_anew_where_it_went_back(positions)
        asked = dict(positions)
        changes = await self._store.news(asked)
        if not self.is_up:
            self.is_up = True
            await self._tell_health()
        anew = {area for area in asked if positions[area] != asked[area]}  # begun anew meanwhile: they come again
        for change in changes:
            if change.area in anew:
                continue
            positions[change.area] = change.entry
            if (text := self._event(change, positions)) is not None:
                self._tell(Message(change.area, text))

    def _event(self, change: Change, positions: Mapping[str, str]) -> bytes | None:
        try:
            data = msgspec.json.encode(self._shown(change)).decode()
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            log.warning("area %s, entry %s: not an alert, left out: %s", change.area, change.entry, error)
            return None
        return format_sse_event(event="alert", id=written(positions), data_str=data)

    def _tell(self, message: Message) -> None:
        for subscriber in self._subscribers:
            subscriber.tell(message)

    async def _told_health(self, place: str | None = None) -> Message:
        data = msgspec.json.encode(await health(self._store)).decode()
        return Message("", format_sse_event(event="health", id=place, data_str=data, retry=2000))

    async def _tell_health(self) -> None:
        if self._subscribers:
            self._tell(await self._told_health())

    async def _beat(self) -> None:
        """Tell the health again and again: it also keeps the connections alive."""
        while _goes_on():
            await asyncio.sleep(HEALTH_S)
            # At once, since a Redis that hangs is waited for: health must not come later than pages wait for it.
            await asyncio.gather(self._tell_health(), self._see_that_nothing_went_back())

    async def _see_that_nothing_went_back(self) -> None:
        with suppress(RedisError):
            await self._begin_anew_where_it_went_back(self._positions or {})

    async def _begin_anew_where_it_went_back(self, positions: dict[str, str]) -> None:
        """Where a stream ends before what was read of it, the topic or Redis was made anew: all of it is told again."""
        known = dict(positions)
        last = await self._store.positions()
        for area, entry in known.items():
            if _number(last[area]) < _number(entry):
                log.warning("area %s: Redis holds less than was read: its alerts are told from the first on", area)
                positions[area] = "0-0"

    def _say(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("viewers would hear of nothing any more: the console ends", exc_info=error)
            self.failed()


def _goes_on() -> bool:
    """Whether this task has not been cancelled: a read of Redis that is cancelled may return as if it had not been."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


def _number(entry: str) -> int:
    return int(entry.partition("-")[0])


def written(positions: Mapping[str, str]) -> str:
    """The entry of each area as the id of an event."""
    return ",".join(f"{area}={entry}" for area, entry in sorted(positions.items()))


def read(event_id: str) -> dict[str, str]:
    """What :func:`written` has written.

    Raises:
        ValueError: it is no such id.
    """
    positions = {}
    for part in event_id.split(","):
        area, _, entry = part.partition("=")
        number, _, sequence = entry.partition("-")
        if not area or not all(each.isascii() and each.isdigit() and len(each) <= 18 for each in (number, sequence)):
            raise ValueError("must be the id of an event of this stream")
        positions[area] = entry
    return positions
