"""The moment of an incident whose time is known only as an interval.

Aoristic analysis spreads such an incident over the hours of its interval (Ratcliffe and McCullagh 1998). Here each
incident gets one moment, uniform over its interval, from a hash of interval and position. So the mean number of
incidents of every hour is the aoristic one, counts stay whole, and the moment is the same after every restart. Records
of one event with the same interval and position have the same moment. A later version without a position in the area
keeps the position that is held, and with it the moment.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from detectors.area.incident import Incident

IntervalTimes = Literal["spread", "end"]
"""Whether incidents with an interval are spread over it or lie at its end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def seconds(time: datetime | None) -> int | None:
    """Return the seconds since 1970, rounded down; None without a time."""
    return None if time is None else (time - _EPOCH) // _SECOND


class Position(NamedTuple):
    """Where an incident counts: its location, and its own coordinates in units of 1e-7 degrees, both 0 without any."""

    location: int
    longitude_e7: int
    latitude_e7: int

    @classmethod
    def of(cls, location: int, incident: Incident) -> Position:
        """Return the position of an incident at a location."""
        return cls(location, round((incident.longitude or 0.0) * 1e7), round((incident.latitude or 0.0) * 1e7))


class Interval(NamedTuple):
    """The beginning and the end of the interval over which an incident is spread, in seconds since 1970."""

    begin_s: int
    end_s: int

    @classmethod
    def of(cls, incident: Incident, interval_times: IntervalTimes) -> Interval | None:
        """Return the interval of an incident; None if it is not spread or only one end is known."""
        begin_s, end_s = seconds(incident.occurred_from), seconds(incident.occurred_to)
        if interval_times == "end" or not incident.is_interval or begin_s is None or end_s is None:
            return None
        return cls(begin_s, end_s)

    def moment_s(self, position: Position) -> int:
        """Return when an incident at a position counts, in seconds since 1970."""
        location, *point = map(int, position)
        digest = hashlib.blake2b(repr((*self, point if any(point) else location)).encode(), digest_size=8).digest()
        return self.begin_s + int.from_bytes(digest, "big") * (self.end_s - self.begin_s + 1) // 2**64


def moment_s(incident: Incident, interval_times: IntervalTimes, position: Position | None) -> int | None:
    """Return when an incident counts, in seconds since 1970; None for a cancellation without a time.

    With only one end of an interval, it is that end. Without a position in the area, it is the end.
    """
    interval = Interval.of(incident, interval_times)
    return seconds(incident.occurred) if interval is None or position is None else interval.moment_s(position)
