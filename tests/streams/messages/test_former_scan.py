"""Scan records whose checkpoint has format 1, written by hand as the former version laid them out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detectors.alerts.tracking import TrackerState
from detectors.scan.significance import Tier
from streams.messages.former_scan import as_format_2

FORMER_FIGURES: dict[str, Any] = {
    "centre": "c",
    "longitude": -1.5,
    "latitude": 53.8,
    "radius_m": 100.0,
    "locations": ["c"],
    "duration_h": 2,
    "start_s": -3600,
    "observed": 3,
    "expected": 0.1,
    "llr": 9.0,
    "score": 4.0,
    "recurrence_interval_days": 40.0,
    "breakdown": {"violence": 3},
    "interval_times": 0,
    "reported": 3,
    "trigger_score": 4.0,
    "calibration": "",
    "budget_per_week": None,
    "artefacts": {"found": []},
}
REST: dict[str, Any] = {
    "id": "a",
    "revision": 1,
    "area": "leeds",
    "stream": "violence",
    "state": "open",
    "tier": "watch",
    "reason": "opened",
    "notice": "opened",
    "opened_s": 0,
    "alerted_s": None,
    "tick_s": 0,
    "ended_s": None,
    "split_from": "",
    "merged_into": "",
    "members": ["i", "j", "k"],
    "new_members": ["i", "j", "k"],
}
NOTICE = {"tick_s": 0, "tier": "watch", "observed": 3, "expected": 0.1, "locations": ["c"]}


def followed(**of_alert: Any) -> dict[str, Any]:
    """An open alert in the former layout, with more fields of the alert itself."""
    alert = REST | FORMER_FIGURES | of_alert
    return {"alert": alert, "told": ["i", "j", "k"], "quiet_since_s": None, "said": NOTICE, "unsaid": ["k"]}


def record(tracker: object, **of_checkpoint: Any) -> bytes:
    """The value of a scan record in the former layout, with some of its fields."""
    return msgspec.json.encode({"area": "leeds", "checkpoint": {"scans": 7, **of_checkpoint, "tracker": tracker}})


def plain(value: object) -> Any:
    """The value as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def converted(tracker: object) -> TrackerState:
    """The tracker's memory after the conversion; the rest of the record is as it was."""
    fields = msgspec.json.decode(as_format_2(record(tracker)))
    state = fields["checkpoint"].pop("tracker")
    assert fields == {"area": "leeds", "checkpoint": {"scans": 7}}
    return msgspec.convert(state, TrackerState)


@pytest.mark.parametrize("completeness", [0.75, None])
def test_an_alert_keeps_its_completeness(completeness: float | None) -> None:
    trend, profile = [0] * 13 + [3], [0] * 167 + [3]
    alert = followed(completeness=completeness, trend=trend, profile=profile)
    (one,) = converted({"followed": [alert]}).followed
    assert plain(one.alert.figures) == FORMER_FIGURES | {"completeness": completeness, "records": 0}
    assert plain(one.alert.zone_profile) == {"trend": trend, "profile": profile}
    assert {name: plain(getattr(one.alert, name)) for name in REST} == REST
    assert (one.shown, one.unnoticed, one.quiet_since_s) == (("i", "j", "k"), ("k",), None)
    assert plain(one.last_notice) == NOTICE


def test_an_alert_from_before_completeness_profiles_and_notices_of_members() -> None:
    former = followed()
    del former["unsaid"]
    former["said"] = NOTICE | {"tier": ""}
    (one,) = converted({"followed": [former]}).followed
    assert one.alert.figures.completeness is None
    assert (one.alert.zone_profile.trend, one.alert.zone_profile.profile) == ((), ())
    assert (one.unnoticed, one.last_notice.tier, one.alert.tier) == ((), None, Tier.WATCH)


def test_a_tracker_stays_reconfigured_and_keeps_its_cool_downs() -> None:
    cool_down = {"stream": "all", "longitude": -1.5, "latitude": 53.8, "until_s": 60}
    state = converted({"cool_downs": [cool_down], "reconfigured": ["all", "violence"]})
    assert (state.followed, state.reconfigured) == ((), ("all", "violence"))
    assert [plain(each) for each in state.cool_downs] == [cool_down | {"strongest": None}]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"checkpoint":7}',
        b'{"checkpoint":{}}',
        b'{"checkpoint":{"format":"2"}}',
        record(None),
        record({"followed": 7}),
        record({"followed": [7]}),
        record({"followed": [{}]}),
        record({"followed": [followed() | {"alert": 7}]}),
        record({"followed": [followed() | {"said": 7}]}),
        record({"followed": [followed() | {"said": {}}]}),
    ],
)
def test_a_malformed_record_is_refused(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        as_format_2(value)


def test_a_record_of_format_2_is_returned_as_it_is() -> None:
    """Byte for byte, because digests cover the bytes; a later format is for the decoder to refuse."""
    for number in (2, 3):
        value = record({"followed": [{"shown": ["i"]}]}, format=number).replace(b":", b": ")
        assert as_format_2(value) == value
