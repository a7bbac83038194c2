"""One revision of an alert, with everything known at its tick."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from detectors.alerts.lifecycle import AlertState
from detectors.alerts.notices import Notice
from detectors.alerts.response import Responses
from detectors.alerts.stream_figures import StreamFigures
from detectors.area.settings import Stream
from detectors.clusters.cluster import Figures
from detectors.scan.significance import Tier
from detectors.window.zone_profile import ZoneProfile


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert.

    ``tier``: the highest tier so far.
    ``opened_s``, ``ended_s``: seconds since 1970 UTC; ``ended_s`` is None while the alert is open.
    ``alerted_s``: the tick at which the alert first reached ``Tier.ALERT``, in seconds since 1970 UTC; None before
        that.
    ``tick_s``: the tick of this revision, in seconds since 1970 UTC.
    ``split_from``, ``merged_into``: ids of other alerts, empty for none.
    ``figures``, ``members``: those of its cluster. They are the same as in the previous revision while the alert eases,
        after a response, and at the alert's end.
    ``new_members``: members that are in no earlier revision.
    ``also_in``: the other streams that show members now, the highest score first; under the Bayesian scan only.
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
    also_in: tuple[StreamFigures, ...] = ()


def alert_id(area: str, stream: Stream, opened_s: int, centre: str, members: Iterable[str]) -> str:
    """Return the id of an alert: the first 128 bits, in hex, of the SHA-256 over these arguments.

    >>> alert_id("leeds", Stream.VIOLENCE, 0, "8a195da49b9ffff", ["a", "b"])
    '7b9ecedb0c90e088613cf1fae9d50314'
    """
    content = msgspec.json.encode((area, stream, opened_s, centre, sorted(members)))
    return hashlib.sha256(content).hexdigest()[:32]
