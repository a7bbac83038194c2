"""The distribution of the largest LLR under the null, given how busy a stream is at the moment (its load).

The null maximum of a scan is close to a Gumbel variable (Abrams, Kulldorff and Kleinman 2010). Its location and scale
depend on the cases in the last hours and in the window. They are learnt once, from null histories. A live scan then
needs no replications: a score takes microseconds.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from detectors.kernels.history import LEAST_SCALE, MARGIN_HOURS, Null, gumbel_of, load_of
from detectors.scan.significance import Gumbel

CENSORED = 0.5
"""LLR below which a maximum counts as censored. A stream with hardly any cases has no window at all."""
FEWEST_MAXIMA = 50
"""Smallest number of maxima above ``CENSORED`` for a fit."""
SHRINKAGE = 1e-4
"""Penalty on the square of every coefficient. It gives no weight to loads that hardly vary."""

HOURS = np.array(MARGIN_HOURS, np.int32)
LOADS = len(HOURS) + 1


def load(in_bucket: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the load of a stream, (LOADS,).

    ``in_bucket``: the stream's cases in each bucket of the window, (buckets,), the current bucket last.
    """
    return load_of(in_bucket, len(in_bucket) - 1, len(in_bucket), HOURS)


class Margins(msgspec.Struct, frozen=True):
    """The Gumbel location and the logarithm of its scale, as polynomials of a stream's loads.

    ``low``, ``high``: the range of the fitted loads, to which other loads are clipped, (loads,).
    ``location``, ``scale``: a constant, then the coefficients of each load and of its square.

    Loads are those of :func:`detectors.kernels.history.load_of`.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    location: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def flat(cls) -> Margins:
        """Return margins under which the score is the LLR itself, for the scans from which margins are learnt."""
        nothing = (0.0,) * (1 + 2 * LOADS)
        return cls((0.0,) * LOADS, (0.0,) * LOADS, nothing, nothing)

    @classmethod
    def fit(cls, load: NDArray[np.float64], largest: NDArray[np.float64]) -> Margins:
        """Fit by maximum likelihood to the loads of null scans, (scans, loads), and their largest LLRs, (scans,)."""
        middle, spread = load.mean(axis=0), np.maximum(load.std(axis=0), 1e-3)
        x = (load - middle) / spread
        terms = np.column_stack((np.ones(len(x)), *(each**power for each in x.T for power in (1, 2))))
        is_censored = largest <= CENSORED
        value = np.maximum(largest, CENSORED)
        begin = np.zeros(2 * terms.shape[1])
        gumbel = Gumbel.fit(value)
        begin[0], begin[terms.shape[1]] = gumbel.location, np.log(max(gumbel.scale, LEAST_SCALE))
        found = minimize(_loss, begin, (terms, value, is_censored), method="L-BFGS-B", jac=True)
        location, scale = np.split(found.x, 2)
        return cls(
            tuple(load.min(axis=0).tolist()),
            tuple(load.max(axis=0).tolist()),
            _of_raw_loads(location, middle, spread),
            _of_raw_loads(scale, middle, spread),
        )

    @property
    def null(self) -> Null:
        """The same numbers, as arrays for the kernels."""
        return Null(np.array(self.low), np.array(self.high), np.array(self.location), np.array(self.scale))

    def gumbel(self, load: NDArray[np.float64]) -> Gumbel:
        """Return the distribution of the largest LLR under the null for a load, (loads,)."""
        return Gumbel(*gumbel_of(load, self.null))


def _loss(
    coefficients: NDArray[np.float64],
    terms: NDArray[np.float64],
    value: NDArray[np.float64],
    is_censored: NDArray[np.bool_],
) -> tuple[float, NDArray[np.float64]]:
    """Return minus the mean log-likelihood, and its gradient. A censored value is an upper bound of its maximum."""
    location, log_scale = (terms @ each for each in np.split(coefficients, 2))
    log_scale = np.clip(log_scale, np.log(LEAST_SCALE), 10)
    scale = np.exp(log_scale)
    z = np.clip((value - location) / scale, -30, None)
    tail = np.exp(-z)
    by_z = np.where(is_censored, -tail, 1 - tail)
    loss = np.where(is_censored, tail, log_scale + z + tail)
    gradient = [terms.T @ (-by_z / scale), terms.T @ (np.where(is_censored, 0.0, 1.0) - by_z * z)]
    shrunk = coefficients.copy()
    shrunk[[0, len(shrunk) // 2]] = 0.0
    number = len(value)
    return (
        float(loss.sum() / number + SHRINKAGE * shrunk @ shrunk),
        np.concatenate(gradient) / number + 2 * SHRINKAGE * shrunk,
    )


def _of_raw_loads(
    coefficients: NDArray[np.float64], middle: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return the coefficients of the same polynomial for raw loads, from those for standardised loads."""
    first, second = coefficients[1::2] / spread, coefficients[2::2] / spread**2
    constant = coefficients[0] + float((second * middle**2 - first * middle).sum())
    factors = np.column_stack((first - 2 * second * middle, second)).ravel()
    return (float(constant), *factors.tolist())
