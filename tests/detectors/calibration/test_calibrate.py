"""A small area from history to promise: is the budget kept? `make honest` checks the same with whole cities."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.calibrate import BLOCK_WEEKS, Nulls, blocks_of, calibrate, opened_by_week
from detectors.calibration.near_repeats import Repeats
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration, enough_weeks, tier_alerts, weeks_for
from detectors.calibration.scanning import Scanning
from detectors.scan.significance import TIERS, Tier

SETTINGS = AreaSettings(window_days=28, durations_h=(2, 6, 12, 24, 48), max_radius_m=400.0)
FIRST = 482_136
WEEK = 168
MEASURED_WEEKS = 104
BUDGET = 1.5


def town() -> tuple[Locations, Past]:
    """Return 2.5 years of 12 incidents a day at 300 places, without clusters; nights are busy in the middle."""
    generator = np.random.default_rng(11)
    east, north = np.divmod(np.arange(300), 20)
    locations = Locations.from_places(
        [f"p{each:03d}" for each in range(300)], (-1.5 + east * 0.0025).tolist(), (53.8 + north * 0.0015).tolist(), 500
    )
    buckets = (BLOCK_WEEKS + MEASURED_WEEKS) * WEEK
    number = generator.poisson(12 / 24 * buckets)
    weight = generator.gamma(0.4, 1.0, 300)
    place = generator.choice(300, number, p=weight / weight.sum())
    is_centre = (np.abs(east[place] - 7) < 3) & (np.abs(north[place] - 10) < 4)
    night = np.concatenate((np.full(6, 3.0), np.full(14, 1.0), np.full(4, 3.0)))
    by_night = generator.choice(24, number, p=night / night.sum())
    hour = np.where(is_centre, by_night, generator.integers(0, 24, number))
    day = generator.integers(0, buckets // 24, number)
    second = (day * 24 + hour) * BUCKET_S + generator.integers(0, BUCKET_S, number)
    category = generator.choice(4, number, p=[0.4, 0.3, 0.1, 0.2])
    return locations, Past.of(FIRST, buckets, second, place.astype(np.int32), category.astype(np.int8))


def cut(past: Past, first: int, end: int) -> Past:
    """Return the part of a past from one bucket to before another."""
    return Past.of(past.first_bucket + first, end - first, past.second - first * BUCKET_S, past.location, past.category)


@functools.cache
def calibrated(threads: int) -> tuple[Scanning, Past, Calibration]:
    locations, past = town()
    scanning = Scanning(SETTINGS, locations.points, neighbours(locations.points, SETTINGS.max_radius_m))
    history = cut(past, 0, BLOCK_WEEKS * WEEK)
    nulls = Nulls(history, locations.points, SCHEMES["operational"], ZoneInfo("UTC"), 5, False)
    return scanning, past, calibrate(history, scanning, nulls, BUDGET, 234, threads, lambda: None)


def test_the_budget_is_kept_in_the_years_that_follow():
    """The standard error of the ratio is about 0.14: 156 alerts, thresholds from 78 weeks."""
    scanning, past, made = calibrated(2)
    following = cut(past, BLOCK_WEEKS * WEEK - scanning.window + 1, past.buckets)
    stratum = scanning.stratum(following.first_bucket, following.buckets)
    clusters = scanning.clusters(following, stratum, made.margins, made.scores[Tier.WATCH] - SETTINGS.ease_below)
    lives = [scanning.lives(each, made.scores[Tier.WATCH], made.scores[Tier.ALERT]) for each in clusters]
    by_week = np.sum([opened_by_week(each, scanning, MEASURED_WEEKS) for each in lives], axis=0)
    assert by_week.mean() / BUDGET == pytest.approx(1.0, abs=0.42)
    assert 0.5 < by_week.var() / by_week.mean() < 2.0
    opened = sum(len(each.opened_s) for each in lives) / MEASURED_WEEKS
    assert opened / (10 * BUDGET) == pytest.approx(1.0, abs=0.25)


def test_other_null_histories_confirm_the_promise():
    _, _, made = calibrated(2)
    assert made.budget == BUDGET
    assert made.rate_low < made.rate < made.rate_high
    assert made.rate == pytest.approx(BUDGET, rel=0.45)
    assert made.rate_of(made.scores[Tier.ALERT]) == pytest.approx(BUDGET, rel=0.2)
    assert made.rate_of(made.scores[Tier.WATCH]) == pytest.approx(10 * BUDGET, rel=0.2)
    assert set(made.near_repeats.followers.values()) == {0.0}


def test_higher_scores_are_rarer_and_tiers_rise():
    _, _, made = calibrated(2)
    scores = np.linspace(made.scores[Tier.WATCH], made.scores[Tier.URGENT] + 20, 200)
    rates = [made.rate_of(score) for score in scores]
    assert all(rare <= often for often, rare in itertools.pairwise(rates))
    assert rates[-1] > 0
    assert list(made.scores) == list(TIERS)
    assert sorted(made.scores.values()) == list(made.scores.values())
    assert [made.tier(made.scores[tier]) for tier in TIERS] == list(TIERS)
    assert made.tier(made.scores[Tier.WATCH] - 0.01) is None
    assert made.interval(made.scores[Tier.ALERT]).days == pytest.approx(7 / BUDGET, rel=0.2)


def test_the_result_does_not_depend_on_the_number_of_threads():
    assert calibrated(1)[2] == calibrated(2)[2]
    assert calibrated(1)[2].digest == calibrated(2)[2].digest


def test_null_histories_depend_on_seed_and_number_alone():
    locations, past = town()
    history = cut(past, 0, BLOCK_WEEKS * WEEK)
    points, blocks = locations.points, SCHEMES["operational"]
    nulls = [Nulls(history, points, blocks, ZoneInfo("UTC"), seed, True) for seed in (5, 5, 6)]
    one, again, other = (each(3, 1000) for each in nulls)
    assert all(np.array_equal(getattr(one, each.name), getattr(again, each.name)) for each in dataclasses.fields(Past))
    assert not np.array_equal(one.second, other.second)
    assert not np.array_equal(one.second, nulls[0](4, 1000).second)


@pytest.mark.parametrize(("weeks", "blocks"), [(1, 3), (78, 3), (79, 6), (624, 24)])
def test_blocks_come_in_three_equal_parts(weeks: int, blocks: int):
    assert blocks_of(weeks) == blocks


def test_a_history_of_one_category_is_calibrated():
    """Streams without incidents have the margins of *all*, so nothing in them becomes urgent at once."""
    locations, past = town()
    history = cut(past, 0, BLOCK_WEEKS * WEEK)
    one = dataclasses.replace(history, category=np.zeros(len(history), np.int8))
    scanning = Scanning(SETTINGS, locations.points, neighbours(locations.points, SETTINGS.max_radius_m))
    nulls = Nulls(one, locations.points, SCHEMES["operational"], ZoneInfo("UTC"), 5, True)
    made = calibrate(one, scanning, nulls, 1.0, 78, 2, lambda: None)
    assert made.margins[1] == made.margins[2] == made.margins[3] == made.margins[4]
    assert made.margins[1].gumbel(np.zeros(6)).score(12.0) < 40
    assert made.near_repeats.followers["property"] < 0.2


def test_a_budget_beyond_chance_is_not_used_up():
    """Then the tiers begin where the lowest score of an alert lies, and the measured rate is below the budget."""
    locations, past = town()
    history = cut(past, 0, BLOCK_WEEKS * WEEK)
    scanning = Scanning(SETTINGS, locations.points, neighbours(locations.points, SETTINGS.max_radius_m))
    nulls = Nulls(history, locations.points, SCHEMES["operational"], ZoneInfo("UTC"), 5, False)
    made = calibrate(history, scanning, nulls, 500.0, 78, 2, lambda: None)
    assert made.scores[Tier.WATCH] == scanning.lowest
    assert made.scores[Tier.WATCH] == made.scores[Tier.ADVISORY] == made.scores[Tier.ALERT] <= made.scores[Tier.URGENT]
    assert made.is_scarce
    assert 1.0 < made.rate_high < 500.0


@pytest.mark.parametrize("score", [5.001, 1e2, 1e10])
def test_no_interval_is_longer_than_what_was_simulated(score: float):
    """A score above all alerts of 20 weeks is rarer than once in 140 days. How much rarer, nobody has simulated."""
    _, _, made = calibrated(2)
    for strongest in (np.array([3.0]), np.full(50, 3.0), np.linspace(0, 5, 50)):
        degenerate = Calibration.of(
            scores=made.scores,
            margins=made.margins,
            strongest=strongest,
            weeks=20,
            by_week=np.array([[1, 0, 2]]),
            budget=1.0,
            repeats=Repeats.none(),
        )
        beyond, at_strongest = degenerate.interval(score), degenerate.interval(float(strongest.max()))
        assert beyond.days == at_strongest.days == pytest.approx(20 * 7)
        assert (beyond.is_lower_bound, at_strongest.is_lower_bound) == (True, False)
        assert degenerate.rate_of(score) == pytest.approx(1 / 20)


def test_a_calibration_of_a_former_version_keeps_its_digest_and_its_figures():
    """It has a ``decay``: the alerts on record that it made must be derived again, byte for byte."""
    _, _, made = calibrated(2)
    former = msgspec.structs.replace(made, decay=0.7)
    read = msgspec.json.decode(msgspec.json.encode(former), type=Calibration)
    assert read.digest == former.digest != made.digest
    assert b"decay" not in msgspec.json.encode(made)
    simulated = 2 * 78 * 7  # two of three parts of 234 weeks, in days
    beyond = made.curve[-1][0] + 3.0
    assert made.interval(beyond).days == pytest.approx(simulated)
    assert read.interval(beyond).days == pytest.approx(simulated * math.exp(0.7 * 3.0))
    assert (made.interval(beyond).is_lower_bound, read.interval(beyond).is_lower_bound) == (True, False)
    assert read.extrapolates
    assert not made.extrapolates


@pytest.mark.parametrize(
    ("budget", "weeks", "urgent"),
    [(2.0, 624, 41.6), (0.5, 624, 10.4), (0.23, 1305, 10.005), (0.05, 1872, 3.12)],
)
def test_small_budgets_have_more_null_weeks_up_to_a_limit(budget: float, weeks: int, urgent: float):
    """The tier urgent has a tenth of the budget, and its score comes from a third of the weeks."""
    assert weeks_for(budget) == weeks
    assert tier_alerts(budget, weeks / 3)[Tier.URGENT] == pytest.approx(urgent)
    assert tier_alerts(budget, enough_weeks(budget) / 3)[Tier.URGENT] >= 10


class Recorded(Nulls):
    """Null histories. ``asked``: the numbers of those that were drawn. ``thinned``: one that lacks half its cases."""

    asked: frozenset[int] = frozenset()
    thinned: int | None = None

    def __call__(self, number: int, buckets: int) -> Past:
        """Return one null history."""
        self.asked |= {number}
        null = super().__call__(number, buckets)
        kept = np.arange(len(null)) % 2 == 0 if number == self.thinned else slice(None)
        return Past.of(null.first_bucket, null.buckets, null.second[kept], null.location[kept], null.category[kept])


def test_scores_are_solved_again_from_more_blocks_if_the_rate_misses_the_budget():
    """With three blocks the last one measures the rate. The fourth is drawn only if that excludes the budget."""
    scanning, past, _ = calibrated(2)
    history = cut(past, 0, BLOCK_WEEKS * WEEK)
    usual, uneven = (
        Recorded(history, scanning.points, SCHEMES["operational"], ZoneInfo("UTC"), 5, False) for _ in range(2)
    )
    uneven.thinned = 2
    once, again = (calibrate(history, scanning, nulls, 6.0, 78, 2, lambda: None) for nulls in (usual, uneven))
    assert usual.asked == {0, 1, 2}
    assert uneven.asked == {0, 1, 2, 3}
    assert again.scores[Tier.ALERT] < once.scores[Tier.ALERT]  # the sparse block counts now
