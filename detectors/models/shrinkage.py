"""How far counts are shrunk: the parameters of their priors, by maximum likelihood (empirical Bayes).

Sources: Clayton and Kaldor 1987 for gamma rates, Minka 2000 for Dirichlet shares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

_Floats = NDArray[np.float64]


def gamma_shape(cases: _Floats, likely: _Floats) -> float:
    """Return the shape of gamma rates, from the negative binomial likelihood of the counts.

    ``cases``, ``likely``: of each location, the number of cases and its prior mean, (L,).
    """

    def loss(log_shape: float) -> float:
        shape = np.exp(log_shape)
        return float(
            -(
                gammaln(shape + cases)
                - gammaln(shape)
                + shape * np.log(shape / (shape + likely))
                + cases * np.log(likely / (shape + likely))
            ).sum()
        )

    return float(np.exp(minimize_scalar(loss, bounds=(-6, 8), method="bounded").x))


def concentration(cases: _Floats, share: _Floats) -> float:
    """Return the number of cases at which own and prior shares count the same (Dirichlet-multinomial).

    ``cases``: by location and kind, (L, n). ``share``: prior shares, the same everywhere, (n,), or of each location,
    (L, n).
    """
    has_some = cases.sum(axis=1) > 0
    own = cases[has_some]
    share = share if share.ndim == 1 else share[has_some]
    number = own.sum(axis=1)

    def loss(log_concentration: float) -> float:
        prior = np.exp(log_concentration) * share
        each = (gammaln(prior + own) - gammaln(prior)).sum(axis=1)
        total = prior.sum(axis=-1)
        return float(-(each + gammaln(total) - gammaln(total + number)).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 10), method="bounded").x))
