"""Seeded redraws under the permutation null: what the largest LLR looks like by chance alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors import kernels
from detectors.models.expected import Expected
from detectors.neighbours import Neighbours


def largest_by_chance(
    model: Expected,
    near: Neighbours,
    by_stratum: NDArray[np.int32],
    age: NDArray[np.int32],
    case_stratum: NDArray[np.int32],
    min_cases: int,
    replications: int,
    seed: Sequence[int],
) -> NDArray[np.float64]:
    """The largest LLR of each replication, float64, shape (replications,).

    Times are shuffled over places within each stratum, which keeps both margins, so the expected
    counts of ``model`` hold for every replication. Only recent cases are drawn; ``age`` and
    ``case_stratum`` describe them. Replication ``k`` has its own generator, seeded by ``(*seed, k)``.
    """
    order = np.lexsort((age, case_stratum))
    age, case_stratum = age[order], case_stratum[order]
    locations = np.arange(by_stratum.shape[0], dtype=np.int32)
    pool = np.concatenate([np.repeat(locations, by_stratum[:, s]) for s in range(by_stratum.shape[1])])
    pool_start = np.concatenate(([0], np.cumsum(by_stratum.sum(axis=0, dtype=np.int64))))
    counts, reach = np.zeros_like(model.counts), np.zeros(len(locations), np.int32)
    place = np.zeros(len(age), np.int32)
    maxima = np.empty(replications)
    for replication in range(replications):
        draws = np.random.default_rng((*seed, replication)).random(len(age))
        kernels.redraw(pool, pool_start, case_stratum, draws, place)
        maxima[replication] = kernels.largest_ratio(
            near.start, near.index, place, age, model.durations, model.expected, model.total, min_cases, counts, reach
        )
    return maxima
