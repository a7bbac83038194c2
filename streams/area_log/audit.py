"""The command ``audit``: verifies that the log of an area has not been changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from streams.area_log.chain import links
from streams.area_log.records import AreaLog


class Break(msgspec.Struct, frozen=True):
    """A break of the chain: offset and tick of the scan record, and the fault."""

    offset: int
    tick: datetime
    fault: str


class Audit(msgspec.Struct, frozen=True):
    """The records that were verified, from the first tick to the last, and where the chain breaks.

    ``scans``: number of scan records.
    ``given``: number of these, at the beginning, that cannot be verified because retention removed their input.
    ``inputs``: number of records of incidents and responses.
    ``left_out``: number of records in the topic ``scans`` that are not scan records.
    """

    area: str
    scans: int
    given: int
    inputs: int
    first: datetime | None
    last: datetime | None
    breaks: list[Break]
    left_out: int


def audit(log: AreaLog, step: Callable[[], object]) -> Audit:
    """Follow an area's chain from its first scan record to its last. ``step`` is called at each record.

    Raises:
        LogError: The log cannot be read.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    scans = given = read = 0
    first = last = None
    breaks: list[Break] = []
    foreign: list[int] = []
    for link in links(log, None, lambda: foreign.append(1)):
        last = datetime.fromtimestamp(link.record.tick_s, UTC)
        first = first or last
        if link.fault:
            breaks.append(Break(link.offset, last, link.fault))
        scans += 1
        given += link.is_given
        read += len(link.raw)
        step()
    return Audit(log.manifest.area, scans, given, read, first, last, breaks, len(foreign))
