"""The share of records that are further records of an event already counted, and whether it has changed lately.

No alert depends on it. But a feed that begins to send several records of one event, or another kind of copies that the
limits of ``same_event`` do not quite cover, shows in it first.
"""

from __future__ import annotations

import msgspec
from scipy.stats import betabinom

from detectors.window.sliding import NOWHERE, OTHER, SlidingWindow

LAST_H = 168
"""Length of the time whose share is compared with that of the rest of the window, in hours."""
LEAST_CHANGE = 0.02
"""Smallest difference between two shares that matters."""
CHANCE = 1e-4
"""Probability of a difference at least that large in either direction, below which the share has changed."""
NEEDED = 100
"""Smallest number of records in each of the two times that can show a change."""


class FurtherShares(msgspec.Struct, frozen=True):
    """The shares of further records in the last week and before, 0 to 1, and whether they differ."""

    last_week: float
    before: float
    is_changed: bool


def further_shares(window: SlidingWindow) -> FurtherShares | None:
    """Return the shares of further records among the scanned records of a window; None without records.

    The number of the last week is compared with its beta-binomial distribution, given that of the time before. With too
    few records in either time nothing has changed.
    """
    if not window.has_time:
        return None
    columns = window.columns
    is_record = (columns.location != NOWHERE) & (columns.category < OTHER) & (columns.bucket >= window.first)
    is_record &= columns.bucket <= window.now
    is_late = columns.bucket[is_record] > window.now - LAST_H
    further = columns.further[is_record]
    late, early = int(is_late.sum()), int((~is_late).sum())
    if not late + early:
        return None
    of_late, of_early = int(further[is_late].sum()), int(further[~is_late].sum())
    last_week, before = of_late / max(late, 1), of_early / max(early, 1)
    if min(late, early) < NEEDED:
        return FurtherShares(last_week, before, is_changed=False)
    expected = betabinom(late, of_early + 0.5, early - of_early + 0.5)
    chance = min(float(expected.cdf(of_late)), float(expected.sf(of_late - 1)))
    is_changed = abs(last_week - before) >= LEAST_CHANGE and chance < CHANCE / 2
    return FurtherShares(last_week, before, is_changed)
