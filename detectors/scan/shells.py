"""Neighbour rows cut into shells, for replications: most of them are ruled out a shell at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours
from detectors.kernels.shells import shells, shells_of_place

GROWTH = 0.4
"""A zone may grow by so much of its mass within a shell: more rules out less at once, less makes more shells."""
STEP = 1.0
"""And by so many times the root of its mass, if that is less: so large an excess of cases is what is looked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Shells:
    """Shells of every centre, in an order in which near places are near each other.

    ``order``: the places in that order, ``number``: where each stands in it, both shape (L,); all below counts by that.
    Centre ``i`` has the shells ``of[i]:of[i + 1]``, shell ``s`` the neighbours ``member[first[s]:first[s + 1]]``;
    place ``p`` lies in the shells ``place_shell[place_start[p]:place_start[p + 1]]``.
    """

    order: NDArray[np.int64]
    number: NDArray[np.int32]
    of: NDArray[np.int64]
    first: NDArray[np.int64]
    member: NDArray[np.int32]
    place_start: NDArray[np.int64]
    place_shell: NDArray[np.int32]

    @classmethod
    def cut(cls, near: Neighbours, mass: NDArray[np.float64]) -> Shells:
        """Shells within which the ``mass`` of a zone, shape (L,), grows by no more than ``GROWTH``."""
        number = np.empty(len(near.order), np.int32)
        number[near.order] = np.arange(len(near.order))
        size = near.size[near.order]
        start = np.concatenate(([0], np.cumsum(size, dtype=np.int64)))
        position = np.arange(start[-1]) + np.repeat(near.start[near.order] - start[:-1], size)
        member = number[near.index[position]]
        of, first = shells(start, size, member, mass[near.order], GROWTH, STEP)
        return cls(near.order, number, of, first, member, *shells_of_place(of, first, member))
