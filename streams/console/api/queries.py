"""The parameters of requests, as OpenAPI describes them; anything else gets 422."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import HTTPException, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from detectors.alerts.lifecycle import AlertState
from detectors.area.settings import Stream
from detectors.scan.significance import Tier
from streams.console.data.store import Change
from streams.messages.alert import Time

MAX_ALERTS = 1000
_NUMBER = r"-?[0-9]{1,3}(\.[0-9]{1,18})?"


def _moment(text: Any) -> datetime:
    try:
        return msgspec.convert(text, Time)
    except msgspec.ValidationError:
        raise ValueError("must be an RFC 3339 time with an offset") from None


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
AreaName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="an area of the configuration")
]
Areas = Annotated[list[AreaName], Field(max_length=100, description="default: all areas")]
Box = Annotated[
    str,
    Field(
        pattern=rf"^{_NUMBER}(,{_NUMBER}){{3}}$",
        description="west,south,east,north in degrees; west > east: across 180",
    ),
]
AlertId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="id of an alert")]


class AlertQuery(BaseModel):
    """Filters for alerts. An alert must match at least one value of every filter."""

    model_config = ConfigDict(extra="forbid")

    area: Areas = []
    state: Annotated[list[AlertState], Field(max_length=20, description="default: open alerts")] = []
    category: Annotated[list[Stream], Field(max_length=20)] = []
    tier: Annotated[list[Tier], Field(max_length=20, description="the highest tier reached")] = []
    bbox: Box | None = None
    since: Annotated[Moment | None, Field(description="changed since; includes ended alerts")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_ALERTS)] = 200

    def matches(self, change: Change) -> bool:
        """Return whether a revision passes every filter except the areas."""
        feature = change.alert
        alert = feature.properties
        return (
            (not self.state or alert.state in self.state)
            and (not self.category or alert.category in self.category)
            and (not self.tier or alert.tier in self.tier)
            and (self.since is None or alert.tick_s >= self.since.timestamp())
            and (self.bbox is None or _is_within(self.bbox, *feature.geometry.coordinates))
        )


class AreaQuery(BaseModel):
    """The areas."""

    model_config = ConfigDict(extra="forbid")

    area: Areas = []


class OneAreaQuery(BaseModel):
    """The area; a console with one area needs none."""

    model_config = ConfigDict(extra="forbid")

    area: AreaName | None = None


class ShiftQuery(AreaQuery):
    """The beginning of the shift, and the areas."""

    since: Moment


class StreamQuery(AreaQuery):
    """The areas, and the event to resume after."""

    last_event_id: Annotated[str | None, Field(max_length=8192, description="like the header Last-Event-ID")] = None


def chosen(given: list[str], areas: tuple[str, ...]) -> tuple[str, ...]:
    """Return the requested areas, or all areas if none was requested. An unknown area leads to 404."""
    for area in given:
        if area not in areas:
            raise HTTPException(404, f"there is no area {area!r}")
    return tuple(dict.fromkeys(given)) or areas


def _is_within(box: str, longitude: float, latitude: float) -> bool:
    west, south, east, north = map(float, box.split(","))
    is_between = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return is_between and south <= latitude <= north
