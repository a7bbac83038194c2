"""The sliding window as a dictionary of ids; every figure is counted again whenever it is needed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from detectors.area.moment import Position
from detectors.area.strata import Blocks
from detectors.window.sliding import ALL, NOWHERE, OTHER, Outcome, Version
from tests.naive import events
from tests.naive.events import EACH, Limits
from tests.naive.strata import of_bucket


def rows_in_buckets(head: Sequence[int], after: Sequence[int], ring: int, first: int, last: int) -> list[int]:
    """Return the rows of the buckets, following the chain of each until it ends."""
    rows = []
    for bucket in range(first, last + 1):
        row = head[bucket % ring]
        while row >= 0:
            rows.append(int(row))
            row = after[row]
    return rows


def arrived(
    columns: Sequence[Sequence[int]], categories: range, latest: int, longest_s: int, age_s: int
) -> tuple[int, int]:
    """Return the incidents that count, and the seconds of their age at which their report was there, one by one."""
    counted = [
        delay_s
        for delay_s, bucket, location, category in columns
        if 0 <= delay_s < longest_s and bucket <= latest and location >= 0 and category in categories
    ]
    return len(counted), sum(age >= delay_s for delay_s in counted for age in range(age_s))


@dataclasses.dataclass
class Remembered:
    """The latest version of an id, its bucket, until when the id is kept, and its delay.

    ``needed``: the offset of the version that gave the location, or removed it.
    """

    version: Version
    bucket: int
    until: int
    cancelled: bool
    offsets: list[int]
    needed: int
    delay_s: int | None


class SlidingWindow:
    """Incidents by id. An id is kept until the latest bucket of any of its versions has left the window.

    An id with a revision is kept until the latest bucket that any version could have had by then has left.
    """

    def __init__(self, buckets: int, ahead: int, blocks: Blocks, zone: ZoneInfo, now: int, same: Limits = EACH) -> None:
        self.same = same
        self.buckets, self.ahead, self.blocks, self.zone, self.now = buckets, ahead, blocks, zone, now
        self.known: dict[str, Remembered] = {}

    @property
    def first(self) -> int:
        return self.now - self.buckets + 1

    def advance(self, bucket: int) -> None:
        self.now = bucket
        self.known = {name: known for name, known in self.known.items() if known.until >= self.first}

    def stands(self, incident_id: str) -> bool:
        known = self.known.get(incident_id)
        return known is not None and not known.cancelled and known.bucket >= self.first

    def put(self, version: Version) -> Outcome:
        if version.interval is not None and version.location < NOWHERE and self.stands(version.id):
            held = self.known[version.id].version
            position = Position(held.location, round(held.longitude * 1e7), round(held.latitude * 1e7))
            version = msgspec.structs.replace(version, occurred_s=version.interval.moment_s(position))
        bucket = self.now if version.occurred_s is None else version.occurred_s // 3600
        cancels = version.location == NOWHERE
        outside = bucket < self.first
        known = self.known.get(version.id)
        until = bucket if version.revision is None else self.now + self.ahead
        if known is None:
            if version.location < NOWHERE:
                return Outcome.UNPLACED
            if until >= self.first:
                self.known[version.id] = Remembered(
                    version, bucket, until, cancels or outside, [version.offset], version.offset, version.delay_s
                )
            if outside:
                return Outcome.OUTSIDE
            return Outcome.REMOVED if cancels else Outcome.ADDED
        stale = version.revision is not None and version.revision < (
            -1 if known.version.revision is None else known.version.revision
        )
        stood = self.stands(version.id)
        if stale:
            known.until = max(known.until, until)
            return Outcome.UNPLACED if version.location < NOWHERE and not stood else Outcome.DUPLICATE
        delay_s = version.delay_s if until > known.until and version.location >= NOWHERE else known.delay_s
        needed, until = version.offset, max(known.until, until)
        if version.location < NOWHERE:
            if not stood:
                known.version = msgspec.structs.replace(known.version, revision=version.revision)
                known.until = until
                return Outcome.UNPLACED
            held, needed = known.version, known.needed
            version = msgspec.structs.replace(
                version, location=held.location, longitude=held.longitude, latitude=held.latitude
            )
        same = _content(version) == _content(known.version)
        self.known[version.id] = Remembered(
            version, bucket, until, cancels or outside, [*known.offsets, version.offset], needed, delay_s
        )
        if stood:
            if cancels or outside:
                return Outcome.REMOVED
            return Outcome.DUPLICATE if same else Outcome.REPLACED
        if cancels:
            return Outcome.DUPLICATE
        return Outcome.OUTSIDE if outside else Outcome.ADDED

    def standing(self) -> dict[str, Remembered]:
        """Return the incidents that are not cancelled and lie in the window or a little ahead."""
        return {name: known for name, known in self.known.items() if self.stands(name)}

    def events(self) -> dict[str, Remembered]:
        """Return those that are not further records of an event."""
        standing = self.standing()
        further = events.further({name: known.version for name, known in standing.items()}, self.same)
        return {name: known for name, known in standing.items() if name not in further}

    def names_at(self, longitude: float, latitude: float) -> list[str]:
        """Return the ids of events that the clock has reached, of any category, at exactly these coordinates."""
        return sorted(
            name
            for name, known in self.events().items()
            if known.bucket <= self.now and (known.version.longitude, known.version.latitude) == (longitude, latitude)
        )

    def counted(self) -> list[tuple[int, int, int]]:
        """Return (category, location, bucket) of scanned events that the clock has reached."""
        return [
            (known.version.category, known.version.location, known.bucket)
            for known in self.events().values()
            if known.version.category < OTHER and known.bucket <= self.now
        ]

    def by_stratum(self) -> Counter[tuple[int, int, int]]:
        """Return the incidents by (plane, location, stratum)."""
        counts: Counter[tuple[int, int, int]] = Counter()
        for category, location, bucket in self.counted():
            stratum = of_bucket(self.blocks, bucket, self.zone)
            counts[category, location, stratum] += 1
            counts[ALL, location, stratum] += 1
        return counts

    def in_bucket(self) -> Counter[tuple[int, int]]:
        """Return the incidents by (plane, bucket)."""
        counts: Counter[tuple[int, int]] = Counter()
        for category, _, bucket in self.counted():
            counts[category, bucket] += 1
            counts[ALL, bucket] += 1
        return counts

    def baseline_begins(self) -> int | None:
        buckets = sorted(bucket for _, _, bucket in self.counted())
        return buckets[len(buckets) // 100] if buckets else None

    def lowest_between(self) -> tuple[int, int] | None:
        """Return bounds of the lowest offset needed: the first of any version, and of one that set a location."""
        if not self.known:
            return None
        return (
            min(min(known.offsets) for known in self.known.values()),
            min(known.needed for known in self.known.values()),
        )


def _content(version: Version) -> tuple[object, ...]:
    return (
        version.occurred_s,
        version.location,
        version.category,
        version.origin,
        version.is_interval,
        round(version.longitude, 7),
        round(version.latitude, 7),
    )
