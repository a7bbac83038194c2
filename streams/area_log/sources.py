"""An area's log in Kafka or in an exported copy: the five topics from which everything can be derived again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from kafka import TopicPartition

from streams.area_log.coverage import covers, last_partition_record
from streams.area_log.records import TOPICS, LogError, LogRecord, LogTopic, Manifest
from streams.brokers.broker import KAFKA, Broker
from streams.brokers.connection import UNCOMMITTED
from streams.brokers.reading import records_between
from streams.configuration.kafka import KafkaSettings
from streams.messages.records import partition_of
from streams.process.strict_json import StrictDecoder

MANIFEST = "manifest.json"


class KafkaLog:
    """The log in Kafka. Only committed records are read, except in ``incidents``; in ``alerts``, only those that count.

    Raises:
        LogError: A topic does not exist, or its number of partitions is not the configured one.
        KafkaError: Kafka cannot be reached, or refuses.
    """

    def __init__(self, kafka: KafkaSettings, area: str, max_record_bytes: int, broker: Broker = KAFKA) -> None:
        self._kafka = kafka
        self._broker = broker
        partition = partition_of(area.encode(), self._kafka.partitions)
        with closing(broker.reader(self._kafka)) as consumer:
            self._logs = {topic: TopicPartition(self._kafka.topic(topic), partition) for topic in TOPICS}
            missing = {log.topic for log in self._logs.values()} - consumer.topics()
            if missing:
                raise LogError(f"no topic {', '.join(sorted(missing))} at {self._kafka.bootstrap}")
            right = self._kafka.partitions
            for log in self._logs.values():
                if (found := len(consumer.partitions_for_topic(log.topic) or ())) != right:
                    raise LogError(f"{log.topic}: has {found} partitions: must be {right} (kafka.partitions)")
            scans_end = consumer.end_offsets([self._logs["scans"]])
            ends = consumer.end_offsets(list(self._logs.values())) | scans_end
            begins = consumer.beginning_offsets(list(self._logs.values()))
            self._own = last_partition_record(consumer, self._kafka, partition)
        if self._own.next_alert is not None:
            ends[self._logs["alerts"]] = min(ends[self._logs["alerts"]], self._own.next_alert)
        self.manifest = Manifest(
            area=area,
            partition=partition,
            partitions=self._kafka.partitions,
            max_record_bytes=max_record_bytes,
            begins={topic: int(begins[log]) for topic, log in self._logs.items()},
            ends={topic: int(ends[log]) for topic, log in self._logs.items()},
        )

    def read(self, topic: LogTopic, start: int = 0) -> Iterator[LogRecord]:
        """See :class:`AreaLog`."""
        log = self._logs[topic]
        isolation = UNCOMMITTED if topic == "incidents" else {}
        with closing(self._broker.reader(self._kafka, **isolation)) as consumer:
            consumer.assign([log])
            start, end = max(start, self.manifest.begins[topic]), self.manifest.ends[topic]
            for record in records_between(consumer, log, start, end, threading.Event()):
                if topic == "alerts" and not covers(self._own, record.offset):
                    continue
                if topic == "incidents" or _is_of(self.manifest.area, record.key):
                    yield LogRecord(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))


def _is_of(area: str, key: bytes | None) -> bool:
    """Return whether a key belongs to the area. The key is the area or, in ``settings``, area and hash."""
    return key is not None and key.partition(b":")[0] == area.encode()


class ExportedLog:
    """A folder that ``export`` wrote: a manifest, and a file for each topic with one line of JSON per record.

    Raises:
        LogError: The folder does not exist, or has other content.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decoder = StrictDecoder[LogRecord](LogRecord)
        try:
            self.manifest = StrictDecoder[Manifest](Manifest).decode((folder / MANIFEST).read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise LogError(f"{folder / MANIFEST}: must be the manifest of an exported log ({error})") from None

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
        except msgspec.DecodeError as error:
            raise LogError(f"{path}: line {number}: must be a record in JSON ({error})") from None
