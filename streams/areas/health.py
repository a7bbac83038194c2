"""The health of an area, as metrics, heartbeat and console show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from detectors.window.further import FurtherShares

FeedState = Literal["healthy", "learning", "silent", "catching_up", "kafka_away", "clock"]
"""State of an area's feed. While ``learning``, the window lacks history, so no alert opens. With ``clock``, a clock of
the area, its worker or its broker is wrong."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of alerts a week that chance may open, and the rate that it opened on null histories.

    ``made_s``: when the calibration was made, in seconds since 1970.
    ``budget``: alerts a week that are allowed.
    ``mean``, ``low``, ``high``: measured rate, in alerts a week, and its 95 % interval.
    """

    made_s: float
    budget: float
    mean: float
    low: float
    high: float


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """By how many seconds the clocks of an area on a wall clock are ahead of the believed time; behind if negative.

    ``area_ahead_s``: the area's own clock, by its closed ticks; 0 if they are not ahead. ``is_wrong``: whether a clock
        is off by too much, or a recent stamp was ahead of the believed time.
    """

    area_ahead_s: float
    worker_ahead_s: float
    broker_ahead_s: float
    is_wrong: bool


class AreaHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an area. Times are seconds since 1970 UTC by the wall clock, except ``clock_s``.

    ``lag``: number of records not yet covered by a scan record.
    ``clock_s``: time on the area's own clock.
    ``missing_days``: days of history that are missing until alerts can open.
    ``further_shares``: which share of the records are further records of an event.
    ``silent_parts``: a line for each part of the area that has stopped reporting.
    """

    last_record_s: float | None
    last_scan_s: float | None
    lag: int
    feed: FeedState
    clock_s: float | None = None
    missing_days: float = 0.0
    silent_parts: tuple[str, ...] = ()
    further_shares: FurtherShares | None = None
    promise: Promise | None = None
    clocks: Clocks | None = None


HealthSource = Callable[[], Mapping[str, AreaHealth]]
"""Returns a snapshot of the health of each area that this worker owns. Other threads call it."""
