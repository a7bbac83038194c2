"""Parts of an area that have stopped reporting: a district, a category, or a category in a district.

It is the scan turned round: fewer than usual. For each part and duration, the incidents known now are compared with
what is usual in these hours of the week and with the rest of the area. The same comparison at the same hour of each
past day, with the reports that were there by then, shows how many are known at this hour and how far numbers vary.

The result is a function of the window alone, so nothing of it is in a checkpoint.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from detectors.area.districts import DISTRICTS, District, Districts
from detectors.area.settings import STREAMS, Stream
from detectors.area.strata import BUCKET_S
from detectors.kernels.window import compare_days
from detectors.window.known_reports import KnownReports
from detectors.window.sliding import ALL, SlidingWindow

DURATIONS = np.array([3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96], np.int32)
"""Durations of a silence, in hours. The last one is also the least age of what is usual."""
NEEDED_DAYS = 21
"""Smallest number of past days to compare with. A part that is silent for so long that fewer are left is given up."""
QUARTER_H = 13 * 168
"""Length of a quarter of a year, in hours."""
LEAST = 4.0
"""Smallest usual number that can be missed."""
TELLING = 2.0
"""Smallest usual number in a duration that can show that reports have come back."""
LOOK_BACK_H = 12
"""How long a silence goes on at most without being as unlikely as at its beginning, in hours."""


class Limits(NamedTuple):
    """When a part is silent.

    ``budget``: factor of the budget, up to which a number counts as unlikely.
    ``share``: largest share of the usual number.
    """

    budget: float
    share: float


BEGIN, GO_ON = Limits(1.0, 0.4), Limits(10.0, 0.6)
"""Limits for the beginning of a silence, and wider ones for its continuation, so that it does not begin twice."""

_LONGEST = int(DURATIONS[-1])
_PARTS = tuple((district, stream) for district in DISTRICTS for stream in STREAMS)

_Floats = NDArray[np.float64]


class SilentPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an area that has stopped reporting.

    ``since_s``: time of its last incident, in seconds since 1970, or the beginning of the hours if there are some.
    ``hours``: the duration in which its number is least likely.
    ``observed``, ``usual``: its number in these hours, and how many would usually be known by now.
    """

    district: District
    stream: Stream
    since_s: int
    hours: int
    observed: int
    usual: float


class Comparison(NamedTuple):
    """The parts at the beginning of an hour, by duration, each (P, D).

    ``observed``: number of incidents known.
    ``usual``: mean of that number if the part reports as usual; 0 if that is little or unknown.
    ``shape``: shape of its negative binomial distribution.
    ``last_s``: time of the part's last incident, in seconds since 1970, -1 for none, (P,).
    """

    observed: NDArray[np.int32]
    usual: _Floats
    shape: _Floats
    last_s: NDArray[np.int64]


def silent_parts(window: SlidingWindow, districts: Districts, per_quarter: float) -> tuple[SilentPart, ...]:
    """Return the parts that were silent when the current bucket began, no two with a common incident.

    ``per_quarter``: how many silences in 13 weeks chance may begin in the area; 0 for none.
    """
    if not (per_quarter and window.has_time):
        return ()
    reports = reports_of(window, districts)
    silent = None if reports is None else _silent(reports, per_quarter / QUARTER_H, 0)
    if silent is None:
        return ()
    compared, chance = silent
    chosen: list[SilentPart] = []
    for part in np.argsort(chance.min(axis=1), kind="stable").tolist():
        district, stream = _PARTS[part]
        if np.isinf(chance[part]).all():
            break
        if any(_overlap(each.district, district) and _meet(each.stream, stream) for each in chosen):
            continue
        step = int(np.argmin(chance[part]))
        hours, observed = int(DURATIONS[step]), int(compared.observed[part, step])
        chosen.append(
            SilentPart(
                district=district,
                stream=stream,
                since_s=(window.now - hours) * BUCKET_S if observed else int(compared.last_s[part]),
                hours=hours,
                observed=observed,
                usual=float(compared.usual[part, step]),
            )
        )
    return tuple(chosen)


