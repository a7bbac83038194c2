"""Calibration: from an area's history and a budget to the scores at which the tiers begin.

Null histories are drawn in blocks, each from another area that may be behind the history, in three parts: on the first
the score is learnt, on the second the thresholds are solved, on the third the rate is measured.
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
from detectors.calibration.margins import CENSORED, FEWEST, Margins
from detectors.calibration.near_repeats import Knox, Repeats
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.calibration.scanning import Maxima, Scanning
from detectors.kernels.null_alerts import Lives, Told
from detectors.scan.significance import TIERS

BLOCK_WEEKS = 26
WEEK = 168
STEP = 7
"""The score is learnt from every seventh hour: in a week each hour of the day comes up."""
PER_BUDGET = {"watch": 10.0, "advisory": 3.0, "alert": 1.0, "urgent": 0.1}
"""How often a tier is reached by chance, in units of the budget."""
WATCH = TIERS[0]
LEAST = 0.0
"""Nothing opens below this score, whatever the budget: by chance most scans have a cluster as strong."""
LOWER = 0.5
"""A first look at one block says from which score windows matter; they are kept from this far below."""
HIGHEST = 1e4
NO_CLUSTER = "history: by chance hardly a cluster ever comes; there are too few incidents, or too few places"


Result = TypeVar("Result")


class Nulls:
    """Null histories of an area: number ``i`` is always the same for a seed.

    ``points``: the locations in metres, (L, 3); ``with_repeats``: whether chance includes ordinary near repeats.

    Raises:
        ValueError: the past is too short or empty.
    """

    def __init__(
        self,
        past: Past,
        points: NDArray[np.float64],
        blocks: Blocks,
        zone: ZoneInfo,
        seed: int,
        with_repeats: bool,
    ) -> None:
        self._past, self._seed = past, seed
        self.city = CityModel(past, points, blocks, zone)
        self.repeats = Repeats.none()
        self._knox: Knox | None = None
        if with_repeats:
            self._knox = Knox(past, points)
            self.repeats = self._knox.estimate()
            # Whether an incident followed another depends on what is usual at its place, and the other way round.
            for _ in range(2):
                alone = self._knox.around.alone(past, self.repeats, self.city.usual(past))
                self.city = CityModel(past, points, blocks, zone, alone)

    def __call__(self, number: int, buckets: int) -> Past:
        """One null history, which begins where the past ends."""
        generator = np.random.default_rng([self._seed, number])
        drawn = self.city.draw(generator)
        repeats = self.repeats if self._knox is None else self._knox.estimate(generator)
        part = (1 - repeats.rate) / (1 - self.repeats.rate)  # so that with the followers there are as many as ever
        past = self.city.history(drawn, self._past.first_bucket + self._past.buckets, buckets, part, generator)
        return past if self._knox is None else self._knox.around.followed(past, repeats, generator)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """How the blocks of a part are worked on: on several threads, ``step`` called after each."""

    executor: ThreadPoolExecutor
    nulls: Nulls
    buckets: int
    blocks: int
    step: Callable[[], object]

    def worked(self, part: int, work: Callable[[Past], Result]) -> list[Result]:
        """What the work on each block gives, in their order."""

        def one(number: int) -> Result:
            result = work(self.nulls(number, self.buckets))
            self.step()
            return result

        return list(self.executor.map(one, range(part * self.blocks, (part + 1) * self.blocks)))


def calibrate(
    past: Past,
    scanning: Scanning,
    nulls: Nulls,
    budget: float,
    weeks: int,
    threads: int,
    step: Callable[[], object],
) -> Calibration:
    """Thresholds that keep ``budget`` opened alerts a week, over all streams of the area.

    ``weeks`` of null histories, rounded up to three parts of whole blocks; ``step`` is called once a block, from any
    thread. The result does not depend on the number of threads.

    Raises:
        ValueError: chance brings no cluster at all.
    """
    blocks = blocks_of(weeks) // 3
    buckets = scanning.window - 1 + BLOCK_WEEKS * WEEK
    stratum = scanning.stratum(past.first_bucket + past.buckets, buckets)
    with ThreadPoolExecutor(threads) as executor:
        part = Part(executor, nulls, buckets, blocks, step)
        margins = _learnt(part.worked(0, lambda null: scanning.maxima(null, stratum, STEP)))
        wanted = budget * PER_BUDGET[WATCH]
        ease = scanning.settings.ease_below
        first = scanning.told(nulls(blocks, buckets), stratum, margins, LEAST - ease)
        lowest = max(_opening_score(scanning, [first], wanted, LEAST) - LOWER, LEAST) - ease
        solved = part.worked(1, lambda null: scanning.told(null, stratum, margins, lowest))
        watch = _opening_score(scanning, solved, wanted, lowest + ease)
        by_chance = np.sort(np.concatenate([_lives(scanning, block, watch).strongest for block in solved]))[::-1]
        alerts = budget * blocks * BLOCK_WEEKS
        if len(by_chance) < alerts:
            raise ValueError(f"budget: chance brings no more than {len(by_chance) / alerts * budget:.3g} alerts a week")
        scores = {WATCH: watch}
        for tier in TIERS[1:]:
            scores[tier] = _score_of(by_chance, budget * PER_BUDGET[tier] * blocks * BLOCK_WEEKS)
        lowest = watch - ease
        measured = part.worked(
            2, lambda null: _lives(scanning, scanning.told(null, stratum, margins, lowest), watch, scores["alert"])
        )
    return Calibration.of(
        scores=scores,
        margins=margins,
        strongest=np.concatenate([by_chance, *(lives.strongest for lives in measured)]),
        weeks=2 * blocks * BLOCK_WEEKS,
        by_week=np.concatenate([opened_by_week(lives, scanning, BLOCK_WEEKS) for lives in measured]),
        budget=budget,
        repeats=nulls.repeats,
    )


def blocks_of(weeks: int) -> int:
    """How many blocks of null histories are drawn where so many weeks are asked for."""
    return 3 * max(1, -(-weeks // (3 * BLOCK_WEEKS)))


def opened_by_week(lives: Lives, scanning: Scanning, weeks: int) -> NDArray[np.int64]:
    """How many alerts reached the tier that was dated in each of the weeks since the window was full, (weeks,)."""
    hour = lives.reached_s[lives.reached_s >= 0] // BUCKET_S - (scanning.window - 1)
    return np.bincount(hour // WEEK, minlength=weeks)[:weeks]


def _learnt(maxima: Sequence[Sequence[Maxima]]) -> list[Margins]:
    """The margins of each stream, from its loads and largest LLRs in each block.

    A stream that hardly has a cluster has those of all streams together.

    Raises:
        ValueError: not even these have enough.
    """
    of_stream = [
        [np.concatenate(column) for column in zip(*blocks, strict=True)] for blocks in zip(*maxima, strict=True)
    ]
    if (of_stream[-1][1] > CENSORED).sum() < FEWEST:
        raise ValueError(NO_CLUSTER)
    together = Margins.fit(*of_stream[-1])
    return [
        Margins.fit(load, largest) if (largest > CENSORED).sum() >= FEWEST else together for load, largest in of_stream
    ]


def _lives(scanning: Scanning, block: Sequence[Told], watch: float, tier_at: float = np.inf) -> Lives:
    """The alerts of all streams of a block."""
    lives = [scanning.lives(told, watch, tier_at) for told in block]
    return Lives(*(np.concatenate(column) for column in zip(*lives, strict=True)))


def _opening_score(scanning: Scanning, blocks: Sequence[Sequence[Told]], wanted: float, least: float) -> float:
    """The score, ``least`` or more, from which so many alerts open a week, or fewer."""

    def too_many(score: float) -> float:
        opened = sum(len(_lives(scanning, block, score).opened_s) for block in blocks)
        return opened / (len(blocks) * BLOCK_WEEKS) - wanted

    return float(bisect(too_many, least, HIGHEST, xtol=1e-3)) if too_many(least) > 0 else least


def _score_of(falling: NDArray[np.float64], number: float) -> float:
    """The score that so many alerts reach or pass, between two of them where it is no whole number."""
    if not len(falling):
        raise ValueError(NO_CLUSTER)
    rank = np.arange(1, len(falling) + 1)
    return float(np.interp(number, rank, falling))
