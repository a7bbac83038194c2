"""The command ``audit``: is the log of an area what it was when it was written?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from streams.area_log.chain import links
from streams.area_log.records import AreaLog


class Break(msgspec.Struct, frozen=True):
    """Where a chain breaks: the scan record's offset and tick, and in which way."""

    offset: int
    tick: datetime
    fault: str


class Audit(msgspec.Struct, frozen=True):
    """What was looked at, from the first tick to the last, and where it does not hold together.

    ``given``: so many of the ``scans`` records, the first ones, are taken as given, since retention has removed what
    they rest on; ``inputs``: records of incidents and responses.
    """

    area: str
    scans: int
    given: int
    inputs: int
    first: datetime | None
    last: datetime | None
    breaks: list[Break]


def audit(log: AreaLog, step: Callable[[], object]) -> Audit:
    """Follow an area's chain from its first scan record to its last; ``step`` is called at each.

    Raises:
        LogError: the log cannot be read.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    scans = given = read = 0
    first = last = None
    breaks: list[Break] = []
    for link in links(log, None):
        last = datetime.fromtimestamp(link.record.tick_s, UTC)
        first = first or last
        if link.fault:
            breaks.append(Break(link.offset, last, link.fault))
        scans += 1
        given += link.is_given
        read += len(link.raw)
        step()
    return Audit(log.manifest.area, scans, given, read, first, last, breaks)