def reports_of(window: SlidingWindow, districts: Districts) -> KnownReports | None:
    """Return what is known now and was known in each hour in which a silence can have begun; None without enough."""
    return KnownReports.of(window, districts, DURATIONS, LOOK_BACK_H + 1)


def _silent(reports: KnownReports, budget: float, ago: int) -> tuple[Comparison, _Floats] | None:
    """Return the comparison ``ago`` hours ago, and the probability of each silence, (P, D).

    The probability is infinite where there is no silence; without enough past days the result is None.
    ``budget``: how many silences chance may begin in an hour. Whether a silence within the wider limits had begun is
        seen by looking at the hour before in the same way.
    """
    compared = compare(reports, ago)
    if compared is None:
        return None
    chance = _chance(compared, compared.observed)
    threshold = _threshold(compared, budget)
    begins = (chance <= BEGIN.budget * threshold) & _is_low(compared, BEGIN.share)
    goes_on = (chance <= GO_ON.budget * threshold) & _is_low(compared, GO_ON.share)
    is_silent = begins.any(axis=1, keepdims=True)
    doubtful = goes_on.any(axis=1, keepdims=True) & ~is_silent
    if doubtful.any() and ago < LOOK_BACK_H:
        before = _silent(reports, budget, ago + 1)
        if before is not None:
            is_silent |= doubtful & np.isfinite(before[1]).any(axis=1, keepdims=True)
    return compared, np.where(goes_on & is_silent, chance, np.inf)


def _overlap(one: District, other: District) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))


def _meet(one: Stream, other: Stream) -> bool:
    return one == other or Stream.ALL in (one, other)


def compare(reports: KnownReports, ago: int) -> Comparison | None:
    """Return the comparison of the parts ``ago`` hours ago; None without enough past days."""
    days, first = reports.days(ago), reports.first
    if days - _LONGEST // 24 < NEEDED_DAYS:
        return None
    now, last_s, by_stratum, known = reports.at(ago)
    stratum = reports.stratum[: now - first]
    # What is usual ends with the part's last incident: a long silence must not become usual.
    until = np.minimum(last_s // BUCKET_S + 1, now - _LONGEST)
    hours = [np.bincount(stratum[: max(0, end - first)], minlength=reports.strata) for end in np.unique(until)]
    rate = by_stratum / np.maximum(np.stack(hours)[np.searchsorted(np.unique(until), until)], 1)
    past = -((until - now) // 24)
    past = np.where(days - past < NEEDED_DAYS, days, past).astype(np.int32)
    number = by_stratum.sum(axis=1, dtype=np.int32)
    usual, shape = compare_days(rate, known, ALL, stratum, DURATIONS, past, number, TELLING)
    return Comparison(known[:, :, 0], usual, shape, last_s)


def _chance(compared: Comparison, observed: NDArray[np.int32] | int) -> _Floats:
    """Return the probability of so few incidents in each part and duration, (P, D); 1 where too few are usual."""
    usual, shape = compared.usual, compared.shape
    chance = np.ones_like(usual)
    betainc(shape, np.add(observed, 1), shape / (shape + usual), out=chance, where=usual >= LEAST)
    return chance


def _threshold(compared: Comparison, budget: float) -> float:
    """Return the probability up to which a number is rare, so that chance makes at most ``budget`` rare in an hour.

    The budget is divided by the number of tests that could find a silence at all, because no incident would be rare
    (Tarone 1990).
    """
    least = np.append(np.sort(_chance(compared, 0).ravel()), np.inf)
    number = np.arange(1, len(least))
    return budget / float(number[np.argmax(least[1:] > budget / number)])


def _is_low(compared: Comparison, share: float) -> NDArray[np.bool_]:
    """Return whether the number is low in a duration and in each shorter one with enough usual, (P, D)."""
    is_high = compared.observed > share * compared.usual
    return ~(is_high | np.logical_or.accumulate(is_high & (compared.usual >= TELLING), axis=1))
