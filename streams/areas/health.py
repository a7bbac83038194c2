"""The health of an area, as metrics, heartbeat and console show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

FeedState = Literal["healthy", "learning", "silent", "catching_up", "kafka_away"]
"""``learning``: the window lacks history, so no alert opens."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """Time of a calibration (seconds since 1970); alerts a week by chance: the budget, the rate, its 95 % interval."""

    made_s: float
    budget: float
    mean: float
    low: float
    high: float


class AreaHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an area: ``lag`` in records; ``missing_days`` of history until alerts can open.

    Times are seconds since 1970 UTC by the wall clock, except ``clock_s``, the time on the area's own clock.
    """

    last_record_s: float | None
    last_scan_s: float | None
    lag: int
    feed: FeedState
    clock_s: float | None = None
    missing_days: float = 0.0
    promise: Promise | None = None


HealthSource = Callable[[], Mapping[str, AreaHealth]]
"""Returns a snapshot of the health of each area that this worker owns. Other threads call it."""
