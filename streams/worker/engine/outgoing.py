"""Makes the records that the engine writes."""

from __future__ import annotations

import socket
from importlib.metadata import version
from typing import NamedTuple

from detectors.results import Result
from detectors.window.admission import Refusal
from streams.areas.area import Area
from streams.configuration.kafka import KafkaSettings, Topic
from streams.configuration.services import WorkerSettings
from streams.messages import scan
from streams.messages.alert import PROVENANCE_HEADER, Provenance
from streams.messages.records import Rejection
from streams.messages.response import ResponseRecord
from streams.messages.scan import PartitionRecord, ScanRecord
from streams.worker.inbox import Record

DELAYED_AFTER_S = 60
"""Latency above which an event on a wall clock is marked as delayed, in seconds."""
VERSION = version("hotspot-monitor")
HOST = socket.gethostname()


class OutgoingRecord(NamedTuple):
    """A record for the partition that the publisher owns."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Outgoing:
    """Makes the records of one partition, with a method for each kind of content."""

    def __init__(self, kafka: KafkaSettings, worker: WorkerSettings, partition: int) -> None:
        self._kafka = kafka
        self._worker = worker
        self._partition = partition

    def alerts(self, area: Area, result: Result, since_s: float, now_s: float) -> list[OutgoingRecord]:
        """Return the revisions of a closed tick or a response, each with its provenance.

        ``since_s``: the tick, or the arrival of the response; latency counts from there.
        """
        headers = self._provenance(area, result.next_offset, since_s, now_s)
        topic, key = self._kafka.topic("alerts"), area.name.encode()
        return [OutgoingRecord(topic, key, area.event(alert), headers) for alert in result.changes]

    def scan(self, area: Area, record: ScanRecord, now_s: float) -> OutgoingRecord:
        """Return the record of a closed tick or a response, with its provenance; latency counts from the tick."""
        headers = self._provenance(area, record.next_offset, record.tick_s, now_s)
        return OutgoingRecord(self._kafka.topic("scans"), record.area.encode(), scan.encode(record), headers)

    def settings(self, area: Area) -> list[OutgoingRecord]:
        """Return the settings records of an area."""
        return [OutgoingRecord(self._kafka.topic("settings"), *each) for each in area.written_in_full()]

    def partition(self, record: PartitionRecord) -> OutgoingRecord:
        """Return the partition record."""
        return OutgoingRecord(self._kafka.topic("scans"), scan.partition_key(self._partition), scan.encode(record))

    def _provenance(self, area: Area, next_offset: int, since_s: float, now_s: float) -> tuple[tuple[str, bytes], ...]:
        latency_s = max(0.0, now_s - since_s)
        provenance = Provenance(
            version=VERSION,
            host=HOST,
            partition=self._partition,
            next_offset=next_offset,
            latency_s=round(latency_s, 3),
            delayed=area.settings.clock == "wall" and latency_s > DELAYED_AFTER_S,
        )
        return ((PROVENANCE_HEADER, provenance.encode()),)

    def rejection(self, topic: Topic, record: Record | ResponseRecord, refusal: Refusal) -> OutgoingRecord:
        """Return the dead letter of a refused record of a topic."""
        letter = Rejection.of(
            refusal,
            record.area,
            self._kafka.topic(topic),
            self._partition,
            record.offset,
            record.key,
            record.value,
            self._worker.rejected_value_bytes,
            self._worker.rejected_hash_only,
        )
        return OutgoingRecord(self._kafka.topic("rejected"), *letter.encode())
