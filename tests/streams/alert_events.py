"""Events of made-up alerts, as a worker publishes them."""

from __future__ import annotations

from typing import Any

import msgspec

from detectors.settings import AreaSettings
from streams.messages import AlertStatus, alert_event
from tests.streams.test_metrics import ALERT

OPENED_S = 1_714_766_400
"""2024-05-03 20:00 UTC."""


def event(name: str, revision: int = 1, *, status: AlertStatus = "actual", **changed: Any) -> bytes:
    """A revision of the alert whose id is made of a name: urgent, with a notice, unless something else is said."""
    usual = {
        "id": name.encode().hex().ljust(32, "0"),
        "revision": revision,
        "tier": "urgent",
        "opened_s": OPENED_S,
        "tick_s": OPENED_S + 60 * revision,
        "start_s": OPENED_S - 7200,
    }
    return alert_event(msgspec.structs.replace(ALERT, **(usual | changed)), AreaSettings(), "c" * 64, status)


def ended(name: str, revision: int = 2, **changed: Any) -> bytes:
    """The last revision of an alert."""
    tick_s = OPENED_S + 60 * revision
    usual: dict[str, Any] = {"state": "ended", "reason": "quiet", "notice": "ended", "ended_s": tick_s}
    return event(name, revision, **(usual | changed))
