"""The time axis of a study: intervals of an hour, a day or a year, and the interval of a moment."""

from __future__ import annotations

import bisect
import dataclasses
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["hour", "day", "year"]
DAYS = {"hour": 1 / 24, "day": 1.0, "year": 365.25}
"""Length of each interval in days, for recurrence intervals."""


@dataclasses.dataclass(frozen=True)
class Calendar:
    """The intervals of a study. They are cut backwards from its end, and the remainder belongs to the first interval.

    ``edges``: beginning of each interval, and the end of the last, in days since 0001-01-01, (intervals + 1,).
    """

    unit: Unit
    edges: tuple[float, ...]

    @classmethod
    def of(cls, first: date, last: date, unit: Unit) -> Calendar:
        """Return the calendar from the first to the last day, both inclusive.

        Raises:
            ValueError: The last day lies before the first.
        """
        if last < first:
            raise ValueError(f"the study must not end ({last}) before it begins ({first})")
        begin, end = first.toordinal(), last.toordinal() + 1
        if unit != "year":
            number = (end - begin) * (24 if unit == "hour" else 1)
            return cls(unit, (*(begin + each * DAYS[unit] for each in range(number)), float(end)))
        backwards = [end]
        while (before := _years_before(last + timedelta(days=1), len(backwards)).toordinal()) >= begin:
            backwards.append(before)
        if len(backwards) == 1:
            backwards.append(begin)
        return cls(unit, tuple(map(float, (begin, *backwards[-2::-1]))))

    @property
    def intervals(self) -> int:
        """Number of intervals."""
        return len(self.edges) - 1

    def interval(self, moment: float) -> int | None:
        """Return the interval of a moment, which is in days since 0001-01-01; None outside the study."""
        if not self.edges[0] <= moment < self.edges[-1]:
            return None
        return bisect.bisect_right(self.edges, moment) - 1

    def starts(self, interval: int) -> str:
        """Return the first day of an interval, or its hour, in ISO 8601."""
        return self._written(self.edges[interval])

    def ends(self, interval: int) -> str:
        """Return the last day of an interval (inclusive), or its hour, in ISO 8601."""
        return self._written(self.edges[interval + 1] - (DAYS["hour"] if self.unit == "hour" else 1))

    def strata(self) -> NDArray[np.int32]:
        """Return a stratum for each interval, (intervals,): its hour of the week, its weekday, or 0 for a year."""
        if self.unit == "year":
            return np.zeros(self.intervals, np.int32)
        per_week = 168 if self.unit == "hour" else 7
        begin = round((self.edges[0] - 1) * per_week / 7)  # day 1 was a Monday
        return ((begin + np.arange(self.intervals)) % per_week).astype(np.int32)

    def _written(self, moment: float) -> str:
        hours = round(moment * 24)
        day = date.fromordinal(hours // 24)
        return day.isoformat() if self.unit != "hour" else f"{day.isoformat()}T{hours % 24:02}:00"


def moment(text: str) -> float:
    """Return a year, a day or a local time as days since 0001-01-01.

    A year means its 1 July (docs/method.md section 2).

    Raises:
        ValueError: The text is not a year, a day or a time.
    """
    if len(text) == 4 and text.isdigit():
        return float(date(int(text), 7, 1).toordinal())
    at = datetime.fromisoformat(text)
    return at.toordinal() + (at.hour * 3600 + at.minute * 60 + at.second) / 86_400


def delay_s(occurred: str, reported: str) -> int:
    """Return the seconds from occurrence to report, at least 0. Both are texts as :func:`moment` reads them.

    Raises:
        ValueError: A text is not a time, or only one of them has a UTC offset.
    """
    before, after = datetime.fromisoformat(occurred), datetime.fromisoformat(reported)
    if (before.tzinfo is None) != (after.tzinfo is None):
        raise ValueError("both times must have a UTC offset, or neither")
    return max(0, int((after - before).total_seconds()))


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)
