"""Decodes the records of an area's log, finds one alert, exports everything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from detectors.alerts.response import Response
from detectors.window.admission import Entry, Refusal
from streams.area_log.records import TOPICS, AreaLog, LogError, LogRecord, LogTopic, Manifest
from streams.area_log.sources import MANIFEST
from streams.messages.alert import AlertEvent, AlertFeature, read_alert
from streams.messages.incident import decode
from streams.messages.response import decode_response
from streams.messages.scan import ScanRecord, decode_scan, is_of_another_version

T = TypeVar("T")

logger = logging.getLogger(__name__)


def export(log: AreaLog, folder: Path, step: Callable[[], object]) -> dict[LogTopic, int]:
    """Write an area's log into a new folder; return the number of records by topic. ``step`` is called at each.

    Raises:
        LogError: The folder exists.
        OSError: It cannot be written.
    """
    if folder.exists():
        raise LogError(f"{folder}: already exists; must be a new folder")
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
    """Return the content of a record of ``incidents``; None if it belongs to another area."""
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
    """Return the content of a record of ``responses``; None if it belongs to another area."""
    area, response = decode_response(record.key, record.value, manifest.partition, manifest.partitions, {manifest.area})
    return None if area is None else response


def alert_of(record: LogRecord) -> AlertEvent:
    """Return the revision in a record of ``alerts``.

    Raises:
        LogError: The record has other content.
    """
    return decoded(record, "alerts", "alert", read_alert)


def scan_of(record: LogRecord) -> ScanRecord:
    """Return the scan record in a record of ``scans``.

    Raises:
        LogError: The record has other content.
    """
    return decoded(record, "scans", "scan record", decode_scan)


def decoded(record: LogRecord, topic: LogTopic, what: str, decode: Callable[[bytes], T]) -> T:
    """Return the value of a record of a topic, decoded by ``decode``. ``what``: name of the content in errors.

    Raises:
        LogError: The record has other content.
    """
    try:
        return decode(record.value or b"")
    except msgspec.DecodeError as error:
        raise LogError(f"{topic}, offset {record.offset}: not a valid {what} ({error})") from None


def own(
    records: Iterable[LogRecord], read: Callable[[LogRecord], T], left_out: Callable[[], object] = lambda: None
) -> Iterator[tuple[LogRecord, T]]:
    """Yield each record with the result of ``read``. A record of another program is logged and left out.

    Raises:
        LogError: A record is the monitor's own, but of a version that this program cannot read.
    """
    for record in records:
        try:
            found = read(record)
        except LogError as error:
            if is_of_another_version(record.value):
                raise
            logger.warning("%s: left out", error)
            left_out()
        else:
            yield record, found


def find(log: AreaLog, alert: str, revision: int | None) -> AlertFeature:
    """Return a revision of an alert from an area's log; the last one if ``revision`` is None.

    Raises:
        LogError: The log does not hold it.
    """
    found = None
    for _, event in own(log.read("alerts"), alert_of):
        feature = event.data
        if feature.id == alert and revision in (None, feature.properties.revision):
            found = feature
    if found is None:
        raise LogError(f"{log.manifest.area} has no alert {alert}" + (f" with revision {revision}" if revision else ""))
    return found
