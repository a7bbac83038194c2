"""A consumer without a broker: it reads records that are given, and can freeze."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

MAX_RECORDS = 500
"""Largest number of records of one poll, as the client's own."""


class KeptLog:
    """A reader of one partition. ``ends`` at an offset that marks of transactions can put beyond the last record.

    While ``is_frozen``, it answers nothing, and gives up a question after its time limit, which it notes in ``waited``.
    """

    def __init__(self, at: TopicPartition, records: Sequence[Any] = (), end: int | None = None) -> None:
        self.at = at
        self.records = list(records)
        self.end = (self.records[-1].offset + 1 if self.records else 0) if end is None else end
        self.is_frozen = False
        self.is_closed = False
        self.waited: list[float | None] = []
        self._position = 0

    def topics(self) -> set[str]:
        return {self.at.topic}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {self.at.partition} if topic == self.at.topic else set()

    def assign(self, _: Sequence[TopicPartition]) -> None:
        pass

    def assignment(self) -> set[TopicPartition]:
        return {self.at}

    def seek(self, _: TopicPartition, offset: int) -> None:
        self._position = offset

    def position(self, _: TopicPartition, timeout_ms: float | None = None) -> int:
        return self._position

    def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> Mapping[TopicPartition, Sequence[Any]]:
        assert timeout_ms
        if self.is_frozen:
            return {}
        limit = min(max_records or MAX_RECORDS, MAX_RECORDS)
        found = [each for each in self.records if each.offset >= self._position][:limit]
        self._position = found[-1].offset + 1 if found else self.end
        return {self.at: found}

    def beginning_offsets(
        self, logs: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        return self._answer(logs, self.records[0].offset if self.records else self.end, timeout_ms)

    def end_offsets(
        self, logs: Collection[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        return self._answer(logs, self.end, timeout_ms)

    def committed(self, _: TopicPartition) -> int | None:
        return None

    def close(self) -> None:
        self.is_closed = True

    def _answer(
        self, logs: Collection[TopicPartition], offset: int, timeout_ms: float | None
    ) -> dict[TopicPartition, int]:
        self.waited.append(timeout_ms)
        if self.is_frozen:
            raise KafkaTimeoutError("frozen")
        return dict.fromkeys(logs, offset)


def kept(at: TopicPartition, offset: int, key: bytes | None, value: bytes | None) -> Any:
    """A record as a consumer gives it."""
    return SimpleNamespace(
        topic=at.topic, partition=at.partition, offset=offset, key=key, value=value, headers=(), timestamp=0
    )
