"""Near repeats: how often an incident is soon followed by another of its kind nearby, in the past and by chance.

A Knox table (Knox 1964; Johnson et al. 2007) of pairs by distance and lag against what permuted times give, freed of
the pairs that siblings and grandchildren make. No parametric form: a wrong one opens twice the alerts it promises.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.spatial import cKDTree

from detectors.calibration.past import CATEGORIES, Past
from detectors.kernels.pairs import pairs_by_lag

WITHIN_M = np.array([0.0, 180.0, 300.0, 430.0, 540.0])
"""Rings around an incident: its own location, and as far as the first four rings of H3 cells of resolution 10 reach."""
WITHIN_S = (np.array([0.5, 1, 2, 6, 12, 24, 48, 72, 120, 168, 336]) * 3600).astype(np.int64)
PERMUTATIONS = 8
VARIANCE = 1.3
"""Of a number of pairs, in units of the number: pairs that share an incident come together."""
ROUNDS = 10
TREE_ROUNDS = 4
TREES = 20_000
MOST = 0.6
"""No incident has more followers than this on average, or null histories would not end."""

_Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Repeats:
    """How incidents are followed: per category the mean number of followers, (4,); where they fall, by ring and lag."""

    rate: _Floats
    by_ring: _Floats
    by_lag: _Floats

    @classmethod
    def none(cls) -> Repeats:
        """Every incident stands by itself."""
        return cls(np.zeros(CATEGORIES), np.eye(len(WITHIN_M))[0], np.eye(len(WITHIN_S))[0])


class Knox:
    """The pairs of a history, and what its locations have around them. ``stratum`` of each of its buckets."""

    def __init__(self, past: Past, points: _Floats, stratum: NDArray[np.int32], generator: np.random.Generator) -> None:
        self._cases = np.bincount(past.category, minlength=CATEGORIES).astype(float)
        self.observed, self._ever = _tables(past, points)
        shuffled = []
        for _ in range(PERMUTATIONS):
            second = past.second.copy()
            kind = past.category.astype(np.int64) * (int(stratum.max()) + 1) + stratum[past.bucket]
            for each in np.unique(kind):
                mine = np.flatnonzero(kind == each)
                second[mine] = generator.permutation(second[mine])
            shuffled.append(_tables(dataclasses.replace(past, second=second), points)[0])
        self.expected = np.maximum(np.mean(shuffled, axis=0), 1 / PERMUTATIONS)
        tree = cKDTree(points)
        places, times = np.unique(past.location, return_counts=True)
        reached = [tree.query_ball_point(points[places], each + 1e-6, return_length=True) for each in WITHIN_M]
        self._locations = np.diff(np.average(reached, axis=1, weights=times), prepend=0.0) if len(places) else WITHIN_M

    def estimate(self, generator: np.random.Generator | None = None) -> Repeats:
        """The followers that explain the pairs; with a generator, one draw of what they may be."""
        observed = self.observed.astype(float)
        if generator is not None:
            observed = generator.normal(observed, np.sqrt(VARIANCE * np.maximum(observed, 1.0)))
        excess = observed - self.expected
        # Permuted times spread the excess over all lags, so that the expected pairs hold a share of it.
        ever = np.maximum(self._ever, 1.0)[:, :, None]
        spread = self.expected / ever
        excess = excess + spread * excess.sum(axis=2, keepdims=True) / np.maximum(
            1 - spread.sum(axis=2, keepdims=True), 0.1
        )
        by_ring, by_lag = self._shape(excess.sum(axis=0), self.expected.sum(axis=0))
        if not (by_ring.sum() and by_lag.sum()):
            return Repeats.none()
        shape = np.outer(by_ring, by_lag)
        informed = (shape**2 / self.expected).sum(axis=(1, 2)) * np.maximum(self._cases, 1.0)
        pairs = np.maximum((shape * excess / self.expected).sum(axis=(1, 2)) / informed, 0.0)
        return _without_relatives(pairs, by_ring, by_lag, self._cases, self._locations, np.random.default_rng(0))

    def _shape(self, excess: _Floats, expected: _Floats) -> tuple[_Floats, _Floats]:
        """Shares by ring and by lag whose product fits best; neither grows with distance or with time, for its size."""
        sizes = np.maximum(self._locations, 1e-3), np.diff(WITHIN_S, prepend=0) / 3600
        ring, lag = (each / each.sum() for each in sizes)
        for _ in range(ROUNDS):
            ring = _falling((excess * lag / expected).sum(axis=1), (lag**2 / expected).sum(axis=1), sizes[0])
            if not ring.sum():
                break
            lag = _falling((excess.T * ring / expected.T).sum(axis=1), (ring**2 / expected.T).sum(axis=1), sizes[1])
            if not lag.sum():
                break
        return ring, lag


def _falling(product: _Floats, weight: _Floats, size: _Floats) -> _Floats:
    """Shares proportional to product / weight, but falling per size and not negative; zeros if nothing is left."""
    weight = np.maximum(weight, 1e-12)  # of a lag that no pair is expected in
    fitted = isotonic_regression(product / weight / size, weights=weight * size**2, increasing=False).x
    share = np.maximum(fitted, 0.0) * size
    whole = share.sum()
    return np.asarray(share / whole if whole > 0 else share)


def _tables(past: Past, points: _Floats) -> tuple[_Floats, _Floats]:
    """Pairs by category, ring and lag, and by category and ring at any lag."""
    tables = []
    for category in range(CATEGORIES):
        mine = np.flatnonzero(past.category == category)
        second = past.second[mine]
        order = np.argsort(second, kind="stable")
        group = np.zeros(len(mine), np.int64)
        tables.append(pairs_by_lag(group, second[order], points[past.location[mine[order]]], WITHIN_M, WITHIN_S))
    return np.array([each for each, _ in tables]), np.array([each for _, each in tables], dtype=float)


def _without_relatives(
    pairs: _Floats,
    by_ring: _Floats,
    by_lag: _Floats,
    cases: _Floats,
    locations: _Floats,
    generator: np.random.Generator,
) -> Repeats:
    """Followers that give so many pairs an incident, together with their brothers, cousins and grandparents."""
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
    """Pairs by ring and lag in families that begin with one incident, per incident."""
    root, second, where = np.arange(TREES), np.zeros(TREES), np.zeros((TREES, 2))
    generations = [(root, second, where)]
    while len(root):
        number = generator.poisson(rate, len(root))
        far, late = _steps(int(number.sum()), ring, lag, generator)
        angle = generator.uniform(0, 2 * np.pi, len(far))
        root, second = np.repeat(root, number), np.repeat(second, number) + late
        where = np.repeat(where, number, axis=0) + (far * np.array([np.cos(angle), np.sin(angle)])).T
        generations.append((root, second, where))
    root, second, where = (np.concatenate(each) for each in zip(*generations, strict=True))
    order = np.lexsort((second, root))
    table, _ = pairs_by_lag(root[order], second[order].astype(np.int64), where[order], WITHIN_M + 1e-6, WITHIN_S)
    return np.asarray(table / len(root))


def _steps(number: int, ring: _Floats, lag: _Floats, generator: np.random.Generator) -> tuple[_Floats, _Floats]:
    """How far and how late each of some followers comes, in metres and seconds."""
    which = generator.choice(len(ring), number, p=ring)
    nearest = np.concatenate(([0.0], WITHIN_M[:-1]))
    far = np.sqrt(generator.uniform(nearest[which] ** 2, WITHIN_M[which] ** 2))
    when = generator.choice(len(lag), number, p=lag)
    earliest = np.concatenate(([0], WITHIN_S[:-1]))
    return far, generator.uniform(earliest[when], WITHIN_S[when])


class Surroundings:
    """The locations in each ring around each location, for followers to fall on."""

    def __init__(self, points: _Floats) -> None:
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

    def followed(self, past: Past, repeats: Repeats, generator: np.random.Generator) -> Past:
        """The history with followers, and theirs; incidents by themselves are thinned out so that the number stays."""
        first = generator.random(len(past)) >= np.minimum(repeats.rate, MOST)[past.category]
        second, location, category = past.second[first], past.location[first], past.category[first]
        generations = [(second, location, category)]
        while len(second):
            number = generator.poisson(repeats.rate[category])
            second, location = np.repeat(second, number), np.repeat(location, number)
            category = np.repeat(category, number)
            ring = generator.choice(len(WITHIN_M), len(second), p=repeats.by_ring)
            _, late = _steps(len(second), repeats.by_ring, repeats.by_lag, generator)
            row = location.astype(np.int64) * len(WITHIN_M) + ring
            length = self._start[row + 1] - self._start[row]
            chosen = self._start[row] + (generator.random(len(row)) * length).astype(np.int64)
            # Where a ring holds no location the follower falls on the parent's own.
            location = np.where(length > 0, self._other[np.minimum(chosen, len(self._other) - 1)], location)
            second = second + late.astype(np.int64)
            generations.append((second, location, category))
        columns = [np.concatenate(each) for each in zip(*generations, strict=True)]
        return Past.of(past.first_bucket, past.buckets, *columns)
