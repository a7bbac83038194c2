"""Notifications have the shape of Alertmanager's, for the revisions that on-call tools are notified of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from detectors.scan.significance import Tier
from streams.messages.alert import read_alert
from streams.webhook.notification import is_notified, notification
from tests.streams.messages.alert_events import ended, event


def posted(value: bytes, console_url: str = "") -> dict[str, Any]:
    feature = read_alert(value).data
    body: dict[str, Any] = json.loads(notification(feature, "desk", console_url).encode())
    return body


def test_an_alert_that_fires() -> None:
    body = posted(event("a"), "https://hotspots.example/")
    assert body.keys() == {
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
    }
    assert (body["version"], body["truncatedAlerts"], body["status"], body["receiver"]) == ("4", 0, "firing", "desk")
    (alert,) = body["alerts"]
    identity = "61" + "0" * 30
    assert alert["labels"] == {
        "alertname": "HotspotAlert",
        "area": "leeds",
        "category": "violence",
        "tier": "urgent",
        "severity": "critical",
        "exercise": "false",
        "alert_id": identity,
    }
    assert body["groupKey"] == f'{{}}:{{alert_id="{identity}", alertname="HotspotAlert", area="leeds"}}'
    assert body["groupLabels"].items() <= body["commonLabels"].items() == alert["labels"].items()
    assert alert["startsAt"] == "2024-05-03T20:00:00Z"
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"
    assert alert["fingerprint"] == identity[:16]
    assert alert["generatorURL"] == alert["annotations"]["link"] == f"https://hotspots.example/?alert={identity}"
    assert body["externalURL"] == "https://hotspots.example"
    assert alert["annotations"]["summary"] == "leeds: 3 violence events, 0.1 usual (open, urgent)"
    assert alert["annotations"]["description"].startswith("leeds: 3 violence events at one location")


def test_its_end_is_of_the_same_alert() -> None:
    first, last = posted(event("a")), posted(ended("a", 3))
    assert (last["status"], last["alerts"][0]["status"]) == ("resolved", "resolved")
    assert last["alerts"][0]["endsAt"] == "2024-05-03T20:03:00Z"
    assert last["alerts"][0]["generatorURL"] == last["externalURL"] == ""
    assert first["groupKey"] == last["groupKey"]
    assert first["alerts"][0]["fingerprint"] == last["alerts"][0]["fingerprint"]


def test_an_exercise_says_so() -> None:
    (alert,) = posted(event("a", status="exercise"))["alerts"]
    assert alert["labels"]["exercise"] == "true"
    assert alert["annotations"]["summary"].startswith("Exercise: ")


@pytest.mark.parametrize(
    ("value", "from_tier", "notified"),
    [
        (event("a"), Tier.ALERT, True),
        (event("a", tier="alert"), Tier.ALERT, True),
        (event("a", tier="advisory"), Tier.ALERT, False),
        (event("a", tier="advisory"), Tier.WATCH, True),
        (event("a", tier="alert"), Tier.URGENT, False),
        (event("a", notice=""), Tier.ALERT, False),
        (ended("a"), Tier.ALERT, True),
        (ended("a", state="withdrawn"), Tier.ALERT, True),
        (ended("a", tier="watch"), Tier.ALERT, False),
    ],
)
def test_what_is_notified(value: bytes, from_tier: Tier, notified: bool) -> None:
    assert is_notified(read_alert(value).data.properties, from_tier) is notified


def test_an_alert_that_was_found_late_says_so() -> None:
    feature = read_alert(event("a")).data
    late, usual = (notification(feature, "desk", found_late=is_late).alerts[0].annotations for is_late in (True, False))
    assert late == usual | {"found_late": "true", "summary": f"Found late: {usual['summary']}"}
