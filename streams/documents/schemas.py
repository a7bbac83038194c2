"""The JSON Schemas of all messages, generated from the types; ``docs/schemas`` holds them."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any

import msgspec

from detectors.area.incident import AwareTime, Incident
from streams.messages.alert import AlertEvent, Provenance
from streams.messages.records import Rejection
from streams.messages.response import ResponseMessage
from streams.messages.usual import Usual
from streams.webhook.dead_letter import Undelivered
from streams.webhook.notification import Notification

Tick = Annotated[
    AwareTime,
    msgspec.Meta(
        title="Tick",
        description="Header `tick` of a tick record of the topic incidents, whose key is the area and whose value "
        "is empty: the time that the area's watermark clock has reached, however far.",
    ),
]

PUBLISHED: dict[str, Any] = {
    "incident": Incident,
    "tick": Tick,
    "alert": AlertEvent,
    "provenance": Provenance,
    "response": ResponseMessage,
    "usual": Usual,
    "rejection": Rejection,
    "notification": Notification,
    "undelivered": Undelivered,
}
"""File name without ``.json`` -> the type that it describes."""


def schemas() -> dict[str, bytes]:
    """Return file name -> JSON Schema (draft 2020-12), as the bytes that ``docs/schemas`` holds."""
    files = {}
    for name, kind in PUBLISHED.items():
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)}
        encoded = msgspec.json.format(msgspec.json.encode(_without_notes(schema), order="deterministic"), indent=2)
        files[f"{name}.json"] = encoded + b"\n"
    return files


def _without_notes(schema: Any) -> Any:
    """The schema without those parts of docstrings that only a Python programmer needs."""
    if isinstance(schema, list):
        return [_without_notes(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {key: _without_notes(part) for key, part in schema.items()}
    if isinstance(cleaned.get("description"), str):
        text = inspect.cleandoc(cleaned["description"]).split("\n\nRaises:")[0]
        cleaned["description"] = re.sub(r":\w+:`~?(.+?)`|``(.+?)``", r"`\1\2`", text)
    return cleaned
