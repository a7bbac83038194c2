"""Naive twin of the Bayesian scan: every cylinder by its definition, with no bound and nothing kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.kernels.bayes import Prior


def bayes_factor(observed: int, mean: float, shape: float, risk: float) -> float:
    """Return how much likelier a number is with a relative risk than without, from the negative binomial law itself."""

    def likelihood(factor: float) -> float:
        """Return the negative binomial probability of a gamma rate with this shape and a mean of ``factor * mean``."""
        log = math.lgamma(observed + shape) - math.lgamma(shape) - math.lgamma(observed + 1)
        log += shape * math.log(shape / (shape + factor * mean))
        return math.exp(log + observed * math.log(factor * mean / (shape + factor * mean)))

    return likelihood(risk) / likelihood(1.0)


def score_at(
    anchor: int,
    distance: NDArray[np.float64],
    cases: Sequence[tuple[int, int]],
    durations_s: Sequence[int],
    rate: NDArray[np.float64],
    shape: NDArray[np.float64],
    of_place: NDArray[np.float64],
    hours: NDArray[np.float64],
    prior: Prior,
) -> float:
    """Return the score of a location.

    ``distance``: between all locations, (L, L).
    ``cases``: location and age in seconds of each case.
    ``rate``, ``shape``, ``of_place``: of each location, (L, S), (L,) and (L,).
    """
    total, has_enough = 0.0, False
    for centre in range(len(distance)):
        for radius, of_radius in zip(prior.radius, prior.of_radius, strict=True):
            zone = np.flatnonzero(distance[centre] <= radius)
            if anchor not in zone:
                continue
            for column, duration_s in enumerate(durations_s):
                inside = [location for location, age_s in cases if age_s < duration_s and location in zone]
                if len(inside) < 2 or anchor not in inside:
                    continue
                mean = float((rate[zone] @ hours[:, column]).sum())
                means = rate[zone].sum(axis=1)
                of_zone = float(means.sum() ** 2 / (means**2 / shape[zone]).sum())
                factors = np.array([bayes_factor(len(inside), mean, of_zone, float(risk)) for risk in prior.risk])
                where_usual = float((factors * prior.of_risk[0]).sum() * of_place[centre])
                anywhere = float((factors * prior.of_risk[1]).sum() / len(distance))
                total += float(of_radius * prior.of_duration[column]) * (where_usual + anywhere)
                has_enough |= len(inside) >= prior.min_cases
    return math.log(total) if has_enough else -math.inf
