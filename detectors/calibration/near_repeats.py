"""Near repeats: how often another incident of the same kind soon follows nearby, in the past and by chance.

A Knox table (Knox 1964; Johnson et al. 2007) counts pairs by distance and lag. Pairs of siblings, of cousins, and of
grandparents and grandchildren are subtracted. Expected pairs come from pairs some weeks apart, which share location,
clock and drift; shuffled times would not. No parametric form is assumed: a wrong one opens twice as many alerts as it
promises.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.spatial import cKDTree

from detectors.area.strata import BUCKET_S
from detectors.calibration.past import CATEGORIES, Past
from detectors.kernels.pairs import followed_by, pairs_by_lag, pairs_periods_apart

WITHIN_M = np.array([0.0, 180.0, 300.0, 430.0, 540.0])
"""Outer radii of the rings around an incident, in metres: its own location, then four rings of H3 resolution 10."""
EVERYWHERE_M = np.append(WITHIN_M, np.inf)
WITHIN_S = (np.array([0.5, 1, 2, 6, 12, 24, 48, 72, 120, 168]) * 3600).astype(np.int64)
WEEK_S = 7 * 86_400
FIRST_WEEKS, LAST_WEEKS = 4, 9
"""Lags of the pairs that give the expected number, in weeks: too long for near repeats, too short for drift."""
LEAST = 0.02
"""Lower bound for the expected sum of squared pair weights."""
VARIANCE = 1.3
"""Variance over mean of a number of pairs. It is above 1, because pairs can share an incident."""
DIFFERENT = 0.5
"""Standard deviation of the rates of near repeats between categories, as a share of their mean."""
FITTED = 4.0
"""Squared z-score that the mean rate can reach by chance: two standard errors, because the shape is fitted too."""
ROUNDS = 10
TREE_ROUNDS = 4
TREES = 20_000
"""Number of simulated families."""
MOST = 0.6
"""Upper bound for the mean number of followers, so that null histories end."""

_Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Repeats:
    """Near repeats: the number of followers, and their distances and lags.

    ``rate``: mean number of followers of an incident of each category, (4,).
    ``by_ring``, ``by_lag``: shares of the followers by ring and by lag.
    """

    rate: _Floats
    by_ring: _Floats
    by_lag: _Floats

    @classmethod
    def none(cls) -> Repeats:
        """Return the near repeats of independent incidents: no followers."""
        return cls(np.zeros(CATEGORIES), np.eye(len(WITHIN_M))[0], np.eye(len(WITHIN_S))[0])


class Knox:
    """The pairs of a history by category, ring and lag, observed and expected.

    ``points``: the locations in metres, (L, 3).
    ``around``: the surroundings of the locations.

    The expected number comes from pairs about a whole number of weeks apart, which share locations, clocks and drift.
    Many pairs at busy locations are due to chance, so pairs at quiet ones weigh more. If the locations of a pair have
    ``n`` and ``m`` incidents of the category, its weight is ``1 / (n + 1) + 1 / (m + 1)``, roughly the signal over the
    variance.

    Raises:
        ValueError: The history is too short.
    """

    def __init__(self, past: Past, points: _Floats) -> None:
        weeks = past.buckets * BUCKET_S // WEEK_S
        if weeks < FIRST_WEEKS + 4:
            raise ValueError(
                f"history: {weeks} weeks; near repeats need at least {FIRST_WEEKS + 4} weeks "
                "(--no-near-repeats leaves them out)"
            )
        self.around = around = Surroundings(points, np.bincount(past.location, minlength=len(points)))
        self._cases = np.bincount(past.category, minlength=CATEGORIES).astype(float)
        tables = []
        for category in range(CATEGORIES):
            mine = past.category == category
            second, location = past.second[mine], past.location[mine]
            quiet = 1 / (np.bincount(location, minlength=len(points)) + 1.0)
            within = (points[location], quiet[location], EVERYWHERE_M, WITHIN_S)
            last = min(LAST_WEEKS, weeks - 4)
            apart = pairs_periods_apart(second, *within, WEEK_S, FIRST_WEEKS, last, past.buckets * BUCKET_S)
            near = pairs_by_lag(np.zeros(len(second), np.int64), second, *within)
            tables.append((near, apart, around.weight_of_followers(location, quiet)))
        near, apart, self._of_followers = (np.array(each) for each in zip(*tables, strict=True))
        # Ups and downs of the whole area make pairs at every distance. Pairs far apart show how many, at each lag.
        rise = near.sum(axis=2, keepdims=True) / np.maximum(apart.sum(axis=2, keepdims=True), LEAST)
        self.observed = near[:, 0, :-1]
        self.expected = (apart * rise)[:, 0, :-1]
        self._variance = VARIANCE * np.maximum((apart * rise)[:, 1, :-1], LEAST)
        self._of_observed = VARIANCE * np.maximum(near[:, 1, :-1], self._variance)
        locations, times = np.unique(past.location, return_counts=True)
        self._locations = np.average(around.number[locations], axis=0, weights=times)

    def estimate(self, generator: np.random.Generator | None = None) -> Repeats:
        """Return the near repeats that explain the pairs. With a generator, return one draw from their uncertainty."""
        observed = self.observed
        if generator is not None:
            observed = generator.normal(observed, np.sqrt(self._of_observed))
        excess = observed - self.expected
        by_ring, by_lag = self._shape(excess.sum(axis=0))
        shape = self._of_followers[:, :, None] * np.outer(by_ring, by_lag)
        informed = (shape**2 / self._variance).sum(axis=(1, 2))
        fitted = (shape * excess / self._variance).sum(axis=(1, 2))
        pairs = _shrunk(fitted, informed)
        return _without_relatives(pairs, by_ring, by_lag, self._cases, self._locations, np.random.default_rng(0))

    def _shape(self, excess: _Floats) -> tuple[_Floats, _Floats]:
        """Return the shares by ring and by lag whose product fits best. Their densities fall with distance and time."""
        sizes = np.maximum(self._locations, 1e-3), np.diff(WITHIN_S, prepend=0) / 3600
        variance, followers = self._variance.sum(axis=0), self._of_followers.sum(axis=0)
        ring, lag = (each / each.sum() for each in sizes)
        for _ in range(ROUNDS):
            by_lag = followers[:, None] * lag
            ring = _falling((excess * by_lag / variance).sum(axis=1), (by_lag**2 / variance).sum(axis=1), sizes[0])
            by_ring = (followers * ring)[:, None]
            lag = _falling((excess * by_ring / variance).sum(axis=0), (by_ring**2 / variance).sum(axis=0), sizes[1])
        return ring, lag


def _shrunk(fitted: _Floats, informed: _Floats) -> _Floats:
    """Return the rates ``fitted / informed``, shrunk to their mean, which is itself shrunk to 0.

    The variance of a rate is ``1 / informed``. The less is known about a rate, the more it is shrunk (James and Stein
    1961).
    """
    whole = informed.sum()
    mean = fitted.sum() / whole if whole > 0 else 0.0
    if mean <= 0 or mean**2 * whole <= FITTED:
        return np.zeros(len(fitted))
    mean *= 1 - FITTED / (mean**2 * whole)
    known = informed * (DIFFERENT * mean) ** 2
    own = np.divide(fitted, informed, out=np.full(len(fitted), mean), where=informed > 0)
    return np.asarray(np.maximum(mean + (own - mean) * known / (1 + known), 0.0))


def _falling(product: _Floats, weight: _Floats, size: _Floats) -> _Floats:
    """Return shares like ``product / weight``, but not negative and with falling density; zeros if nothing is left."""
    weight = np.maximum(weight, 1e-12)  # a lag may have no expected pairs
    fitted = isotonic_regression(product / weight / size, weights=weight * size**2, increasing=False).x
    share = np.maximum(fitted, 0.0) * size
    whole = share.sum()
    return np.asarray(share / whole if whole > 0 else share)


def _without_relatives(
    pairs: _Floats,
    by_ring: _Floats,
    by_lag: _Floats,
    cases: _Floats,
    locations: _Floats,
    generator: np.random.Generator,
) -> Repeats:
    """Return the near repeats that lead to these ``pairs`` per incident, pairs of relatives included."""
    wanted = float(pairs @ cases / max(cases.sum(), 1.0)) * np.outer(by_ring, by_lag)
    if not wanted.sum():
        return Repeats.none()
    whole = min(wanted.sum(), MOST)
    ring, lag = by_ring, by_lag
    sizes = np.maximum(locations, 1e-3), np.diff(WITHIN_S, prepend=0).astype(float)
    for _ in range(TREE_ROUNDS):
        made = _pairs_of_trees(whole, ring, lag, generator)
        direct = whole * np.outer(ring, lag)
        direct = np.maximum(direct + wanted - made, 0.0)
        whole = min(float(direct.sum()), MOST)
        if not whole:
            return Repeats.none()
        ring = _falling(direct.sum(axis=1), np.ones(len(ring)), sizes[0])
        lag = _falling(direct.sum(axis=0), np.ones(len(lag)), sizes[1])
    return Repeats(np.minimum(pairs * whole / wanted.sum(), MOST), ring, lag)


def _pairs_of_trees(rate: float, ring: _Floats, lag: _Floats, generator: np.random.Generator) -> _Floats:
    """Return the pairs by ring and lag, per incident, in simulated families. Each family begins with one incident."""
    root, second, where = np.arange(TREES), np.zeros(TREES), np.zeros((TREES, 2))
    generations = [(root, second, where)]
    while len(root):
        number = generator.poisson(rate, len(root))
        far, late = _draw_steps(int(number.sum()), ring, lag, generator)
        angle = generator.uniform(0, 2 * np.pi, len(far))
        root, second = np.repeat(root, number), np.repeat(second, number) + late
        where = np.repeat(where, number, axis=0) + (far * np.array([np.cos(angle), np.sin(angle)])).T
        generations.append((root, second, where))
    root, second, where = (np.concatenate(each) for each in zip(*generations, strict=True))
    order = np.lexsort((second, root))
    each = np.full(len(root), 0.5)  # the weights of a pair add up to one
    table = pairs_by_lag(root[order], second[order].astype(np.int64), where[order], each, WITHIN_M + 1e-6, WITHIN_S)
    return np.asarray(table[0] / len(root))


def _draw_steps(number: int, ring: _Floats, lag: _Floats, generator: np.random.Generator) -> tuple[_Floats, _Floats]:
    """Draw the distance and the lag of followers, in metres and seconds."""
    which = generator.choice(len(ring), number, p=ring)
    nearest = np.concatenate(([0.0], WITHIN_M[:-1]))
    far = np.sqrt(generator.uniform(nearest[which] ** 2, WITHIN_M[which] ** 2))
    when = generator.choice(len(lag), number, p=lag)
    earliest = np.concatenate(([0], WITHIN_S[:-1]))
    return far, generator.uniform(earliest[when], WITHIN_S[when])


class Surroundings:
    """The locations in each ring around each location, at which followers occur.

    ``points``: the locations in metres, (L, 3).
    ``cases``: incidents of the past at each location, (L,).

    Followers occur where there are opportunities, and past cases partly show where these are. So the probability of a
    location is in proportion to the square root of its cases plus one.
    """

    def __init__(self, points: _Floats, cases: NDArray[np.int64]) -> None:
        self._points = points
        tree = cKDTree(points)
        pairs = tree.sparse_distance_matrix(tree, float(WITHIN_M[-1]) + 1e-6, output_type="coo_matrix")
        one = np.concatenate((pairs.row[pairs.row != pairs.col], np.arange(len(points))))
        other = np.concatenate((pairs.col[pairs.row != pairs.col], np.arange(len(points))))
        far = np.concatenate((pairs.data[pairs.row != pairs.col], np.zeros(len(points))))
        ring = np.searchsorted(WITHIN_M + 1e-6, far)
        key = one.astype(np.int64) * len(WITHIN_M) + ring
        order = np.argsort(key, kind="stable")
        self._other = other[order]
        self._start = np.searchsorted(key[order], np.arange(len(points) * len(WITHIN_M) + 1))
        self._pull = np.sqrt(1.0 + cases)[self._other]
        self._until = np.concatenate(([0.0], np.cumsum(self._pull)))

    @property
    def number(self) -> NDArray[np.int64]:
        """The number of locations in each ring around each location, (L, rings)."""
        return np.diff(self._start).reshape(-1, len(WITHIN_M))

    def weight_of_followers(self, location: NDArray[np.int32], quiet: _Floats) -> _Floats:
        """Return the total weight of the pairs of incidents with one follower in each ring, (rings,).

        Weights are those of :class:`Knox`.
        """
        joined = 1 / (1 / quiet + 1)  # the weight of a location after the follower
        until = np.concatenate(([0.0], np.cumsum(self._pull * joined[self._other])))
        pulled = until[self._start[1:]] - until[self._start[:-1]]
        pull = self._until[self._start[1:]] - self._until[self._start[:-1]]
        there = np.divide(pulled, pull, out=np.repeat(joined, len(WITHIN_M)), where=pull > 0)
        own = np.column_stack((joined, *[quiet] * (len(WITHIN_M) - 1)))
        return np.asarray((there.reshape(-1, len(WITHIN_M)) + own)[location].sum(axis=0))

    def chance_of_first(self, past: Past, repeats: Repeats, usual: _Floats) -> _Floats:
        """Return the probability that each incident followed no other, (n,).

        This is stochastic declustering (Zhuang et al. 2002). ``usual``: how many incidents are usual in the incident's
        category, location and hour, (n,).
        """
        chance = np.ones(len(past))
        hours = np.diff(WITHIN_S, prepend=0) / 3600
        around = self.number.mean(axis=0)
        density = np.outer(repeats.by_ring / np.maximum(around, 1e-3), repeats.by_lag / hours)
        for category in range(CATEGORIES):
            mine = np.flatnonzero(past.category == category)
            where = self._points[past.location[mine]]
            followers = followed_by(past.second[mine], where, WITHIN_M, WITHIN_S, repeats.rate[category] * density)
            chance[mine] = usual[mine] / (usual[mine] + followers)
        return chance

    def with_followers(self, past: Past, repeats: Repeats, generator: np.random.Generator) -> Past:
        """Return the history with followers, the followers of followers, and so on."""
        second, location, category = past.second, past.location, past.category
        generations = [(second, location, category)]
        while len(second):
            number = generator.poisson(repeats.rate[category])
            second, location = np.repeat(second, number), np.repeat(location, number)
            category = np.repeat(category, number)
            ring = generator.choice(len(WITHIN_M), len(second), p=repeats.by_ring)
            _, late = _draw_steps(len(second), repeats.by_ring, repeats.by_lag, generator)
            row = location.astype(np.int64) * len(WITHIN_M) + ring
            first, end = self._start[row], self._start[row + 1]
            drawn = self._until[first] + generator.random(len(row)) * (self._until[end] - self._until[first])
            chosen = np.clip(np.searchsorted(self._until, drawn, side="right") - 1, first, np.maximum(end - 1, first))
            # If a ring holds no location, the follower falls on its parent's location.
            location = np.where(end > first, self._other[np.minimum(chosen, len(self._other) - 1)], location)
            second = second + late.astype(np.int64)
            generations.append((second, location, category))
        columns = [np.concatenate(each) for each in zip(*generations, strict=True)]
        return Past.of(past.first_bucket, past.buckets, *columns)
