"""The command ``reproduce``: derives every figure of an alert again, from the log alone.

The command starts at the last scan record before the alert. It repeats the recorded ticks and responses with their
input records, and with the settings and the calibration that the scan records name. The alert's revisions must be the
same as in the log, byte for byte. The scan records, which contain the tracker's state, must be the same field by field.
The chain of digests is verified over the whole window before the alert.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple

import msgspec

from detectors.monitor import Monitor
from detectors.results import ClosedTick, ResponseResult
from streams.area_log.chain import Link, inputs, links
from streams.area_log.contents import alert_of, decoded, own, scan_of
from streams.area_log.records import AreaLog, LogError, LogRecord
from streams.area_log.settings import settings_on_record
from streams.areas.area import Area
from streams.messages.scan import Ids, ScanRecord, encode, scan_record
from streams.process.strict_json import StrictDecoder

SHOWN = 200
"""Largest number of characters of a figure that are shown."""


class Difference(msgspec.Struct, frozen=True):
    """A figure that differs from the log.

    ``where``: the record with the figure.
    ``field``: the figure's name.
    ``on_record``, ``derived``: the recorded and the derived value.
    """

    where: str
    field: str
    on_record: str
    derived: str


class Reproduction(msgspec.Struct, frozen=True):
    """The alerts that were derived again, the number of their revisions and scan records, and the differences."""

    alerts: list[str]
    revisions: int
    scans: int
    differences: list[Difference]


class _Outline(msgspec.Struct, frozen=True):
    """The fields of a scan record that show whether an alert depends on it."""

    next_offsets: dict[str, int]
    lowest_offset: int
    revisions: tuple[str, ...]


class _Span(NamedTuple):
    """The scan records on which an alert, or every alert, depends.

    ``named``: every revision that scan records name.
    ``given``: the offset and record after which digests are verified; None to verify all.
    ``before``: the scan record before the first one that is repeated.
    ``first``, ``last``: offsets of the first and the last record that is repeated.
    """

    named: Container[str]
    given: tuple[int, ScanRecord] | None
    before: ScanRecord | None
    first: int
    last: int


def reproduce(log: AreaLog, alert: str | None, step: Callable[[], object]) -> Reproduction:
    """Derive all revisions of an alert again, or of every alert. ``step`` is called at each scan record.

    Raises:
        LogError: The log does not have the alert, or begins after records on which the alert depends.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    span = _span(log, alert)
    published = {
        name: value for name, value in _published(log, span.named) if alert is None or name.startswith(f"{alert}.")
    }
    monitor = _RepeatedMonitor(log, span.before)
    derived: dict[str, bytes] = {}
    differences: list[Difference] = []
    scans = 0
    for link in links(log, span.given):
        if link.offset > span.last:
            break
        if link.is_given:
            raise LogError("the log begins too late: retention has removed records on which the alert depends")
        step()
        where = f"scan record at offset {link.offset}"
        if link.fault:
            return Reproduction([], 0, scans, [Difference(where, "digest", link.fault, "")])
        if link.offset < span.first:
            continue
        scans += 1
        record, events = monitor.repeat(link)
        differences += _differences(where, *_fields(link, record))
        derived |= {name: event for name, event in events.items() if alert is None or name.startswith(f"{alert}.")}
    for name in published.keys() | derived.keys():
        if published.get(name) != derived.get(name):
            was, now = (_properties(each.get(name)) for each in (published, derived))
            differences += _differences(f"revision {name}", was, now)
    alerts = sorted({name.partition(".")[0] for name in derived})
    return Reproduction(alerts, len(derived), scans, differences)


def _span(log: AreaLog, alert: str | None) -> _Span:
    """Return the scan records on which an alert, or every alert, depends."""
    offsets: list[int] = []
    outlines: list[_Outline] = []
    decoder = StrictDecoder[_Outline](_Outline)

    def read(record: LogRecord) -> _Outline:
        return decoded(record, "scans", "scan record", decoder.decode)

    for each, outline in own(log.read("scans"), read):
        outlines.append(outline)
        offsets.append(each.offset)
    named = [
        index
        for index, outline in enumerate(outlines)
        if any(alert is None or name.startswith(f"{alert}.") for name in outline.revisions)
    ]
    if not named:
        raise LogError(f"no scan record of {log.manifest.area} names {'an alert' if alert is None else alert}")
    first = named[0]
    revisions = frozenset(name for outline in outlines for name in outline.revisions)
    if not first:
        return _Span(revisions, None, None, offsets[0], offsets[named[-1]])
    lowest = outlines[first - 1].lowest_offset
    below = [index for index, each in enumerate(outlines[:first]) if each.next_offsets["incidents"] <= lowest]
    given = (offsets[below[-1]], _scan_at(log, offsets[below[-1]])) if below else None
    return _Span(revisions, given, _scan_at(log, offsets[first - 1]), offsets[first], offsets[named[-1]])


