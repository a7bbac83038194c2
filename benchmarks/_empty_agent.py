"""How fast Faust itself is: ``_empty_agent.py CONFIG NUMBER`` reads NUMBER records with an agent that does nothing.

The app is that of the worker, with the same settings. Only its agent and handlers do nothing, and records are passed on
in Faust's own way. Prints the records per second between the first and the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from mode import Service

from streams.configuration.load import load
from streams.worker.faust_group import FaustGroup
from streams.worker.faust_transport import PromptTransport
from streams.worker.group import Group, Message


class PlainTransport(PromptTransport):
    """Faust's consumer, except that it fetches promptly; otherwise many partitions would be held up."""

    class Consumer(PromptTransport.Consumer):
        """Faust's consumer, which passes records on in a race with the next rebalance."""

        wait_first = Service.wait_first


class EmptyMember:
    """A member that acknowledges what it reads, nothing else."""

    def __init__(self, number: int, group: Group) -> None:
        self._number, self._group = number, group
        self._read = 0
        self._started_s = 0.0
        self.finished = asyncio.Event()
        self.seconds = 0.0

    async def read(self, message: Message) -> None:
        """Count a record."""
        if not self._read:
            self._started_s = time.perf_counter()
        self._read += 1
        if self._read == self._number:
            self.seconds = time.perf_counter() - self._started_s
            self.finished.set()
        self._group.acknowledge(message.partition, message.offset)

    async def begin(self, committed: Mapping[int, int | None]) -> Mapping[int, int]:
        """Return the committed offsets."""
        return {number: offset or 0 for number, offset in committed.items()}

    async def assigned(self, numbers: Collection[int], generation: int) -> None:
        """Do nothing."""

    async def revoked(self) -> None:
        """Do nothing."""


async def main(file: Path, number: int) -> None:
    """Measure in a new consumer group and print the rate."""
    configuration = load(file, {"HOTSPOTS_KAFKA__GROUP": f"empty-{uuid.uuid4().hex}"})
    group = FaustGroup(configuration.kafka, configuration.worker, configuration.instance)
    member = EmptyMember(number, group)
    group.app.transport = PlainTransport(group.app.conf.broker_consumer, group.app)
    reading = asyncio.create_task(group.run(member))
    await member.finished.wait()
    await group.leave(acknowledged=False)
    await asyncio.gather(reading, return_exceptions=True)
    group.discard()
    print(json.dumps({"rate": (number - 1) / member.seconds}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
