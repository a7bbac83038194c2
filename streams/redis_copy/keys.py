"""The keys of Redis, the sign-in of a client, and the few fields of an alert's event that the layout needs.

The keys of an area share the hash tag ``{area}``, so that one script can change them all on a cluster::

    hotspots:{area}:alerts                Redis stream of every change, entry <offset + 1>-0; also a channel
    hotspots:{area}:alert:<id>            hash: the alert's latest revision
    hotspots:{area}:alert:<id>:revisions  Redis stream of its revisions, entry <revision>-0
    hotspots:{area}:open                  sorted set: ids of open alerts by recurrence interval in days, rarest last
    hotspots:{area}:where                 geo set: ids of open alerts by their centre
    hotspots:{area}:offset                offset in the topic below which every record of the area is in Redis
    hotspots:{area}:ledger                hash: what the feeder has written, to notice a loss (``ledger.lua``)
    hotspots:{area}:ledger:alerts         hash: the same for each alert
    hotspots:{area}:health                hash: the heartbeat
    hotspots:{area}:usual                 string: how many incidents each location has had in the window, JSON

Hashes and entries of alerts have the fields id, revision, state, tier, event and provenance. ``event`` is the record's
value, byte for byte; the channel carries it too. ``alerts`` keeps what the topic keeps.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from detectors.alerts.lifecycle import AlertState
from detectors.scan.significance import TIERS, Tier
from streams.configuration.services import RedisSettings
from streams.messages.alert import Latitude, Longitude
from streams.process.strict_json import StrictDecoder

SPEAKING_TIERS = TIERS[TIERS.index(Tier.ALERT) :]
"""Tiers whose revisions go to the channel and sound on the console's page, except delayed revisions."""


class Point(msgspec.Struct):
    """Longitude and latitude of an alert's centre, in degrees."""

    coordinates: tuple[Longitude, Latitude]


class Properties(msgspec.Struct):
    """The few properties of a revision; older events have no ``notice``."""

    revision: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    state: AlertState
    tier: Tier
    recurrence_interval_days: float
    notice: str = ""


class Glance(msgspec.Struct):
    """The few fields of a revision that Redis needs: faster to decode than the whole event."""

    id: str
    geometry: Point
    properties: Properties


class _Event(msgspec.Struct):
    data: Glance


_event = StrictDecoder[_Event](_Event)


def area_key(area: str, name: str) -> str:
    """Return the Redis key of an area.

    >>> area_key("leeds", "open")
    'hotspots:{leeds}:open'
    """
    return f"hotspots:{{{area}}}:{name}"


def redis_arguments(settings: RedisSettings) -> dict[str, Any]:
    """Return the arguments with which a Redis client signs in and trusts certificates."""
    tls = {"ssl_ca_certs": settings.ssl_cafile or None} if settings.url.startswith("rediss:") else {}
    return {"username": settings.username or None, "password": settings.password.reveal() or None, **tls}


def glance(event: bytes | None) -> Glance:
    """Decode the few fields of an alert's event.

    Raises:
        msgspec.DecodeError: The value is not an alert's event.
    """
    return _event.decode(event).data
