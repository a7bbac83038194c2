"""The alert's event: its bytes, its standards, its published schema."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.alerts.alert import Alert
from detectors.alerts.lifecycle import AlertState
from detectors.alerts.notices import Notice
from detectors.alerts.response import Responses
from detectors.area.incident import Incident
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.clusters.artefacts import Artefact, ArtefactKind, Artefacts
from detectors.clusters.cluster import Figures
from detectors.scan.significance import TIERS, Tier
from detectors.window.zone_profile import ZoneProfile
from streams.documents.schemas import PUBLISHED
from streams.messages.alert import Provenance, alert_event, read_alert
from streams.messages.records import Rejection
from tests.streams.messages.alert_events import with_fields

PUBLISHED_FOLDER = Path(__file__).parents[3] / "docs" / "schemas"
LONDON = AreaSettings(timezone="Europe/London", statistic="permutation", seed=7)
MOMENTS = st.integers(0, 4_102_444_800)  # 1970 to 2100
IDS = st.text(min_size=1, max_size=12)
FIGURES = st.floats(0, 1e18)

ALERT = Alert(
    id="0f" * 16,
    revision=3,
    area="leeds",
    stream=Stream.PROPERTY,
    state=AlertState.ESCALATED,
    tier=Tier.ALERT,
    reason="tier_rose",
    notice=Notice.ESCALATED,
    opened_s=1_782_864_000,  # 2026-07-01 00:00 UTC, in summer time
    alerted_s=1_782_867_600,
    tick_s=1_782_867_600,
    ended_s=None,
    split_from="",
    merged_into="",
    figures=Figures(
        centre="8a194ac1a307fff",
        longitude=-1.54790123,
        latitude=53.79490456,
        radius_m=212.3456,
        locations=("8a194ac1a307fff", "8a194ac1a30ffff"),
        duration_h=4,
        start_s=1_782_853_200,
        observed=6,
        expected=0.75,
        llr=9.123456789,
        score=8.0,
        recurrence_interval_days=400.25,
        breakdown={"property": 6},
        interval_times=2,
        reported=4,
        trigger_score=5.5,
        artefacts=Artefacts(
            (Artefact(ArtefactKind.DENIED, 4, 4 / 6, "Hospital"), Artefact(ArtefactKind.DUPLICATES, 1, 1 / 6))
        ),
        completeness=0.87654321,
    ),
    members=("a", "b", "c", "d", "e", "f"),
    new_members=("f",),
)
ALERTS = st.builds(
    Alert,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    revision=st.integers(1, 10_000),
    area=IDS,
    stream=st.sampled_from(STREAMS),
    state=st.sampled_from(AlertState),
    tier=st.sampled_from(TIERS),
    reason=IDS,
    notice=st.sampled_from(Notice),
    opened_s=MOMENTS,
    alerted_s=st.none() | MOMENTS,
    tick_s=MOMENTS,
    ended_s=st.none() | MOMENTS,
    split_from=st.just("") | IDS,
    merged_into=st.just("") | IDS,
    figures=st.builds(
        Figures,
        centre=IDS,
        longitude=st.floats(-180, 180),
        latitude=st.floats(-90, 90),
        radius_m=st.floats(0, 20_000),
        locations=st.lists(IDS, min_size=1, max_size=5).map(tuple),
        duration_h=st.integers(1, 1000),
        start_s=MOMENTS,
        observed=st.integers(1, 10_000),
        expected=FIGURES,
        llr=FIGURES,
        score=st.floats(-1e9, 1e9),
        recurrence_interval_days=FIGURES,
        breakdown=st.dictionaries(IDS, st.integers(0, 99), max_size=4),
        interval_times=st.integers(0, 99),
        reported=st.integers(0, 99),
        trigger_score=st.floats(-1e9, 1e9),
        artefacts=st.builds(
            Artefacts,
            st.lists(
                st.builds(Artefact, st.sampled_from(ArtefactKind), st.integers(1, 99), st.floats(0, 1), IDS), max_size=3
            ).map(tuple),
        ),
        completeness=st.none() | st.floats(0, 1),
    ),
    members=st.lists(IDS, max_size=5).map(tuple),
    new_members=st.lists(IDS, max_size=5).map(tuple),
    responses=st.builds(
        Responses,
        acknowledged_by=st.just("") | IDS,
        acknowledged_s=MOMENTS,
        outcome=st.just("unknown"),
        outcome_by=IDS,
        outcome_s=MOMENTS,
    )
    | st.just(Responses()),
    zone_profile=st.just(ZoneProfile()) | st.just(ZoneProfile(tuple(range(14)), tuple(range(168)))),
)
ZONES = st.sampled_from(["UTC", "Europe/London", "America/Denver", "Asia/Kathmandu"])


def schema(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        json.loads((PUBLISHED_FOLDER / f"{name}.json").read_bytes()),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def test_an_alert_reads_as_a_control_room_needs_it() -> None:
    event = json.loads(alert_event(ALERT, LONDON, "c0ffee"))
    feature = event.pop("data")
    properties = feature.pop("properties")
    assert event == {
        "specversion": "1.0",
        "type": "hotspots.alert",
        "source": "hotspots/leeds",
        "id": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f.3",
        "subject": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
        "time": "2026-07-01T01:00:00Z",
        "datacontenttype": "application/geo+json",
    }
    assert feature == {
        "type": "Feature",
        "id": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
        "geometry": {"type": "Point", "coordinates": [-1.547901, 53.794905]},
    }
    assert properties == {
        "id": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
        "revision": 3,
        "state": "escalated",
        "tier": "alert",
        "reason": "tier_rose",
        "notice": "escalated",
        "status": "actual",
        "category": "property",
        "area": "leeds",
        "opened_at": "2026-07-01T00:00:00Z",
        "opened_at_local": "2026-07-01T01:00:00+01:00",
        "updated_at": "2026-07-01T01:00:00Z",
        "updated_at_local": "2026-07-01T02:00:00+01:00",
        "alerted_at": "2026-07-01T01:00:00Z",
        "window_start": "2026-06-30T21:00:00Z",
        "duration_h": 4,
        "centre": "8a194ac1a307fff",
        "radius_m": 212.3,
        "cells": ["8a194ac1a307fff", "8a194ac1a30ffff"],
        "observed": 6,
        "expected": 0.75,
        "relative_risk": 8.0,
        "llr": 9.12346,
        "score": 8.0,
        "recurrence_interval_days": 400.25,
        "interval_kind": "nominal",
        "members": ["a", "b", "c", "d", "e", "f"],
        "new_members": ["f"],
        "breakdown": {"property": 6},
        "interval_times": 2,
        "reported": 4,
        "trigger_score": 5.5,
        "artefacts": [
            {"kind": "denied_place", "members": 4, "score": 0.666667, "place": "Hospital"},
            {"kind": "duplicate_calls", "members": 1, "score": 0.166667},
        ],
        "artefact_score": 0.666667,
        "completeness": 0.876543,
        "model": "space-time-permutation",
        "seed": 7,
        "configuration": "c0ffee",
        "tick_s": 1_782_867_600,
    }


def test_an_alert_that_nothing_else_explains_says_so() -> None:
    properties = json.loads(alert_event(with_fields(ALERT, artefacts=Artefacts()), LONDON, "c0ffee"))
    found = properties["data"]["properties"]
    assert (found["artefacts"], found["artefact_score"]) == ([], 0.0)


def test_a_drill_is_marked() -> None:
    assert read_alert(alert_event(ALERT, LONDON, "c0ffee", status="exercise")).data.properties.status == "exercise"


@given(ALERTS, ZONES)
def test_equal_alerts_give_equal_bytes_that_read_back(alert: Alert, timezone: str) -> None:
    settings = AreaSettings(timezone=timezone)
    value = alert_event(alert, settings, "c0ffee")
    shuffled = with_fields(alert, breakdown=dict(reversed(alert.figures.breakdown.items())))
    assert alert_event(shuffled, settings, "c0ffee") == value
    event = read_alert(value)
    assert read_alert(msgspec.json.encode(event, order="deterministic")) == event
    assert msgspec.json.encode(event, order="deterministic") == value
    properties = event.data.properties
    assert (properties.id, properties.revision, properties.members) == (alert.id, alert.revision, alert.members)
    assert properties.opened_at.timestamp() == alert.opened_s
    assert (
        properties.opened_at_local.utcoffset() == datetime.fromtimestamp(alert.opened_s, ZoneInfo(timezone)).utcoffset()
    )
    assert properties.expected == pytest.approx(alert.figures.expected, rel=1e-5)
    assert event.data.geometry.coordinates == pytest.approx((alert.figures.longitude, alert.figures.latitude), abs=1e-6)


@given(ALERTS)
def test_an_event_holds_to_its_published_schema_and_no_null(alert: Alert) -> None:
    def nulls(part: object) -> bool:
        if isinstance(part, dict | list):
            return any(map(nulls, part.values() if isinstance(part, dict) else part))
        return part is None

    event = json.loads(alert_event(alert, LONDON, "c0ffee"))
    schema("alert").validate(event)
    assert not nulls(event)


def test_what_people_did_is_told_and_what_nobody_did_is_absent() -> None:
    responses = Responses(taken_by="Ann", taken_s=1_782_867_700, outcome="venue", outcome_by="Bob", outcome_s=0)
    event = json.loads(alert_event(msgspec.structs.replace(ALERT, responses=responses), LONDON, "c0ffee"))
    assert event["data"]["properties"]["response"] == {
        "taken_by": "Ann",
        "taken_at": "2026-07-01T01:01:40Z",
        "outcome": "venue",
        "outcome_by": "Bob",
        "outcome_at": "1970-01-01T00:00:00Z",
    }
    quiet = json.loads(alert_event(ALERT, LONDON, "c0ffee"))["data"]["properties"]
    assert not {"response", "trend", "profile"} & quiet.keys()


def test_what_newer_versions_add_is_ignored() -> None:
    event = json.loads(alert_event(ALERT, LONDON, "c0ffee"))
    event["data"]["properties"]["patrols"] = [1, 2]
    assert read_alert(json.dumps(event).encode()) == read_alert(alert_event(ALERT, LONDON, "c0ffee"))


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff"])
def test_what_is_no_event_is_refused(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_alert(value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_schema_is_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads((PUBLISHED_FOLDER / f"{name}.json").read_bytes()))


def test_records_hold_to_their_schemas() -> None:
    incident = Incident(
        id="a", occurred_at=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/London")), longitude=-1.5, latitude=53.8
    )
    schema("incident").validate(json.loads(msgspec.json.encode(incident)))
    schema("tick").validate("2026-01-01T00:00:00Z")
    letter = Rejection(reason="oversize", detail="", topic="t", partition=0, offset=1, value_bytes=9, value_sha256="0")
    schema("rejection").validate(json.loads(letter.encode()[1]))
    provenance = Provenance(version="0.1.0", host="a", partition=0, next_offset=5, latency_s=0.5, delayed=False)
    schema("provenance").validate(json.loads(provenance.encode()))
    response = {
        "id": "5f0c9a54-9a6c-4b52-8d3b-0f6f0f8f2c11",
        "alert": "0f" * 16,
        "user": "Zoë",
        "at": "2026-01-01T00:00:00Z",
    }
    schema("response").validate(response | {"action": "take"})
    assert not schema("response").is_valid(response | {"action": "take", "user": "Zoë\n"})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("incident", {"occurred_at": "2026-01-01T00:00:00Z"}),
        ("incident", {"id": "a", "longitude": 181}),
        ("alert", {"id": "a", "specversion": "1.0"}),
        ("rejection", {"reason": "oversize"}),
        ("response", {"action": "take", "user": "Zoë"}),
    ],
)
def test_a_schema_refuses_what_the_decoder_refuses(name: str, bad: dict[str, object]) -> None:
    assert not schema(name).is_valid(bad)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(bad), type=PUBLISHED[name])
