"""Clusters injected into a stream of incidents, real or simulated: where, when and how many are known.

Half of the clusters have a relative risk of 3 to 10; the others have 3 to 12 incidents, whatever the risk. Half lie at
locations where incidents are usual; the others lie anywhere on a disc. In every third cluster each incident has a
category of its own, drawn from the stream. A cluster has at least three incidents, within a radius of 100 to 400 m and
a time of 6 to 72 hours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.area.strata import BUCKET_S
from detectors.calibration.past import CATEGORIES, Past

RISK, CASES, RADIUS_M, HOURS = (3.0, 10.0), (3, 12), (100.0, 400.0), (6.0, 72.0)
MIXED = 1 / 3
"""Share of clusters of several categories."""
APART_M, APART_S = 1_000.0, 3 * 86_400
"""Least distance between two clusters, in space (metres) or in time (seconds). One of the two is enough."""
ATTEMPTS = 100


class Cluster(NamedTuple):
    """An injected cluster. Times are seconds from the beginning of the stream.

    ``is_mixed``: whether each incident has a category of its own.
    ``third_s``: time of its third incident.
    """

    is_mixed: bool
    is_at_addresses: bool
    cases: int
    start_s: int
    end_s: int
    third_s: int


class Injected(NamedTuple):
    """A stream with clusters. ``cluster_of``: the number of the cluster to which each incident belongs, or -1, (n,)."""

    past: Past
    cluster_of: NDArray[np.int64]
    clusters: list[Cluster]


class _Drawn(NamedTuple):
    cluster: Cluster
    second: NDArray[np.int64]
    location: NDArray[np.int64]
    category: NDArray[np.int8]


def inject(past: Past, points: NDArray[np.float64], begin_s: int, per_day: float, seed: int) -> Injected:
    """Return a stream with clusters from ``begin_s`` on, at most one in each slot of 1 / ``per_day`` days.

    ``points``: the locations in metres, (L, 3).
    """
    chance, tree = np.random.default_rng(seed), cKDTree(points)
    end_s = past.buckets * BUCKET_S
    number = np.bincount(past.location * CATEGORIES + past.category, minlength=len(points) * CATEGORIES)
    usual = number.reshape(len(points), CATEGORIES) / end_s
    drawn: list[_Drawn] = []
    placed: list[tuple[NDArray[np.float64], int]] = []
    slot_s = 86_400 / per_day
    for slot in range(int((end_s - begin_s) // slot_s)):
        for _ in range(ATTEMPTS):
            start_s = int(begin_s + slot * slot_s + chance.uniform(0, slot_s / 2))
            over_s = start_s + int(3600 * chance.uniform(*HOURS))
            incident = chance.integers(len(past))  # clusters form where much happens
            middle, is_mixed = points[past.location[incident]], bool(chance.random() < MIXED)
            mix = past.category if is_mixed else past.category[[chance.integers(len(past))]]
            is_free = all(np.linalg.norm(middle - at) >= APART_M or start_s >= until_s for at, until_s in placed)
            if over_s > end_s or not is_free:
                continue
            zone = np.array(tree.query_ball_point(middle, chance.uniform(*RADIUS_M), return_sorted=True))
            one = _cluster(chance, zone, usual[zone][:, np.unique(mix)].sum(axis=1), mix, start_s, over_s)
            if one is not None:
                drawn.append(one)
                placed.append((middle, over_s + APART_S))
                break
    return _with_clusters(past, drawn)


def _cluster(
    chance: np.random.Generator,
    zone: NDArray[np.int64],
    usual: NDArray[np.float64],
    mix: NDArray[np.int8],
    start_s: int,
    over_s: int,
) -> _Drawn | None:
    """Draw a cluster in a zone; None if it would be too weak.

    ``usual``: cases a second of each location, (n,). ``mix``: the categories that its incidents are drawn from.
    """
    if chance.random() < 0.5:
        cases = int(chance.poisson((chance.uniform(*RISK) - 1) * usual.sum() * (over_s - start_s)))
    else:
        cases = int(chance.integers(CASES[0], CASES[1] + 1))
    is_at_addresses = bool(chance.random() < 0.5)
    if cases < CASES[0] or (is_at_addresses and usual.sum() == 0):
        return None
    location = chance.choice(zone, cases, p=usual / usual.sum() if is_at_addresses else None)
    second = np.sort(chance.integers(start_s, over_s, cases))
    category = chance.choice(mix, cases)
    cluster = Cluster(len(mix) > 1, is_at_addresses, cases, start_s, over_s, int(second[2]))
    return _Drawn(cluster, second, location, category)


def _with_clusters(past: Past, drawn: list[_Drawn]) -> Injected:
    second = np.concatenate([past.second, *(each.second for each in drawn)])
    location = np.concatenate([past.location, *(each.location for each in drawn)])
    category = np.concatenate([past.category, *(each.category for each in drawn)])
    cluster_of = np.concatenate(
        [np.full(len(past), -1), *(np.full(len(each.second), number) for number, each in enumerate(drawn))]
    )
    order = np.argsort(second, kind="stable")
    whole = Past.of(past.first_bucket, past.buckets, second, location, category)
    return Injected(whole, cluster_of[order], [each.cluster for each in drawn])
