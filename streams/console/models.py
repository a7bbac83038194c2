"""The contents of HTTP responses: the types of the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi.responses import JSONResponse
from msgspec import UNSET, Meta, UnsetType

from streams.areas.health import FeedState
from streams.configuration.console import LayerKind, LoginMode
from streams.messages.alert import AlertProperties, Point, Time
from streams.messages.usual import Days
from streams.process.strict_json import Count

Role = Literal["viewer", "operator"]
Degrees = tuple[float, float]


class Problem(msgspec.Struct, frozen=True):
    """Why a request failed."""

    detail: str


class ShownProperties(AlertProperties, frozen=True, kw_only=True):
    """The properties of the alert's event, and the properties that the console adds."""

    delayed: Annotated[bool, Meta(description="published long after its tick: no news, so do not sound")]
    recurrence_interval: Annotated[
        str, Meta(description="recurrence_interval_days as text, such as 90 days or over 8 simulated years")
    ]
    by_chance: Annotated[
        str,
        Meta(
            description="how often chance alone shows as much: by chance once in 90 days, or rarer than anything in 8 "
            "simulated years"
        ),
    ]
    place: Annotated[str | UnsetType, Meta(description="nearest street and beat in the operator's layers")] = UNSET


class ShownAlert(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """One revision of an alert, a GeoJSON Feature. Fields of newer workers are kept."""

    id: str
    geometry: Point
    properties: ShownProperties


class ShownAlerts(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="FeatureCollection"):
    """Alerts in their latest revision, or all revisions of one alert."""

    features: list[ShownAlert]


class Polygon(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Polygon"):
    """The outline of an H3 cell, degrees WGS 84."""

    coordinates: tuple[tuple[Degrees, ...]]


class CellProperties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The properties of a location; ``/api/usual`` adds the number of events."""

    id: str
    count: Annotated[int | UnsetType, Meta(description="events in the window")] = UNSET
    per_week: float | UnsetType = UNSET


class Cell(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """One location: an H3 cell, or an entry of the operator's ``places_file``."""

    geometry: Polygon | Point
    properties: CellProperties


class Cells(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="FeatureCollection"):
    """The locations of an area."""

    features: list[Cell]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One alert with everything known about it."""

    alert: ShownAlert
    explanation: Annotated[str, Meta(description="in plain English")]
    cells: Annotated[Cells, Meta(description="the locations of the alert's zone")]
    related: Annotated[
        list[str], Meta(description="ids of alerts that it split from, merged into or shares incidents with")
    ]


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """The shift list: the latest revision of each alert. An alert that opened and ended since then is in both lists."""

    since: datetime
    opened: list[ShownAlert]
    changed: list[ShownAlert]
    ended: list[ShownAlert]


class LayerName(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of ``/api/layers``."""

    name: str
    kind: LayerKind
    label: Annotated[str, Meta(description="the property that holds a feature's name")]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The user, and the data with which the page begins; without a sign-in, no areas and no layers."""

    user: str
    role: Role
    login: LoginMode
    signed_in: bool
    csrf: Annotated[str, Meta(description="send it as X-CSRF-Token with every POST")]
    areas: list[str]
    time_zones: Annotated[dict[str, str], Meta(description="IANA name of each area's time zone")]
    clocks: Annotated[
        dict[str, Literal["wall", "watermark"]],
        Meta(description="watermark: the area's clock shows the time of its records"),
    ]
    tiles: Annotated[str, Meta(description="URL template of map tiles; empty: none")]
    attribution: str
    layers: list[LayerName]
    version: str


class AreaHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The health of an area. Unknown fields are absent."""

    area: str
    worker: Annotated[Literal["alive", "dead"], Meta(description="dead: no heartbeat for 30 s")]
    feed: FeedState | UnsetType = UNSET
    last_record: Time | UnsetType = UNSET
    last_scan: Time | UnsetType = UNSET
    clock: Annotated[Time | UnsetType, Meta(description="time on the area's clock")] = UNSET
    lag: Annotated[Count | UnsetType, Meta(description="records that are unread or wait for their tick")] = UNSET
    missing_days: Annotated[Days | UnsetType, Meta(description="days of history missing until alerts can open")] = UNSET
    silent_parts: Annotated[list[str], Meta(description="a line for each part that has stopped reporting")] = []
    further_records: Annotated[
        str, Meta(description="a line if the share of incidents of an event already counted has changed; else empty")
    ] = ""
    written_at: Annotated[Time | UnsetType, Meta(description="by the clock of Redis")] = UNSET
    seconds: Annotated[float | UnsetType, Meta(description="age of the heartbeat")] = UNSET
    unreadable: Annotated[int, Meta(description="values of the area in Redis that cannot be read and are left out")] = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The health of the monitor; without Redis it has no areas."""

    time: datetime
    redis: bool
    areas: list[AreaHealth]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The response is in Kafka. A later revision of the alert shows its effect."""

    id: Annotated[str, Meta(description="of the record of the topic responses")]


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """The server works."""

    status: Literal["ok"] = "ok"


DESCRIBED = (Problem, ShownAlert, ShownAlerts, Cells, Card, Shift, Session, Health, Sent, Alive)


class Json(JSONResponse):
    """Anything that msgspec can encode, as JSON. Bytes are sent as they are."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def components() -> dict[str, Any]:
    """Return the schemas of these types for OpenAPI, by name."""
    _, found = msgspec.json.schema_components(DESCRIBED, ref_template="#/components/schemas/{name}")
    return found


def documented(kind: type[msgspec.Struct] | None, status: int, **problems: str) -> dict[int | str, dict[str, Any]]:
    """Return a route's HTTP responses for OpenAPI: its own, and problems such as ``_404="there is no such
    alert"``.

    400 and 422 are added, which every route can return.
    """
    problems = {"_400": "the Host header does not name this server", "_422": "a value is not valid"} | problems
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    failed: dict[int | str, dict[str, Any]] = {
        int(code[1:]): {"description": text, "content": content} for code, text in problems.items()
    }
    own: dict[str, Any] = {"description": "done"}
    if kind is not None:
        own["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
    return {status: own} | failed
