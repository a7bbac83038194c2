"""Decodes records of the topic ``responses`` to a response, or to a refusal with a reason.

As with incidents, decoding never raises an error, and a refusal repeats nothing from the record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from detectors.alerts import response
from detectors.window.admission import EARLIEST_S, LATEST_S, Refusal
from streams.messages.records import Headers, misplaced

MAX_BYTES = 4096
"""Size limit for a response, in bytes."""

_END = r"(?![\s\S])"  # $ would let a line feed pass, and JSON Schema knows no \Z
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}" + _END
_ALERT = r"^[0-9a-f]{32}" + _END
_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+" + _END
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ResponseMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The response of a person to an open alert. It holds no free text.

    Raises:
        ValueError: An outcome is missing for the action ``outcome``, or is given for another action.
    """

    id: Annotated[str, Meta(pattern=_UUID, description="a UUID (version 4) of this response, in lower case")]
    alert: Annotated[str, Meta(pattern=_ALERT, description="id of the alert")]
    action: response.Action
    user: Annotated[
        str,
        Meta(min_length=1, max_length=100, pattern=_NO_CONTROLS, description="who did it; no control characters"),
    ]
    at: Annotated[datetime, Meta(tz=True, description="when, by the sender's clock")]
    outcome: Annotated[
        response.Outcome | UnsetType,
        Meta(description="what became of the alert; only with the action outcome"),
    ] = UNSET

    def __post_init__(self) -> None:
        if (self.action == "outcome") is (self.outcome is UNSET):
            raise ValueError("outcome: must be given with the action outcome, and with no other")

    def encode(self) -> bytes:
        """Return the record's value, JSON."""
        return msgspec.json.encode(self)


class ResponseRecord(NamedTuple):
    """A decoded record of the topic ``responses``.

    ``arrival_s``: when the record reached the log, in seconds since 1970 UTC.
    ``area``: None if the record belongs to no area of the partition.
    """

    offset: int
    arrival_s: float
    area: str | None
    content: response.Response | Refusal
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def response_record(record: Any, partitions: int, areas: Container[str]) -> ResponseRecord:
    """Return a record of the topic ``responses`` from a consumer, decoded by :func:`decode_response`."""
    area, content = decode_response(record.key, record.value, record.partition, partitions, areas)
    arrival_s = record.timestamp / 1000
    return ResponseRecord(record.offset, arrival_s, area, content, record.key, record.value, record.headers)


_decoder = msgspec.json.Decoder(ResponseMessage)


def decode_response(
    key: bytes | None, value: bytes | None, partition: int, partitions: int, areas: Container[str]
) -> tuple[str | None, response.Response | Refusal]:
    """Return the area of a record of the topic ``responses``, one of ``areas``, and what the record holds.

    The area is None if the record belongs to no area of this partition; such a record is always refused.
    """
    if not key:
        return None, Refusal("no_area", "key: missing; must be the area's name")
    area = key.decode("utf-8", "replace")
    refusal = misplaced("key", area, partition, partitions, areas)
    if refusal is not None:
        return None, refusal
    if len(value or b"") > MAX_BYTES:
        return area, _bad(f"value: must be at most {MAX_BYTES} bytes")
    try:
        message = _decoder.decode(value or b"")
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ValueError):  # raised by ResponseMessage itself
            return area, _bad(str(error.__cause__))
        path = re.search(r" - at `\$\.(\w+)`\Z", str(error))
        return area, _bad(f"{path[1] if path else 'value'}: must match the JSON Schema of a response")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return area, _bad("value: must be a response in JSON, UTF-8")
    at_s = math.floor((message.at - _EPOCH).total_seconds())
    if not EARLIEST_S <= at_s <= LATEST_S:
        return area, _bad("at: must lie between the years 1900 and 2999")
    outcome: response.Outcome | Literal[""] = "" if message.outcome is UNSET else message.outcome
    return area, response.Response(message.alert, message.action, message.user, at_s, outcome)


def _bad(detail: str) -> Refusal:
    return Refusal("bad_response", detail)
