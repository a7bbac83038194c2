"""A made-up alert, and its events as a worker publishes them."""

from __future__ import annotations

from typing import Any

import msgspec

from detectors.alerts.alert import Alert
from detectors.alerts.lifecycle import AlertState
from detectors.alerts.notices import Notice
from detectors.area.settings import AreaSettings, Stream
from detectors.clusters.cluster import Figures
from detectors.scan.significance import Tier
from streams.messages.alert import AlertStatus, alert_event

ALERT = Alert(
    id="a",
    revision=1,
    area="leeds",
    stream=Stream.VIOLENCE,
    state=AlertState.OPEN,
    tier=Tier.WATCH,
    reason="opened",
    notice=Notice.OPENED,
    opened_s=0,
    alerted_s=None,
    tick_s=0,
    ended_s=None,
    split_from="",
    merged_into="",
    figures=Figures(
        centre="c",
        longitude=-1.5,
        latitude=53.8,
        radius_m=100.0,
        locations=("c",),
        duration_h=2,
        start_s=-3600,
        observed=3,
        expected=0.1,
        llr=9.0,
        score=4.0,
        recurrence_interval_days=40.0,
        breakdown={"violence": 3},
        interval_times=0,
        reported=3,
        trigger_score=4.0,
    ),
    members=("i", "j", "k"),
    new_members=("i", "j", "k"),
)
OPENED_S = 1_714_766_400
"""2024-05-03 20:00 UTC."""


def with_fields(alert: Alert, **changed: Any) -> Alert:
    """An alert with other values of its fields, or of fields of its figures."""
    of_figures = {name: changed.pop(name) for name in Figures.__struct_fields__ if name in changed}
    return msgspec.structs.replace(alert, figures=msgspec.structs.replace(alert.figures, **of_figures), **changed)


def event(name: str, revision: int = 1, *, status: AlertStatus = "actual", **changed: Any) -> bytes:
    """A revision of the alert whose id is made of a name: urgent and with a notice by default."""
    usual = {
        "id": name.encode().hex().ljust(32, "0"),
        "revision": revision,
        "tier": "urgent",
        "opened_s": OPENED_S,
        "tick_s": OPENED_S + 60 * revision,
        "start_s": OPENED_S - 7200,
    }
    return alert_event(with_fields(ALERT, **(usual | changed)), AreaSettings(), "c" * 64, status)


def ended(name: str, revision: int = 2, **changed: Any) -> bytes:
    """The last revision of an alert."""
    tick_s = OPENED_S + 60 * revision
    usual: dict[str, Any] = {"state": "ended", "reason": "quiet", "notice": "ended", "ended_s": tick_s}
    return event(name, revision, **(usual | changed))
