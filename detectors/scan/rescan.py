"""The scan of a stream again and again: a centre is only looked at when its best window may have come above the floor.

An incident changes the counts of the few centres around it, which are scanned. To all others it only changes what is
expected, by a little, since the area's totals have moved; how much more unusual that can have made any window is
bounded, and the bound kept for every centre. The answer is that of a full scan.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.models.expected import Expected
from detectors.scan.cylinders import TIE, Best, best_windows

SLACK = 2.0
"""Centres are scanned down to this far below the floor, so that it takes many incidents until they must be again."""

MANY = 64
"""Where over one in so many places was touched, all centres are scanned: most of them would be in any case."""

NO_PLACE = np.zeros(0, np.int64)


class Rescan:
    """The best windows of one stream, kept up to date. Needs neighbour rows that are not cut by any share."""

    def __init__(self, near: Neighbours, min_cases: int) -> None:
        self._near, self._min_cases = near, min_cases
        self._at_most: NDArray[np.float64] | None = None
        self._reach: NDArray[np.float64] | None = None
        self._share = np.zeros((0, 0))
        self._total = 0.0

    def forget(self) -> None:
        """Something changed that will not be told: the next scan is a full one."""
        self._at_most = None

    def best(self, model: Expected, share: NDArray[np.float64], touched: NDArray[np.int64], floor: float) -> Best:
        """The best window of every centre that has one with an LLR above ``floor``, 0 or more.

        ``share``: what the expected cases of ``model`` are made of, since they are the sum over strata of something of
        the place's own times it, (S, D): of each stratum's cases what falls into each duration, for the permutation
        model; the area's cases or the hours of each stratum, where the place's own is a weight or a usual rate that
        stays while this is kept. ``touched``: the locations, (n,), that had cases put or taken since the last call, at
        any age.
        """
        total = float(model.totals[0])
        everyone = np.arange(len(self._near.size), dtype=np.int32)
        low = max(0.0, floor - SLACK)
        if self._at_most is None or floor == 0.0 or len(touched) > len(everyone) // MANY:
            centres, self._reach = everyone, None
            self._at_most = np.full(len(everyone), low)
        else:
            if self._reach is None:
                self._reach = self._cases_within(model, everyone)
            self._at_most = self._drifted(self._at_most, self._reach, share, total)
            if len(touched):
                around = self._around(touched)
                self._at_most[around] = np.inf
                self._reach[around] = self._cases_within(model, around)
            centres = everyone[(self._at_most > floor - TIE) & (self._reach >= self._min_cases)]
            self._at_most[centres] = low
        self._share, self._total = share, total
        best = best_windows(model, self._near, self._min_cases, low, centres=centres)
        self._at_most[best.centre] = best.llr
        above = best.llr > floor
        return Best(best.centre[above], best.llr[above], best.size[above], best.column[above])

    def _drifted(
        self, at_most: NDArray[np.float64], reach: NDArray[np.float64], share: NDArray[np.float64], total: float
    ) -> NDArray[np.float64]:
        """The bounds, raised by what the new shares and the new total can have added to any window of each centre.

        Expected cases that shrink to a share g of what they were add at most n log(1/g) to the LLR of n cases. Fewer
        cases in all add at most (n / (N - n))^2 for each, while N is over twice n, and nothing where N is infinite.
        """
        had = self._share > 0
        least = float(np.min(share[had] / self._share[had], initial=1.0))
        fewer = 0.0 if math.isinf(total) else max(0.0, self._total - total)
        most = float(reach.max(initial=0.0))
        if least <= 0.0 or total <= 2.0 * most:
            return np.full_like(at_most, np.inf)
        drift = reach * -math.log(least) + fewer * (reach / (total - reach)) ** 2
        return np.asarray(at_most + drift)

    def _around(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The centres that have one of these places within reach: being a neighbour is mutual."""
        near = self._near
        return np.unique(np.concatenate([near.index[near.start[each] : near.start[each + 1]] for each in places]))

    def _cases_within(self, model: Expected, centres: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """The cases of the longest duration within reach of each of some centres, or of all."""
        recent = model.counts[:, -1].astype(np.float64)
        near = self._near
        if len(centres) == len(near.size):
            return np.asarray(np.add.reduceat(recent[near.index], near.start[:-1]))
        return np.array([recent[near.index[near.start[each] : near.start[each + 1]]].sum() for each in centres])
