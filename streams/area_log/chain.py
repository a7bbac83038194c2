"""The chain of digests through an area's scan records. Each covers its input records and all scan records before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from detectors.alerts.response import Response
from detectors.window.admission import Entry, Refusal
from streams.area_log.contents import entry_of, own, response_of, scan_of
from streams.area_log.records import AreaLog, LogError, LogRecord
from streams.messages.scan import NO_DIGEST, Raw, ScanRecord, chained_digest, raw, without_digest


class Input(NamedTuple):
    """A record of the topic ``incidents`` that belongs to the area, decoded."""

    record: LogRecord
    entry: Entry


class ResponseInput(NamedTuple):
    """A record of the topic ``responses`` that belongs to the area, decoded."""

    record: LogRecord
    content: Response | Refusal


class Link(NamedTuple):
    """A scan record with the input records of its tick, or with its response.

    ``value``: bytes of the scan record.
    ``fault``: why its digest is wrong; empty if the digest is right.
    ``is_given``: whether it cannot be verified, because retention removed its input.
    """

    offset: int
    value: bytes
    record: ScanRecord
    inputs: list[Input]
    response: ResponseInput | None = None
    fault: str = ""
    is_given: bool = False

    @property
    def raw(self) -> list[Raw]:
        """The input records, or the response, as the digest covers them."""
        read = [each.record for each in self.inputs] + ([self.response.record] if self.response else [])
        return [raw(each.key, each.value, each.headers, each.timestamp_ms) for each in read]


def inputs(log: AreaLog, start: int) -> Iterator[Input]:
    """Yield the area's input records from an offset on.

    Raises:
        LogError: The log begins later.
    """
    begins = log.manifest.begins["incidents"]
    if start < begins:
        raise LogError(f"incidents: begins at offset {begins}, but is needed from {start}; retention removed records")
    for record in log.read("incidents", start):
        entry = entry_of(log.manifest, record)
        if entry is not None:
            yield Input(record, entry)


def responses(log: AreaLog, start: int) -> Iterator[ResponseInput]:
    """Yield the area's responses from an offset on. A log exported before the topic existed has none.

    Raises:
        LogError: The responses cannot be read.
    """
    if "responses" in log.manifest.begins:
        for record in log.read("responses", start):
            response = response_of(log.manifest, record)
            if response is not None:
                yield ResponseInput(record, response)


def links(
    log: AreaLog, previous: tuple[int, ScanRecord] | None, left_out: Callable[[], object] = lambda: None
) -> Iterator[Link]:
    """Yield the scan records after ``previous``, each verified.

    ``previous``: offset and scan record; None to begin with the first one. ``left_out`` is called for every record that
        is not a scan record. After a break the chain continues from the record's own digest.

    Raises:
        LogError: A scan record is of another version, or the log lacks input records.
    """
    begins = log.manifest.begins["incidents"]
    offset, last = (-1, None) if previous is None else previous
    coming = inputs(log, begins if last is None else last.next_offset)
    ahead = next(coming, None)
    responded = responses(log, last.next_response if last else 0)
    next_response = next(responded, None)
    responses_begin = log.manifest.begins.get("responses", 0)
    for each, record in own(log.read("scans", offset + 1), scan_of, left_out):
        mine: list[Input] = []
        while ahead is not None and ahead.record.offset < record.next_offset:
            mine.append(ahead)
            ahead = next(coming, None)
        is_of_response = record.next_response != (last.next_response if last else 0)
        # Skip responses that came before the first tick: they could not take effect, and no digest covers them.
        while next_response is not None and next_response.record.offset < record.next_response - 1:
            next_response = next(responded, None)
        is_there = next_response is not None and next_response.record.offset == record.next_response - 1
        response = next_response if is_of_response and is_there else None
        link = Link(each.offset, each.value or b"", record, mine, response)
        has_past = last is not None or record.number == 1
        is_kept = not is_of_response or record.next_response > responses_begin
        if has_past and is_kept and (last.next_offset if last else 0) >= begins:
            yield link._replace(fault=_fault(link, last.digest if last else NO_DIGEST))
        else:
            yield link._replace(is_given=True)
        last = record


def _fault(link: Link, digest: str) -> str:
    undigested = without_digest(link.value, link.record.digest)
    if undigested is None:
        return "its last field is not its digest"
    if chained_digest(digest, link.raw, undigested) == link.record.digest:
        return ""
    offsets = [each.record.offset for each in link.inputs]
    among = f", or of its input records at the offsets {offsets[0]} to {offsets[-1]}," if offsets else ""
    if link.response is not None:
        among = f", or of the response at the offset {link.response.record.offset},"
    return f"its digest does not fit: a byte of it{among} was changed, or a record of the tick is missing"
