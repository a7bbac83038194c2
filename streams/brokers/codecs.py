"""Decompresses batches up to a bound, in every consumer of this process: a small batch can inflate to gigabytes."""

from __future__ import annotations

import gzip
import io
import struct
import sys
from collections.abc import Callable, Iterator

import aiokafka.record.default_records
import aiokafka.record.legacy_records
import cramjam
import kafka.record.default_records
import kafka.record.legacy_records
import zstandard
from lz4.frame import LZ4FrameDecompressor

MAX_BYTES = 64 * 2**20
"""Size limit for the records of a batch without compression, in bytes; producers send a few MiB."""
XERIAL = b"\x82SNAPPY\x00"
"""The beginning of a batch that consists of several blocks of Snappy; its head has 16 bytes."""
BLOCK = struct.Struct(">i")
"""The number of bytes of the block that follows."""


class TooLargeError(Exception):
    """A batch is larger than ``MAX_BYTES`` without compression."""

    def __init__(self) -> None:
        super().__init__(f"more than {MAX_BYTES} bytes without compression")


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise TooLargeError
    return data


def gzip_decode(payload: bytes) -> bytes:
    """Return the records of a batch. Like the functions below, raises TooLargeError or the library's own errors."""
    with gzip.GzipFile(fileobj=io.BytesIO(payload)) as file:
        return _bounded(file.read(MAX_BYTES + 1))


def snappy_decode(payload: bytes) -> bytes:
    """Return the records of a batch, of one block or of several."""
    blocks = list(_blocks(payload)) if payload[: len(XERIAL)] == XERIAL else [payload]
    if sum(map(cramjam.snappy.decompress_raw_len, blocks)) > MAX_BYTES:
        raise TooLargeError
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _blocks(payload: bytes) -> Iterator[bytes]:
    at = 2 * len(XERIAL)
    while at < len(payload):
        (size,) = BLOCK.unpack_from(payload, at)
        at += BLOCK.size
        if not 0 < size <= len(payload) - at:
            raise ValueError(f"a block of {size} bytes where {len(payload) - at} are left")
        yield payload[at : at + size]
        at += size


def lz4_decode(payload: bytes) -> bytes:
    """Return the records of a batch, which is one frame."""
    frame = LZ4FrameDecompressor()
    data = _bounded(frame.decompress(payload, MAX_BYTES + 1))
    if not frame.eof:
        raise EOFError("the frame is cut short")
    return bytes(data)


def zstd_decode(payload: bytes) -> bytes:
    """Return the records of a batch, of one frame or of several."""
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(payload), read_across_frames=True) as reader:
        return _bounded(reader.read(MAX_BYTES + 1))


DECODERS: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}
"""The functions by the number of the codec in the attributes of a batch."""


def _install() -> None:
    """Make both clients decompress with these functions, which have the same names in the clients."""
    new, old = "DefaultRecordBatch", "LegacyRecordBatch"
    for client in (kafka.record, aiokafka.record):
        for parser in (getattr(client.default_records, new), getattr(client.legacy_records, old)):
            module = sys.modules[parser.__module__]  # of aiokafka, a compiled one if the machine has it
            for decode in (gzip_decode, snappy_decode, lz4_decode, zstd_decode):
                if hasattr(module, decode.__name__):
                    setattr(module, decode.__name__, decode)


_install()
