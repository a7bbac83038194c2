"""Time in buckets of one hour, and the stratum (block of hours of the week) of each bucket.

Buckets are half-open hours of UTC, numbered from 1970. A location is compared with its own past in the same stratum.
The stratum depends on the local time at which the bucket starts. So when clocks go back in autumn, both passes of the
repeated hour belong to the same stratum.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

BUCKET_S = 3600
"""Length of a bucket in seconds."""
HOURS_OF_WEEK = 168
KNOWN_HOURS = 16_384
"""Number of buckets whose hour of the week is remembered: several windows, in several time zones."""


def bucket_of(time_s: int) -> int:
    """Return the number of the bucket in which a moment lies, in seconds since 1970 UTC."""
    return time_s // BUCKET_S


@lru_cache(KNOWN_HOURS)
def hour_of_week(bucket: int, zone: ZoneInfo) -> int:
    """Return the hour of the local week in which a bucket starts, from 0 (Monday 00:00) to 167."""
    local = datetime.fromtimestamp(bucket * BUCKET_S, UTC).astimezone(zone)
    return local.weekday() * 24 + local.hour


@dataclasses.dataclass(frozen=True)
class Blocks:
    """A division of the local week into blocks of ``hours`` hours, separate for each class of weekdays.

    ``start_hour``: hour at which the operational day begins, so that the early hours of Sunday belong to Saturday.
    ``weekday_class``: the class of Monday to Sunday, numbered from 0.
    """

    start_hour: int
    hours: int
    weekday_class: tuple[int, int, int, int, int, int, int]

    @property
    def count(self) -> int:
        """Number of strata."""
        return (max(self.weekday_class) + 1) * (24 // self.hours)

    def of_bucket(self, bucket: int, zone: ZoneInfo) -> int:
        """Return the stratum of a bucket in an area's time zone."""
        return self._of_hour[hour_of_week(bucket, zone)]

    @cached_property
    def _of_hour(self) -> tuple[int, ...]:
        """The stratum of each hour of the local week, whose days begin at the start hour."""
        of_day = [divmod((hour - self.start_hour) % HOURS_OF_WEEK, 24) for hour in range(HOURS_OF_WEEK)]
        return tuple(self.weekday_class[day] * (24 // self.hours) + hour // self.hours for day, hour in of_day)

    def of_buckets(self, first: int, number: int, zone: ZoneInfo) -> NDArray[np.int32]:
        """Return the strata of ``number`` buckets from ``first`` on, shape (number,)."""
        return np.array([self.of_bucket(bucket, zone) for bucket in range(first, first + number)], np.int32)


SCHEMES: dict[str, Blocks] = {
    "none": Blocks(0, 24, (0, 0, 0, 0, 0, 0, 0)),
    "operational": Blocks(6, 4, (0, 0, 0, 0, 1, 1, 0)),
    "friday_saturday": Blocks(6, 3, (0, 0, 0, 0, 1, 2, 0)),
    "each_weekend_day": Blocks(6, 3, (0, 0, 0, 0, 1, 2, 3)),
}
"""The schemes that an area can use. They have 1, 12, 24 and 32 strata."""
