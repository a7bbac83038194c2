"""Makes every consumer of this process read, or pass over, batches that the Kafka clients refuse.

A client raises an error at a batch that it cannot read, and tries the same batch for ever. :class:`_Batches`
decompresses such a batch and makes its header keys ASCII. If the client still cannot read it, or if the checksum stays
wrong, the client gets a batch without records and reads on after it. A line in the log names the offsets, and the
functions given to :func:`report_to` count them. A fetch without such a batch is read as usual.
"""

from __future__ import annotations

import logging
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import aiokafka.consumer.fetcher as aiokafka_fetcher
import kafka.consumer.fetcher as kafka_fetcher
from kafka.errors import UnsupportedCodecError
from kafka.record.util import decode_varint

from streams.brokers.codecs import DECODERS

FETCHES = 3
"""Number of times that a batch with a wrong checksum is fetched before it is passed over."""
HEAD = struct.Struct(">qiibIhiqqqhii")
"""The head of a batch: base offset, length, epoch, magic, checksum, attributes, last offset delta, two times, producer
id and epoch, sequence, number of records. The records follow."""
LENGTH = struct.Struct(">qi")
"""The part of the head that the length does not count: base offset and length."""
MAGIC_AT = 16
"""Position of the byte that states the format of a batch. Formats before 2 have no headers; the client reads them."""
CODEC = 0x07
"""The bits of the attributes that name the codec."""
READABLE = ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")
"""Values of a topic's ``compression.type`` whose batches can be read."""
ASCII = bytes(each if each < 128 else ord("?") for each in range(256))

log = logging.getLogger(__name__)

_fetches = Counter[tuple[str, int, int]]()  # of batches with a wrong checksum, by topic, partition and first offset
_counts: list[Callable[[str, int], None]] = []


def report_to(count: Callable[[str, int], None]) -> None:
    """Have ``count`` called with topic and number of offsets when offsets are passed over, in the reading thread."""
    _counts.append(count)


def mended(batch: bytes) -> bytes:
    """Return a batch without compression and checksum. In header keys, "?" replaces bytes that are not UTF-8.

    Raises:
        Exception: The batch cannot be decompressed or parsed; each codec has its own errors.
    """
    fields = list(HEAD.unpack_from(batch))
    if fields[5] & CODEC not in DECODERS:
        raise UnsupportedCodecError(f"unknown codec {fields[5] & CODEC}")
    records = bytearray(DECODERS[fields[5] & CODEC](batch[HEAD.size :]))
    at = 0
    for _ in range(fields[12]):
        at = _mend(records, at)
    fields[1] = HEAD.size - LENGTH.size + len(records)
    fields[5] &= ~CODEC
    return HEAD.pack(*fields) + records


def _mend(records: bytearray, at: int) -> int:
    """Mend the header keys of the record at ``at``; returns where the next one begins."""
    _length, at = decode_varint(records, at)
    at += 1  # the attributes, which have no meaning yet
    for _ in ("time", "offset"):
        _, at = decode_varint(records, at)
    for _ in ("key", "value"):
        size, at = decode_varint(records, at)
        at += max(size, 0)
    headers, at = decode_varint(records, at)
    for _ in range(headers):
        size, at = decode_varint(records, at)
        name = records[at : at + size]
        try:
            name.decode()
        except UnicodeDecodeError:
            records[at : at + size] = name.translate(ASCII)
        at += size
        size, at = decode_varint(records, at)
        at += max(size, 0)
    return at


