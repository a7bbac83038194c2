"""A simulated broker: logs, transactions with epochs and fencing, groups, retention, and what can go wrong with them.

It models what the shell relies on: a transaction is visible when its end is in the log, to readers up to the last
stable offset; a newer producer fences an older one; a group has generations. The same contract tests hold it against
Kafka. The state lies here; how requests and answers travel, late, doubled or never, lies in ``clients``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import (
    ConcurrentTransactionsError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    InvalidTxnStateError,
    OffsetOutOfRangeError,
    ProducerFencedError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)

from tests.simulation.scheduler import Scheduler


class Stored(NamedTuple):
    """A record of a log; ``producer`` is its transaction's producer id, -1 for none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    producer: int = -1
    marker: str = ""
    """"commit" or "abort" for the mark that ends a transaction."""


@dataclass
class Log:
    """One partition. ``undecodable``: offsets of batches that no client can read."""

    at: TopicPartition
    records: list[Stored] = field(default_factory=list)
    begin: int = 0
    open: dict[int, int] = field(default_factory=dict)
    aborted: set[int] = field(default_factory=set)
    epochs: dict[int, int] = field(default_factory=dict)
    produced: dict[tuple[int, int, int], int] = field(default_factory=dict)
    undecodable: set[int] = field(default_factory=set)
    base: int = 0

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return self.base + len(self.records)

    @property
    def stable(self) -> int:
        """The offset below which every transaction has ended."""
        return min(self.open.values(), default=self.end)

    def from_(self, offset: int) -> Iterator[Stored]:
        """Yield everything from an offset on."""
        for index in range(max(offset, self.begin) - self.base, len(self.records)):
            yield self.records[index]

    def visible(self, offset: int, is_committed: bool, limit: int) -> tuple[list[Stored], int]:
        """Return up to ``limit`` records from an offset on that a reader sees, and the offset to read on at."""
        end = self.stable if is_committed else self.end
        found: list[Stored] = []
        for record in self.from_(offset):
            if record.offset >= end or len(found) >= limit:
                break
            offset = record.offset + 1
            if not record.marker and not (is_committed and record.offset in self.aborted):
                found.append(record)
        return found, offset


@dataclass
class Transaction:
    """The coordinator's view of a transactional id."""

    producer: int
    epoch: int = 0
    is_ongoing: bool = False
    partitions: dict[TopicPartition, None] = field(default_factory=dict)
    began_s: float = 0.0
    last_end: bool | None = None
    renewed_from: int | None = None


@dataclass
class Member:
    """A member of a group: ``moved`` tells it of a rebalance, ``is_beating`` whether its heartbeats come."""

    id: str
    seen_s: float
    moved: Callable[[], None]
    is_beating: Callable[[], bool]


@dataclass
class Group:
    """The coordinator's view of a group."""

    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    assigned: dict[str, list[int]] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    offsets: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    is_moving: bool = False
    moving_since_s: float = 0.0


SESSION_S = 10.0
"""Time without a heartbeat after which a member is out of its group, in seconds."""
REBALANCE_S = 12.0
"""Time limit for the members to join again in a rebalance, in seconds."""
TRANSACTION_S = 60.0
"""Time limit for a transaction, in seconds, after which the coordinator aborts it and takes a new epoch."""


