"""Concurrent work, in order for each key; and the offset up to which each partition is done without a gap."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine

from aiokafka import TopicPartition


class InFlight:
    """The tasks of records, each known by partition and offset."""

    def __init__(self) -> None:
        self._of: dict[TopicPartition, dict[int, asyncio.Task[None]]] = defaultdict(dict)
        self._last: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def begin(
        self, partition: TopicPartition, offset: int, key: str, work: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        """Do the work of a record once the previous record with this key is done."""
        task = asyncio.create_task(_after(self._last.get(key), work))
        self._last[key] = self._of[partition][offset] = task

        def done(_: asyncio.Task[None]) -> None:
            if self._last.get(key) is task:
                del self._last[key]
            if not task.cancelled() and task.exception() is None:
                self._of[partition].pop(offset, None)

        task.add_done_callback(done)

    def position(self, partition: TopicPartition, begun: int) -> int:
        """Return the offset below which all work is done. Every record below ``begun`` was begun or passed over."""
        return min((*self._of[partition], begun))

    def check(self) -> None:
        """Raise the error of a failed task, if there is one."""
        for tasks in self._of.values():
            for task in tasks.values():
                if task.done():
                    task.result()

    async def cancel(self) -> None:
        """Cancel and forget the tasks that are not done."""
        tasks = [task for of_partition in self._of.values() for task in of_partition.values()]
        self._of.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _after(before: asyncio.Task[None] | None, work: Callable[[], Coroutine[None, None, None]]) -> None:
    if before is not None:
        await before  # its error is raised here too: nothing overtakes it
    await work()
