"""What the API answers with: the types that OpenAPI describes and, where they are ours to build, that are encoded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi.responses import JSONResponse
from msgspec import UNSET, Meta, UnsetType

from streams.areas.health import FeedState
from streams.configuration.console import LayerKind, LoginMode
from streams.messages.alert import AlertProperties, Point

Role = Literal["viewer", "operator"]
Degrees = tuple[float, float]


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not done."""

    detail: str


class ShownProperties(AlertProperties, frozen=True, kw_only=True):
    """The properties of the alert's event, and those that the console adds."""

    delayed: Annotated[bool, Meta(description="published long after its tick: not news, do not sound")]
    recurrence_interval: Annotated[str, Meta(description="recurrence_interval_days as text, such as 90 days")]
    place: Annotated[str | UnsetType, Meta(description="by the operator's layers: nearest street, beat")] = UNSET


class ShownAlert(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """One revision of an alert, a GeoJSON Feature; fields of newer workers are passed on."""

    id: str
    geometry: Point
    properties: ShownProperties


class ShownAlerts(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="FeatureCollection"):
    """Alerts, or revisions of one."""

    features: list[ShownAlert]


class Polygon(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Polygon"):
    """The outline of an H3 cell, degrees WGS 84."""

    coordinates: tuple[tuple[Degrees, ...]]


class CellProperties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cell or place, with what is usual there where that was asked for."""

    id: str
    count: Annotated[int | UnsetType, Meta(description="incidents in the window")] = UNSET
    per_week: float | UnsetType = UNSET


class Cell(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """An H3 cell, or one of the operator's own places."""

    geometry: Polygon | Point
    properties: CellProperties


class Cells(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="FeatureCollection"):
    """Cells or places."""

    features: list[Cell]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """All about one alert."""

    alert: ShownAlert
    explanation: Annotated[str, Meta(description="in plain English")]
    cells: Annotated[Cells, Meta(description="those of its zone")]
    related: Annotated[list[str], Meta(description="ids: split from, merged into, sharing incidents with it")]


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """What to hand over: the latest revision of each alert; one that opened and ended since is in both."""

    since: datetime
    opened: list[ShownAlert]
    changed: list[ShownAlert]
    ended: list[ShownAlert]


class LayerName(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that ``/api/layers`` has."""

    name: str
    kind: LayerKind
    label: Annotated[str, Meta(description="the property with the name of a feature")]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what the page needs to begin; without a sign-in no areas and layers."""

    user: str
    role: Role
    login: LoginMode
    signed_in: bool
    csrf: Annotated[str, Meta(description="to be sent as X-CSRF-Token with every POST")]
    areas: list[str]
    time_zones: Annotated[dict[str, str], Meta(description="IANA name of each area's")]
    clocks: Annotated[
        dict[str, Literal["wall", "watermark"]],
        Meta(description="watermark: the area lives in the time of its records"),
    ]
    tiles: Annotated[str, Meta(description="URL template of map tiles; empty: none")]
    attribution: str
    layers: list[LayerName]
    version: str


class AreaHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an area is; what is not known is absent."""

    area: str
    worker: Annotated[Literal["alive", "dead"], Meta(description="dead: no heartbeat for 30 s")]
    feed: FeedState | UnsetType = UNSET
    last_record: datetime | UnsetType = UNSET
    last_scan: datetime | UnsetType = UNSET
    clock: Annotated[datetime | UnsetType, Meta(description="the area's own time")] = UNSET
    lag: Annotated[int | UnsetType, Meta(description="records of the area that wait for their tick")] = UNSET
    missing_days: Annotated[float | UnsetType, Meta(description="days of history lacking until alerts can open")] = (
        UNSET
    )
    written_at: datetime | UnsetType = UNSET
    seconds: Annotated[float | UnsetType, Meta(description="age of the heartbeat")] = UNSET


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the monitor is; without Redis nothing is known of the areas."""

    time: datetime
    redis: bool
    areas: list[AreaHealth]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The action is on its way; its effect comes with a revision of the alert."""

    id: Annotated[str, Meta(description="of the record of the topic responses")]


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """The server answers."""

    status: Literal["ok"] = "ok"


DESCRIBED = (Problem, ShownAlert, ShownAlerts, Cells, Card, Shift, Session, Health, Sent, Alive)


class Json(JSONResponse):
    """Any of the types above, or what msgspec encodes, as JSON; bytes are taken for JSON already."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def components() -> dict[str, Any]:
    """The schemas of these types for OpenAPI, by name."""
    _, found = msgspec.json.schema_components(DESCRIBED, ref_template="#/components/schemas/{name}")
    return found


def answers(kind: type[msgspec.Struct] | None, status: int, **problems: str) -> dict[int | str, dict[str, Any]]:
    """A route's answers for OpenAPI: its own, and the problems as ``_404="no such alert"``.

    Every route may find fault with the request or, behind a login, with who sends it.
    """
    said = {"_400": "not asked for by a name of this server", "_422": "a value is not as it must be"} | problems
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told: dict[int | str, dict[str, Any]] = {
        int(code[1:]): {"description": text, "content": content} for code, text in said.items()
    }
    own: dict[str, Any] = {"description": "done"}
    if kind is not None:
        own["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
    return {status: own} | told
