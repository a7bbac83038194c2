"""How many rows of a replay an area would take: how many are valid, in the area and within its window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.results import Checkpoint
from detectors.window.admission import Refusal
from detectors.window.intake import Accounts, Intake
from streams.analyst.incident_file import Row
from streams.messages.incident import decode

AHEAD = ("future", "clock_jump")
"""Reasons of a record that is ahead of the area's clock."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast for rows in an area with an empty window. ``taken`` and the four numbers after it sum to ``rows``.

    ``clock``: the time on the area's clock before the rows; None if the clock has no time yet.
    """

    rows: int
    taken: int
    invalid: int
    elsewhere: int
    before_window: int
    ahead_of_clock: int
    clock: datetime | None
    window_days: int

    def __str__(self) -> str:
        clock = f"its clock shows {self.clock:%Y-%m-%d %H:%M} UTC" if self.clock else "its clock begins with them"
        return (
            f"{self.rows} rows: {self.taken} lie in the area and in its time, {self.elsewhere} elsewhere or without a "
            f"place, {self.before_window} before its window of {self.window_days} days, {self.ahead_of_clock} too far "
            f"ahead of its clock, {self.invalid} are not valid ({clock})"
        )


def forecast(
    rows: Iterable[Row],
    area: str,
    settings: AreaSettings,
    locations: Locations,
    checkpoint: Checkpoint | None,
    now: datetime,
    max_bytes: int,
) -> Forecast:
    """Return what becomes of the rows if they are sent at once, at the time ``now``.

    ``checkpoint``: the area's last checkpoint; None if there is none.
    """
    intake = Intake(settings, locations)
    if checkpoint is not None:
        intake.resume(checkpoint.bucket, Accounts(), checkpoint.clock_s, 0)
    now_s = int(now.timestamp())
    begins_s = intake.clock_s
    if settings.clock == "wall":
        begins_s = max(now_s, begins_s or now_s)
    refused: Counter[str] = Counter()
    number = 0
    for offset, row in enumerate(rows):
        _, entry = decode(row.key, row.value, row.headers, 0, 1, (area,), max_bytes)
        judged, _ = intake.judge(entry, offset, now_s)
        if isinstance(judged, Refusal):
            refused[judged.reason] += 1
        intake.refill(entry, offset, now_s)
        number += bool(row.value)
    accounts = intake.accounts
    ahead = sum(refused[reason] for reason in AHEAD)
    return Forecast(
        rows=number,
        taken=accounts.added + accounts.replaced + accounts.removed + accounts.duplicate,
        invalid=refused.total() - ahead,
        elsewhere=max(0, accounts.rejected - refused.total()),  # judged by the window, once it has a time
        before_window=accounts.outside,
        ahead_of_clock=ahead,
        clock=None if begins_s is None else datetime.fromtimestamp(begins_s, UTC),
        window_days=settings.window_days,
    )