class _Batches:
    """The batches of one fetch from offset ``position`` on, in place of a client's ``parser`` of them."""

    def __init__(self, data: bytes, parser: Callable[[bytes], Any], at: Any, position: int) -> None:
        self._data, self._parser = memoryview(data), parser
        self._topic, self._partition, self._position = str(at.topic), int(at.partition), position
        self._at = 0
        self._is_held = False
        while (batch := self._peek()) is not None and batch.validate_crc() and batch.next_offset <= position:
            self._at = self._end()

    def has_next(self) -> bool:
        return not self._is_held and self._end() > 0

    def next_batch(self) -> Any:
        """Return the next batch; None after the last whole one."""
        batch = None if self._is_held else self._peek()
        if batch is None:
            return None
        data = bytes(self._data[self._at : self._end()])
        self._at += len(data)
        if not batch.validate_crc():
            return self._without_checksum(batch, data)
        first, self._position = self._position, batch.next_offset
        return _Batch(batch, self._records(data, first))

    def _records(self, data: bytes, first: int) -> Iterator[Any]:
        """Return the records of a batch from offset ``first`` on; none if they cannot be read."""
        error: Exception
        for read in (bytes, mended):
            try:
                sound = read(data)
                for _ in self._parser(sound).next_batch():
                    pass  # a batch can have millions of records, so they are not kept
                return (record for record in self._parser(sound).next_batch() if record.offset >= first)
            except MemoryError:
                raise
            except Exception as failure:  # noqa: BLE001 (each codec has its own)
                error = failure
        self._pass_over(first, error)
        return iter(())

    def _without_checksum(self, batch: Any, data: bytes) -> Any:
        """Return what the client gets for a batch with a wrong checksum: no records, and at first it fetches again."""
        at = self._topic, self._partition, self._position
        _fetches[at] += 1
        if _fetches[at] < FETCHES:
            self._is_held = True
            return _Gap(self._position)
        following = self._confirmed(data)
        if following is None:
            return batch  # the client raises
        del _fetches[at]
        first, self._position = self._position, following
        self._pass_over(first, "wrong checksum")
        return _Gap(following)

    def _confirmed(self, data: bytes) -> int | None:
        """Return the offset after a batch with a doubtful head, if the next batch or the head confirms it."""
        batch = self._peek()
        if batch is not None and batch.validate_crc() and batch.base_offset > self._position:
            return int(batch.base_offset)
        fields = HEAD.unpack_from(data)
        first, last, records = fields[0], fields[0] + fields[6], fields[12]
        return int(last + 1) if first <= self._position <= last and records == last - first + 1 else None

    def _pass_over(self, first: int, why: object) -> None:
        """Report that the offsets from ``first`` to before the position cannot be read."""
        place = self._topic, self._partition, first, self._position - 1
        log.error("%s, partition %d: offsets %d to %d cannot be read and are passed over: %s", *place, why)
        for count in _counts:
            count(self._topic, self._position - first)

    def _peek(self) -> Any:
        end = self._end()
        return self._parser(bytes(self._data[self._at : end])).next_batch() if end else None

    def _end(self) -> int:
        """Return where the next batch ends; 0 if the batch is cut short or of an old format."""
        if len(self._data) - self._at < HEAD.size or self._data[self._at + MAGIC_AT] < 2:
            return 0
        end = self._at + LENGTH.size + int(LENGTH.unpack_from(self._data, self._at)[1])
        return end if self._at + HEAD.size <= end <= len(self._data) else 0


class _Batch:
    """A client's batch with other ``records``."""

    def __init__(self, batch: Any, records: Iterator[Any]) -> None:
        self._batch, self._left = batch, records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        return self._left

    def __next__(self) -> Any:
        return next(self._left)


class _Gap:
    """A batch without records, after which the client reads on at ``next_offset``."""

    magic, leader_epoch = 2, -1
    is_control_batch = is_transactional = False
    producer_id = None

    def __init__(self, next_offset: int) -> None:
        self.base_offset = self.next_offset = next_offset

    def validate_crc(self) -> bool:
        return True

    def has_producer_id(self) -> bool:
        return False

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class _KafkaRecords(kafka_fetcher.Fetcher.PartitionRecords):  # type: ignore[misc]  # the libraries are untyped
    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        try:
            yield from super()._unpack_records(tp, records, *deserializers)
        except Exception as error:
            log.debug("%s: %s", tp, error)
            rest = _Batches(records._buffer, kafka_fetcher.MemoryRecords, tp, self.next_fetch_offset)
            if not rest.has_next():
                raise
            yield from super()._unpack_records(tp, rest, *deserializers)


class _AiokafkaRecords(aiokafka_fetcher.PartitionRecords):  # type: ignore[misc]
    _records: Any

    def _unpack_records(self) -> Iterator[Any]:
        try:
            yield from super()._unpack_records()
        except Exception as error:
            log.debug("%s: %s", self._tp, error)
            self._records = _Batches(self._records.data, _parse, self._tp, self.next_fetch_offset)
            if not self._records.has_next():
                raise
            yield from super()._unpack_records()


_parse = aiokafka_fetcher.MemoryRecords


class _Kept:
    """The library's parser of a fetch, with the bytes, which the parser does not show."""

    def __init__(self, data: bytes) -> None:
        self.data, parser = data, _parse(data)
        self.has_next, self.next_batch, self.size_in_bytes = parser.has_next, parser.next_batch, parser.size_in_bytes


kafka_fetcher.Fetcher.PartitionRecords = _KafkaRecords
aiokafka_fetcher.PartitionRecords = _AiokafkaRecords
aiokafka_fetcher.MemoryRecords = _Kept
