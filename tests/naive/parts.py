"""Silent parts from plain lists of incidents, one count after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Case(NamedTuple):
    """An incident; ``reported_s``: when it was known, in seconds since 1970."""

    occurred_s: int
    reported_s: int
    district: int
    category: int


def in_part(case: Case, part: int) -> bool:
    """Whether an incident belongs to part ``5 * district + stream``."""
    around, stream = divmod(part, 5)
    is_here = around == 0 or around == 1 + case.district // 4 or around == 5 + case.district
    return is_here and stream in (case.category, 4)


def count_reports(cases: Sequence[Case], part: int, end: int, hours: int) -> int:
    """Return the incidents of a part in the hours before bucket ``end`` that were known when it began."""
    return sum(
        in_part(case, part) and end - hours <= case.occurred_s // 3600 < end and case.reported_s < end * 3600
        for case in cases
    )


def compare_days(
    cases: Sequence[Case], part: int, hours: int, longest: int, stratum: dict[int, int], first: int, now: int
) -> tuple[float, float] | None:
    """Return (mean, shape) of a part's number in the hours before ``now``; None without an incident to learn from."""
    last = max(
        (case.occurred_s // 3600 for case in cases if in_part(case, part) and case.reported_s < now * 3600), default=-1
    )
    until = min(last + 1, now - longest)
    days = [day for day in range((now - first - longest) // 24 + 1) if now - 24 * day <= until]

    def usual(which: int, end: int) -> float:
        last_hour = min(until, now - longest) if which == part else now - longest
        rates = {}
        for each in set(stratum.values()):
            past = [bucket for bucket in range(first, last_hour) if stratum[bucket] == each]
            number = sum(in_part(case, which) and case.occurred_s // 3600 in past for case in cases)
            rates[each] = number / max(len(past), 1)
        return sum(rates[stratum[bucket]] for bucket in range(end - hours, end))

    def likely(end: int) -> float:
        here, rest = usual(part, end), usual(4, end) - usual(part, end)
        rest_known = count_reports(cases, 4, end, hours) - count_reports(cases, part, end, hours)
        return min(here, here / rest * rest_known) if rest > 1e-9 else 0.0

    ends = [now - 24 * day for day in days]
    expected = [likely(end) for end in ends]
    seen = [count_reports(cases, part, end, hours) for end in ends]
    if not sum(expected):
        return None
    share = sum(seen) / sum(expected)
    means = [share * each for each in expected]
    rests = [max(1, count_reports(cases, 4, end, hours) - number) for end, number in zip(ends, seen, strict=True)]
    excess = sum(
        (number - mean) ** 2 - mean - mean**2 / rest for number, mean, rest in zip(seen, means, rests, strict=True)
    )
    squares = sum(mean**2 for mean in means)
    spread = max(0.0, excess / squares) if squares else 0.0
    rest_now = max(1, count_reports(cases, 4, now, hours) - count_reports(cases, part, now, hours))
    number = max(
        1, sum(in_part(case, part) and first <= case.occurred_s // 3600 < min(until, now - longest) for case in cases)
    )
    return share * likely(now), 1 / (spread + 1 / rest_now + 1 / number)
