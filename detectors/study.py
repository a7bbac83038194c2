"""The analyst's one-shot scan of a study, prospective or retrospective, with p-values.

It follows the rules of SaTScan where SaTScan has them (docs/method.md). The models are in ``detectors/models``.
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
from detectors.kernels.ratio import TIE
from detectors.kernels.spans import Search, best_spans_per_centre, largest_of_spans
from detectors.kernels.window import recent_counts
from detectors.models.expected import Expected
from detectors.models.nulls import Drawn, Null
from detectors.scan.cylinders import best_windows, ranked
from detectors.scan.replications import LargestNow, in_batches
from detectors.scan.shells import Shells
from detectors.scan.significance import Gumbel, p_value

MOST_CLUSTERS = 500
MOST_WITHOUT_P = 10
LEAST_LLR = 0.001
LEAST_SECOND_LLR = 1.0
"""Lower bound for the LLR of a second window of a centre (docs/method.md section 4.2)."""
GUMBEL_RANK = 10
"""Lowest rank whose p-value by rank is used. Below it the Gumbel p-value is used (docs/method.md section 5)."""
LEAST_REPLICATIONS = 99
"""Lowest number of replications that give a p-value."""
LOWEST_SCORE = -math.log(-math.log(1e-5))
"""Score that all but one in 100,000 maxima by chance exceed (docs/method.md section 4.6)."""

Maxima = NDArray[np.float64]


class Model(Protocol):
    """The expected cases of each location and interval, and their null. See the classes in ``detectors/models``."""

    @property
    def mass(self) -> NDArray[np.float64]:
        """The cases of each location, observed or expected, (L,). They take the place of a population."""

    def expected(self, begin: int, end: int) -> NDArray[np.float64]:
        """Return the expected cases of each interval of a time span, (L, end - begin)."""

    def total(self, begin: int, end: int) -> float:
        """Return the number of cases with which a window of a time span is compared; infinity if there are none."""

    def null(self, first: int) -> Null:
        """Return the null of the cases in the intervals from ``first`` on."""


@dataclasses.dataclass(frozen=True, eq=False)
class StudyCases:
    """The cases of a study.

    ``place``: index of each case's location, int32, (N,).
    ``interval``: each case's interval, int32, (N,).
    ``intervals``: number of intervals of the study.
    """

    place: NDArray[np.int32]
    interval: NDArray[np.int32]
    intervals: int

    def inside(self, zone: NDArray[np.int32], begin: int, end: int) -> int:
        """Return the number of cases in the locations of a zone and in the intervals ``begin`` to before ``end``."""
        is_within = (self.interval >= begin) & (self.interval < end)
        return int(np.count_nonzero(np.isin(self.place, zone) & is_within))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """The options of a scan.

    ``max_duration``: longest time span, in intervals.
    ``adjust_from``: the interval in which surveillance began. A prospective scan then allows for all analyses since
        then.
    ``early_stop``: whether to stop replicating once one replication in twenty is above the top cluster.
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
class StudyCluster:
    """A cluster: the first ``size`` neighbours of ``centre`` in the intervals ``begin`` to before ``end``.

    ``p_value``: by rank among the replications.
    ``p_value_gumbel``: from the fitted tail.
    ``p_value_scan``: the one of the two to use (docs/method.md section 5).

    With too few replications all three are None.
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
class StudyResult:
    """The clusters, most unusual first, and the largest LLR of every replication made, (replications,)."""

    clusters: tuple[StudyCluster, ...]
    maxima: Maxima


@dataclasses.dataclass(frozen=True, eq=False)
class _Windows:
    """Windows in any order: LLR, centre, number of locations, begin and end, each array (n,)."""

    llr: NDArray[np.float64]
    centre: NDArray[np.int32]
    size: NDArray[np.int32]
    begin: NDArray[np.int32]
    end: NDArray[np.int32]


def scan_study(
    model: Model,
    cases: StudyCases,
    near: Neighbours,
    question: Question,
    step: Callable[[int], object] = lambda _: None,
) -> StudyResult:
    """Scan a study; call ``step`` with the number of replications made since the previous call."""
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
        near.rows,
        MOST_CLUSTERS,
    )
    top = float(windows.llr[kept[0]]) if len(kept) else np.inf
    batches = in_batches(null, largest, question.replications, (question.seed,), question.threads)
    maxima, is_stopped = _replicated(batches, top, question, step)
    by_chance = _ByChance(maxima, Gumbel.fit(maxima) if len(maxima) else None, is_stopped, top)
    clusters = [_cluster(model, cases, near, windows, int(which), by_chance) for which in kept]
    return StudyResult(tuple(_listed(clusters, by_chance)), maxima)


def _now(model: Model, cases: StudyCases, longest: int) -> Expected:
    """Return observed and expected cases of the windows that end with the study."""
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
    """Return the totals with which the spans within ``begin`` to ``end`` are compared.

    Rows are a span's first interval, columns its length less one.
    """
    totals = np.zeros((end - begin, longest))
    for first in range(begin, end):
        for length in range(1, min(longest, end - first) + 1):
            totals[first - begin, length - 1] = model.total(first, first + length)
    return totals


def _search(model: Model, begin: int, end: int, first_end: int, question: Question) -> Search:
    """The search for spans in the intervals from ``begin`` to before ``end``."""
    expected = np.ascontiguousarray(model.expected(begin, end))
    totals = _totals(model, begin, end, question.max_duration)
    return Search(expected, totals, first_end, question.min_cases, question.min_risk)


def _all_spans(model: Model, cases: StudyCases, near: Neighbours, question: Question) -> _Windows:
    return _Windows(
        *best_spans_per_centre(
            cases.place,
            cases.interval,
            near.rows,
            _search(model, 0, cases.intervals, 0, question),
            LEAST_SECOND_LLR,
        )
    )


class _LargestOfSpans:
    """The largest LLR of drawn cases over all spans that end at or after the beginning of surveillance."""

    def __init__(self, model: Model, intervals: int, first: int, near: Neighbours, question: Question) -> None:
        first_end = 0 if question.adjust_from is None else question.adjust_from + 1 - first
        self._search = _search(model, first, intervals, first_end, question)
        self._last, self._near = intervals - first - 1, near

    def __call__(self, drawn: Drawn) -> Maxima:
        return largest_of_spans(drawn.start, drawn.place, self._last - drawn.age, self._near.rows, self._search)


def _replicated(
    batches: Iterator[Maxima], top: float, question: Question, step: Callable[[int], object]
) -> tuple[Maxima, bool]:
    """Return the maxima of the replications made, and whether an early stop ended them."""
    made = np.empty(0)
    enough = (question.replications + 1) // 20
    for batch in batches:
        made = np.concatenate((made, batch))
        step(len(batch))
        above = np.flatnonzero(made > top + TIE)
        if question.early_stop and 0 < enough <= len(above):
            return made[: above[enough - 1] + 1], True
    return made, False


@dataclasses.dataclass(frozen=True, eq=False)
class _ByChance:
    """The result of the replications: their maxima, the fitted Gumbel, and whether they stopped early.

    ``top``: the LLR of the top cluster.
    """

    maxima: Maxima
    fitted: Gumbel | None
    is_stopped: bool
    top: float

    def p_values(self, llr: float) -> tuple[float | None, float | None, float | None]:
        """Return three p-values: by rank, by the fitted Gumbel, and the one to use (docs/method.md section 5)."""
        maxima = self.maxima
        if self.fitted is None or (len(maxima) < LEAST_REPLICATIONS and not self.is_stopped):
            return None, None, None
        rank = 1 + int(np.count_nonzero(maxima >= llr - TIE))
        by_rank = rank / (len(maxima) + 1)
        if self.is_stopped:
            above = np.count_nonzero(maxima > llr + TIE) if llr == self.top else rank - 1
            by_rank = float(above / len(maxima))
        gumbel = p_value(self.fitted.score(llr))
        return by_rank, gumbel, gumbel if rank < GUMBEL_RANK else by_rank


def _cluster(
    model: Model, cases: StudyCases, near: Neighbours, windows: _Windows, which: int, by_chance: _ByChance
) -> StudyCluster:
    centre, size, llr = int(windows.centre[which]), int(windows.size[which]), float(windows.llr[which])
    begin, end = int(windows.begin[which]), int(windows.end[which])
    zone = near.zone(centre, size)
    by_rank, gumbel, counting = by_chance.p_values(llr)
    return StudyCluster(
        centre=centre,
        size=size,
        begin=begin,
        end=end,
        observed=cases.inside(zone, begin, end),
        expected=float(model.expected(begin, end)[zone].sum()),
        llr=llr,
        p_value=by_rank,
        p_value_gumbel=gumbel,
        p_value_scan=counting,
    )


def _listed(clusters: list[StudyCluster], by_chance: _ByChance) -> list[StudyCluster]:
    """Return the top cluster and all above the limit; without replications, the first few.

    SaTScan leaves out clusters below every simulated maximum (docs/method.md section 4.6). So its list depends on the
    lowest maximum, which changes with the seed. Here the tail of the fitted Gumbel decides as well, and lists hardly
    differ between two seeds.
    """
    if by_chance.fitted is None:
        return clusters[:MOST_WITHOUT_P]
    lowest = min(float(by_chance.maxima.min()) + TIE, by_chance.fitted.llr(LOWEST_SCORE))
    return [each for number, each in enumerate(clusters) if number == 0 or each.llr > max(LEAST_LLR, lowest)]
