"""Partitions without a broker: what they commit goes into a ledger, which a test reads; and records for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, cast

import msgspec
from prometheus_client import CollectorRegistry

from detectors.alerts.response import Response
from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.window.admission import Entry
from streams.areas.area import Area
from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WorkerSettings
from streams.messages import scan
from streams.messages.incident import decode
from streams.messages.records import Rejection
from streams.messages.response import ResponseRecord
from streams.messages.scan import ScanRecord
from streams.process.clock import MACHINE, Clock
from streams.worker.engine.gaps import Gaps
from streams.worker.engine.outgoing import Outgoing, OutgoingRecord
from streams.worker.engine.partition import Partition
from streams.worker.engine.publisher import Publisher
from streams.worker.engine.rebuild import Restored
from streams.worker.inbox import Record
from streams.worker.metrics import Metrics
from tests.streams.area_log.recorded import AREA, feed

CELL = "8a195da49b9ffff"
NOW_S = 1_717_200_000.0


class Ledger:
    """Takes a publisher's place: keeps what was committed, or raises what it is told to."""

    def __init__(self) -> None:
        self.transactions: list[list[OutgoingRecord]] = []
        self.errors: list[Exception] = []
        self.is_closed = False
        self.stamp_s: float | None = None
        self.committed = threading.Event()

    def commit(
        self, messages: Sequence[OutgoingRecord], closing: Callable[[Sequence[int]], OutgoingRecord] | None = None
    ) -> list[int]:
        if self.errors:
            raise self.errors.pop(0)
        written = sum(map(len, self.transactions))
        last = [] if closing is None else [closing(range(written, written + len(messages)))]
        self.transactions.append([*messages, *last])
        self.committed.set()
        return list(range(written, written + len(messages) + len(last)))

    def close(self) -> None:
        self.is_closed = True

    def scans(self) -> list[ScanRecord]:
        return [scan.decode_scan(each.value) for each in self.of("scans") if not (each.key or b"").startswith(b"#")]

    def rejections(self) -> list[Rejection]:
        return [msgspec.json.decode(each.value, type=Rejection) for each in self.of("incidents.rejected")]

    def of(self, topic: str) -> list[OutgoingRecord]:
        return [message for transaction in self.transactions for message in transaction if message.topic == topic]


def watched(name: str, clock: Literal["wall", "watermark"] = "wall", min_baseline_days: int = 0) -> Area:
    area = AreaSettings(clock=clock, min_baseline_days=min_baseline_days, replications=99)
    return Area.of(name, area, Locations.from_cells([CELL]))


def partition_of(
    ledger: Ledger,
    *areas: Area,
    restored: Restored | None = None,
    clock: Clock = MACHINE,
    gaps: Gaps | None = None,
) -> Partition:
    restored = restored or Restored(
        watched={area.name: area for area in areas}, monitors={area.name: area.monitor() for area in areas}
    )
    metrics = Metrics(CollectorRegistry())
    messages = Outgoing(KafkaSettings(), WorkerSettings(), 0)
    return Partition(0, restored, cast(Publisher, ledger), messages, metrics, gaps or Gaps(), clock)


def incident(number: int, at_s: float) -> Incident:
    return Incident(id=str(number), occurred_at=datetime.fromtimestamp(at_s, UTC), category="drugs", location=CELL)


def record(offset: int, area: str | None, at_s: float, entry: Entry | None = None) -> Record:
    entry = entry or incident(offset, at_s)
    return Record(offset, at_s, area, entry, None if area is None else area.encode(), b"x")


def response_record(offset: int, area: str, alert: str, user: str = "ann") -> ResponseRecord:
    response = Response(alert, "acknowledge", user, 0)
    return ResponseRecord(offset, NOW_S + 9 * 3600, area, response, area.encode(), b"y")


def with_an_alert(partition: Partition, area: str) -> str:
    """The feed of a town until it has opened one, which is on record; returns the alert's id."""
    for offset, ((_, value, headers), arrival_ms) in enumerate(feed(100, 5.0)):
        _, entry = decode(AREA.encode(), value, headers, 0, 1, {AREA}, 65_536)
        partition.put(Record(offset, arrival_ms / 1000, area, entry, area.encode(), value, headers), NOW_S)
        if partition.is_due(NOW_S):
            partition.commit(NOW_S)
        if partition.areas[area].alerts:
            return partition.areas[area].alerts[0].id
    raise AssertionError("the feed opens an alert")
