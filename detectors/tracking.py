"""Alerts: clusters with an identity and a life."""
from __future__ import annotations

import msgspec


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert: everything the Monitor knows of it at the tick of the revision.

    Times are seconds since 1970 UTC. ``members`` are incident ids in byte order.
    """

    id: str
    revision: int
    area: str
    stream: str
    state: str                # open, escalated, easing, ended, withdrawn
    tier: str                 # watch, advisory, alert, urgent
    reason: str               # why this revision was made
    opened_s: int             # tick at which the alert was opened
    alerted_s: int | None     # tick at which the tier 'alert' was first reached
    tick_s: int               # tick of this revision
    ended_s: int | None
    centre: str               # id of the centre location
    longitude: float
    latitude: float
    radius_m: float
    locations: tuple[str, ...]    # ids of the zone, in rank order
    duration_h: int
    start_s: int              # start of the cylinder
    observed: int
    expected: float
    llr: float
    score: float
    recurrence_interval_days: float
    members: tuple[str, ...]
    new_members: tuple[str, ...]
    breakdown: dict[str, int]  # members by category