class SimulatedBroker:
    """The broker's state and the requests to it, each of which takes effect at once or raises an error of Kafka."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.logs: dict[TopicPartition, Log] = {}
        self.transactions: dict[str, Transaction] = {}
        self.groups: dict[str, Group] = {}
        self.put_aside: dict[TopicPartition, Log] = {}  # of a topic that is lost
        self.lost_until_s = float("-inf")
        self.skew_s = 0.0
        self.changes = 0  # grows with every record and every end of a transaction
        self.appended: list[Callable[[TopicPartition], None]] = []
        self.identities: dict[str, int] = {}
        self._producers = 0

    def copy(self, scheduler: Scheduler) -> SimulatedBroker:
        """Return a broker with the same logs, transactions and offsets, in another world; its groups are empty."""
        made = SimulatedBroker(scheduler)
        made.identities, made._producers = dict(self.identities), self._producers
        made.transactions = {name: replace(each) for name, each in self.transactions.items()}
        for at, log in self.logs.items():
            made.logs[at] = replace(
                log,
                records=list(log.records),
                open=dict(log.open),
                aborted=set(log.aborted),
                epochs=dict(log.epochs),
                produced={},
                undecodable=set(log.undecodable),
            )
        for name, group in self.groups.items():
            made.groups[name] = Group(generation=group.generation, offsets=dict(group.offsets))
        return made

    # Topics

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic, or add partitions to it."""
        if topic not in self.identities:
            self.identities[topic] = len(self.identities) + 1
        for number in range(partitions):
            at = TopicPartition(topic, number)
            if at not in self.logs:
                self.logs[at] = Log(at)

    def lose(self, topic: str) -> None:
        """End every transaction, put the logs of a topic aside, and create it again, empty."""
        for transaction in self.transactions.values():
            if transaction.is_ongoing:
                self._abort(transaction)
        self.put_aside = {at: log for at, log in self.logs.items() if at.topic == topic}
        self.logs |= {at: Log(at) for at in self.put_aside}
        self.lost_until_s = float("inf")

    def put_back(self) -> None:
        """Put the logs back that were put aside."""
        self.logs |= self.put_aside
        self.put_aside = {}
        self.lost_until_s = self.scheduler.now_s

    def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic."""
        return sorted(at.partition for at in self.logs if at.topic == topic)

    def log(self, at: TopicPartition) -> Log:
        """Return a partition's log."""
        if at not in self.logs:
            raise UnknownTopicOrPartitionError(f"{at}")
        return self.logs[at]

    def truncate(self, at: TopicPartition, offset: int) -> None:
        """Let retention remove what lies below an offset."""
        log = self.log(at)
        log.begin = max(log.begin, min(offset, log.stable))

    # Records

    def append(
        self,
        at: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes], ...] = (),
        producer: int = -1,
        marker: str = "",
        timestamp_ms: int | None = None,
    ) -> int:
        """Append a record with the broker's time; return its offset."""
        log = self.log(at)
        self.changes += 1
        if timestamp_ms is None:
            timestamp_ms = int((self.scheduler.now_s + self.skew_s) * 1000)
        log.records.append(Stored(at.topic, at.partition, log.end, timestamp_ms, key, value, headers, producer, marker))
        if producer >= 0 and not marker:
            log.open.setdefault(producer, log.end - 1)
        for each in list(self.appended):
            each(at)
        return log.end - 1

    def fetch(self, at: TopicPartition, offset: int, is_committed: bool, limit: int) -> tuple[list[Stored], int]:
        """Return visible records from an offset on, and where to read on."""
        log = self.log(at)
        if not log.begin <= offset <= log.end:
            raise OffsetOutOfRangeError(f"{at}: offset {offset} is not between {log.begin} and {log.end}")
        return log.visible(offset, is_committed, limit)

    # Transactions

    def init_producer(self, transactional_id: str, epoch: int | None = None) -> tuple[int, int]:
        """Return producer id and a new epoch; the transaction that the previous one left is aborted.

        ``epoch``: that of a producer which asks for its next one, and is refused if another has taken over.
        """
        known = self.transactions.get(transactional_id)
        if known is None:
            self._producers += 1
            self.transactions[transactional_id] = Transaction(self._producers)
            return self._producers, 0
        if epoch is not None:
            if known.renewed_from == epoch:
                return known.producer, known.epoch  # asked again, because the answer was lost
            self._transaction(transactional_id, epoch)
        known.epoch += 1
        known.renewed_from = epoch
        if known.is_ongoing:
            self._end(known, is_commit=False)
        known.last_end = None
        return known.producer, known.epoch

    def add_partitions(self, transactional_id: str, epoch: int, partitions: list[TopicPartition]) -> None:
        """Add partitions to a producer's transaction, which begins if there is none."""
        transaction = self._transaction(transactional_id, epoch)
        for at in partitions:
            self.log(at)
        if not transaction.is_ongoing:
            transaction.is_ongoing, transaction.began_s = True, self.scheduler.now_s
        transaction.partitions |= dict.fromkeys(partitions)

    def produce(
        self,
        transactional_id: str,
        epoch: int,
        sequence: int,
        at: TopicPartition,
        records: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]],
    ) -> int:
        """Append the records of a transaction, unless they were sent before; return the first offset."""
        transaction = self.transactions[transactional_id]
        log = self.log(at)
        batch = (transaction.producer, epoch, sequence)
        if epoch < max(log.epochs.get(transaction.producer, 0), transaction.epoch):
            raise InvalidProducerEpochError(f"{transactional_id}: epoch {epoch}")
        if batch in log.produced:
            return log.produced[batch]
        if not transaction.is_ongoing or at not in transaction.partitions:
            raise InvalidTxnStateError(f"{transactional_id}: {at} is not part of a transaction")
        log.epochs[transaction.producer] = epoch
        first = log.end
        for key, value, headers in records:
            self.append(at, key, value, headers, transaction.producer)
        log.produced[batch] = first
        return first

    def end_transaction(self, transactional_id: str, epoch: int, is_commit: bool) -> None:
        """Commit or abort a producer's transaction. Without one, the same end as the last is answered again."""
        transaction = self._transaction(transactional_id, epoch)
        if not transaction.is_ongoing:
            if transaction.last_end is is_commit:
                return
            raise InvalidTxnStateError(f"{transactional_id}: no transaction to end")
        self._end(transaction, is_commit)

    def expire_transactions(self) -> None:
        """Abort the transactions that take too long; their producers are fenced."""
        for transaction in self.transactions.values():
            if transaction.is_ongoing and self.scheduler.now_s - transaction.began_s > TRANSACTION_S:
                self._abort(transaction)

    def _abort(self, transaction: Transaction) -> None:
        transaction.epoch, transaction.renewed_from = transaction.epoch + 1, None
        self._end(transaction, is_commit=False)

    def _transaction(self, transactional_id: str, epoch: int) -> Transaction:
        transaction = self.transactions.get(transactional_id)
        if transaction is None or epoch < transaction.epoch:
            raise ProducerFencedError(f"{transactional_id}: epoch {epoch}")
        if epoch > transaction.epoch:
            raise ConcurrentTransactionsError(f"{transactional_id}: epoch {epoch}")
        return transaction

    def _end(self, transaction: Transaction, is_commit: bool) -> None:
        producer = transaction.producer
        for at in transaction.partitions:
            log = self.log(at)
            first = log.open.pop(producer, None)
            if first is not None and not is_commit:
                log.aborted |= {each.offset for each in log.from_(first) if each.producer == producer}
            log.epochs[producer] = transaction.epoch
            self.append(at, None, None, (), producer, "commit" if is_commit else "abort")
        transaction.is_ongoing, transaction.last_end = False, is_commit
        transaction.partitions = {}

    # Groups

    def join(self, group: str, member: Member) -> None:
        """Join a group; all members are moved, unless the member comes back in time under the same id."""
        known = self.groups.setdefault(group, Group())
        is_back = member.id in known.members and not known.is_moving
        known.members[member.id] = member
        if not is_back:
            self._move(known)

    def leave(self, group: str, member_id: str) -> None:
        """Leave a group."""
        known = self.groups[group]
        if known.members.pop(member_id, None) is not None:
            known.assigned.pop(member_id, None)
            self._move(known)

    def heartbeat(self, group: str, member_id: str, generation: int) -> None:
        """Stay in a group.

        Raises:
            UnknownMemberIdError: The member was away for too long.
            IllegalGenerationError: A rebalance has begun or ended without the member.
        """
        known = self.groups.setdefault(group, Group())
        if member_id not in known.members:
            raise UnknownMemberIdError(member_id)
        known.members[member_id].seen_s = self.scheduler.now_s
        if generation != known.generation or known.is_moving:
            raise IllegalGenerationError(member_id)

    def rejoin(self, group: str, member_id: str) -> None:
        """Be ready for the new generation, having let go of the partitions of the old one."""
        known = self.groups[group]
        if member_id not in known.members:
            raise UnknownMemberIdError(member_id)
        known.members[member_id].seen_s = self.scheduler.now_s
        known.joined.add(member_id)
        if known.is_moving and known.joined >= known.members.keys():
            self._assign(known)

    def assignment(self, group: str, member_id: str) -> tuple[int, list[int]] | None:
        """Return generation and partitions of a member; None without a group, or while it is moving."""
        known = self.groups.get(group)
        if known is None or known.is_moving:
            return None
        return known.generation, known.assigned.get(member_id, [])

    def expire_members(self) -> None:
        """Move the partitions of members that are away for too long."""
        now_s = self.scheduler.now_s
        for group in self.groups.values():
            for each in group.members.values():
                if each.is_beating():
                    each.seen_s = now_s
            gone = [each for each in group.members.values() if now_s - each.seen_s > SESSION_S]
            if group.is_moving and now_s - group.moving_since_s > REBALANCE_S:
                gone += [each for each in group.members.values() if each.id not in group.joined and each not in gone]
            for member in gone:
                del group.members[member.id]
                group.assigned.pop(member.id, None)
            if gone:
                self._move(group)

    def _move(self, group: Group) -> None:
        if not group.is_moving:
            group.is_moving, group.moving_since_s, group.joined = True, self.scheduler.now_s, set()
            self.scheduler.at(self.scheduler.now_s + REBALANCE_S + 0.1, self.expire_members)
        group.joined &= group.members.keys()
        for member in list(group.members.values()):
            member.moved()
        if group.joined >= group.members.keys():
            self._assign(group)

    def _assign(self, group: Group) -> None:
        group.is_moving, group.generation = False, group.generation + 1
        numbers = self.partitions("incidents")
        names = sorted(group.members)
        group.assigned = {name: numbers[index :: len(names)] for index, name in enumerate(names)}
        for member in list(group.members.values()):
            member.moved()

    def commit_offsets(
        self, group: str, member_id: str, generation: int, offsets: dict[TopicPartition, tuple[int, str]]
    ) -> None:
        """Commit the offsets of a member of the present generation."""
        known = self.groups[group]
        if member_id not in known.members or generation != known.generation:
            raise IllegalGenerationError(member_id)
        known.offsets |= offsets

    def committed(self, group: str, at: TopicPartition) -> int | None:
        """Return the committed offset of a group."""
        known = self.groups.get(group)
        mark = known.offsets.get(at) if known else None
        return None if mark is None else mark[0]


def committed_records(broker: SimulatedBroker, at: TopicPartition, offset: int = 0) -> tuple[list[Any], int]:
    """Return what is committed from an offset on, and the offset after it."""
    log = broker.log(at)
    return log.visible(max(offset, log.begin), True, 10**9)
