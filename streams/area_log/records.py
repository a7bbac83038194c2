"""The types of an area's log: records, manifest, and the interface of a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

LogTopic = Literal["incidents", "responses", "scans", "settings", "alerts"]
TOPICS: tuple[LogTopic, ...] = ("incidents", "responses", "scans", "settings", "alerts")


class LogError(Exception):
    """The log cannot be read, or lacks what is needed. The message is one line."""


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as Kafka keeps it. ``timestamp_ms``: its arrival, in milliseconds since 1970 UTC."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of an area's log for a reader: where the log is, and how to recognise its records.

    ``begins``, ``ends``: by topic, the first offset that the log still has, and the offset after the last one.

    The offsets of ``scans`` were read first. So the log holds everything that its scan records name, even while a
    worker runs.
    """

    area: str
    partition: int
    partitions: int
    max_record_bytes: int
    begins: dict[LogTopic, int]
    ends: dict[LogTopic, int]


class AreaLog(Protocol):
    """One area's log."""

    @property
    def manifest(self) -> Manifest:
        """The description of the log."""

    def read(self, topic: LogTopic, start: int = 0) -> Iterator[LogRecord]:
        """Yield the area's records of a topic from an offset to its end, in order.

        Those of ``incidents`` can include records of other areas.
        """
