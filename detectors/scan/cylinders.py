"""The scan: the most unusual cylinders of one stream, secondary ones without overlap."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels.centres import LANES, best_per_centre, hopeful_centres, without_overlap
from detectors.models.expected import Expected

TIE = 1e-9
"""LLRs this near are equal (METHOD.md section 4.3)."""

FEW = 16
"""Less than one in so many centres are scanned at once: to look for hope first would take longer."""


@dataclasses.dataclass(frozen=True)
class Cylinder:
    """A zone (the first ``size`` neighbours of ``centre``) over a duration that ends now."""

    centre: int
    size: int
    duration: int
    observed: int
    expected: float
    llr: float


@dataclasses.dataclass(frozen=True, eq=False)
class Best:
    """The best window around each of some centres: centre, LLR, locations in its zone, duration column, each (n,)."""

    centre: NDArray[np.int32]
    llr: NDArray[np.float64]
    size: NDArray[np.int32]
    column: NDArray[np.int32]


def best_windows(
    model: Expected,
    near: Neighbours,
    min_cases: int,
    floor: float,
    min_risk: float = 0.0,
    centres: NDArray[np.int32] | None = None,
) -> Best:
    """The best window of every centre (or of some) that has one with an LLR above ``floor``, 0 or more."""
    if centres is None:
        centres = np.arange(len(near.size), dtype=np.int32)
    windows = (near.start, near.size, near.index, model.counts, model.expected, model.totals, min_cases)
    if floor > 0.0 and len(model.durations) <= LANES and len(centres) > len(near.size) // FEW:
        centres = centres[hopeful_centres(centres, *windows, floor)]
    llr, size, column = best_per_centre(centres, *windows, min_risk, floor)
    high = llr > 0.0
    return Best(centres[high], llr[high], size[high], column[high])


def scan(
    model: Expected, near: Neighbours, min_cases: int, most: int, floor: float = 0.0, min_risk: float = 0.0
) -> list[Cylinder]:
    """At most ``most`` cylinders that share no circle, best first, all that have an LLR above ``floor``.

    The best window of every centre is found, then the list is gone down (METHOD.md section 4). A floor changes
    nothing above it but the time it takes.
    """
    return apart(best_windows(model, near, min_cases, max(0.0, floor - 1000 * TIE), min_risk), model, near, most)


def apart(best: Best, model: Expected, near: Neighbours, most: int) -> list[Cylinder]:
    """At most ``most`` of the best windows that share no circle, best first."""
    order = ranked(best.llr, best.size, best.centre)
    now = np.zeros(len(best.centre), np.int32)  # all end now: every two meet in time
    kept = without_overlap(order, best.centre, best.size, now, now, near.start, near.index, near.distance, most)
    cylinders = []
    for which in kept.tolist():
        zone = near.zone(int(best.centre[which]), int(best.size[which]))
        column = int(best.column[which])
        cylinders.append(
            Cylinder(
                centre=int(best.centre[which]),
                size=int(best.size[which]),
                duration=int(model.durations[column]),
                observed=int(model.counts[zone, column].sum()),
                # One after the other, as the kernel adds them; `sum` and `numpy.sum` round otherwise.
                expected=float(np.add.accumulate(model.expected[zone, column])[-1]),
                llr=float(best.llr[which]),
            )
        )
    return cylinders


def ranked(llr: NDArray[np.float64], size: NDArray[np.int32], centre: NDArray[np.int32]) -> NDArray[np.int64]:
    """Windows by falling LLR; within ``TIE`` of the one before: fewer locations, smaller centre."""
    order = np.argsort(-llr, kind="stable")
    run = np.concatenate(([0], np.cumsum(np.diff(llr[order]) < -TIE))) if len(order) else order
    return order[np.lexsort((centre[order], size[order], run))]
