"""The result of a calibration: the score, the tiers, and how often chance alone reaches a score."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from detectors.area.settings import STREAMS
from detectors.calibration.margins import Margins
from detectors.calibration.near_repeats import WITHIN_M, WITHIN_S, Repeats
from detectors.scan.significance import TIERS, Interval, Tier

WEEK_DAYS = 7.0
CURVE_POINTS = 200
RAREST = 1e-9
"""Lower bound for a rate that a former calibration extrapolates, in alerts a week."""
PER_BUDGET = {Tier.WATCH: 10.0, Tier.ADVISORY: 3.0, Tier.ALERT: 1.0, Tier.URGENT: 0.1}
"""How often chance reaches each tier, in units of the budget."""
ENOUGH_ALERTS = 10.0
"""Number of alerts by chance on which the score of each tier should rest. Its rate is then right within a third."""
USUAL_WEEKS, MOST_WEEKS = 624, 1872
"""Bounds for the weeks of null histories that are drawn if no number is asked for."""
PARTS = 3
"""Number of equal parts of the null histories; the scores of the tiers come from one of them, or from two."""
NORMAL_95 = 1.96


class NearRepeats(msgspec.Struct, frozen=True, kw_only=True):
    """The near repeats in null histories.

    ``followers``: category -> mean number of followers of an incident.
    ``by_ring``, ``by_lag``: shares of the followers by distance and by lag.
    ``within_m``, ``within_h``: upper limits of these distances and lags.
    """

    followers: dict[str, float]
    within_m: tuple[float, ...]
    by_ring: tuple[float, ...]
    within_h: tuple[float, ...]
    by_lag: tuple[float, ...]


def tier_alerts(budget: float, weeks: float) -> dict[Tier, float]:
    """Return the number of alerts by chance on which the score of each tier rests.

    ``weeks``: weeks of the null histories that gave the scores.
    """
    return {tier: budget * share * weeks for tier, share in PER_BUDGET.items()}


def weeks_for(budget: float) -> int:
    """Return the weeks of null histories in which every tier rests on enough alerts, within the bounds."""
    return min(max(enough_weeks(budget), USUAL_WEEKS), MOST_WEEKS)


def enough_weeks(budget: float) -> int:
    """Return the weeks of null histories in which every tier rests on enough alerts."""
    return math.ceil(ENOUGH_ALERTS * PARTS / (budget * min(PER_BUDGET.values())))


class Calibration(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Everything that scores and the promise depend on. Rates are alerts a week over all streams, by chance alone.

    ``scores``: tier -> the score at which it begins.
    ``margins``: of each stream, in the order of ``STREAMS``.
    ``curve``: pairs of a score and the rate of alerts that reach it, in rising order of score.
        The last is the strongest alert in all weeks that were simulated. How rare higher scores are is not known.
    ``decay``: only in calibrations of former versions, which extrapolated: beyond the curve the rate falls by a factor
        of e for each ``1 / decay`` of score. The alerts that were made with them can so be derived again.
    ``rate``, ``rate_low``, ``rate_high``: rate of the tier ``alert`` with its 95 % interval, measured on null histories
        that were used for nothing else. Each block of weeks has its own drawn area, so the interval is that of blocks.
    ``dispersion``: variance over mean of the weekly number of these alerts.
    """

    budget: float
    scores: dict[Tier, float]
    margins: tuple[Margins, ...]
    curve: tuple[tuple[float, float], ...]
    decay: float | msgspec.UnsetType = msgspec.UNSET
    rate: float
    rate_low: float
    rate_high: float
    dispersion: float
    near_repeats: NearRepeats

    @classmethod
    def of(
        cls,
        *,
        scores: Mapping[Tier, float],
        margins: Sequence[Margins],
        strongest: NDArray[np.float64],
        weeks: int,
        by_week: NDArray[np.int64],
        budget: float,
        repeats: Repeats,
    ) -> Calibration:
        """Make the calibration.

        ``strongest``: highest score of each alert by chance in ``weeks`` weeks.
        ``by_week``: number of alerts in each of the weeks that measure the rate, (blocks, weeks).
        """
        falling = np.sort(strongest)[::-1]
        rank = np.unique(np.geomspace(1, len(falling), CURVE_POINTS).astype(int))[::-1]
        curve = tuple((float(falling[each - 1]), each / weeks) for each in rank.tolist())
        error, rate = _error(by_week), float(by_week.mean())
        return cls(
            budget=budget,
            scores=dict(scores),
            margins=tuple(margins),
            curve=curve,
            rate=rate,
            rate_low=max(0.0, rate - error),
            rate_high=rate + error,
            dispersion=float(by_week.var(ddof=1) / rate) if rate else 0.0,
            near_repeats=NearRepeats(
                followers=dict(zip(STREAMS[:-1], repeats.rate.tolist(), strict=True)),
                within_m=tuple(WITHIN_M.tolist()),
                by_ring=tuple(repeats.by_ring.tolist()),
                within_h=tuple((WITHIN_S / 3600).tolist()),
                by_lag=tuple(repeats.by_lag.tolist()),
            ),
        )

    def rate_of(self, score: float) -> float:
        """Return how many alerts a week reach a score by chance, at least one in the weeks that were simulated."""
        scores, rates = zip(*self.curve, strict=True)
        if self.decay is not msgspec.UNSET and score > scores[-1]:
            return max(float(rates[-1] * math.exp(-self.decay * (score - scores[-1]))), RAREST)
        return float(np.exp(np.interp(score, scores, np.log(rates))))

    @property
    def keeps_budget(self) -> bool:
        """Whether the interval of the rate contains the budget."""
        return self.rate_low <= self.budget <= self.rate_high

    @property
    def is_scarce(self) -> bool:
        """Whether chance cannot use the budget up: all tiers up to *alert* begin where the weakest alert does."""
        return self.scores[Tier.WATCH] == self.scores[Tier.ALERT]

    @property
    def extrapolates(self) -> bool:
        """Whether a former version made it, so that it has rates beyond what was simulated."""
        return self.decay is not msgspec.UNSET

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the whole calibration, in hex. Every tick and cluster carries it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    def score_of(self, tier: Tier) -> float:
        """See :class:`detectors.scan.significance.Chance`."""
        return self.scores[tier]

    def tier(self, score: float) -> Tier | None:
        """See :class:`detectors.scan.significance.Chance`."""
        return next((tier for tier in reversed(TIERS) if score >= self.scores[tier]), None)

    def interval(self, score: float) -> Interval:
        """See :class:`detectors.scan.significance.Chance`: the time between alerts, at most the simulated time."""
        strongest, _ = self.curve[-1]
        return Interval(WEEK_DAYS / self.rate_of(score), score > strongest and not self.extrapolates)


def _error(by_week: NDArray[np.int64]) -> float:
    """Return half the width of the 95 % interval of a weekly number, from its values in each block, (blocks, weeks).

    The weeks of a block share one drawn area, so they are no independent values, but blocks are. A few blocks can be
    alike by luck. So the interval is never narrower than that of independent weeks.
    """
    blocks, weeks = by_week.shape[0], by_week.size
    of_weeks = NORMAL_95 * math.sqrt(max(float(by_week.var(ddof=1)), 1.0 / weeks) / weeks)
    if blocks == 1:
        return of_weeks
    of_blocks = float(stdtrit(blocks - 1, 0.975) * by_week.mean(axis=1).std(ddof=1) / math.sqrt(blocks))
    return max(of_weeks, of_blocks)
