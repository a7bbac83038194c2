"""The admission of a record to an area: it is located and compared with the clock before it waits for its tick.

A wall clock shows when records arrive, a watermark clock the time of the records themselves. A record that is refused
does not move a watermark.
"""

from __future__ import annotations

import msgspec

from detectors.area.incident import Category, Incident, Status
from detectors.area.locations import Locations
from detectors.area.moment import Interval, Position, moment_s, seconds
from detectors.area.settings import STREAMS, AreaSettings, word_of
from detectors.window.sliding import ELSEWHERE, MISSING, NOWHERE, OTHER, UNMAPPED, Version

EARLIEST_S, LATEST_S = -2_208_988_800, 32_503_679_999
"""The years 1900 to 2999: the range of an area's clock, in seconds since 1970."""


class TickMark(msgspec.Struct, frozen=True):
    """A tick record: the area's time has reached ``tick_s`` (seconds since 1970), which may be far ahead of the clock.

    On a watermark clock it closes every tick before that time, including the tick that it belongs to.
    """

    tick_s: int


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is refused: a reason from a fixed list, and a ``detail`` that states what would be right."""

    reason: str
    detail: str


Entry = Incident | TickMark | Refusal

UNPLACED = {
    MISSING: Refusal("wrong_type", "longitude and latitude: missing (or give location)"),
    ELSEWHERE: Refusal("out_of_area", "the location must be one of the area's"),
}
"""The refusal of a version without a usable location, if the window has no earlier version of its incident."""

Judged = Version | TickMark | Refusal


class Admission:
    """Judges the records of an area.

    It does not use the window, so it can judge a record long before the record's tick closes.
    """

    def __init__(self, settings: AreaSettings, locations: Locations) -> None:
        self._settings, self._locations = settings, locations
        self._categories = {
            word: OTHER if category is Category.OTHER else STREAMS.index(category)
            for word, category in settings.category_map.items()
        }

    def judge(self, entry: Entry, offset: int, arrival_s: int, clock_s: int | None) -> tuple[Judged, int | None]:
        """Locate a record and compare it with the area's clock; return the judgement and the clock after the record.

        ``clock_s``: the area's clock before the record, in seconds since 1970, None before the first record. A version
        without a usable location is judged when its tick closes, because it keeps the location of an earlier version if
        there is one.
        """
        is_wall = self._settings.clock == "wall"
        if is_wall:
            clock_s = _later(clock_s, arrival_s)
        if isinstance(entry, Refusal):
            return entry, clock_s
        if isinstance(entry, TickMark):
            if not EARLIEST_S <= entry.tick_s <= LATEST_S:
                return Refusal("clock_jump", "tick: must lie between the years 1900 and 2999"), clock_s
            return entry, clock_s if is_wall else _later(clock_s, entry.tick_s)
        occurred_s = seconds(entry.occurred)
        reached = clock_s if is_wall else self._watermark(entry, occurred_s, clock_s)
        if isinstance(reached, Refusal):
            return reached, clock_s
        ahead_s = self._settings.max_ahead_s
        if occurred_s is not None and reached is not None and occurred_s > reached + ahead_s:
            # A record that is refused here moves no watermark.
            return Refusal("future", f"occurred more than {ahead_s} s after the area's clock"), clock_s
        location = self._location(entry)
        position = Position.of(location, entry) if location >= 0 else None
        moment = moment_s(entry, self._settings.interval_times, position)
        version = Version(
            id=entry.id,
            occurred_s=moment,
            category=self._categories.get(word_of(entry.category), UNMAPPED),
            origin=entry.origin,
            location=location,
            longitude=entry.longitude or 0.0,
            latitude=entry.latitude or 0.0,
            revision=entry.revision,
            offset=offset,
            clock_s=reached,
            is_interval=entry.is_interval,
            interval=Interval.of(entry, self._settings.interval_times) if location < NOWHERE else None,
            delay_s=_delay_s(entry, moment),
        )
        return version, reached

    def _location(self, incident: Incident) -> int:
        if incident.status is Status.CANCELLED:
            return NOWHERE
        if not incident.has_place:
            return MISSING
        location = self._locations.locate(incident)
        return ELSEWHERE if location is None else location

    def _watermark(self, incident: Incident, occurred_s: int | None, clock_s: int | None) -> int | Refusal | None:
        """Return the clock after an incident's own time, or a refusal if that time is further ahead than is allowed."""
        stamp_s = occurred_s if incident.reported_at is None else seconds(incident.reported_at)
        if stamp_s is None:
            return clock_s
        known_s = stamp_s if clock_s is None else clock_s
        if stamp_s > known_s + self._settings.max_jump_days * 86_400:
            days = self._settings.max_jump_days
            return Refusal("clock_jump", f"over {days} days after the area's clock; a tick record announces a gap")
        if not EARLIEST_S <= max(known_s, stamp_s) <= LATEST_S:
            return Refusal("clock_jump", "the time must lie between the years 1900 and 2999")
        return max(known_s, stamp_s)


def _later(clock_s: int | None, time_s: int) -> int:
    return time_s if clock_s is None else max(clock_s, time_s)


def _delay_s(incident: Incident, occurred_s: int | None) -> int | None:
    """Return the seconds from occurrence to report; None for a later revision, which is reported when it is amended."""
    reported_s = seconds(incident.reported_at)
    is_first = incident.revision is None or incident.revision <= 1
    return max(0, reported_s - occurred_s) if is_first and occurred_s is not None and reported_s is not None else None
