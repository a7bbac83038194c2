"""Repeated scans of one stream, each only of the centres whose best window may have risen above the floor.

An incident changes the counts of the few centres around it, and these are scanned. For all other centres it changes
only the area's totals, and thereby their expected cases a little. What this can add to an LLR is bounded, and the bound
is kept for every centre. The result equals that of a full scan.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels.centres import cases_within, near_any
from detectors.kernels.ratio import TIE
from detectors.models.expected import Expected
from detectors.scan.cylinders import Best, best_windows

SLACK = 2.0
"""Difference in LLR below the floor down to which a scan searches. Its bounds then save later scans of centres."""

MANY = 64
"""If more than one location in ``MANY`` is touched, all centres are scanned: most of them would be scanned anyway."""

NO_PLACE = np.zeros(0, np.int64)


class Rescan:
    """The best windows of one stream, kept up to date. It needs neighbour rows without a limit on mass."""

    def __init__(self, near: Neighbours, min_cases: int) -> None:
        self._near, self._min_cases = near, min_cases
        self._at_most: NDArray[np.float64] | None = None
        self._reach: NDArray[np.float64] | None = None
        self._share = np.zeros((0, 0))
        self._total = 0.0

    def forget(self) -> None:
        """Make the next scan a full one, because something changed that ``touched`` does not list."""
        self._at_most = None

    def best(self, model: Expected, share: NDArray[np.float64], touched: NDArray[np.int64], floor: float) -> Best:
        """Return the best window of every centre that has one with an LLR above ``floor``, 0 or more.

        ``share``: the factor that is common to all locations, (S, D). Expected cases are the sum over strata of a
            location's own factor times ``share``. In the permutation model it is the share of each stratum's cases that
            falls into each duration. With a constant weight or usual rate as the location's factor, it is the area's
            cases or the hours of each stratum.
        ``touched``: the locations that gained or lost cases since the last call, (n,).
        """
        total = float(model.totals[0])
        every_centre = np.arange(len(self._near.size), dtype=np.int32)
        low = max(0.0, floor - SLACK)
        if self._at_most is None or floor == 0.0 or len(touched) > len(every_centre) // MANY:
            centres, self._reach = every_centre, None
            self._at_most = np.full(len(every_centre), low)
        else:
            if self._reach is None:
                self._reach = self._cases_within(model, every_centre)
            self._at_most = self._drifted(self._at_most, self._reach, share, total)
            if len(touched):
                around = self._around(touched)
                self._at_most[around] = np.inf
                self._reach[around] = self._cases_within(model, around)
            centres = every_centre[(self._at_most > floor - TIE) & (self._reach >= self._min_cases)]
            self._at_most[centres] = low
        self._share, self._total = share, total
        best = best_windows(model, self._near, self._min_cases, low, centres=centres)
        self._at_most[best.centre] = best.llr
        above = best.llr > floor
        return Best(best.centre[above], best.llr[above], best.size[above], best.column[above])

    def _drifted(
        self, at_most: NDArray[np.float64], reach: NDArray[np.float64], share: NDArray[np.float64], total: float
    ) -> NDArray[np.float64]:
        """Return the bounds, raised by what the new shares and total can have added to a window of each centre.

        If expected cases shrink by a factor g, the LLR of n cases rises by at most n log(1/g). Each case removed from
        the total N adds at most (n / (N - n))^2 while N is over twice n, and nothing where N is infinite.
        """
        had = self._share > 0
        least = float(np.min(share[had] / self._share[had], initial=1.0))
        fewer = 0.0 if math.isinf(total) else max(0.0, self._total - total)
        most = float(reach.max(initial=0.0))
        if least <= 0.0 or total <= 2.0 * most:
            return np.full_like(at_most, np.inf)
        drift = reach * -math.log(least) + fewer * (reach / (total - reach)) ** 2
        return np.asarray(at_most + drift)

    def _around(self, locations: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the centres that have one of these locations within reach. These are the locations' neighbours."""
        return np.flatnonzero(near_any(locations, self._near.rows)).astype(np.int32)

    def _cases_within(self, model: Expected, centres: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the number of cases of the longest duration within reach of each of the centres."""
        return cases_within(centres, self._near.rows, np.ascontiguousarray(model.counts[:, -1]))
