"""The analyst's one-shot scan of a study: all windows that end with it, or all windows whatsoever, with their p-values.

Rules of SaTScan where it has them (METHOD.md); the models are in ``detectors/models``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels.centres import without_overlap
from detectors.kernels.spans import best_spans_per_centre, largest_of_spans
from detectors.kernels.window import recent_counts
from detectors.models.expected import Expected
from detectors.models.nulls import Drawn, Null
from detectors.scan.cylinders import TIE, best_windows, ranked
from detectors.scan.replications import LargestNow, in_batches
from detectors.scan.shells import Shells
from detectors.scan.significance import Gumbel, p_value

MOST_CLUSTERS = 500
MOST_WITHOUT_P = 10
LEAST_LLR = 0.001
LEAST_SECOND_LLR = 1.0
"""What a second window around a centre must have at least (METHOD.md section 4.2)."""
GUMBEL_RANK = 10
"""Below this rank the Gumbel p-value is the one that counts (METHOD.md section 5)."""
LEAST_REPLICATIONS = 99
"""With fewer there is no p-value."""

LOWEST_SCORE = -math.log(-math.log(1e-5))
"""One largest LLR in 100,000 is below this score by chance."""

Maxima = NDArray[np.float64]


class Model(Protocol):
    """What is usual in each place and interval, and how cases fall by chance. See the classes in ``models``."""

    @property
    def mass(self) -> NDArray[np.float64]:
        """What counts as the population of each location, (L,)."""

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """The expected cases of each interval of a time span, (L, end - begin)."""

    def total(self, begin: int, end: int) -> float:
        """The cases that a window of a time span is compared with; infinite for none."""

    def null(self, first: int) -> Null:
        """How the cases of the intervals from ``first`` on fall by chance."""


@dataclasses.dataclass(frozen=True, eq=False)
class StudyCases:
    """The cases of a study of so many ``intervals``: location and interval of each, int32, (N,)."""

    place: NDArray[np.int32]
    interval: NDArray[np.int32]
    intervals: int

    def inside(self, zone: NDArray[np.int32], begin: int, end: int) -> int:
        """How many lie in the locations of a zone and in the intervals ``begin`` to before ``end``."""
        is_within = (self.interval >= begin) & (self.interval < end)
        return int(np.count_nonzero(np.isin(self.place, zone) & is_within))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a study.

    ``max_duration``: in intervals. ``adjust_from``: the interval in which surveillance began, for a prospective scan
    that takes the ones before it into account. ``early_stop``: stop replicating once one in twenty is above the top
    cluster.
    """

    max_duration: int
    min_cases: int = 2
    min_risk: float = 0.0
    is_retrospective: bool = False
    replications: int = 999
    seed: int = 0
    adjust_from: int | None = None
    early_stop: bool = False
    threads: int = 1


@dataclasses.dataclass(frozen=True)
class Found:
    """A cluster: the first ``size`` neighbours of ``centre`` in the intervals ``begin`` to before ``end``.

    ``p_value`` by rank, ``p_value_gumbel`` from the fitted tail; None with too few replications. ``p_value_scan``: the
    one of the two that counts, per scan.
    """

    centre: int
    size: int
    begin: int
    end: int
    observed: int
    expected: float
    llr: float
    p_value: float | None
    p_value_gumbel: float | None
    p_value_scan: float | None


@dataclasses.dataclass(frozen=True)
class Answer:
    """The clusters, most unusual first, and the largest LLR of every replication made, (replications,)."""

    clusters: tuple[Found, ...]
    maxima: Maxima


@dataclasses.dataclass(frozen=True, eq=False)
class _Windows:
    """Windows, best first: LLR, centre, locations, begin and end, each (n,)."""

    llr: NDArray[np.float64]
    centre: NDArray[np.int32]
    size: NDArray[np.int32]
    begin: NDArray[np.int32]
    end: NDArray[np.int32]


def answer(
    model: Model,
    cases: StudyCases,
    near: Neighbours,
    question: Question,
    step: Callable[[int], object] = lambda _: None,
) -> Answer:
    """Scan a study; ``step`` is told of replications as they are made."""
    intervals = cases.intervals
    largest: Callable[[Drawn], Maxima]
    if question.is_retrospective:
        windows = _all_spans(model, cases, near, question)
        null, largest = model.null(0), _LargestOfSpans(model, intervals, 0, near, question)
    else:
        now = _now(model, cases, question.max_duration)
        best = best_windows(now, near, question.min_cases, 0.0, question.min_risk)
        begin = intervals - now.durations[best.column]
        windows = _Windows(best.llr, best.centre, best.size, begin, np.full_like(begin, intervals))
        if question.adjust_from is None:
            null = model.null(intervals - question.max_duration)
            shells = Shells.cut(near, now.expected[:, -1])
            largest = LargestNow(now, near, shells, question.min_cases, question.min_risk)
        else:
            first = max(0, question.adjust_from + 1 - question.max_duration)
            null, largest = model.null(first), _LargestOfSpans(model, intervals, first, near, question)
    kept = without_overlap(
        ranked(windows.llr, windows.size, windows.centre),
        windows.centre,
        windows.size,
        windows.begin,
        windows.end,
        near.start,
        near.index,
        near.distance,
        MOST_CLUSTERS,
    )
    top = float(windows.llr[kept[0]]) if len(kept) else np.inf
    batches = in_batches(null, largest, question.replications, (question.seed,), question.threads)
    maxima, is_stopped = _replicated(batches, top, question, step)
    fitted = Gumbel.fit(maxima) if len(maxima) else None
    found = [_found(model, cases, near, windows, int(which), maxima, fitted, is_stopped, top) for which in kept]
    return Answer(tuple(_told(found, maxima, fitted)), maxima)


