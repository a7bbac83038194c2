"""The rebuild of a partition's Monitors, from its last scan records and the log of incidents."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import aiokafka.errors
from kafka import TopicPartition

from detectors.monitor import Monitor
from detectors.restoring import Restoring
from streams.area_log.last_records import last_records
from streams.area_log.records import TOPICS
from streams.area_log.settings import calibrations_on_record
from streams.area_log.sources import KafkaLog
from streams.areas.area import Area
from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.connection import is_passing
from streams.brokers.reading import StalledError, records_between
from streams.brokers.retrying_consumer import RetryingConsumer
from streams.calibration.calibration_file import CalibrationFile, misfits
from streams.configuration.kafka import KafkaSettings
from streams.messages.incident import decode
from streams.messages.records import partition_of
from streams.messages.response import ResponseRecord, response_record
from streams.messages.scan import PartitionRecord, ScanRecord
from streams.worker.engine.standing_checks import RebuildError, checked, first_offset

log = logging.getLogger(__name__)


@dataclass
class Restored:
    """A rebuilt partition.

    ``watched``: the partition's areas, with the settings and calibrations in use.
    ``coming``: calibrations to use from the next boundary on.
    ``last``: each area's last scan record, if it has one.
    ``own``, ``is_changed``: the partition record, and whether it must be written because it has changed.
    ``unwritten``: areas whose settings the topic ``settings`` lacks.
    ``changed``: areas whose last scan record names other settings.
    ``read_from``: the offset from which the partition is read.
    ``missed``: the number of records before it that retention removed unread.
    ``early``: the responses that came between copied incidents and are not yet on record.
    """

    monitors: dict[str, Monitor] = field(default_factory=dict)
    watched: dict[str, Area] = field(default_factory=dict)
    coming: dict[str, CalibrationFile] = field(default_factory=dict)
    last: dict[str, ScanRecord] = field(default_factory=dict)
    own: PartitionRecord = field(default_factory=PartitionRecord)
    is_changed: bool = False
    unwritten: list[Area] = field(default_factory=list)
    read_from: int = 0
    missed: int = 0
    early: list[ResponseRecord] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    seconds: float = 0.0


def start_offsets(
    kafka: KafkaSettings,
    areas: Collection[str],
    committed: Mapping[int, int | None],
    stopping: threading.Event,
    broker: Broker = KAFKA,
) -> dict[int, int]:
    """Return the offset of ``incidents`` from which each partition in ``committed`` must be read; waits for Kafka.

    The group's committed offset counts only if scan records of an earlier version lack that offset. ``stopping`` ends
    the wait, and is set in the end.

    Raises:
        Cancelled: ``stopping`` was set meanwhile.
        LogError: The scan records cannot be read.
    """
    starts: dict[int, int] = {}

    def read(consumer: Reader) -> None:
        logs = {number: TopicPartition(kafka.topic("incidents"), number) for number in committed}
        first = consumer.beginning_offsets(list(logs.values()))
        for number, log_ in logs.items():
            standing = last_records(consumer, kafka, number, areas, stopping)
            start = standing.read_from
            if not standing.is_new and standing.own.read_from is None:
                start = min(start, committed[number] or start)
            starts[number] = max(start, int(first[log_]))
        stopping.set()

    fault, recovery = "scan records cannot be read", "scan records are read again"
    RetryingConsumer(kafka, log, fault=fault, recovery=recovery, broker=broker).run(stopping, lambda _: None, read)
    return starts


def rebuild(
    kafka: KafkaSettings,
    areas: Mapping[str, Area],
    partition: int,
    cancelled: threading.Event,
    max_record_bytes: int,
    broker: Broker = KAFKA,
) -> Restored:
    """Rebuild the areas of one partition as their last scan records left them.

    Raises:
        RebuildError: The log cannot be read or lacks recorded offsets, or the scan records were lost.
        Cancelled: ``cancelled`` was set meanwhile.
        KafkaError: Kafka cannot be reached, refuses, or delivered no record for a long time.
    """
    started = time.perf_counter()
    here = {name: area for name, area in areas.items() if partition_of(name.encode(), kafka.partitions) == partition}
    with closing(broker.reader(kafka)) as consumer:
        if missing := {kafka.topic(topic) for topic in TOPICS} - consumer.topics():
            raise RebuildError(f"no topic {', '.join(sorted(missing))}; `hotspots topics` creates it")
        standing = last_records(consumer, kafka, partition, here, cancelled)
        own, last = checked(kafka, consumer, partition, standing, cancelled, broker), standing.scans
        written = _settings_keys(kafka, consumer, partition, cancelled)
        early = [] if standing.read_from >= own.copied else _responses(kafka, consumer, partition, own, here, cancelled)
    incidents = TopicPartition(kafka.topic("incidents"), partition)
    first = first_offset(kafka, incidents, standing, broker)
    is_changed = not standing.is_new and own != standing.own
    restored = Restored(
        own=own, is_changed=is_changed, last=last, read_from=max(standing.read_from, first), early=early
    )
    if own.read_from is not None and (missed := first - own.read_from) > 0:
        restored.missed = missed
        log.error(
            "%s, partition %d: offsets %d to %d are lost: retention removed them before they were read",
            incidents.topic,
            partition,
            own.read_from,
            first - 1,
        )
    restoring: dict[str, Restoring] = {}
    for name, configured in here.items():
        record = last.get(name)
        area, coming = as_calibrated(configured, record, kafka, max_record_bytes, broker)
        restored.watched[name] = area
        if coming is not None:
            restored.coming[name] = coming
        restoring[name] = area.restoring(record)
        if not written.issuperset(key for key, _ in area.written_in_full()):
            restored.unwritten.append(area)
        if record is not None and record.ids != area.ids:
            restored.changed.append(name)
            log.warning(
                "area %s: taken over with configuration %s and calibration %s; its last scan had %s and %s",
                name,
                *(each[:12] or "none" for ids in (area.ids, record.ids) for each in ids),
            )
    if last:
        span = _span(incidents, first, last)
        _refill(kafka, restoring, last, incidents, span, cancelled, max_record_bytes, broker)
    restored.monitors = {name: each.monitor() for name, each in restoring.items()}
    restored.seconds = time.perf_counter() - started
    return restored


def _responses(
    kafka: KafkaSettings,
    consumer: Reader,
    partition: int,
    own: PartitionRecord,
    areas: Collection[str],
    cancelled: threading.Event,
) -> list[ResponseRecord]:
    """Return the responses that are not on record."""
    responses = TopicPartition(kafka.topic("responses"), partition)
    consumer.assign([responses])
    begin, end = consumer.beginning_offsets([responses])[responses], consumer.end_offsets([responses])[responses]
    found = records_between(consumer, responses, max(begin, own.next_response), end, cancelled)
    return [response_record(each, kafka.partitions, areas) for each in found]


def _settings_keys(kafka: KafkaSettings, consumer: Reader, partition: int, cancelled: threading.Event) -> set[bytes]:
    """Return the keys of the settings records of a partition."""
    settings = TopicPartition(kafka.topic("settings"), partition)
    consumer.assign([settings])
    begin, end = consumer.beginning_offsets([settings])[settings], consumer.end_offsets([settings])[settings]
    return {each.key for each in records_between(consumer, settings, begin, end, cancelled)}


def as_calibrated(
    area: Area, record: ScanRecord | None, kafka: KafkaSettings, max_record_bytes: int, broker: Broker = KAFKA
) -> tuple[Area, CalibrationFile | None]:
    """Return an area as its last scan record left it, and the calibration to use from its next boundary on, if any.

    For an area that is calibrated every night, the later one of the configured and the recorded calibration is used, if
    it fits. A calibration that no scan record names yet is used from the next boundary on.
    """
    if area.nightly is None:
        return area, None
    used = record.calibration if record else None
    fitting = []
    known = list(calibrations_on_record(KafkaLog(kafka, area.name, max_record_bytes, broker)))
    for made in known:
        faults = misfits(made, area)
        if made.calibration.budget != area.nightly.budget:
            faults.append(f"the budget was {made.calibration.budget:g} a week, it is {area.nightly.budget:g} now")
        if not faults:
            fitting.append(made)
        elif made.id == used:
            log.warning("area %s: its last calibration no longer fits: %s", area.name, "; ".join(faults))
    if used and used not in (area.ids.calibration, *(made.id for made in known)):
        log.error("area %s: its last calibration %s is not in the topic settings", area.name, used)
    fitting.sort(key=lambda made: made.made_at)
    for made in fitting:
        if made.id == used and _is_later(made, area.calibration_file):
            area = replace(area, calibration_file=made)
    latest = fitting[-1] if fitting else None
    return area, latest if latest is not None and _is_later(latest, area.calibration_file) else None


def _is_later(made: CalibrationFile, known: CalibrationFile | None) -> bool:
    return known is None or made.made_at > known.made_at


def _span(incidents: TopicPartition, first: int, last: Mapping[str, ScanRecord]) -> tuple[int, int]:
    """Return the offsets that the areas need and the log still has: the first, and the one after the last."""
    start = min(record.lowest_offset for record in last.values())
    end = max(record.next_offset for record in last.values())
    if first > start:
        log.error(
            "%s, partition %d: begins at offset %d, but the windows need records from %d on; "
            "they are rebuilt without the missing records",
            incidents.topic,
            incidents.partition,
            first,
            start,
        )
    return max(start, first), end


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
            raise StalledError(f"{where}: cannot be read at the moment ({error})") from error
        raise RebuildError(f"{where}: cannot be read ({error})") from error
    except asyncio.CancelledError as error:
        raise StalledError(
            f"{where}: cannot be read at the moment (the Kafka client broke off the read by itself); "
            f"if no line 'partition {partition} rebuilt' follows, check that Kafka answers"
        ) from error
