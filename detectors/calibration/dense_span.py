"""The span of a history in which its feed was at work.

Some rows of a file have a wrong date: a typed-in year, or 1900 or 1970 where the date is missing. Other files begin
years before their feed does. Between such rows and the rest nothing is recorded, which is not the same as nothing
happened. If that time counted as history, every rate would be too low and every threshold with it.

A day is *dense* if the week that begins or the week that ends with it holds at least a quarter of the incidents of a
usual week. The usual week is the one that the median incident lies in, so days without incidents cannot change it. For
sparse feeds a week is longer: ten times the median gap between two incidents.

The span is the one with the most dense days more than other days (the maximum-sum interval; Bentley 1984, Programming
pearls: algorithm design techniques). So at least half of it is dense. A gap stays in if there are more dense days on
both sides of it than it has other days; a few rows beyond a gap stay out, however many share one date. It has no other
tuning: a feed that grows or follows the seasons stays whole down to a quarter of its usual week, a feed of one incident
a day as well, and so does a history of one week.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
WEEK_DAYS = 7
FAIR_PART = 0.25
"""Share of a usual week's incidents from which on a week is dense."""
FEWEST_GAPS = 10.0
"""Lower bound for the length of a week, in median gaps between incidents."""

_Seconds = NDArray[np.int64]


class Density(NamedTuple):
    """Which days of a history are dense: the first day, counted from 1970, and one flag for each day from it on."""

    first_day: int
    is_dense: NDArray[np.bool_]

    @classmethod
    def of(cls, second: _Seconds) -> Density:
        """Return the density of incidents, given in seconds since 1970, (n,); at least one."""
        gap_s = float(np.median(np.diff(np.sort(second)))) if len(second) > 1 else 0.0
        week = max(WEEK_DAYS, int(np.ceil(FEWEST_GAPS * gap_s / DAY_S)))
        first_day = int(second.min()) // DAY_S
        day = second // DAY_S - first_day
        until = np.concatenate(([0], np.bincount(day).cumsum()))
        each = np.arange(len(until) - 1)
        following = until[np.minimum(each + week, len(each))] - until[each]
        preceding = until[each + 1] - until[np.maximum(each + 1 - week, 0)]
        around = np.maximum(following, preceding)
        return cls(first_day, around >= FAIR_PART * np.median(around[day]))

    def days(self) -> tuple[int, int]:
        """Return the first day of the dense span and the day after its last; of equal spans the latest, shortest."""
        until = np.concatenate(([0], np.where(self.is_dense, 1, -1).cumsum()))
        lowest = np.minimum.accumulate(until)
        end = len(until) - 1 - int(np.argmax((until - lowest)[::-1]))
        begin = end - int(np.argmax(until[end::-1] == lowest[end]))
        return self.first_day + begin, self.first_day + end


def dense_span(second: _Seconds) -> tuple[int, int]:
    """Return the first second of the dense span and the second after its last, both of incidents within it.

    ``second``: when the incidents occurred, in seconds since 1970, (n,); at least one.
    """
    begin, end = Density.of(second).days()
    within = second[(second >= begin * DAY_S) & (second < end * DAY_S)]
    return int(within.min()), int(within.max()) + 1


def sparse_days(second: _Seconds, begin_s: int, end_s: int) -> int:
    """Return how many days from ``begin_s`` to ``end_s`` are not dense. All incidents lie between the two."""
    dense = int(Density.of(second).is_dense.sum()) if len(second) else 0
    return max(0, -(-(end_s - begin_s) // DAY_S) - dense)


def longest_gap(second: _Seconds, begin_s: int, end_s: int) -> tuple[int, int]:
    """Return the longest time without an incident from ``begin_s`` to ``end_s``, which all incidents lie between."""
    times = np.concatenate(([begin_s], np.sort(second), [end_s]))
    longest = int(np.argmax(np.diff(times)))
    return int(times[longest]), int(times[longest + 1])
