"""The sliding window: the incidents of the last weeks by id, and their counts.

It has columns with one row for each incident, and a linked list of rows for each bucket. So the cost of adding,
changing and expiring an incident does not depend on the length of the window. The counts are exact after any sequence
of late, amended, relocated and cancelled versions.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.incident import Origin
from detectors.area.moment import Interval, Position
from detectors.area.strata import BUCKET_S, Blocks, bucket_of
from detectors.kernels.events import Records, Same, settle
from detectors.kernels.window import in_zone, rows_in_buckets
from detectors.window.columns import Columns

ALL = 4
"""Index in the counts for the four scanned categories together."""
OTHER = 5
"""Index of the category of incidents that are kept by id but not scanned."""
UNMAPPED = 6
"""Index for category words that the settings do not know. Its incidents are kept like those of ``OTHER``."""
NOWHERE = -1
"""Location of a cancelled incident."""
MISSING, ELSEWHERE = -2, -3
"""Location of a version without one, and of one outside the area. Both get the location of the version held."""

EACH = Same(0.0, 0)
"""The limits with which every record is an event of its own."""
_E7 = 10_000_000
_NEVER = -(2**62)


class Outcome(enum.StrEnum):
    """The effect of one version of an incident on the window."""

    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"
    DUPLICATE = "duplicate"
    OUTSIDE = "outside"
    UNPLACED = "unplaced"


class Version(msgspec.Struct, frozen=True, gc=False):
    """One version of an incident as the window keeps it.

    ``occurred_s``: seconds since 1970; None only for a cancellation without a time.
    ``category``: 0 to 3, ``OTHER`` or ``UNMAPPED``.
    ``location``: index of a location, or ``MISSING``, ``ELSEWHERE``, or ``NOWHERE`` (a cancellation).
    ``offset``: offset in the log.
    ``clock_s``: the area's clock after the version, None if it was not set yet.
    ``is_interval``: whether ``occurred_s`` is a moment of an interval (:mod:`detectors.area.moment`).
    ``interval``: of a version without a usable location: the interval whose moment the location held decides.
    ``delay_s``: seconds from ``occurred_s`` to the report, never negative, None if unknown.
    """

    id: str
    occurred_s: int | None
    category: int
    origin: Origin
    location: int
    longitude: float
    latitude: float
    revision: int | None
    offset: int
    clock_s: int | None
    is_interval: bool
    delay_s: int | None = None
    interval: Interval | None = None


class SlidingWindow:
    """Incidents of the last ``buckets`` hours, including the current, partly filled one.

    Each incident has a record; records of the same event count as one (:mod:`detectors.kernels.events`).

    ``by_stratum``: number of events, int32, shape (5, locations, strata). Indices 0 to 3 are the categories; ``ALL`` is
        their sum.
    ``in_bucket``: the area's totals, int32, shape (5, buckets kept). Bucket ``b`` is at ``b % buckets kept``.
    ``touched``: where counts have changed, except by what left the window at its old end, bool, shape (5, locations).
        The reader clears it.

    Both counts cover the buckets from ``first`` to ``now``. Incidents a little ahead of the clock wait in their bucket
    until it is reached.
    """

    def __init__(
        self, locations: int, buckets: int, ahead: int, blocks: Blocks, zone: ZoneInfo, same_event: Same = EACH
    ) -> None:
        self.buckets = buckets
        self._same_event, self._buckets_near = same_event, -(-same_event.within_s // BUCKET_S)
        self._now, self._first = _NEVER, _NEVER
        self.by_stratum: NDArray[np.int32] = np.zeros((ALL + 1, locations, blocks.count), np.int32)
        self._ring = buckets + ahead + 1
        self.in_bucket: NDArray[np.int32] = np.zeros((ALL + 1, self._ring), np.int32)
        self.stratum: NDArray[np.int32] = np.zeros(self._ring, np.int32)
        self._head: NDArray[np.int32] = np.full(self._ring, -1, np.int32)
        self.touched: NDArray[np.bool_] = np.zeros((ALL + 1, locations), np.bool_)
        # Cells of the arrays above, as memory views, for the same reason as in the columns.
        self._cases, self._in_bucket, self._touched = self.by_stratum.data, self.in_bucket.data, self.touched.data
        self._stratum, self._heads = self.stratum.data, self._head.data
        self._ahead = ahead
        self._blocks, self._zone = blocks, zone
        self._baseline: int | None = None
        self._is_baseline_known = False
        self._row_of: dict[str, int] = {}
        self._ids: list[str] = []
        self._free: list[int] = []
        self.columns = Columns(1024)

    def __len__(self) -> int:
        """Return the number of ids remembered: incidents in the window and cancelled ids."""
        return len(self._row_of)

    def __contains__(self, incident_id: str) -> bool:
        """Return whether an incident counts: it is in the window and was not cancelled."""
        row = self._row_of.get(incident_id)
        return row is not None and self.columns.at.location[row] != NOWHERE

    @property
    def has_time(self) -> bool:
        """Whether the window was ever advanced to a bucket."""
        return self._now != _NEVER

    @property
    def now(self) -> int:
        """The current bucket, the window's last.

        Raises:
            ValueError: The window was never advanced to a bucket.
        """
        if not self.has_time:
            raise ValueError("the window has no time yet: advance it to a bucket first")
        return self._now

    @property
    def first(self) -> int:
        """The oldest bucket of the window."""
        return self.now - self.buckets + 1

    def advance(self, bucket: int) -> None:
        """Move the window's end forward to a bucket, and forget what falls out at the other end.

        Raises:
            ValueError: The bucket lies before the present one.
        """
        if bucket == self._now:
            return
        self._is_baseline_known = False
        if self._now == _NEVER:
            self._start(bucket)
            return
        if bucket < self._now:
            raise ValueError(f"bucket {bucket}: the window already ends at {self._now}; time only moves forward")
        for reached in range(self._now + 1, min(bucket, self._now + self._ring) + 1):
            self._expire(reached - self.buckets)
            self._now, self._first = reached, reached - self.buckets + 1
            self._label(range(reached + self._ahead, reached + self._ahead + 1))
            for row in self._rows_of(reached):
                if not self.columns.at.further[row]:
                    self._count(row, +1)
        if bucket > self._now:  # the jump was longer than the window, so all has expired
            self._start(bucket)

    def _start(self, bucket: int) -> None:
        self._now, self._first = bucket, bucket - self.buckets + 1
        self._label(range(self._first, bucket + self._ahead + 1))

    def _label(self, buckets: range) -> None:
        for bucket in buckets:
            self.stratum[bucket % self._ring] = self._blocks.of_bucket(bucket, self._zone)

    def put(self, version: Version) -> Outcome:
        """Take one version of an incident: it is added, replaces the version held, removes it, or changes nothing.

        A version with a lower revision than the one held changes nothing (``DUPLICATE``). Without revisions the later
        arrival counts. A version older than the window is ``OUTSIDE``; it removes an earlier version of its id from the
        window. A version without a usable location takes the location of the version held; if that version does not
        count, the new one is ``UNPLACED``.
        """
        row = self._row_of.get(version.id)
        if version.location < NOWHERE:
            return self._put_where_held(row, version)
        return self._put(row, version)

    def _put_where_held(self, row: int | None, version: Version) -> Outcome:
        """Take a version with the location of the version held, whose record in the log is then still needed.

        If the version held does not count, the latest revision of its id is still remembered.
        """
        if row is None:
            return Outcome.UNPLACED
        at = self.columns.at
        held = at.location[row]
        position = Position(held, at.longitude_e7[row], at.latitude_e7[row])
        occurred_s = version.occurred_s
        if version.interval is not None and held != NOWHERE:
            occurred_s = version.interval.moment_s(position)
        outcome = self._put(
            row,
            msgspec.structs.replace(
                version,
                occurred_s=occurred_s,
                location=held,
                longitude=position.longitude_e7 / _E7,
                latitude=position.latitude_e7 / _E7,
                offset=at.offset[row],
                clock_s=at.clock_s[row],
                delay_s=None if at.delay_s[row] < 0 else at.delay_s[row],
            ),
        )
        return Outcome.UNPLACED if held == NOWHERE else outcome

    def _put(self, row: int | None, version: Version) -> Outcome:
        bucket = self.now if version.occurred_s is None else bucket_of(version.occurred_s)
        cancelled, is_outside = version.location == NOWHERE, bucket < self._first
        at = self.columns.at
        if row is None:
            if is_outside and version.revision is None:
                return Outcome.OUTSIDE
            outcome = Outcome.OUTSIDE if is_outside else Outcome.REMOVED if cancelled else Outcome.ADDED
            row = self._new_row(version.id)
        elif version.revision is not None and version.revision < at.revision[row]:
            # Remember the version held for as long as this one could come again.
            at.remembered[row] = max(at.remembered[row], self._until(bucket, version))
            return Outcome.DUPLICATE
        else:
            was_standing = at.location[row] != NOWHERE
            if cancelled:
                outcome = Outcome.REMOVED if was_standing else Outcome.DUPLICATE
            elif is_outside:
                outcome = Outcome.REMOVED if was_standing else Outcome.OUTSIDE
            elif not was_standing:
                outcome = Outcome.ADDED
            elif self._equals(row, version):
                self._stamp(row, bucket, version)
                return Outcome.DUPLICATE
            else:
                outcome = Outcome.REPLACED
            self._leave(row)
        if is_outside:
            version = msgspec.structs.replace(version, location=NOWHERE)
        self._enter(row, bucket, version)
        return outcome

    def _equals(self, row: int, version: Version) -> bool:
        at = self.columns.at
        return (
            at.occurred_s[row] == version.occurred_s
            and at.location[row] == version.location
            and at.category[row] == version.category
            and at.discovered[row] == (version.origin is Origin.DISCOVERED)
            and at.interval[row] == version.is_interval
            and at.longitude_e7[row] == round(version.longitude * _E7)
            and at.latitude_e7[row] == round(version.latitude * _E7)
        )

    def _new_row(self, incident_id: str) -> int:
        if self._free:
            row = self._free.pop()
            self._ids[row] = incident_id
        else:
            row = len(self._ids)
            if row == len(self.columns):
                self.columns.grow()
            self._ids.append(incident_id)
        self._row_of[incident_id] = row
        return row

    def _enter(self, row: int, bucket: int, version: Version) -> None:
        """Write a row, link it into the list of its bucket and count it."""
        self._stamp(row, bucket, version)
        at = self.columns.at
        stands = version.location != NOWHERE
        at.bucket[row] = bucket if stands else at.remembered[row]
        at.occurred_s[row] = self._now * BUCKET_S if version.occurred_s is None else version.occurred_s
        at.location[row] = version.location
        at.longitude_e7[row] = round(version.longitude * _E7)
        at.latitude_e7[row] = round(version.latitude * _E7)
        at.category[row] = version.category
        at.discovered[row] = version.origin is Origin.DISCOVERED
        at.interval[row] = version.is_interval
        at.further[row] = True
        self._link(row)
        self._settle(row, leaves=False)

    def _settle(self, row: int, *, leaves: bool) -> None:
        """Count a record that has entered, or no longer count one that leaves; other records of its event follow."""
        columns = self.columns
        if not self._same_event.within_s:
            columns.at.further[row] = leaves
            self._count(row, -1 if leaves else +1)
            return
        lists = columns.bucket, self._head, columns.after
        turned = settle(row, leaves, self._records(), *lists, self._buckets_near, self._same_event).tolist()
        for each in turned:
            self._count(each, -1 if columns.at.further[each] else +1)
        if not turned:  # no count changes, but the members of a cluster can
            self._touch(row)

    def _touch(self, row: int) -> None:
        at = self.columns.at
        category, location = at.category[row], at.location[row]
        if location != NOWHERE and category < OTHER:
            self._touched[category, location] = self._touched[ALL, location] = True

    def _records(self) -> Records:
        columns = self.columns
        return Records(
            columns.occurred_s,
            columns.location,
            columns.category,
            columns.longitude_e7,
            columns.latitude_e7,
            columns.discovered,
            columns.interval,
            columns.further,
        )

    def _until(self, bucket: int, version: Version) -> int:
        """Return the last bucket in which a version's id is needed.

        Without a revision number, that is the version's own bucket. With a revision number, an earlier revision can
        still arrive. Such a revision has already been reported, so it occurred hardly later than now. The id is needed
        as long as that time is in the window.
        """
        return bucket if version.revision is None else self._now + self._ahead

    def _stamp(self, row: int, bucket: int, version: Version) -> None:
        """Note a row's revision, until when its id is remembered, and the offset from which the log is needed for it.

        The id is remembered as long as any of its versions needs it. Offset and delay are those of the version that
        needs it longest, so that reading the log again gives the same delay. Without revision numbers it is the first
        delay that the window saw, unless a later version moved the incident to a later bucket.
        """
        at = self.columns.at
        at.revision[row] = -1 if version.revision is None else version.revision
        until = self._until(bucket, version)
        if until > at.remembered[row]:
            at.remembered[row] = until
            at.delay_s[row] = -1 if version.delay_s is None else min(version.delay_s, Columns.LONGEST_DELAY_S)
            at.offset[row] = version.offset
            at.clock_s[row] = self._now * BUCKET_S if version.clock_s is None else version.clock_s

    def _leave(self, row: int) -> None:
        self._settle(row, leaves=True)
        self._unlink(row)

    def _link(self, row: int) -> None:
        at = self.columns.at
        slot = at.bucket[row] % self._ring
        head = self._heads[slot]
        at.after[row], at.before[row] = head, -1
        if head >= 0:
            at.before[head] = row
        self._heads[slot] = row

    def _unlink(self, row: int) -> None:
        at = self.columns.at
        after, before = at.after[row], at.before[row]
        if after >= 0:
            at.before[after] = before
        if before >= 0:
            at.after[before] = after
        else:
            self._heads[at.bucket[row] % self._ring] = after

    def _count(self, row: int, sign: int) -> None:
        at = self.columns.at
        category, location, bucket = at.category[row], at.location[row], at.bucket[row]
        if location == NOWHERE or category >= OTHER or not self._first <= bucket <= self._now:
            return
        slot = bucket % self._ring
        stratum = self._stratum[slot]
        self._is_baseline_known = False
        for plane in (category, ALL):
            self._touched[plane, location] = True
            self._cases[plane, location, stratum] += sign
            self._in_bucket[plane, slot] += sign

    def _expire(self, bucket: int) -> None:
        at, touched = self.columns.at, self.touched.copy()
        for row in self._rows_of(bucket):
            self._leave(row)
            if at.remembered[row] > bucket:
                at.location[row] = NOWHERE
                at.bucket[row] = at.remembered[row]
                self._link(row)
            else:
                del self._row_of[self._ids[row]]
                self._ids[row] = ""
                self.columns.free(row)
                self._free.append(row)
        self.touched[:] = touched

    def _rows_of(self, bucket: int) -> list[int]:
        rows: list[int] = []
        row = self._heads[bucket % self._ring]
        while row >= 0:
            rows.append(row)
            row = self.columns.at.after[row]
        return rows

    def rows(self, first: int, last: int) -> NDArray[np.int32]:
        """Return the rows whose bucket is one of ``first`` to ``last``, int32, in no particular order."""
        return rows_in_buckets(self._head, self.columns.after, self._ring, first, last)

    def rows_at(self, longitude_e7: int, latitude_e7: int) -> NDArray[np.int64]:
        """Return the rows of the events in the window at exactly these coordinates, int64. It looks at every row."""
        columns, used = self.columns, len(self._ids)
        here = (columns.longitude_e7[:used] == longitude_e7) & (columns.latitude_e7[:used] == latitude_e7)
        rows: NDArray[np.int64] = np.flatnonzero(here)
        bucket = columns.bucket[rows]  # a free row's bucket has left the window
        stands: NDArray[np.bool_] = (columns.location[rows] != NOWHERE) & (bucket >= self.first)
        return rows[stands & (bucket <= self.now) & ~columns.further[rows]]

    def in_zone(self, stream: int, zone: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return a stream's events in a zone of locations by bucket, ``first`` to ``now``, int32, (buckets,)."""
        columns, used = self.columns, len(self._ids)
        is_in_zone = np.zeros(self.by_stratum.shape[1], np.bool_)
        is_in_zone[zone] = True
        lowest, highest = (0, ALL - 1) if stream == ALL else (stream, stream)
        at = columns.bucket[:used], columns.location[:used], columns.category[:used]
        return in_zone(*at, columns.further[:used], is_in_zone, lowest, highest, self.first, self.buckets)

    def ids(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> list[str]:
        """Return the incident ids of rows, in byte order."""
        return sorted(self._ids[row] for row in rows)

    def totals(self, stream: int, first: int, last: int) -> NDArray[np.int32]:
        """Return the area's counts of a category, or of ``ALL``, by bucket, int32, shape (last - first + 1,)."""
        return np.concatenate([self.in_bucket[stream, part] for part in self._parts(first, last)])

    def strata(self, first: int, last: int) -> NDArray[np.int32]:
        """Return the stratum of each bucket from ``first`` to ``last``, int32."""
        return np.concatenate([self.stratum[part] for part in self._parts(first, last)])

    def _parts(self, first: int, last: int) -> tuple[slice, slice]:
        """Return where the buckets from ``first`` to ``last`` are kept: up to the end of the ring, and on from 0."""
        begin = first % self._ring
        end = begin + last - first + 1
        return slice(begin, min(end, self._ring)), slice(0, max(0, end - self._ring))

    def stratum_of(self, bucket: int) -> int:
        """Return the stratum of any bucket, including one ahead of the window."""
        return self._blocks.of_bucket(bucket, self._zone)

    def baseline_begins(self) -> int | None:
        """Return the first bucket up to which over 1 % of the counted incidents occurred; None without incidents.

        The oldest incident alone shows little, because a feed that began yesterday can report one from last month.
        """
        if not self._is_baseline_known:
            until = np.cumsum(self.totals(ALL, self.first, self.now))
            number = int(until[-1])
            begins = self.first + int(np.searchsorted(until, number // 100, side="right"))
            self._baseline, self._is_baseline_known = begins if number else None, True
        return self._baseline

    def lowest(self) -> tuple[int, int] | None:
        """Return (offset, clock) of the earliest record that is still needed; None if no id is remembered."""
        if not self._row_of:
            return None
        row = int(np.argmin(self.columns.offset[: len(self._ids)]))
        return self.columns.at.offset[row], self.columns.at.clock_s[row]
