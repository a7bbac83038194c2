"""Neighbour rows cut into shells. Replications rule out most neighbours a shell at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels import shells as kernels

GROWTH = 0.4
"""Upper bound for a zone's growth within a shell, as a share of its mass. A larger one rules out fewer shells."""
STEP = 1.0
"""Upper bound for the same growth in units of the square root of the mass. The smaller of the two bounds holds."""


class Shells(kernels.ShellRows):
    """The shells of every centre, with a way to make them."""

    __slots__ = ()

    @classmethod
    def cut(cls, near: Neighbours, mass: NDArray[np.float64]) -> Shells:
        """Return shells within which the ``mass`` of a zone, shape (L,), grows by at most ``GROWTH`` and ``STEP``."""
        number = np.empty(len(near.order), np.int32)
        number[near.order] = np.arange(len(near.order))
        size = near.size[near.order]
        start = np.concatenate(([0], np.cumsum(size, dtype=np.int64)))
        position = np.arange(start[-1]) + np.repeat(near.start[near.order] - start[:-1], size)
        member = number[near.index[position]]
        of, first = kernels.shells(start, size, member, mass[near.order], GROWTH, STEP)
        return cls(near.order, number, of, first, member, *kernels.shells_of_place(of, first, member))
