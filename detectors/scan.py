"""The scan: the most unusual cylinders of one stream, secondary ones without overlap."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors import kernels
from detectors.models.expected import Expected
from detectors.neighbours import Neighbours

TIE = 1e-9
"""LLRs this near are equal (METHOD.md section 4.3)."""


@dataclasses.dataclass(frozen=True)
class Cylinder:
    """A zone (the first ``size`` neighbours of ``centre``) over a duration that ends now."""

    centre: int
    size: int
    duration: int
    observed: int
    expected: float
    llr: float


def scan(model: Expected, near: Neighbours, min_cases: int, most: int, floor: float = 0.0) -> list[Cylinder]:
    """At most ``most`` cylinders that share no circle, best first, all that have an LLR above ``floor``.

    The best window of every centre is found, then the list is gone down (METHOD.md section 4). A floor changes
    nothing above it but the time it takes.
    """
    llr, size, column = kernels.best_per_centre(
        near.start, near.index, model.counts, model.expected, model.total, min_cases, max(0.0, floor - 1000 * TIE)
    )
    kept = kernels.without_overlap(_ranked(llr, size), near.start, near.index, near.distance_m, size, most)
    cylinders = []
    for centre in kept.tolist():
        zone = near.zone(centre, int(size[centre]))
        which = int(column[centre])
        cylinders.append(
            Cylinder(
                centre=centre,
                size=int(size[centre]),
                duration=int(model.durations[which]),
                observed=int(model.counts[zone, which].sum()),
                # One after the other, as the kernel adds them; `sum` and `numpy.sum` round otherwise.
                expected=float(np.add.accumulate(model.expected[zone, which])[-1]),
                llr=float(llr[centre]),
            )
        )
    return cylinders


def _ranked(llr: NDArray[np.float64], size: NDArray[np.int32]) -> NDArray[np.int64]:
    """Centres by falling LLR; within ``TIE`` of the one before: fewer locations, smaller index."""
    centres = np.flatnonzero(llr > 0)
    order = centres[np.argsort(-llr[centres], kind="stable")]
    run = np.concatenate(([0], np.cumsum(np.diff(llr[order]) < -TIE))) if len(order) else order
    return order[np.lexsort((order, size[order], run))]
