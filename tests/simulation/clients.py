"""Clients of the simulated broker, with a network between that is slow, cut, or gives no answer.

They behave as kafka-python does: a reader waits in silence while the broker is away, and goes to the beginning when its
offset is out of range; a writer sends again what was not answered, with the same sequence number.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    ConcurrentTransactionsError,
    IllegalStateError,
    InvalidProducerEpochError,
    InvalidTxnStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
    ProducerFencedError,
    UnsupportedCodecError,
)

from streams.brokers.broker import Broker
from streams.brokers.reading import STALLED_S, Cancelled, StalledError
from streams.brokers.transactional_producer import ANSWER_S
from streams.configuration.kafka import KafkaSettings
from tests.simulation.broker import SimulatedBroker, Stored
from tests.simulation.scheduler import Process, Scheduler

REQUEST_S = 30.0
"""Time limit for a request without its own, in seconds."""
RETRY_S = 0.1
"""Wait before a request that was not answered is sent again, in seconds."""


class Network:
    """What lies between the processes and the broker, and when it fails.

    ``before``: called before each request with the process and the request's name; it can kill, freeze or cut.
    """

    def __init__(self, scheduler: Scheduler, chance: random.Random) -> None:
        self.scheduler = scheduler
        self.chance = chance
        self.away_until_s = 0.0  # the broker does not answer
        self.full_until_s = 0.0  # the broker's disk takes nothing
        self.cut: dict[str, float] = {}  # by process: until when its packets are lost
        self.slow_until_s = 0.0
        self.slow_s = 0.0
        self.lost_answers: dict[str, int] = {}  # by request: how many of the next answers are lost
        self.late_copies: list[tuple[str, int]] = []  # requests of which a copy comes again, after so many others
        self.before: list[Callable[[Process, str], None]] = []
        self.requests = 0

    def is_reachable(self, process: Process) -> bool:
        """Return whether a process can reach the broker now."""
        now_s = self.scheduler.now_s
        return now_s >= self.away_until_s and now_s >= self.cut.get(process.name, 0.0)

    def reachable_s(self, process: Process) -> float:
        """Return when a process can reach the broker, as far as is known now."""
        return max(self.away_until_s, self.cut.get(process.name, 0.0))

    def travel(self, name: str, deadline_s: float, *, writes: bool = False) -> None:
        """Let a request travel to the broker; return when it has arrived.

        Raises:
            KafkaTimeoutError: It has not by the deadline.
        """
        self.requests += 1
        scheduler, process = self.scheduler, self.scheduler.fiber.process
        for each in list(self.before):
            each(process, name)
        slow_s = self.slow_s if scheduler.now_s < self.slow_until_s else 0.0
        scheduler.sleep(self.chance.uniform(0.0005, 0.004) + slow_s)
        while (until_s := max(self.reachable_s(process), self.full_until_s if writes else 0.0)) > scheduler.now_s:
            if until_s >= deadline_s or scheduler.now_s >= deadline_s:
                scheduler.sleep(max(0.0, deadline_s - scheduler.now_s))
                raise KafkaTimeoutError(f"{name}: no answer")
            scheduler.sleep(until_s - scheduler.now_s + RETRY_S)

    def answer_is_lost(self, name: str) -> bool:
        """Return whether the answer to a request that took effect is lost."""
        left = self.lost_answers.get(name, 0)
        if left:
            self.lost_answers[name] = left - 1
        return bool(left)


class SimulatedKafka(Broker):
    """The port to the simulated broker."""

    def __init__(self, server: SimulatedBroker, network: Network) -> None:
        self.server = server
        self.network = network

    def reader(self, kafka: KafkaSettings, **arguments: object) -> SimulatedReader:
        """See :class:`~streams.brokers.broker.Broker`."""
        timeout_ms = arguments.get("bootstrap_timeout_ms", REQUEST_S * 1000)
        assert isinstance(timeout_ms, int | float)
        try:
            self.network.travel("connect", self.network.scheduler.now_s + timeout_ms / 1000)
        except KafkaTimeoutError as error:
            raise KafkaConnectionError("no broker") from error
        limit = arguments.get("max_poll_records", 500)
        assert isinstance(limit, int)
        is_committed = arguments.get("isolation_level", "read_committed") == "read_committed"
        reset, group = str(arguments.get("auto_offset_reset", "earliest")), arguments.get("group_id")
        return SimulatedReader(self, is_committed, limit, reset, str(group) if group else "")

    def writer(self, kafka: KafkaSettings, transactional_id: str) -> SimulatedWriter:
        """See :class:`~streams.brokers.broker.Broker`."""
        try:
            self.network.travel("connect", self.network.scheduler.now_s + REQUEST_S)
        except KafkaTimeoutError as error:
            raise KafkaConnectionError("no broker") from error
        return SimulatedWriter(self, transactional_id)

    def topic_id(self, kafka: KafkaSettings, topic: str) -> str:
        """See :class:`~streams.brokers.broker.Broker`."""
        return self.topic_ids(kafka, [topic])[topic]

    def topic_ids(self, kafka: KafkaSettings, topics: Collection[str]) -> dict[str, str]:
        """See :func:`~streams.brokers.topics.topic_ids`."""
        self.network.travel("metadata", self.network.scheduler.now_s + REQUEST_S)
        return {topic: str(self.server.identities.get(topic, "")) for topic in topics}

    def unassigned(self, kafka: KafkaSettings, instance: str, topic: str, partition: int) -> str | None:
        """Return why a member lacks a partition, if it does."""
        self.network.travel("group", self.network.scheduler.now_s + REQUEST_S)
        given = self.server.assignment(kafka.group, instance)
        if given is not None and partition in given[1]:
            return None
        return f"group {kafka.group} has not assigned partition {partition} of {topic} to {instance}"

    def read(
        self,
        kafka: KafkaSettings,
        partition: TopicPartition,
        start: int,
        end: int,
        take: Callable[[Any], None],
        cancelled: Any,
    ) -> None:
        """See :class:`~streams.brokers.broker.Broker`."""
        offset = start
        while offset < end:
            if cancelled.is_set():
                raise Cancelled
            try:
                self.network.travel("fetch", self.network.scheduler.now_s + STALLED_S)
            except KafkaTimeoutError as error:
                raise StalledError(f"{partition.topic}: nothing was read") from error
            records, offset = fetched(self.server, partition, offset, False, 5000)
            for record in records:
                if record.offset < end:
                    take(record)


def fetched(
    server: SimulatedBroker, at: TopicPartition, offset: int, is_committed: bool, limit: int
) -> tuple[list[Stored], int]:
    """Return what a client gets from an offset on: one that is out of range begins at the first."""
    try:
        records, following = server.fetch(at, offset, is_committed, limit)
    except OffsetOutOfRangeError:
        records, following = server.fetch(at, server.log(at).begin, is_committed, limit)
    undecodable = server.log(at).undecodable
    if undecodable and not PASSES_OVER[0] and any(record.offset in undecodable for record in records):
        raise UnsupportedCodecError(f"{at}")
    return [record for record in records if record.offset not in undecodable], following


PASSES_OVER = [True]
"""Whether the clients pass over what cannot be decoded, as :mod:`streams.brokers.batches` lets them."""


RENEWS_EPOCHS = [True]
"""Whether a writer takes a new epoch for each transaction, as :mod:`streams.brokers.transactional_producer` does."""


class SimulatedReader:
    """A reader of the simulated broker."""

    def __init__(self, kafka: SimulatedKafka, is_committed: bool, limit: int, reset: str, group: str) -> None:
        self._group = group
        self._server, self._network = kafka.server, kafka.network
        self._is_committed, self._limit, self._reset = is_committed, limit, reset
        self._positions: dict[TopicPartition, int | None] = {}

    def topics(self) -> set[str]:
        self._travel("metadata", None)
        return {at.topic for at in self._server.logs}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        self._travel("metadata", None)
        return set(self._server.partitions(topic)) or None

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._positions = {at: self._positions.get(at) for at in partitions}

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self._positions:
            raise IllegalStateError("Partition is not assigned")
        self._positions[partition] = offset

    def position(self, partition: TopicPartition, timeout_ms: float | None = None) -> int | None:
        position = self._positions[partition]
        if position is None:
            try:
                self._travel("offsets", timeout_ms)
            except KafkaTimeoutError:
                return None
            log = self._server.log(partition)
            position = self._positions[partition] = log.begin if self._reset == "earliest" else log.end
        return position

    def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> dict[TopicPartition, list[Stored]]:
        scheduler = self._network.scheduler
        deadline_s = scheduler.now_s + timeout_ms / 1000
        fiber = scheduler.fiber
        while True:
            found = self._fetch(max_records or self._limit)
            if found or scheduler.now_s >= deadline_s:
                return found

            def appended(at: TopicPartition) -> None:
                if at in self._positions:
                    scheduler.wake(fiber)

            self._server.appended.append(appended)
            try:
                scheduler.look_later(deadline_s - scheduler.now_s, is_patient=True)
            finally:
                self._server.appended.remove(appended)

    def _fetch(self, limit: int) -> dict[TopicPartition, list[Stored]]:
        process = self._network.scheduler.fiber.process
        if not self._network.is_reachable(process):
            return {}
        found: dict[TopicPartition, list[Stored]] = {}
        for at in self._positions:
            offset = self.position(at)
            log = self._server.log(at)
            if offset is None or offset == (log.stable if self._is_committed else log.end):
                continue
            records, self._positions[at] = fetched(self._server, at, offset, self._is_committed, limit)
            if records:
                found[at] = records
        if found:
            self._travel("fetch", None)
        return found

    def beginning_offsets(
        self, partitions: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        self._travel("offsets", timeout_ms)
        return {at: self._server.log(at).begin for at in partitions}

    def end_offsets(
        self, partitions: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        self._travel("offsets", timeout_ms)
        logs = {at: self._server.log(at) for at in partitions}
        return {at: log.stable if self._is_committed else log.end for at, log in logs.items()}

    def committed(self, partition: TopicPartition) -> int | None:
        self._travel("offsets", None)
        return self._server.committed(self._group, partition)

    def close(self) -> None:
        self._positions = {}

    def _travel(self, name: str, timeout_ms: float | None) -> None:
        seconds = REQUEST_S if timeout_ms is None else timeout_ms / 1000
        self._network.travel(name, self._network.scheduler.now_s + seconds)


class SimulatedSent:
    """A record on its way."""

    def __init__(self) -> None:
        self.offset = self.timestamp = -1
        self.error: Exception | None = None

    def get(self, timeout: float | None = None) -> SimulatedSent:
        if self.error is not None:
            raise self.error
        if self.offset < 0:
            raise KafkaTimeoutError("not delivered")
        return self


class SimulatedWriter:
    """A transactional writer of the simulated broker."""

    def __init__(self, kafka: SimulatedKafka, transactional_id: str) -> None:
        self._server, self._network = kafka.server, kafka.network
        self._scheduler = kafka.network.scheduler
        self._id = transactional_id
        self._epoch = -1
        self._sequence = 0
        self._added: set[TopicPartition] = set()
        self._waiting: list[tuple[TopicPartition, Any, SimulatedSent]] = []
        self._failure: Exception | None = None
        self._is_closed = self._has_ended = False
        self._copies: list[tuple[int, Callable[[], None]]] = []

    def init_transactions(self) -> None:
        self._take_epoch(None)

    def _take_epoch(self, former: int | None) -> None:
        def request() -> None:
            _, self._epoch = self._server.init_producer(self._id, former)

        self._request("init", request, self._scheduler.now_s + ANSWER_S)

    def begin_transaction(self) -> None:
        if self._failure is not None:
            raise self._failure
        if RENEWS_EPOCHS[0] and self._has_ended:
            self._take_epoch(self._epoch)
        self._has_ended = False
        self._added, self._waiting = set(), []

    def send(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int,
    ) -> SimulatedSent:
        sent = SimulatedSent()
        self._waiting.append((TopicPartition(topic, partition), (key, value, tuple(headers)), sent))
        return sent

    def flush(self, timeout: float | None = None) -> None:
        deadline_s = self._scheduler.now_s + (ANSWER_S if timeout is None else timeout)
        by: dict[TopicPartition, list[tuple[Any, SimulatedSent]]] = {}
        for at, record, sent in self._waiting:
            by.setdefault(at, []).append((record, sent))
        self._waiting = []
        for at, batch in by.items():
            try:
                self._produce(at, batch, deadline_s)
            except (ProducerFencedError, InvalidProducerEpochError, InvalidTxnStateError) as error:
                self._failure = error
                for _, sent in batch:
                    sent.error = error
                return

    def _produce(self, at: TopicPartition, batch: list[tuple[Any, SimulatedSent]], deadline_s: float) -> None:
        if at not in self._added:
            self._request("add", lambda: self._server.add_partitions(self._id, self._epoch, [at]), deadline_s)
            self._added.add(at)
        self._sequence += 1
        sequence, epoch = self._sequence, self._epoch

        def request() -> None:
            log = self._server.log(at)
            first = self._server.produce(self._id, epoch, sequence, at, [record for record, _ in batch])
            for index, (_, sent) in enumerate(batch):
                sent.offset = first + index
                sent.timestamp = log.records[sent.offset - log.base].timestamp

        self._request("produce", request, deadline_s)

    def commit_transaction(self, timeout: float = ANSWER_S) -> None:
        if self._failure is not None:
            raise self._failure
        self.flush(timeout)
        if self._failure is not None:
            raise self._failure
        if self._added:
            self._end(True, timeout)

    def abort_transaction(self) -> None:
        self._waiting = []
        if isinstance(self._failure, ProducerFencedError | InvalidProducerEpochError):
            raise self._failure
        if self._added:
            self._end(False, ANSWER_S)
        self._failure = None

    def _end(self, is_commit: bool, timeout: float) -> None:
        epoch = self._epoch
        self._request(
            "end", lambda: self._server.end_transaction(self._id, epoch, is_commit), self._scheduler.now_s + timeout
        )
        self._has_ended = True

    def _request(self, name: str, effect: Callable[[], None], deadline_s: float) -> None:
        """Send a request until it is answered; it can take effect more than once, and late."""
        scheduler, network = self._scheduler, self._network
        while True:
            if self._is_closed:
                raise IllegalStateError("closed")
            network.travel(name, deadline_s, writes=True)
            self._let_copies_arrive()
            for each in [each for each in network.late_copies if each[0] == name]:
                network.late_copies.remove(each)
                self._copies.append((each[1], effect))
            try:
                effect()
            except ConcurrentTransactionsError:
                scheduler.sleep(RETRY_S)
                continue
            except ProducerFencedError as error:
                self._failure = error
                raise
            scheduler.sleep(network.chance.uniform(0.0005, 0.004))
            if not network.answer_is_lost(name):
                return
            scheduler.sleep(RETRY_S)

    def _let_copies_arrive(self) -> None:
        """Let the copies take effect that come before the present request."""
        due = [effect for left, effect in self._copies if left <= 1]
        self._copies = [(left - 1, effect) for left, effect in self._copies if left > 1]
        for effect in due:
            _quietly(effect)

    def close(self, timeout: float | None = None) -> None:
        self._is_closed = True


def _quietly(effect: Callable[[], None]) -> None:
    """Let a late copy of a request take effect; nobody waits for its answer."""
    try:
        effect()
    except (ProducerFencedError, InvalidProducerEpochError, InvalidTxnStateError, ConcurrentTransactionsError):
        return
