"""The rebuild of a partition's Monitors, from its last scan records and the log of incidents."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import aiokafka.errors
from kafka import TopicPartition
from msgspec import structs

from detectors.monitor import Monitor
from detectors.restoring import Restoring
from streams.area_log.last_records import last_records
from streams.area_log.records import TOPICS
from streams.area_log.settings import calibrations_on_record
from streams.area_log.sources import KafkaLog
from streams.areas.area import Area
from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.connection import UNCOMMITTED, is_passing
from streams.brokers.reading import StalledError, records_between
from streams.calibration.calibration_file import CalibrationFile, misfits
from streams.configuration.kafka import KafkaSettings
from streams.messages.incident import decode
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord, ScanRecord

log = logging.getLogger(__name__)


class RebuildError(Exception):
    """The log cannot be read, or lacks what the scan records need."""


@dataclass
class Restored:
    """A rebuilt partition.

    ``watched``: its areas, with the settings and calibrations in use. ``coming``: calibrations that hold from the next
    boundary on. ``last``: each area's last scan record, if it has one. ``unwritten``: areas whose settings no scan
    record has named yet.
    """

    monitors: dict[str, Monitor] = field(default_factory=dict)
    watched: dict[str, Area] = field(default_factory=dict)
    coming: dict[str, CalibrationFile] = field(default_factory=dict)
    last: dict[str, ScanRecord] = field(default_factory=dict)
    own: PartitionRecord = field(default_factory=PartitionRecord)
    unwritten: list[Area] = field(default_factory=list)
    seconds: float = 0.0


def rebuild(
    kafka: KafkaSettings,
    areas: Mapping[str, Area],
    partition: int,
    cancelled: threading.Event,
    max_record_bytes: int,
    broker: Broker = KAFKA,
) -> Restored:
    """The areas of one partition as their last scan records left them.

    Raises:
        RebuildError: the log cannot be read, or ends before what the scan records cover.
        Cancelled: ``cancelled`` was set meanwhile.
        StalledError: Kafka gave no record for a long time, or cannot be reached.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    started = time.perf_counter()
    here = {name: area for name, area in areas.items() if partition_of(name.encode(), kafka.partitions) == partition}
    with closing(broker.reader(kafka)) as consumer:
        if missing := {kafka.topic(topic) for topic in TOPICS} - consumer.topics():
            raise RebuildError(f"no topic {', '.join(sorted(missing))}; `hotspots topics` creates it")
        own, last = last_records(consumer, kafka, partition, here, cancelled)
        _check_responses(kafka, consumer, partition, own)
        own = _with_alerts(consumer, TopicPartition(kafka.topic("alerts"), partition), own, cancelled)
    restored = Restored(own=own, last=last)
    restoring: dict[str, Restoring] = {}
    for name, configured in here.items():
        record = last.get(name)
        area, coming = as_calibrated(configured, record, kafka, max_record_bytes, broker)
        restored.watched[name] = area
        if coming is not None:
            restored.coming[name] = coming
        restoring[name] = area.restoring(record)
        if record is None or record.ids != area.ids:
            restored.unwritten.append(area)
    if last:
        incidents = TopicPartition(kafka.topic("incidents"), partition)
        span = _span(kafka, incidents, last, broker)
        _refill(kafka, restoring, last, incidents, span, cancelled, max_record_bytes, broker)
    restored.monitors = {name: each.monitor() for name, each in restoring.items()}
    restored.seconds = time.perf_counter() - started
    return restored


def _check_responses(kafka: KafkaSettings, consumer: Reader, partition: int, own: PartitionRecord) -> None:
    responses = TopicPartition(kafka.topic("responses"), partition)
    if own.next_response and consumer.end_offsets([responses])[responses] < own.next_response:
        raise RebuildError(
            f"{responses.topic}, partition {partition}: ends before offset {own.next_response}, up to which responses "
            f"took effect; was the topic created again? Then create {kafka.topic('scans')} again as well"
        )


