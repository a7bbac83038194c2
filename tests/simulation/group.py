"""A member of a group of the simulated broker, as Faust is one.

Faust delivers from the committed offset after every rebalance and forgets what was acknowledged; it commits the first
run of acknowledged offsets, past a gap before it; it does not wait for the handler of an assignment.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from kafka import TopicPartition
from kafka.errors import IllegalGenerationError, UnknownMemberIdError

from streams.worker.group import Member
from tests.simulation.broker import Member as ServerMember
from tests.simulation.broker import SimulatedBroker
from tests.simulation.clients import Network, fetched

TOPIC = "incidents"
FETCH_RECORDS = 200


class Delivered(NamedTuple):
    """A record as the group delivers it."""

    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class SimulatedGroup:
    """The group of a worker."""

    def __init__(self, server: SimulatedBroker, network: Network, name: str, instance: str) -> None:
        self._server, self._network = server, network
        self._name, self._instance = name, instance
        self._process = network.scheduler.fiber.process
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._is_leaving = False
        self._has_joined = False
        self.generation = -1
        self.acknowledged: dict[TopicPartition, set[int]] = {}

    def stir(self) -> None:
        """Do the next turn soon."""
        if self._process.is_alive and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    def _appended(self, at: TopicPartition) -> None:
        if at in self._positions:
            self.stir()

    def is_beating(self) -> bool:
        """Return whether heartbeats reach the broker now."""
        process, now_s = self._process, self._network.scheduler.now_s
        return process.is_alive and now_s >= process.frozen_until_s and self._network.is_reachable(process)

    async def run(self, member: Member) -> None:
        """See :class:`~streams.worker.group.Group`."""
        self._server.appended.append(self._appended)
        while not self._is_leaving:
            self._news.clear()
            if self._network.is_reachable(self._process):
                await self._turn(member)
            await self._news.wait()
        await asyncio.Event().wait()

    async def _turn(self, member: Member) -> None:
        server, name, instance = self._server, self._name, self._instance
        try:
            if not self._has_joined:
                raise UnknownMemberIdError(instance)
            server.heartbeat(name, instance, self.generation)
        except UnknownMemberIdError:
            await self._let_go(member)
            self._has_joined = True
            server.join(name, ServerMember(instance, self._network.scheduler.now_s, self.stir, self.is_beating))
            server.rejoin(name, instance)
        except IllegalGenerationError:
            if instance not in server.groups[name].joined or not server.groups[name].is_moving:
                await self._let_go(member)
            try:
                if server.groups[name].is_moving:
                    server.rejoin(name, instance)
            except UnknownMemberIdError:
                return self.stir()
        given = server.assignment(name, instance)
        if given is None:
            return None
        if given[0] != self.generation:
            self._begin(*given)
            await member.assigned(given[1], self.generation)
            await self._seek(member)
        await self._deliver(member)
        self._commit()
        return None

    async def _let_go(self, member: Member) -> None:
        if self._positions:
            await member.revoked()
            self._commit()
            self._positions = {}

    def _begin(self, generation: int, numbers: list[int]) -> None:
        self.generation = generation
        self.acknowledged = {}
        self._positions = {}
        for number in numbers:
            at = TopicPartition(TOPIC, number)
            committed = self._server.committed(self._name, at)
            log = self._server.log(at)
            is_in_range = committed is not None and log.begin <= committed <= log.end
            self._positions[at] = committed if committed is not None and is_in_range else log.begin
            self._ends[at] = log.end

    async def _seek(self, member: Member) -> None:
        """Read from where the member says."""
        generation = self.generation
        committed = {at.partition: self._server.committed(self._name, at) for at in self._positions}
        for number, offset in (await member.begin(committed)).items():
            if generation == self.generation:
                self._positions[TopicPartition(TOPIC, number)] = offset

    async def _deliver(self, member: Member) -> None:
        generation = self.generation
        for at in list(self._positions):
            log = self._server.log(at)
            self._ends[at] = log.end
            while self.generation == generation and self._positions[at] < log.end and not self._is_leaving:
                records, following = fetched(self._server, at, self._positions[at], False, FETCH_RECORDS)
                for each in records:
                    self._positions[at] = each.offset + 1
                    arrival_s = each.timestamp / 1000
                    await member.read(
                        Delivered(each.partition, each.offset, arrival_s, each.key, each.value, each.headers)
                    )
                self._positions[at] = max(self._positions[at], following)

    def _commit(self) -> None:
        """Commit the first run of acknowledged offsets, past a gap before it."""
        offsets = {}
        for at, acknowledged in self.acknowledged.items():
            if acknowledged:
                offset = min(acknowledged)
                while offset in acknowledged:
                    acknowledged.remove(offset)
                    offset += 1
                offsets[at] = (offset, "")
        if offsets and self._network.is_reachable(self._process):
            try:
                self._server.commit_offsets(self._name, self._instance, self.generation, offsets)
            except IllegalGenerationError:
                return

    async def reached(self, number: int) -> tuple[int, int] | None:
        """See :class:`~streams.worker.group.Group`."""
        at = TopicPartition(TOPIC, number)
        server_group = self._server.groups.get(self._name)
        if server_group is None or at not in self._positions:
            return None
        is_present = server_group.generation == self.generation and not server_group.is_moving
        if self._network.is_reachable(self._process):
            self._ends[at] = self._server.log(at).end
            if not is_present or self._positions[at] < self._ends[at] or any(self.acknowledged.values()):
                self._news.set()
        return self._positions[at], self._ends[at]

    def acknowledge(self, number: int, offset: int) -> None:
        """See :class:`~streams.worker.group.Group`."""
        at = TopicPartition(TOPIC, number)
        if at in self._positions and offset < self._positions[at]:
            self.acknowledged.setdefault(at, set()).add(offset)
            self.stir()

    async def leave(self, *, acknowledged: bool) -> None:
        """See :class:`~streams.worker.group.Group`."""
        self._is_leaving = True
        if acknowledged:
            self._commit()
        if self._network.is_reachable(self._process):
            self._server.leave(self._name, self._instance)

    def discard(self) -> None:
        """See :class:`~streams.worker.group.Group`."""
        if self._appended in self._server.appended:
            self._server.appended.remove(self._appended)
