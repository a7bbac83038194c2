"""Finds the scores at which the tiers of an area begin, from its history and a budget.

Null histories are drawn in blocks. Each block is drawn from a different area that could have produced the history. The
first third of the blocks gives the score of the permutation scan, the second the thresholds, the last the rate. If the
interval of that rate excludes the budget, the last two thirds give the thresholds and as many new blocks the rate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import bisect

from detectors.area.strata import BUCKET_S, Blocks
from detectors.calibration.city import CityModel
from detectors.calibration.margins import CENSORED, FEWEST_MAXIMA, Margins
from detectors.calibration.near_repeats import Knox, Repeats
from detectors.calibration.past import Past
from detectors.calibration.result import PARTS, PER_BUDGET, Calibration
from detectors.calibration.scanning import Maxima, Scanning
from detectors.kernels.null_alerts import Clusters, Lives
from detectors.scan.significance import TIERS, Tier

BLOCK_WEEKS = 26
WEEK = 168
"""Hours of a week."""
STEP = 7
"""Number of hours between the scans that give the score. A week of these scans has every hour of the day."""
WATCH = Tier.WATCH
MARGIN = 0.5
"""Difference in score from the opening score of the first block, down to which clusters of all blocks are kept."""
HIGHEST = 1e4
"""Upper bound for the score at which alerts open."""
NO_CLUSTER = "history: chance brings hardly any cluster; there are too few incidents or too few locations"


Result = TypeVar("Result")


class Nulls:
    """Null histories of an area. Seed and number determine each of them.

    ``points``: the locations in metres, (L, 3).
    ``with_repeats``: whether chance includes ordinary near repeats.

    Raises:
        ValueError: The past is too short or empty.
    """

    def __init__(
        self, past: Past, points: NDArray[np.float64], blocks: Blocks, zone: ZoneInfo, seed: int, with_repeats: bool
    ) -> None:
        self._past, self._seed = past, seed
        self.city = CityModel(past, points, blocks, zone)
        self.repeats = Repeats.none()
        self._knox: Knox | None = None
        if with_repeats:
            self._knox = Knox(past, points)
            self.repeats = self._knox.estimate()
            # Which incidents followed others depends on what is usual, and what is usual on which followed others.
            for _ in range(2):
                is_first = self._knox.around.chance_of_first(past, self.repeats, self.city.usual(past))
                self.city = CityModel(past, points, blocks, zone, is_first)

    def __call__(self, number: int, buckets: int) -> Past:
        """Return one null history. It begins where the past ends."""
        generator = np.random.default_rng([self._seed, number])
        drawn = self.city.draw(generator)
        repeats = self.repeats if self._knox is None else self._knox.estimate(generator)
        part = (1 - repeats.rate) / (1 - self.repeats.rate)  # keeps the total number, followers included
        past = self.city.history(drawn, self._past.first_bucket + self._past.buckets, buckets, part, generator)
        return past if self._knox is None else self._knox.around.with_followers(past, repeats, generator)


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """The three parts of the null histories. Several threads work on them.

    ``buckets``: length of a block.
    ``blocks``: number of blocks in each part.
    ``step``: called after each block.
    """

    executor: ThreadPoolExecutor
    nulls: Nulls
    buckets: int
    blocks: int
    step: Callable[[], object]

    def map(self, part: int, work: Callable[[Past], Result]) -> list[Result]:
        """Apply a function to each block of a part, and return the results in order."""

        def one(number: int) -> Result:
            result = work(self.nulls(number, self.buckets))
            self.step()
            return result

        return list(self.executor.map(one, range(part * self.blocks, (part + 1) * self.blocks)))


def calibrate(
    past: Past, scanning: Scanning, nulls: Nulls, budget: float, weeks: int, threads: int, step: Callable[[], object]
) -> Calibration:
    """Return the calibration that keeps a ``budget`` of opened alerts a week, over all streams of the area.

    If chance cannot open as many, every cluster that chance shows reaches the tier ``alert``.

    ``weeks`` of null histories are rounded up to three parts of whole blocks. ``step`` is called after each block, from
    any thread, and once for each block of another third if the first rate misses the budget. The result does not depend
    on the number of threads.

    Raises:
        ValueError: Null histories have too few clusters.
    """
    blocks = blocks_of(weeks) // PARTS
    buckets = scanning.window - 1 + BLOCK_WEEKS * WEEK
    stratum = scanning.stratum(past.first_bucket + past.buckets, buckets)
    with ThreadPoolExecutor(threads) as executor:
        parts = Parts(executor, nulls, buckets, blocks, step)
        margins = []
        if scanning.has_margins:
            margins = _fit_margins(parts.map(0, lambda null: scanning.maxima(null, stratum, STEP)))
        else:
            for _ in range(blocks):
                step()  # these blocks are not needed
        ease = scanning.settings.ease_below
        null, opening = nulls(blocks, buckets), scanning.lowest
        for level in scanning.levels:
            first = scanning.clusters(null, stratum, margins, level - ease)
            opening = _opening_score(scanning, [first], budget * PER_BUDGET[WATCH], level)
            if opening > level:
                break
        least = max(opening - MARGIN, scanning.lowest)

        def clusters(each: Past) -> list[Clusters]:
            return scanning.clusters(each, stratum, margins, least - ease)

        solved, measured = parts.map(1, clusters), parts.map(2, clusters)
        made = _solve(scanning, solved, measured, margins, least, budget, nulls.repeats)
        if not (made.keeps_budget or made.is_scarce):
            solved, measured = solved + measured, parts.map(PARTS, clusters)
            made = _solve(scanning, solved, measured, margins, least, budget, nulls.repeats)
    return made


def _solve(
    scanning: Scanning,
    solved: Sequence[Sequence[Clusters]],
    measured: Sequence[Sequence[Clusters]],
    margins: Sequence[Margins],
    least: float,
    budget: float,
    repeats: Repeats,
) -> Calibration:
    """Return the calibration whose scores, at least ``least``, come from some blocks and its rate from others.

    Raises:
        ValueError: Chance opens no alert in the blocks.
    """
    weeks = len(solved) * BLOCK_WEEKS
    watch = _opening_score(scanning, solved, budget * PER_BUDGET[WATCH], least)
    by_chance = np.sort(np.concatenate([lives_of(scanning, block, watch).strongest for block in solved]))[::-1]
    scores = {WATCH: watch}
    for tier in TIERS[1:]:
        number = budget * PER_BUDGET[tier] * weeks
        scores[tier] = watch if number >= len(by_chance) else _score_of(by_chance, number)
    lives = [lives_of(scanning, block, watch, scores[Tier.ALERT]) for block in measured]
    return Calibration.of(
        scores=scores,
        margins=margins,
        strongest=np.concatenate([by_chance, *(each.strongest for each in lives)]),
        weeks=weeks + len(measured) * BLOCK_WEEKS,
        by_week=np.array([opened_by_week(each, scanning, BLOCK_WEEKS) for each in lives]),
        budget=budget,
        repeats=repeats,
    )


def blocks_of(weeks: int) -> int:
    """Return the number of blocks of null histories that are drawn for a number of weeks."""
    return PARTS * max(1, -(-weeks // (PARTS * BLOCK_WEEKS)))


def opened_by_week(lives: Lives, scanning: Scanning, weeks: int) -> NDArray[np.int64]:
    """Return how many alerts reached the tier of ``lives`` in each week since the window was full, (weeks,)."""
    hour = lives.reached_s[lives.reached_s >= 0] // BUCKET_S - (scanning.window - 1)
    return np.bincount(hour // WEEK, minlength=weeks)[:weeks]


def _fit_margins(maxima: Sequence[Sequence[Maxima]]) -> list[Margins]:
    """Return the margins of each stream, from its loads and largest LLRs in each block.

    A stream with hardly any clusters has the margins of the stream *all*.

    Raises:
        ValueError: Even *all* has too few clusters.
    """
    of_stream = [
        [np.concatenate(column) for column in zip(*blocks, strict=True)] for blocks in zip(*maxima, strict=True)
    ]
    has_enough = [(largest > CENSORED).sum() >= FEWEST_MAXIMA for _, largest in of_stream]
    if not has_enough[-1]:
        raise ValueError(NO_CLUSTER)
    of_all = Margins.fit(*of_stream[-1])
    return [Margins.fit(*each) if enough else of_all for each, enough in zip(of_stream, has_enough, strict=True)]


def lives_of(scanning: Scanning, block: Sequence[Clusters], watch: float, tier_at: float = np.inf) -> Lives:
    """Return the alerts that the clusters of a block lead to, over all streams."""
    lives = [scanning.lives(clusters, watch, tier_at) for clusters in block]
    return Lives(*(np.concatenate(column) for column in zip(*lives, strict=True)))


def _opening_score(scanning: Scanning, blocks: Sequence[Sequence[Clusters]], wanted: float, least: float) -> float:
    """Return the lowest score, at least ``least``, at which at most ``wanted`` alerts open a week."""

    def too_many(score: float) -> float:
        opened = sum(len(lives_of(scanning, block, score).opened_s) for block in blocks)
        return opened / (len(blocks) * BLOCK_WEEKS) - wanted

    return float(bisect(too_many, least, HIGHEST, xtol=1e-3)) if too_many(least) > 0 else least


def _score_of(falling: NDArray[np.float64], number: float) -> float:
    """Return the score that ``number`` of the alerts reach, interpolated between two alerts."""
    if not len(falling):
        raise ValueError(NO_CLUSTER)
    rank = np.arange(1, len(falling) + 1)
    return float(np.interp(number, rank, falling))
