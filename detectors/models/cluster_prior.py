"""The prior of clusters for the Bayesian scan: how large, how old and how strong they are before a case is seen."""

from __future__ import annotations

import numpy as np

from detectors.area.settings import AreaSettings, Stream
from detectors.kernels.bayes import Prior

RADIUS = (0.02, 0.28, 0.47, 0.6, 0.8)
"""Radii of zones, as shares of the largest one: a single location, and four rings of about equal steps."""
OF_RADIUS = (0.10, 0.32, 0.12, 0.28, 0.18)
"""Weight of each radius."""
MEAN_AGE_H = 39.0
"""Mean age of a cluster in hours: the mean of lifetimes from 6 to 72 hours."""
RISK = (2.0, 4.0, 8.0, 16.0, 40.0, 100.0, 250.0)
"""Relative risks. The wide range lets a cluster be found by its second and third case."""
MODERATE = 5
"""Number of relative risks of a cluster that lies where cases are usual. One that lies anywhere can have any risk."""

MIXED = 0.3
"""Weight of a cluster of several categories, where one of a given category has the weight 1."""


def cluster_prior(settings: AreaSettings, stream: Stream) -> Prior:
    """Return the prior for an area's durations and largest radius, for clusters of a stream.

    A duration has the weight of the ages from the next shorter duration up to it.
    """
    ends = np.array(settings.durations_h, np.float64)
    begins = np.concatenate(([0.0], ends[:-1]))
    risk = np.array(RISK)
    return Prior(
        radius=settings.max_radius_m * np.array(RADIUS),
        of_radius=np.array(OF_RADIUS) * (MIXED if stream is Stream.ALL else 1.0),
        of_duration=np.exp(-begins / MEAN_AGE_H) - np.exp(-ends / MEAN_AGE_H),
        risk=risk,
        of_risk=np.vstack(((np.arange(len(risk)) < MODERATE) / MODERATE, np.full(len(risk), 1 / len(risk)))),
        min_cases=settings.min_cases,
    )
