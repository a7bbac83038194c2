"""The share of records that are further records of an event already counted, and whether it has changed lately.

No alert depends on it. But a feed that begins to send several records of one event, or another kind of copies that the
limits of ``same_event`` do not quite cover, shows in it first.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from detectors.window.sliding import NOWHERE, OTHER, SlidingWindow

DAY_H = 24
LAST_D = 7
"""Length of the time that is compared with the rest of the window, in days."""
LEAST_CHANGE = 0.02
"""Smallest difference that matters between two shares of events that have further records."""
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

    With too few records in either time nothing has changed. It is one pass over the rows of the window.
    """
    if not window.has_time:
        return None
    columns = window.columns
    is_record = (columns.location != NOWHERE) & (columns.category < OTHER) & (columns.bucket >= window.first)
    is_record &= columns.bucket <= window.now
    day, further = (window.now - columns.bucket[is_record]) // DAY_H, columns.further[is_record]
    is_late = day < LAST_D
    late, early = int(is_late.sum()), int((~is_late).sum())
    if not late + early:
        return None
    of_late, of_early = int(further[is_late].sum()), int(further[~is_late].sum())
    last_week, before = of_late / max(late, 1), of_early / max(early, 1)
    if min(late, early) < NEEDED:
        return FurtherShares(last_week, before, is_changed=False)
    days = -(-window.buckets // DAY_H)
    place = columns.location[is_record][further] * np.int64(OTHER) + columns.category[is_record][further]
    repeated = np.bincount(np.unique(place * days + day[further]) % days, minlength=days)
    return FurtherShares(last_week, before, has_changed(repeated, np.bincount(day[~further], minlength=days)))


def has_changed(repeated: NDArray[np.int64], events: NDArray[np.int64]) -> bool:
    """Return whether another share of events than before has had further records in the last ``LAST_D`` days.

    ``repeated``: number of places and categories with further records, by days ago, (days,). So one incident with many
        records counts once a day.
    ``events``: number of events, by days ago, (days,).

    The day of the last week that differs most is left out: a change shows on the other six as well. Given the number of
    both times, that of the last week is binomial. Both are divided by how much more a day differs from the next than
    Poisson numbers do, so copies that come in clumps do not count as many, and a change that goes on is no clump.
    """
    is_late = np.arange(len(events)) < LAST_D
    usual = repeated[~is_late].sum() / max(events[~is_late].sum(), 1)
    differs = repeated[:LAST_D] - usual * events[:LAST_D]
    odd = np.argmax(differs) if differs.sum() > 0 else np.argmin(differs)
    is_kept = np.arange(len(events)) != odd
    repeated, events, is_late = repeated[is_kept], events[is_kept], is_late[is_kept]
    late, early = (repeated[which].sum() for which in (is_late, ~is_late))
    of_late, of_early = (events[which].sum() for which in (is_late, ~is_late))
    if not (late + early and of_late and of_early):
        return False
    one, following = repeated[1:], repeated[:-1]
    spread = max(1.0, float(((one - following) ** 2).sum() / (one + following).sum()))
    in_late, in_early, share = late / spread, early / spread, of_late / (of_late + of_early)
    is_more = late * of_early > early * of_late
    chance = betainc(in_late, in_early + 1, share) if is_more else betainc(in_early, in_late + 1, 1 - share)
    return bool(abs(late / of_late - early / of_early) >= LEAST_CHANGE and chance < CHANCE / 2)