def _now(model: Model, cases: StudyCases, longest: int) -> Expected:
    """Observed and expected of the windows that end with the study."""
    intervals = cases.intervals
    durations = np.arange(1, longest + 1, dtype=np.int32)
    age = (intervals - 1 - cases.interval).astype(np.int32)
    is_recent = age < longest
    backwards = model.expected(intervals - longest, intervals)[:, ::-1]
    return Expected(
        counts=recent_counts(cases.place[is_recent], age[is_recent], durations, len(backwards)),
        expected=np.cumsum(backwards, axis=1),
        totals=np.array([model.total(intervals - int(duration), intervals) for duration in durations]),
        durations=durations,
    )


def _totals(model: Model, begin: int, end: int, longest: int) -> NDArray[np.float64]:
    """What the spans that begin at ``begin`` or later are compared with, by begin and length less one."""
    totals = np.zeros((end - begin, longest))
    for first in range(begin, end):
        for length in range(1, min(longest, end - first) + 1):
            totals[first - begin, length - 1] = model.total(first, first + length)
    return totals


def _all_spans(model: Model, cases: StudyCases, near: Neighbours, question: Question) -> _Windows:
    return _Windows(
        *best_spans_per_centre(
            cases.place,
            cases.interval,
            near.start,
            near.size,
            near.index,
            np.ascontiguousarray(model.expected(0, cases.intervals)),
            _totals(model, 0, cases.intervals, question.max_duration),
            question.min_cases,
            question.min_risk,
            LEAST_SECOND_LLR,
        )
    )


class _LargestOfSpans:
    """The largest LLR of drawn cases over all spans that end when or after surveillance began."""

    def __init__(self, model: Model, intervals: int, first: int, near: Neighbours, question: Question) -> None:
        self._expected = np.ascontiguousarray(model.expected(first, intervals))
        self._totals = _totals(model, first, intervals, question.max_duration)
        self._last = intervals - first - 1
        self._first_end = 0 if question.adjust_from is None else question.adjust_from + 1 - first
        self._near, self._question = near, question

    def __call__(self, drawn: Drawn) -> Maxima:
        near, question = self._near, self._question
        return largest_of_spans(
            drawn.start,
            drawn.place,
            self._last - drawn.age,
            near.start,
            near.size,
            near.index,
            self._expected,
            self._totals,
            self._first_end,
            question.min_cases,
            question.min_risk,
        )


def _replicated(
    batches: Iterator[Maxima], top: float, question: Question, step: Callable[[int], object]
) -> tuple[Maxima, bool]:
    """The maxima of all replications, or of those until the early stop, and whether it stopped."""
    made = np.empty(0)
    enough = (question.replications + 1) // 20
    for batch in batches:
        made = np.concatenate((made, batch))
        step(len(batch))
        above = np.flatnonzero(made > top + TIE)
        if question.early_stop and 0 < enough <= len(above):
            return made[: above[enough - 1] + 1], True
    return made, False


def _found(
    model: Model,
    cases: StudyCases,
    near: Neighbours,
    windows: _Windows,
    which: int,
    maxima: Maxima,
    fitted: Gumbel | None,
    is_stopped: bool,
    top: float,
) -> Found:
    centre, size, llr = int(windows.centre[which]), int(windows.size[which]), float(windows.llr[which])
    begin, end = int(windows.begin[which]), int(windows.end[which])
    zone = near.zone(centre, size)
    by_rank, gumbel, counts = None, None, None
    if fitted is not None and (len(maxima) >= LEAST_REPLICATIONS or is_stopped):
        rank = 1 + int(np.count_nonzero(maxima >= llr - TIE))
        by_rank = rank / (len(maxima) + 1)
        if is_stopped:
            above = np.count_nonzero(maxima > llr + TIE) if llr == top else rank - 1
            by_rank = float(above / len(maxima))
        gumbel = p_value(fitted.score(llr))
        counts = gumbel if rank < GUMBEL_RANK else by_rank
    return Found(
        centre=centre,
        size=size,
        begin=begin,
        end=end,
        observed=cases.inside(zone, begin, end),
        expected=float(model.expected(begin, end)[zone].sum()),
        llr=llr,
        p_value=by_rank,
        p_value_gumbel=gumbel,
        p_value_scan=counts,
    )


def _told(found: list[Found], maxima: Maxima, fitted: Gumbel | None) -> list[Found]:
    """The top cluster always; others unless they lie below all that chance does; without replications the first few.

    SaTScan leaves out what lies below every simulated maximum (METHOD.md section 4.6), so that its list depends on the
    lowest of them. Here the tail of the fitted Gumbel decides as well, and lists hardly differ between two seeds.
    """
    if fitted is None:
        return found[:MOST_WITHOUT_P]
    lowest = min(float(maxima.min()) + TIE, fitted.llr(LOWEST_SCORE))
    return [each for number, each in enumerate(found) if number == 0 or each.llr > max(LEAST_LLR, lowest)]
