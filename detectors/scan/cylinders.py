"""The scan of one stream: its most unusual cylinders, without overlap."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels.centres import best_per_centre, hopeful_centres, without_overlap
from detectors.kernels.ratio import LANES, TIE, Cases
from detectors.models.expected import Expected

FEW = 16
"""If fewer than one centre in ``FEW`` is requested, all of these are scanned: ruling out some would take longer."""


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
    """The best window of each of some centres: centre, LLR, number of locations, duration column, each array (n,)."""

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
    """Return the best window of each centre that has one with an LLR above ``floor``, which is 0 or more.

    ``centres``: the centres to look at, by default all.
    """
    if centres is None:
        centres = np.arange(len(near.size), dtype=np.int32)
    windows = (near.rows, Cases(model.counts, model.expected, model.totals), min_cases)
    if floor > 0.0 and len(model.durations) <= LANES and len(centres) > len(near.size) // FEW:
        centres = centres[hopeful_centres(centres, *windows, floor)]
    llr, size, column = best_per_centre(centres, *windows, min_risk, floor)
    high = llr > 0.0
    return Best(centres[high], llr[high], size[high], column[high])


def scan(
    model: Expected, near: Neighbours, min_cases: int, most: int, floor: float = 0.0, min_risk: float = 0.0
) -> list[Cylinder]:
    """Return the best cylinders without overlap, best first: at most ``most``, all with an LLR above ``floor``.

    It finds the best window of every centre, then goes down the list (docs/method.md section 4). A floor saves time and
    changes no result above it.
    """
    return apart(best_windows(model, near, min_cases, max(0.0, floor - 1000 * TIE), min_risk), model, near, most)


def apart(best: Best, model: Expected, near: Neighbours, most: int) -> list[Cylinder]:
    """Return the best windows without overlap as cylinders, best first, at most ``most``."""
    order = ranked(best.llr, best.size, best.centre)
    now = np.zeros(len(best.centre), np.int32)  # all windows end now, so time separates no two of them
    kept = without_overlap(order, best.centre, best.size, now, now, near.rows, most)
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
                # Adds one after the other, as the kernel does; `sum` and `numpy.sum` round differently.
                expected=float(np.add.accumulate(model.expected[zone, column])[-1]),
                llr=float(best.llr[which]),
            )
        )
    return cylinders


def ranked(llr: NDArray[np.float64], size: NDArray[np.int32], centre: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the order of windows: by falling LLR; in a tie, fewer locations first, then the smaller centre.

    An LLR within ``TIE`` of the one before is a tie.
    """
    order = np.argsort(-llr, kind="stable")
    run = np.concatenate(([0], np.cumsum(np.diff(llr[order]) < -TIE))) if len(order) else order
    return order[np.lexsort((centre[order], size[order], run))]
