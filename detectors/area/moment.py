"""The moment of an incident whose time is known only as an interval.

Aoristic analysis spreads such an incident over the hours of its interval (Ratcliffe and McCullagh 1998). Here each
incident gets one moment, uniform over its interval, from a hash of interval and place. So the mean number of incidents
of every hour is the aoristic one, counts stay whole, and the moment is the same after every restart. Records of one
event with the same interval and place have the same moment.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal

from detectors.area.incident import Incident

IntervalTimes = Literal["spread", "end"]
"""Whether incidents with an interval are spread over it or lie at its end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def seconds(time: datetime | None) -> int | None:
    """Return the seconds since 1970, rounded down; None without a time."""
    return None if time is None else (time - _EPOCH) // _SECOND


def moment_s(incident: Incident, interval_times: IntervalTimes) -> int | None:
    """Return when an incident counts, in seconds since 1970; None for a cancellation without a time.

    With only one end of an interval, it is that end.
    """
    begin_s, end_s, occurred_s = (
        seconds(each) for each in (incident.occurred_from, incident.occurred_to, incident.occurred)
    )
    if interval_times == "end" or not incident.is_interval or begin_s is None or end_s is None:
        return occurred_s
    place = (incident.longitude, incident.latitude) if incident.longitude is not None else incident.location
    digest = hashlib.blake2b(repr((begin_s, end_s, place)).encode(), digest_size=8).digest()
    return begin_s + int.from_bytes(digest, "big") * (end_s - begin_s + 1) // 2**64
