"""An area's log, in Kafka or in an exported copy: the five topics from which everything can be derived again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detectors.alerts.response import Response
from detectors.window.admission import Entry, Refusal
from streams.brokers.connection import UNCOMMITTED, consumer_arguments, partition_of
from streams.configuration.load import Configuration
from streams.messages.alert import AlertEvent, read_alert
from streams.messages.incident import decode
from streams.messages.response import decode_response
from streams.messages.scan import ScanRecord, decode_scan, records_between

LogTopic = Literal["incidents", "responses", "scans", "settings", "alerts"]
TOPICS: tuple[LogTopic, ...] = ("incidents", "responses", "scans", "settings", "alerts")
MANIFEST = "manifest.json"

T = TypeVar("T")


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


class KafkaLog:
    """The log in Kafka; records that were never committed are left out, but for ``incidents``.

    Raises:
        LogError: a topic does not exist, or has another number of partitions than is configured.
        KafkaError: Kafka cannot be reached, or refuses.
    """

    def __init__(self, configuration: Configuration, area: str) -> None:
        self._kafka = configuration.kafka
        partition = partition_of(area.encode(), self._kafka.partitions)
        with closing(KafkaConsumer(**consumer_arguments(self._kafka))) as consumer:
            self._logs = {topic: TopicPartition(self._kafka.topic(topic), partition) for topic in TOPICS}
            missing = {log.topic for log in self._logs.values()} - consumer.topics()
            if missing:
                raise LogError(f"no topic {', '.join(sorted(missing))} at {self._kafka.bootstrap}")
            right = self._kafka.partitions
            for log in self._logs.values():
                if (found := len(consumer.partitions_for_topic(log.topic) or ())) != right:
                    raise LogError(f"{log.topic}: has {found} partitions, and kafka.partitions says {right}")
            scans_end = consumer.end_offsets([self._logs["scans"]])
            ends = consumer.end_offsets(list(self._logs.values())) | scans_end
            begins = consumer.beginning_offsets(list(self._logs.values()))
        self.manifest = Manifest(
            area=area,
            partition=partition,
            partitions=self._kafka.partitions,
            max_record_bytes=configuration.worker.max_record_bytes,
            begins={topic: int(begins[log]) for topic, log in self._logs.items()},
            ends={topic: int(ends[log]) for topic, log in self._logs.items()},
        )

    def read(self, topic: LogTopic, start: int = 0) -> Iterator[LogRecord]:
        """See :class:`AreaLog`."""
        log = self._logs[topic]
        isolation = UNCOMMITTED if topic == "incidents" else {}
        with closing(KafkaConsumer(**consumer_arguments(self._kafka) | isolation)) as consumer:
            consumer.assign([log])
            start, end = max(start, self.manifest.begins[topic]), self.manifest.ends[topic]
            for record in records_between(consumer, log, start, end, threading.Event()):
                if topic == "incidents" or _is_of(self.manifest.area, record.key):
                    yield LogRecord(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))


def _is_of(area: str, key: bytes | None) -> bool:
    """Whether a key of a topic (the area), or of ``settings`` (area and hash), is the area's."""
    return key is not None and key.partition(b":")[0] == area.encode()


class ExportedLog:
    """A folder that :func:`export` has written: a manifest, and for each topic one line of JSON a record.

    Raises:
        LogError: there is no such folder, or it holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decoder = msgspec.json.Decoder(LogRecord)
        try:
            self.manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError) as error:
            raise LogError(f"{folder / MANIFEST}: is none of an exported log ({error})") from None

    def read(self, topic: LogTopic, start: int = 0) -> Iterator[LogRecord]:
        """See :class:`AreaLog`."""
        path = self._folder / f"{topic}.jsonl"
        number = 0
        try:
            with path.open("rb") as lines:
                for line in lines:
                    number += 1
                    record = self._decoder.decode(line)
                    if record.offset >= start:
                        yield record
        except OSError as error:
            raise LogError(f"{path}: {error.strerror or error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LogError(f"{path}: line {number} is no record ({error})") from None


def export(log: AreaLog, folder: Path, step: Callable[[], object]) -> dict[LogTopic, int]:
    """Write an area's log into a new folder; returns how many records of each topic. ``step`` is called at each.

    Raises:
        LogError: the folder exists.
        OSError: it cannot be written.
    """
    if folder.exists():
        raise LogError(f"{folder}: exists already; a log is exported into a new folder")
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(log.manifest), indent=1) + b"\n")
    written = dict.fromkeys(TOPICS, 0)
    for topic in TOPICS:
        with (folder / f"{topic}.jsonl").open("wb") as file:
            for record in log.read(topic):
                if topic != "incidents" or entry_of(log.manifest, record) is not None:
                    file.write(msgspec.json.encode(record) + b"\n")
                    written[topic] += 1
                step()
    return written


def entry_of(manifest: Manifest, record: LogRecord) -> Entry | None:
    """What a record of ``incidents`` says to the area; None if it is not one of the area's."""
    area, entry = decode(
        record.key,
        record.value,
        record.headers,
        manifest.partition,
        manifest.partitions,
        {manifest.area},
        manifest.max_record_bytes,
    )
    return None if area is None else entry


def response_of(manifest: Manifest, record: LogRecord) -> Response | Refusal | None:
    """What a record of ``responses`` says to the area; None if it is not one of the area's."""
    area, said = decode_response(record.key, record.value, manifest.partition, manifest.partitions, {manifest.area})
    return None if area is None else said


def alert_of(record: LogRecord) -> AlertEvent:
    """The revision in a record of ``alerts``.

    Raises:
        LogError: it holds none.
    """
    return decoded(record, "alerts", "alert", read_alert)


def scan_of(record: LogRecord) -> ScanRecord:
    """The closed tick in a record of ``scans``.

    Raises:
        LogError: it holds none.
    """
    return decoded(record, "scans", "scan record", decode_scan)


def decoded(record: LogRecord, topic: LogTopic, what: str, decode: Callable[[bytes], T]) -> T:
    """What a record of a topic holds, by a function that decodes its value.

    Raises:
        LogError: it holds something else.
    """
    try:
        return decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LogError(f"{topic}, offset {record.offset}: is no {what} ({error})") from None
