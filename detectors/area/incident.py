"""One event that a feed reports: what happened, when and where."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from typing import Annotated

import msgspec

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]


class Category(enum.StrEnum):
    """The kind of one incident: four that are scanned, and ``other``, which is only counted."""

    VIOLENCE = "violence"
    PROPERTY = "property"
    DRUGS = "drugs"
    DISORDER = "disorder"
    OTHER = "other"


class Origin(enum.StrEnum):
    """How an incident became known: reported by someone, or discovered by a patrol."""

    REPORTED = "reported"
    DISCOVERED = "discovered"


class Status(enum.StrEnum):
    """Whether an incident is valid or was cancelled by its source."""

    ACTIVE = "active"
    CANCELLED = "cancelled"


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of an incident.

    ``category`` is the word that the source uses; the area's settings map it to a :class:`Category`. An active incident
    needs a time and a position. The time is ``occurred_at``, or an interval. The position is ``longitude``
    and ``latitude`` in degrees WGS 84, or ``location``, the id of a location of the area. A later version without a
    position in the area keeps the earlier one. A cancelled incident needs only its ``id``.

    Raises:
        ValueError: An active incident has no time, only one coordinate is given, or the interval ends before it begins.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    occurred_at: AwareTime | None = None
    occurred_from: AwareTime | None = None
    occurred_to: AwareTime | None = None
    category: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "other"
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    location: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    area: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    reported_at: AwareTime | None = None
    origin: Origin = Origin.REPORTED
    status: Status = Status.ACTIVE
    revision: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    uncertainty_m: Annotated[float, msgspec.Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if (self.longitude is None) != (self.latitude is None):
            raise ValueError("longitude and latitude: give both or neither")
        if self.longitude is not None and self.latitude is not None:
            if not (math.isfinite(self.longitude) and math.isfinite(self.latitude)):
                raise ValueError("longitude and latitude: must be finite")
        if self.occurred_from is not None and self.occurred_to is not None:
            if self.occurred_to < self.occurred_from:
                raise ValueError("occurred_to: must not be before occurred_from")
        if self.status is Status.ACTIVE and self.occurred is None:
            raise ValueError("occurred_at: missing (or give occurred_from and occurred_to)")

    @property
    def occurred(self) -> datetime | None:
        """The given time. Without it, the end of the interval, or its start if it has no end."""
        return self.occurred_at or self.occurred_to or self.occurred_from

    @property
    def has_place(self) -> bool:
        """Whether the incident has a position, inside the area or not."""
        return self.longitude is not None or self.location is not None

    @property
    def is_interval(self) -> bool:
        """Whether the time is one end of an interval and not a known moment."""
        return self.occurred_at is None and self.occurred is not None
