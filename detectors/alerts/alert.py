"""An alert as the Monitor makes it: one revision with everything known at its tick."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from detectors.alerts.lifecycle import AlertState
from detectors.alerts.notices import Notice
from detectors.alerts.response import Responses
from detectors.area.settings import Stream
from detectors.clusters.cluster import Figures
from detectors.scan.significance import Tier
from detectors.window.zone_profile import ZoneProfile


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert.

    Times are seconds since 1970 UTC. ``alerted_s`` is the tick at which the alert first reached ``Tier.ALERT``;
    ``tier`` is the highest tier so far. ``figures`` and ``members`` come from its cluster; while it eases, at a
    response and at its end they stay as in the previous revision. ``new_members`` are in no earlier revision.
    ``split_from`` and ``merged_into`` are ids of other alerts, empty for none.
    """

    id: str
    revision: int
    area: str
    stream: Stream
    state: AlertState
    tier: Tier
    reason: str
    notice: Notice
    opened_s: int
    alerted_s: int | None
    tick_s: int
    ended_s: int | None
    split_from: str
    merged_into: str
    figures: Figures
    members: tuple[str, ...]
    new_members: tuple[str, ...]
    zone_profile: ZoneProfile = ZoneProfile()
    responses: Responses = Responses()


def alert_id(area: str, stream: Stream, opened_s: int, centre: str, members: Iterable[str]) -> str:
    """The first 128 bits of SHA-256, in hex, over what identifies an alert.

    >>> alert_id("leeds", Stream.VIOLENCE, 0, "8a195da49b9ffff", ["a", "b"])
    '1dbe3f1e1bcd6ddf1a4b2f4b4b0ed36e'
    """
    content = msgspec.json.encode((area, stream, opened_s, centre, sorted(members)))
    return hashlib.sha256(content).hexdigest()[:32]
