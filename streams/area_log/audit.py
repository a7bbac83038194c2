"""The command ``audit``: verify that the log of an area has not been changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from streams.area_log.chain import links
from streams.area_log.records import AreaLog


class Break(msgspec.Struct, frozen=True):
    """A break of the chain: the scan record's offset and tick, and what is wrong."""

    offset: int
    tick: datetime
    fault: str


class Audit(msgspec.Struct, frozen=True):
    """The records that were verified, from the first tick to the last, and where the chain breaks.

    ``scans``: number of scan records.
    ``given``: how many of these, the first ones, cannot be verified because retention removed what they rest on.
    ``inputs``: number of records of incidents and responses.
    """

    area: str
    scans: int
    given: int
    inputs: int
    first: datetime | None
    last: datetime | None
    breaks: list[Break]


def audit(log: AreaLog, step: Callable[[], object]) -> Audit:
    """Follow an area's chain from its first scan record to its last. ``step`` is called at each record.

    Raises:
        LogError: The log cannot be read.
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
