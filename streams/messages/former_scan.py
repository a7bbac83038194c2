"""Scan records whose checkpoint has format 1, in which an alert's figures were fields of the alert itself."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.process.strict_json import StrictDecoder

FIGURES = (
    "centre",
    "longitude",
    "latitude",
    "radius_m",
    "locations",
    "duration_h",
    "start_s",
    "observed",
    "expected",
    "llr",
    "score",
    "recurrence_interval_days",
    "breakdown",
    "interval_times",
    "reported",
    "trigger_score",
    "calibration",
    "budget_per_week",
    "artefacts",
    "completeness",
)
"""The fields of an alert that format 2 keeps in ``figures``."""


class _Checkpoint(msgspec.Struct):
    format: int = 1


class _Record(msgspec.Struct):
    checkpoint: _Checkpoint


_record = StrictDecoder[_Record](_Record)
_any = StrictDecoder[Any](Any)


def as_format_2(value: bytes) -> bytes:
    """Return a scan record with a checkpoint of format 2. If the record has that format already, return the same bytes.

    Raises:
        msgspec.DecodeError: The bytes are not a scan record.
    """
    if _record.decode(value).checkpoint.format != 1:
        return value
    record = _any.decode(value)
    try:
        tracker = record["checkpoint"]["tracker"]
        tracker["followed"] = [_followed(each) for each in tracker.get("followed", ())]
        return msgspec.json.encode(record)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise msgspec.ValidationError(f"checkpoint of format 1: {error!r}") from None


def _followed(former: dict[str, Any]) -> dict[str, Any]:
    notice = former["said"]
    return {
        "alert": _alert(former["alert"]),
        "shown": former["told"],
        "quiet_since_s": former["quiet_since_s"],
        "last_notice": notice | {"tier": notice["tier"] or None},
        "unnoticed": former.get("unsaid", ()),
    }


def _alert(former: dict[str, Any]) -> dict[str, Any]:
    alert = dict(former)
    figures = {name: alert.pop(name) for name in FIGURES if name in alert}
    profile = {name: alert.pop(name) for name in ("trend", "profile") if name in alert}
    return alert | {"figures": figures, "zone_profile": profile}
