"""Batches as producers of every kind write them, also ones that the clients would not make."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

CODECS = ("uncompressed", "gzip", "snappy", "lz4", "zstd")
ATTRIBUTES_AT, CRC_AT = 21, 17


class RawName(str):
    """The name of a header that is sent as these bytes."""

    raw: bytes

    def __new__(cls, raw: bytes) -> RawName:
        name = super().__new__(cls, raw.decode("latin-1"))
        name.raw = raw
        return name

    def encode(self, *_: Any) -> bytes:
        return self.raw


class Sent(NamedTuple):
    """One record as it is sent."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []  # noqa: RUF012 (nobody changes it)


def batch(records: list[Sent], base_offset: int = 0, compression: str = "uncompressed") -> bytes:
    """A batch as a broker stores it."""
    builder = DefaultRecordBatchBuilder(2, CODECS.index(compression), False, -1, -1, -1, 2**30)
    for index, record in enumerate(records):
        builder.append(index, 1_000 + index, record.key, record.value, record.headers)
    return struct.pack(">q", base_offset) + bytes(builder.build()[8:])


def with_attributes(data: bytes, attributes: int) -> bytes:
    """The batch with other attributes, and the checksum that goes with them."""
    changed = bytearray(data)
    struct.pack_into(">h", changed, ATTRIBUTES_AT, attributes)
    struct.pack_into(">I", changed, CRC_AT, calc_crc32c(bytes(changed[ATTRIBUTES_AT:])))
    return bytes(changed)


def damaged(data: bytes) -> bytes:
    """The batch after a fault of the disk in its last byte."""
    return data[:-1] + bytes([data[-1] ^ 1])
