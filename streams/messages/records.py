"""Common parts of the records of every topic: partitions, headers, dead letters."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Container, Iterable

import msgspec
from kafka.partitioner.default import murmur2

from detectors.window.admission import Refusal

Headers = Iterable[tuple[str, bytes | None]] | None
"""The headers of a Kafka record."""


@functools.lru_cache(maxsize=4096)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition to which Kafka's default partitioner (murmur2) sends this key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def misplaced(where: str, area: str, partition: int, partitions: int, areas: Container[str]) -> Refusal | None:
    """Return a refusal if the area is unknown or belongs to another partition; None otherwise."""
    if area not in areas:
        return Refusal("unknown_area", f"{where}: must be the name of a configured area")
    home = partition_of(area.encode(), partitions)
    if home == partition:
        return None
    rule = f"belongs to partition {home}, not {partition}; key by area, with the murmur2 partitioner of Kafka"
    return Refusal("wrong_partition", f"{where}: {rule}")


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: a refused record in the topic ``incidents.rejected``, whose retention is short.

    ``value_bytes`` and ``value_sha256`` describe the whole value. ``key`` and ``value`` are the original bytes in
    base64, each cut to a limit. Both are absent if only the hash is kept.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    area: str | msgspec.UnsetType = msgspec.UNSET
    value_bytes: int
    value_sha256: str
    key: bytes | msgspec.UnsetType = msgspec.UNSET
    value: bytes | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(
        cls,
        refusal: Refusal,
        area: str | None,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        max_bytes: int,
        hash_only: bool,
    ) -> Rejection:
        """Return the dead letter of one record, with up to ``max_bytes`` of ``key`` and of ``value``."""
        whole = value or b""
        return cls(
            reason=refusal.reason,
            detail=refusal.detail,
            topic=topic,
            partition=partition,
            offset=offset,
            area=msgspec.UNSET if area is None else area,
            value_bytes=len(whole),
            value_sha256=hashlib.sha256(whole).hexdigest(),
            key=msgspec.UNSET if hash_only or key is None else key[:max_bytes],
            value=msgspec.UNSET if hash_only else whole[:max_bytes],
        )

    def encode(self) -> tuple[bytes | None, bytes]:
        """Return the key (the area, None without one) and the value (JSON) of the record to write."""
        return (None if self.area is msgspec.UNSET else self.area.encode()), msgspec.json.encode(self)