def _with_alerts(
    consumer: Reader, alerts: TopicPartition, own: PartitionRecord, cancelled: threading.Event
) -> PartitionRecord:
    """Return where the partition stands, and which revisions lack a scan record, all of whose writers have ended."""
    consumer.assign([alerts])
    first, end = consumer.beginning_offsets([alerts])[alerts], consumer.end_offsets([alerts])[alerts]
    if own.next_alert is None or end < own.next_alert:  # a former version has written them, or the topic is a new one
        return structs.replace(own, next_alert=end, torn=())
    found = records_between(consumer, alerts, max(first, own.next_alert), end, cancelled)
    if not (torn := [record.offset for record in found]):
        return own
    log.error(
        "%s, partition %d: no scan record covers the revisions at offsets %d to %d; they do not count",
        alerts.topic,
        alerts.partition,
        torn[0],
        torn[-1],
    )
    after = torn[-1] + 1
    return structs.replace(own, next_alert=after, torn=(*own.torn, (torn[0], after)))


def as_calibrated(
    area: Area, record: ScanRecord | None, kafka: KafkaSettings, max_record_bytes: int, broker: Broker = KAFKA
) -> tuple[Area, CalibrationFile | None]:
    """Return an area as its last scan record left it, and the calibration to use from its next boundary on, if any.

    For an area that is calibrated every night, the later of the configured and the recorded calibration holds, if it
    fits; one that no scan record has named yet is still to come.
    """
    if record is None or area.nightly is None:
        return area, None
    fitting = []
    for made in calibrations_on_record(KafkaLog(kafka, area.name, max_record_bytes, broker)):
        faults = misfits(made, area)
        if made.calibration.budget != area.nightly.budget:
            faults.append(f"the budget was {made.calibration.budget:g} a week, it is {area.nightly.budget:g} now")
        if not faults:
            fitting.append(made)
        elif made.id == record.calibration:
            log.warning("area %s: its last calibration no longer fits: %s", area.name, "; ".join(faults))
    fitting.sort(key=lambda made: made.made_at)
    for made in fitting:
        if made.id == record.calibration and _is_later(made, area.calibration_file):
            area = replace(area, calibration_file=made)
    latest = fitting[-1] if fitting else None
    return area, latest if latest is not None and _is_later(latest, area.calibration_file) else None


def _is_later(made: CalibrationFile, known: CalibrationFile | None) -> bool:
    return known is None or made.made_at > known.made_at


def _span(
    kafka: KafkaSettings, incidents: TopicPartition, last: Mapping[str, ScanRecord], broker: Broker
) -> tuple[int, int]:
    """The offsets that any area needs, of those that the log still has: the first, and the one after the last."""
    with closing(broker.reader(kafka, **UNCOMMITTED)) as consumer:
        first = consumer.beginning_offsets([incidents])[incidents]
        present = consumer.end_offsets([incidents])[incidents]
    start = min(record.lowest_offset for record in last.values())
    end = max(record.next_offset for record in last.values())
    if present < end:
        raise RebuildError(
            f"{incidents.topic}, partition {incidents.partition}: ends at offset {present}, but scans cover it up to "
            f"{end}; was the topic created again? Then create {kafka.topic('scans')} again as well"
        )
    if first > start:
        log.error(
            "%s, partition %d: begins at offset %d, but the windows need records from %d on; "
            "they are rebuilt without the missing records",
            incidents.topic,
            incidents.partition,
            first,
            start,
        )
    return max(start, int(first)), end


def _refill(
    kafka: KafkaSettings,
    restoring: Mapping[str, Restoring],
    last: Mapping[str, ScanRecord],
    incidents: TopicPartition,
    span: tuple[int, int],
    cancelled: threading.Event,
    max_record_bytes: int,
    broker: Broker,
) -> None:
    """Read the log once and fill every window."""
    partition, partitions = incidents.partition, kafka.partitions
    spans = {name: (record.lowest_offset, record.next_offset) for name, record in last.items()}

    def take(record: Any) -> None:
        name, entry = decode(
            record.key, record.value, record.headers, partition, partitions, restoring, max_record_bytes
        )
        if name is None or name not in spans:
            return
        lowest, following = spans[name]
        if lowest <= record.offset < following:
            restoring[name].refill(entry, record.offset, record.timestamp // 1000)

    where = f"{incidents.topic}, partition {partition}"
    try:
        broker.read(kafka, incidents, *span, take, cancelled)
    except aiokafka.errors.KafkaError as error:
        if is_passing(error):
            raise StalledError(f"{where}: cannot be read at present ({error})") from error
        raise RebuildError(f"{where}: cannot be read ({error})") from error
    except asyncio.CancelledError as error:
        raise StalledError(f"{where}: the client has ended its own reading") from error
