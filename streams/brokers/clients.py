"""The parts of Kafka's clients that the worker and the readers of a log use. Errors are those of kafka-python."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from kafka import TopicPartition


class Reader(Protocol):
    """A consumer without a group: the methods that are used. ``timeout_ms``: time limit for the broker's answer."""

    def topics(self) -> set[str]:
        """Return the names of all topics."""

    def partitions_for_topic(self, topic: str) -> Collection[int] | None:
        """Return the partitions of a topic; None if there is no such topic."""

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read these partitions from now on, and no others."""

    def assignment(self) -> Collection[TopicPartition]:
        """Return the partitions that are read."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read a partition from an offset on."""

    def position(self, partition: TopicPartition, timeout_ms: float | None = None) -> int | None:
        """Return the offset of the next record; None if Kafka does not give it in time."""

    def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return the next records of the partitions, after waiting for them up to ``timeout_ms``."""

    def beginning_offsets(
        self, partitions: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """Return the offset of the first record of each partition."""

    def end_offsets(
        self, partitions: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """Return the offset after the last record of each partition that this reader can see."""

    def committed(self, partition: TopicPartition) -> int | None:
        """Return the offset that the reader's group has committed; None without one."""

    def close(self) -> None:
        """Close the connections."""


class Sent(Protocol):
    """A record that was sent."""

    def get(self, timeout: float) -> Any:
        """Wait until the broker has the record, and return its metadata, such as ``offset``."""


class Writer(Protocol):
    """A transactional producer: the methods that are used. Each of its transactions has its own epoch."""

    def init_transactions(self) -> None:
        """Fence every other writer with this transactional id, and end the transaction that such a writer left open."""

    def begin_transaction(self) -> None:
        """Begin a transaction."""

    def send(
        self, topic: str, value: bytes, *, key: bytes | None, headers: Sequence[tuple[str, bytes]] = (), partition: int
    ) -> Sent:
        """Send a record."""

    def flush(self, timeout: float | None = None) -> None:
        """Wait, at most ``timeout`` seconds, until all records are with the broker."""

    def commit_transaction(self, timeout: float = ...) -> None:
        """Make the transaction's records visible within ``timeout`` seconds."""

    def abort_transaction(self) -> None:
        """Make the transaction's records void."""

    def close(self, timeout: float) -> None:
        """Close the connections within ``timeout`` seconds."""
