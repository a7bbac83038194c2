"""Decodes records of the topic ``incidents`` to an incident, a tick mark or a refusal, and never raises an error.

A record can hold data that must not be kept. So a refusal repeats nothing from the record: its detail names only a
field and a rule.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container

import msgspec
from msgspec import inspect

from detectors.area.incident import AwareTime, Incident
from detectors.window.admission import Entry, Refusal, TickMark
from streams.configuration.reader import describe
from streams.messages.records import Headers, misplaced

TICK_HEADER = "tick"
"""Header of a tick record: the time that the area's clock has reached, in RFC 3339. The record's value is empty."""

REASONS = (
    "malformed_json",
    "wrong_type",
    "not_finite",
    "naive_time",
    "oversize",
    "no_area",
    "unknown_area",
    "area_contradiction",
    "wrong_partition",
)
"""Reasons for which :func:`decode` refuses a record."""


_INCIDENT = msgspec.json.Decoder(Incident)
_FIELDS = {field.name: field.type for field in msgspec.structs.fields(Incident)}


def decode(
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    partition: int,
    partitions: int,
    areas: Container[str],
    max_bytes: int,
) -> tuple[str | None, Entry]:
    """Return the area of a record of the topic ``incidents``, one of ``areas``, and what the record holds.

    The area is the key or, without a key, the field ``area``. It is None if the record belongs to no area of this
    partition; such a record is always refused.
    """
    area = None
    if key:
        area = key.decode("utf-8", "replace")
        refusal = misplaced("key", area, partition, partitions, areas)
        if refusal is not None:
            return None, refusal
    if not value:
        return area, _tick(headers, area)
    if len(value) > max_bytes:
        return area, Refusal("oversize", f"value: must be at most {max_bytes} bytes")
    try:
        incident = _INCIDENT.decode(value)
    except msgspec.ValidationError as error:
        return area, _invalid(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return area, _malformed(value, error)
    if area is None:
        if incident.area is None:
            return None, Refusal("no_area", "key: missing; must be the area's name (or give the field area)")
        area = incident.area
        refusal = misplaced("area", area, partition, partitions, areas)
        if refusal is not None:
            return None, refusal
    elif incident.area is not None and incident.area != area:
        return area, Refusal("area_contradiction", "area: must be the same as the record's key")
    return area, incident


def tick_header(headers: Headers) -> bytes | None:
    """Return the time that a tick record announces, as written; None for any other record."""
    return next((text for name, text in headers or () if name == TICK_HEADER), None)


def _tick(headers: Headers, area: str | None) -> TickMark | Refusal:
    text = tick_header(headers)
    if text is None:
        return Refusal("malformed_json", "value: empty; must be an incident in JSON, or have the header tick")
    if area is None:
        return Refusal("no_area", "key: missing; a tick record must have the area's name as its key")
    try:
        moment = msgspec.convert(text.decode("ascii", "replace"), AwareTime)
    except msgspec.ValidationError as error:
        reason = "naive_time" if _is_naive(error) else "wrong_type"
        return Refusal(reason, f"header tick: must be {describe(inspect.type_info(AwareTime))}")
    return TickMark(math.floor(moment.timestamp()))


def _invalid(error: msgspec.ValidationError) -> Refusal:
    """Return the refusal of JSON that is not an incident. Its text is our own: the library's can quote the value."""
    if isinstance(error.__cause__, ValueError):  # raised by Incident itself
        return Refusal("wrong_type", str(error.__cause__))
    text = str(error)
    missing = re.fullmatch(r"Object missing required field `(\w+)`", text)
    if missing is not None:
        return Refusal("wrong_type", f"{missing[1]}: missing")
    path = re.search(r" - at `\$\.(\w+)`\Z", text)
    if path is None:
        return Refusal("wrong_type", "value: must be a JSON object")
    field = path[1]
    reason = "wrong_type"
    if _is_naive(error):
        reason = "naive_time"
    elif text.startswith("Number out of range"):
        reason = "not_finite"
    return Refusal(reason, f"{field}: must be {describe(inspect.type_info(_FIELDS[field]))}")


def _malformed(value: bytes, error: Exception) -> Refusal:
    if isinstance(error, RecursionError):
        return Refusal("malformed_json", "value: nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Refusal("malformed_json", "value: must be UTF-8")
    if _holds_nan_or_infinity(value):
        return Refusal("not_finite", "value: NaN and Infinity are not JSON; numbers must be finite")
    byte = re.search(r"\(byte (\d+)\)\Z", str(error))
    return Refusal("malformed_json", f"value: must be JSON; it is not at byte {byte[1] if byte else len(value)}")


def _is_naive(error: msgspec.ValidationError) -> bool:
    return "with a timezone component" in str(error)


def _holds_nan_or_infinity(value: bytes) -> bool:
    """Return whether the text would be JSON without NaN and Infinity, which many JSON writers produce."""
    found: list[str] = []
    try:
        json.loads(value, parse_constant=found.append)
    except (ValueError, RecursionError):
        return False
    return bool(found)