def _scan_at(log: AreaLog, offset: int) -> ScanRecord:
    return next(scan for _, scan in own(log.read("scans", offset), scan_of))


def _published(log: AreaLog, named: Container[str]) -> list[tuple[str, bytes]]:
    """Return the name and the event of every revision on record, up to the last that a scan record names.

    A name is the alert's id, a full stop and the revision. Later revisions were written after the log was opened.
    """
    found = [(event.id, record.value or b"") for record, event in own(log.read("alerts"), alert_of)]
    end = max((index for index, (name, _) in enumerate(found) if name in named), default=-1) + 1
    return found[:end]


class _RepeatedMonitor:
    """A Monitor that repeats recorded ticks and responses, with the settings and calibration of each scan record."""

    def __init__(self, log: AreaLog, before: ScanRecord | None) -> None:
        self._log = log
        self._last = before
        self._on_record = before
        self._watched: Area | None = None
        self._monitor: Monitor | None = None

    def repeat(self, link: Link) -> tuple[ScanRecord, dict[str, bytes]]:
        """Return the derived scan record of a link, and the derived events of its revisions by name."""
        watched, monitor = self._at(link.record.ids)
        result = _repeated(monitor, link)
        derived = scan_record(watched.name, watched.ids, result, self._on_record, link.raw)
        self._last, self._on_record = derived, link.record
        return derived, {f"{alert.id}.{alert.revision}": watched.event(alert) for alert in result.changes}

    def _at(self, ids: Ids) -> tuple[Area, Monitor]:
        """Return the area and the Monitor for the next record, restored if the settings are new."""
        if self._watched is None or self._monitor is None or self._watched.ids != ids:
            self._watched = written(self._log, ids)
            restoring = self._watched.restoring(self._last)
            if self._last is not None:
                for each in inputs(self._log, self._last.lowest_offset):
                    if each.record.offset >= self._last.next_offset:
                        break
                    restoring.refill(each.entry, each.record.offset, each.record.timestamp_ms // 1000)
            self._monitor = restoring.monitor()
        return self._watched, self._monitor


def _repeated(monitor: Monitor, link: Link) -> ClosedTick | ResponseResult:
    """Return the result of a link's tick or response, derived again.

    Raises:
        LogError: The first scan record belongs to a response, not to a tick.
    """
    if link.response is None:
        entries = [(each.entry, each.record.offset, each.record.timestamp_ms // 1000) for each in link.inputs]
        return monitor.repeat(entries, link.record.tick_s, link.record.checkpoint.corrections or ())
    result = monitor.respond(link.response.content, link.response.record.offset)
    if result is None:
        raise LogError(f"scans, offset {link.offset}: belongs to a response, but there is no tick before it")
    return result


def written(log: AreaLog, ids: Ids) -> Area:
    """Return the area with a configuration and a calibration from the topic ``settings``.

    Raises:
        LogError: They are not in the topic, or have other hashes.
    """
    calibration = settings_on_record(log, ids.calibration) if ids.calibration else None
    try:
        watched = Area.from_written(settings_on_record(log, ids.configuration), calibration)
    except (ValueError, LookupError, TypeError) as error:
        raise LogError(f"settings: {log.manifest.area}:{ids.configuration}: cannot be read ({error})") from None
    if watched.ids != ids:
        raise LogError(f"settings: the record {log.manifest.area}:{ids.configuration} does not have this hash")
    return watched


def _fields(link: Link, derived: ScanRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a scan record and of its checkpoint, as recorded and as derived.

    The digest covers the recorded bytes. So it is not compared if this version would write other bytes. The chain of
    digests is verified in any case.
    """
    is_former = encode(link.record) != link.value
    both: list[dict[str, Any]] = [msgspec.to_builtins(each) for each in (link.record, derived)]
    for fields in both:
        fields |= fields.pop("checkpoint")
        if is_former:
            del fields["digest"]
    return both[0], both[1]


def _properties(event: bytes | None) -> dict[str, Any]:
    """Return the figures of an event; empty if there is no such revision."""
    return {} if event is None else dict(msgspec.json.decode(event)["data"]["properties"])


def _differences(where: str, on_record: dict[str, Any], derived: dict[str, Any]) -> list[Difference]:
    return [
        Difference(where, field, _short(on_record.get(field)), _short(derived.get(field)))
        for field in sorted(on_record.keys() | derived.keys())
        if on_record.get(field) != derived.get(field)
    ]


def _short(figure: object) -> str:
    text = "absent" if figure is None else msgspec.json.encode(figure).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
