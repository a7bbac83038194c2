"""Turns an LLR into a score, and a score into how often chance alone reaches it.

Without a calibration, the score is the LLR standardised by the Gumbel location and scale of replicated maxima. The
nominal recurrence interval then states how rare it is, for one scan an hour. The interval counts scans, not alerts:
only a calibration keeps a promised rate.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.settings import TierSettings
from detectors.area.strata import BUCKET_S

EULER = 0.5772156649
SMALLEST_P = 1e-17


class Tier(enum.StrEnum):
    """How rare an alert is, from common to very rare."""

    WATCH = "watch"
    ADVISORY = "advisory"
    ALERT = "alert"
    URGENT = "urgent"


TIERS = tuple(Tier)
"""The tiers of an alert, the most common first."""


class Gumbel(msgspec.Struct, frozen=True):
    """Location and scale of the distribution of the largest LLR under the null."""

    location: float
    scale: float

    @classmethod
    def fit(cls, maxima: NDArray[np.float64]) -> Gumbel:
        """Fit by moments: ``scale = sd sqrt(6) / pi`` (population sd), ``location = mean - 0.5772 scale``.

        Source: Abrams, Kulldorff and Kleinman 2010 (docs/method.md section 5).
        """
        scale = float(np.std(maxima)) * math.sqrt(6) / math.pi
        return cls(float(np.mean(maxima)) - EULER * scale, max(scale, 1e-9))

    def score(self, llr: float) -> float:
        """Return the standardised LLR."""
        return (llr - self.location) / self.scale

    def llr(self, score: float) -> float:
        """Return the LLR for a score (the inverse of :meth:`score`)."""
        return self.location + score * self.scale


def p_value(score: float) -> float:
    """Return the Gumbel tail beyond a score, ``1 - exp(-exp(-z))``; ``expm1`` keeps small values exact."""
    return max(-math.expm1(-math.exp(-max(score, -700.0))), SMALLEST_P)


def recurrence_interval_days(score: float) -> float:
    """Return the nominal recurrence interval of a score, in days: the length of a bucket divided by the p-value."""
    return BUCKET_S / 86_400 / p_value(score)


def score_for_interval(days: float) -> float:
    """Return the score whose nominal recurrence interval is ``days`` (inverse of :func:`recurrence_interval_days`)."""
    p = BUCKET_S / 86_400 / days
    return -math.log(-math.log1p(-p))


def tier_of(interval_days: float, tiers: TierSettings) -> Tier | None:
    """Return the highest tier that an interval, in days, reaches; None below ``watch``."""
    reached = None
    for tier in TIERS:
        if interval_days >= getattr(tiers, tier):
            reached = tier
    return reached


ODDS_A_DAY = 270.0
"""Days times incidents a day between alerts that reach a Bayesian score of 0 by chance, as a mean of three simulated
cities (157 to 441)."""


HIGHEST_ODDS = 100.0
"""Bayesian score from which on intervals are no longer told apart."""


class Interval(NamedTuple):
    """The mean time between scores at least as high by chance alone.

    ``is_lower_bound``: chance showed no such score; ``days`` is the time that was simulated.
    """

    days: float
    is_lower_bound: bool = False


class Chance(Protocol):
    """How rare scores are, and the score at which each tier begins."""

    def score_of(self, tier: Tier) -> float:
        """Return the lowest score of a tier."""

    def tier(self, score: float) -> Tier | None:
        """Return the highest tier that a score reaches, None below ``watch``."""

    def interval(self, score: float) -> Interval:
        """Return the mean time between scores at least this high by chance alone."""


class Nominal(msgspec.Struct, frozen=True):
    """Intervals and tiers without a calibration: the nominal interval of a score, and the tier by that interval."""

    tiers: TierSettings

    def score_of(self, tier: Tier) -> float:
        """See :class:`Chance`."""
        return score_for_interval(getattr(self.tiers, tier))

    def tier(self, score: float) -> Tier | None:
        """See :class:`Chance`."""
        return tier_of(self.interval(score).days, self.tiers)

    def interval(self, score: float) -> Interval:
        """See :class:`Chance`."""
        return Interval(recurrence_interval_days(score))


class NominalOdds(msgspec.Struct, frozen=True):
    """Intervals and tiers of the Bayesian scan without a calibration.

    The score is the logarithm of posterior odds, so chance reaches it in proportion to its negative exponential and to
    the number of incidents. How often exactly, only a calibration tells.

    ``a_day``: usual incidents a day.
    """

    tiers: TierSettings
    a_day: float

    def score_of(self, tier: Tier) -> float:
        """See :class:`Chance`."""
        return math.log(getattr(self.tiers, tier) * self.a_day / ODDS_A_DAY)

    def tier(self, score: float) -> Tier | None:
        """See :class:`Chance`."""
        return tier_of(self.interval(score).days, self.tiers)

    def interval(self, score: float) -> Interval:
        """See :class:`Chance`."""
        return Interval(ODDS_A_DAY * math.exp(min(score, HIGHEST_ODDS)) / self.a_day)
