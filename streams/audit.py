"""The command ``audit``: is the log of an area what it was when it was written?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from streams.area_log import AreaLog
from streams.chain import links


class Break(msgspec.Struct, frozen=True):
    """Where a chain breaks: the scan record's offset and tick, and in which way."""

    offset: int
    tick: datetime
    fault: str


class Audit(msgspec.Struct, frozen=True):
    """What was looked at, from the first tick to the last, and where it does not hold together.

    ``is_whole``: the chain begins with the area's first scan record; otherwise the first one in the log is taken as
    given, because what it rests on is no longer kept.
    """

    area: str
    scans: int
    inputs: int
    first: datetime | None
    last: datetime | None
    is_whole: bool
    breaks: list[Break]


def audit(log: AreaLog, step: Callable[[], object]) -> Audit:
    """Follow an area's chain from its first scan record to its last; ``step`` is called at each.

    Raises:
        LogError: the log cannot be read.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    scans = read = 0
    first = last = None
    is_whole = True
    breaks: list[Break] = []
    for link in links(log, None):
        last = datetime.fromtimestamp(link.record.tick_s, UTC)
        if first is None:
            first, is_whole = last, link.is_first
        if link.fault and (scans or is_whole):
            breaks.append(Break(link.offset, last, link.fault))
        scans += 1
        read += len(link.inputs)
        step()
    return Audit(log.manifest.area, scans, read, first, last, is_whole, breaks)
