"""Records of an area's log, and what a log can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

LogTopic = Literal["incidents", "responses", "scans", "settings", "alerts"]


TOPICS: tuple[LogTopic, ...] = ("incidents", "responses", "scans", "settings", "alerts")


class LogError(Exception):
    """The log cannot be read, or does not hold what is asked of it; the message is one line."""


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as Kafka keeps it; ``timestamp_ms``: its arrival, milliseconds since 1970 UTC."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known to read an area's log: where it lies, and how its records are told from others.

    ``begins`` and ``ends``: by topic the first offset that the log still has, and the one after its last. Those of
    ``scans`` are older than the others, so that what its records name is there while a worker goes on.
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
        """What must be known to read it."""

    def read(self, topic: LogTopic, start: int = 0) -> Iterator[LogRecord]:
        """The area's records of a topic from an offset to its end, in order.

        Of ``incidents``, records of other areas may be among them.
        """
