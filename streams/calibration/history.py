"""What a calibration says of the past from which it was learnt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from detectors.area.strata import BUCKET_S
from detectors.calibration import dense_span
from detectors.calibration.past import LeftOut, Past

GAP = timedelta(days=7)
"""Length from which on a time without incidents is reported."""
MOSTLY = 0.5
"""Share of days with hardly any incident above which a history is reported as mostly empty."""


class OutsideRows(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents before or after the history, which it leaves out: their number, and the first and the last time."""

    number: int
    first_at: datetime
    last_at: datetime


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The past from which a calibration was learnt.

    ``left_out``: incidents before and after it whose dates are wrong or too sparse.
    ``sparse_days``: number of its days with hardly any incident around them.
    ``gap``: beginning and end of its longest time without an incident, if that is at least ``GAP``.
    """

    begins_at: datetime
    ends_at: datetime
    incidents: int
    left_out: tuple[OutsideRows, ...] = ()
    sparse_days: int = 0
    gap: tuple[datetime, datetime] | None = None

    @classmethod
    def of(cls, past: Past) -> History:
        """Return what is to be said of a past."""
        begin_s, end_s = past.first_bucket * BUCKET_S, (past.first_bucket + past.buckets) * BUCKET_S
        second = past.second + begin_s
        gap_begins, gap_ends = map(_time, dense_span.longest_gap(second, begin_s, end_s))
        return cls(
            begins_at=_time(begin_s),
            ends_at=_time(end_s),
            incidents=len(past),
            left_out=tuple(map(_outside, past.left_out)),
            sparse_days=dense_span.sparse_days(second, begin_s, end_s),
            gap=(gap_begins, gap_ends) if gap_ends - gap_begins >= GAP else None,
        )

    @property
    def days(self) -> int:
        """Its length in whole days."""
        return (self.ends_at - self.begins_at).days

    def remarks(self) -> list[str]:
        """Return what its reader must know of it, one line each: what it leaves out, and what it lacks."""
        lines = [self._remark_on(each) for each in self.left_out]
        if self.sparse_days > MOSTLY * self.days:
            lines.append(
                f"history: {self.sparse_days:,} of its {self.days:,} days have hardly any incident, so the scores are "
                "too low; --from and --to choose other days"
            )
        if self.gap is not None:
            begins, ends = self.gap
            lines.append(
                f"history: no incident from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC, which counts as "
                "quiet time; --from and --to can leave it out"
            )
        return lines

    def _remark_on(self, rows: OutsideRows) -> str:
        first, last = f"{rows.first_at:%Y-%m-%d}", f"{rows.last_at:%Y-%m-%d}"
        dates = f"of {first}" if first == last else f"from {first} to {last}"
        is_before = rows.first_at < self.begins_at
        where = f"it begins on {self.begins_at:%Y-%m-%d}" if is_before else f"it ends on {self.ends_at:%Y-%m-%d}"
        number = f"{rows.number:,} incident{'' if rows.number == 1 else 's'}"
        return (
            f"history: {where} and leaves out {number} {dates}, because hardly anything else is dated around then; "
            f"{'--from' if is_before else '--to'} can take them in"
        )


def _outside(rows: LeftOut) -> OutsideRows:
    return OutsideRows(number=rows.number, first_at=_time(rows.first_s), last_at=_time(rows.last_s))


def _time(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
