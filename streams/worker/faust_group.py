"""The consumer group, with Faust, which reads and acknowledges records.

Faust does not wait for the handler of an assignment. Records are acknowledged by hand.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, cast

from faust.streams import Stream
from faust.types import TP, Message, StreamT

from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WorkerSettings
from streams.worker.faust_transport import faust_app
from streams.worker.group import Member

POSITION_S = 0.5
"""Time limit for Faust to give a position, in seconds."""

log = logging.getLogger(__name__)


class GroupError(Exception):
    """Faust has stopped; the text gives its reason."""


class FaustGroup:
    """The group of a worker. The worker joins it as ``instance``."""

    def __init__(self, kafka: KafkaSettings, settings: WorkerSettings, instance: str) -> None:
        self._name = kafka.group
        self._topic = kafka.topic("incidents")
        self._folder = tempfile.mkdtemp(prefix="hotspots-")
        self.app = faust_app(kafka, settings, instance, self._folder, self._begin)
        self._member: Member | None = None

    async def run(self, member: Member) -> None:
        """See :class:`~streams.worker.group.Group`.

        Raises:
            GroupError: Faust has stopped.
        """
        app, self._member = self.app, member

        async def read(stream: StreamT[Any]) -> None:
            async for event in cast(Stream[bytes], stream).noack().events():
                await member.read(event.message)

        async def revoked(*_args: Any, **_: Any) -> None:
            await member.revoked()

        async def assigned(_app: Any, assigned: Any, *_args: Any, **_: Any) -> None:
            numbers = {tp.partition for tp in assigned if tp.topic == self._topic}
            await member.assigned(numbers, app.consumer_generation_id)

        incidents = app.topic(
            self._topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        app.agent(incidents, name="incidents")(read)
        app.on_partitions_revoked.connect(revoked)
        app.on_partitions_assigned.connect(assigned)  # type: ignore[arg-type]
        await app.start()
        log.info("the worker has joined group %s", self._name)
        await app.wait_until_stopped()
        raise GroupError(f"Faust has stopped: {app.crash_reason!r}")

    async def _begin(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        if self._member is None:
            return {}
        offsets = {tp.partition: offset for tp, offset in committed.items()}
        return {TP(self._topic, number): start for number, start in (await self._member.begin(offsets)).items()}

    async def reached(self, number: int) -> tuple[int, int] | None:
        """See :class:`~streams.worker.group.Group`."""
        app, tp = self.app, TP(self._topic, number)
        if app.rebalancing or tp not in app.consumer.assignment():
            return None
        end_offset = app.consumer.highwater(tp)
        try:
            position = await asyncio.wait_for(app.consumer.position(tp), POSITION_S)
        except TimeoutError:
            return None
        return None if position is None or end_offset is None else (position, end_offset)

    def acknowledge(self, number: int, offset: int) -> None:
        """See :class:`~streams.worker.group.Group`. Does not keep Faust's own message, which holds the record."""
        tp = TP(self._topic, number)
        nothing: dict[str, Any] = {"headers": None, "key": None, "value": None, "checksum": None}
        self.app.consumer.ack(Message(tp.topic, number, offset, 0.0, 0, **nothing, tp=tp))

    async def leave(self, *, acknowledged: bool) -> None:
        """See :class:`~streams.worker.group.Group`."""
        if acknowledged:
            await self.app.commit({self._topic})
        await self.app.stop()

    def discard(self) -> None:
        """See :class:`~streams.worker.group.Group`."""
        shutil.rmtree(self._folder, ignore_errors=True)
