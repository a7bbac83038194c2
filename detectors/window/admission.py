"""What the area makes of a record before it waits for its tick: located, and held against the area's clock.

A wall clock shows when records arrive, a watermark what they say; only what is taken moves a watermark.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from detectors.area.incident import Category, Incident, Status
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings, word_of
from detectors.window.sliding import ELSEWHERE, MISSING, NOWHERE, OTHER, UNMAPPED, Version

EARLIEST_S, LATEST_S = -2_208_988_800, 32_503_679_999
"""The years 1900 to 2999: what an area's clock can show."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TickMark(msgspec.Struct, frozen=True):
    """A tick record: the area's time has reached ``tick_s`` (seconds since 1970), however far that is.

    On a watermark clock it closes every tick before that time, itself included.
    """

    tick_s: int


class Refusal(msgspec.Struct, frozen=True):
    """A record that cannot be taken, with the reason and what would be right."""

    reason: str
    detail: str


Entry = Incident | TickMark | Refusal

UNPLACED = {
    MISSING: Refusal("wrong_type", "longitude and latitude: missing (or give location)"),
    ELSEWHERE: Refusal("out_of_area", "the place is none of the area's locations"),
}
"""What is said of a version that stood nowhere before."""
Judged = Version | TickMark | Refusal


class Admission:
    """Judges the records of an area, one after the other; ``clock_s``: what the area's clock shows, seconds since 1970.

    The window is none of its affairs, so that a record can be judged long before its tick closes.
    """

    def __init__(self, settings: AreaSettings, locations: Locations) -> None:
        self.clock_s: int | None = None
        self._settings, self._locations = settings, locations
        self._categories = {
            word: OTHER if category is Category.OTHER else STREAMS.index(category)
            for word, category in settings.category_map.items()
        }

    def admit(self, entry: Entry, offset: int, arrival_s: int) -> Judged:
        """Locate a record and hold it against the area's clock, which it may move.

        Whether one without a usable place has an earlier version to keep the place of is known when its tick closes.
        """
        wall = self._settings.clock == "wall"
        if wall:
            self.clock_s = arrival_s if self.clock_s is None else max(self.clock_s, arrival_s)
        if isinstance(entry, Refusal):
            return entry
        if isinstance(entry, TickMark):
            if not EARLIEST_S <= entry.tick_s <= LATEST_S:
                return Refusal("clock_jump", "tick: must lie between the years 1900 and 2999")
            if not wall:
                self.clock_s = entry.tick_s if self.clock_s is None else max(self.clock_s, entry.tick_s)
            return entry
        occurred_s = _seconds(entry.occurred)
        clock_s = self.clock_s
        if not wall:
            stamp_s = occurred_s if entry.reported_at is None else _seconds(entry.reported_at)
            reached = self._watermark(stamp_s)
            if isinstance(reached, Refusal):
                return reached
            clock_s = reached
        if occurred_s is not None and clock_s is not None and occurred_s > clock_s + self._settings.max_ahead_s:
            return Refusal("future", f"occurred more than {self._settings.max_ahead_s} s after the area's clock")
        self.clock_s = clock_s  # only now: a record that is refused here moves no watermark
        return Version(
            id=entry.id,
            occurred_s=occurred_s,
            category=self._categories.get(word_of(entry.category), UNMAPPED),
            origin=entry.origin,
            location=self._location(entry),
            longitude=entry.longitude or 0.0,
            latitude=entry.latitude or 0.0,
            revision=entry.revision,
            offset=offset,
            clock_s=self.clock_s,
            is_interval=entry.is_interval,
            delay_s=_delay_s(entry),
        )

    def _location(self, incident: Incident) -> int:
        if incident.status is Status.CANCELLED:
            return NOWHERE
        if not incident.has_place:
            return MISSING
        location = self._locations.locate(incident)
        return ELSEWHERE if location is None else location

    def _watermark(self, stamp_s: int | None) -> int | Refusal | None:
        """The clock after a stamp: the latest one, unless that is further ahead than a feed could be."""
        if stamp_s is None:
            return self.clock_s
        known_s = stamp_s if self.clock_s is None else self.clock_s
        if stamp_s > known_s + self._settings.max_jump_days * 86_400:
            days = self._settings.max_jump_days
            return Refusal("clock_jump", f"over {days} days after the area's clock; a tick record announces a gap")
        if not EARLIEST_S <= max(known_s, stamp_s) <= LATEST_S:
            return Refusal("clock_jump", "the time must lie between the years 1900 and 2999")
        return max(known_s, stamp_s)


def _delay_s(incident: Incident) -> int | None:
    """Seconds from occurrence to report; None for a later revision, whose report is that of the amendment."""
    occurred_s, reported_s = _seconds(incident.occurred), _seconds(incident.reported_at)
    is_first = incident.revision is None or incident.revision <= 1
    return max(0, reported_s - occurred_s) if is_first and occurred_s is not None and reported_s is not None else None


def _seconds(time: datetime | None) -> int | None:
    """Seconds since 1970, rounded down."""
    if time is None:
        return None
    since = time - _EPOCH
    return since.days * 86_400 + since.seconds
