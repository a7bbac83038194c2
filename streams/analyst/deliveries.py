"""Deliveries of a feed that look truncated."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import msgspec

from detectors.area.incident import Incident, Status

TRUNCATED_SHARE = 0.05
TRUNCATED_LEAST = 5
"""A delivery that deletes at least this number of ids, and more than this share of the known ones, is truncated."""


class RefusedDelivery(msgspec.Struct, frozen=True):
    """A delivery that was left out because it looks truncated."""

    seen_at: datetime
    rows: int
    deleted: int
    known: int

    def __str__(self) -> str:
        return (
            f"delivery of {self.seen_at.isoformat()} ({self.rows} rows) refused: it deletes {self.deleted} of "
            f"{self.known} known incidents, more than {TRUNCATED_SHARE:.0%} at once, so it is probably truncated"
        )


class FileRow(msgspec.Struct, frozen=True, gc=False):
    """One row of a file: its time, its record, and the incident in it (None if decoding will reject it).

    ``dated``: whether the row has its own time; otherwise it has the time of the row before it.
    """

    time_s: float
    id: str
    value: bytes
    incident: Incident | None
    dated: bool

    @property
    def order(self) -> tuple[float, str]:
        """The sort key of the rows of a file."""
        return self.time_s, self.id


def without_truncated(entries: list[FileRow]) -> tuple[tuple[FileRow, ...], tuple[RefusedDelivery, ...]]:
    """Return the rows without truncated deliveries, and those deliveries. A delivery is all rows of one time."""
    kept: list[FileRow] = []
    refused: list[RefusedDelivery] = []
    known: set[str] = set()
    for time_s, group in itertools.groupby(entries, key=lambda entry: entry.time_s):
        delivery = list(group)
        valid = [entry for entry in delivery if entry.incident is not None]
        deleted = known.intersection(
            entry.id for entry in valid if entry.incident and entry.incident.status is Status.CANCELLED
        )
        if len(deleted) >= TRUNCATED_LEAST and len(deleted) > TRUNCATED_SHARE * len(known):
            seen_at = datetime.fromtimestamp(time_s, UTC)
            refused.append(RefusedDelivery(seen_at, len(delivery), len(deleted), len(known)))
            continue
        kept.extend(delivery)
        known.difference_update(deleted)
        known.update(entry.id for entry in valid if entry.incident and entry.incident.status is Status.ACTIVE)
    return tuple(kept), tuple(refused)
