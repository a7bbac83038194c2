"""The values that requests may carry, as OpenAPI describes them; whatever else comes is answered with 422."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import HTTPException, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from detectors.alerts.lifecycle import AlertState
from streams.console.data.store import Change
from streams.messages.alert import Category, Tier, Time

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
Areas = Annotated[list[AreaName], Field(max_length=100, description="all areas where none is given")]
Box = Annotated[
    str,
    Field(
        pattern=rf"^{_NUMBER}(,{_NUMBER}){{3}}$",
        description="west,south,east,north in degrees; west > east: across 180",
    ),
]
AlertId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="id of an alert")]


class AlertQuery(BaseModel):
    """Which alerts: those that match every filter, and of a filter any of its values."""

    model_config = ConfigDict(extra="forbid")

    area: Areas = []
    state: Annotated[list[AlertState], Field(max_length=20, description="open ones where none is given")] = []
    category: Annotated[list[Category], Field(max_length=20)] = []
    tier: Annotated[list[Tier], Field(max_length=20, description="the highest reached")] = []
    bbox: Box | None = None
    since: Annotated[Moment | None, Field(description="changed since; ended ones too then")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_ALERTS)] = 200

    def matches(self, change: Change) -> bool:
        """Whether a revision passes every filter but that of areas."""
        feature = change.glance
        told = feature.properties
        return (
            (not self.state or told.state in self.state)
            and (not self.category or told.category in self.category)
            and (not self.tier or told.tier in self.tier)
            and (self.since is None or told.tick_s >= self.since.timestamp())
            and (self.bbox is None or _is_within(self.bbox, *feature.geometry.coordinates))
        )


class AreaQuery(BaseModel):
    """Of which areas."""

    model_config = ConfigDict(extra="forbid")

    area: Areas = []


class OneAreaQuery(BaseModel):
    """Of which area; it may be left out where there is only one."""

    model_config = ConfigDict(extra="forbid")

    area: AreaName | None = None


class ShiftQuery(AreaQuery):
    """Since when, and of which areas."""

    since: Moment


class StreamQuery(AreaQuery):
    """Of which areas, and after which event."""

    last_event_id: Annotated[str | None, Field(max_length=8192, description="like the header Last-Event-ID")] = None


def chosen(given: list[str], areas: tuple[str, ...]) -> tuple[str, ...]:
    """The areas that were asked for, all where none was; 404 if one is not there."""
    for area in given:
        if area not in areas:
            raise HTTPException(404, f"there is no area {area!r}")
    return tuple(dict.fromkeys(given)) or areas


def _is_within(box: str, longitude: float, latitude: float) -> bool:
    west, south, east, north = map(float, box.split(","))
    is_between = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return is_between and south <= latitude <= north
