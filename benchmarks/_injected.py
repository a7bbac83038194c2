"""Clusters injected into a stream of incidents, real or simulated: where, when and how many are known.

Half of the clusters have a relative risk of 3 to 10, half have 3 to 12 incidents whatever the risk. Half lie at the
locations where incidents are usual, half anywhere on a disc. A cluster has at least three incidents within 100 to 400 m
and 6 to 72 hours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.area.strata import BUCKET_S
from detectors.calibration.past import CATEGORIES, Past

RISK, CASES, RADIUS_M, HOURS = (3.0, 10.0), (3, 12), (100.0, 400.0), (6.0, 72.0)
APART_M, APART_S = 1_000.0, 3 * 86_400
"""Least distance between two clusters, in metres or in seconds: either is enough."""
ATTEMPTS = 100


class Cluster(NamedTuple):
    """An injected cluster. Times are seconds from the beginning of the stream.

    ``third_s``: time of its third incident.
    """

    category: int
    is_at_addresses: bool
    cases: int
    start_s: int
    end_s: int
    third_s: int


class Injected(NamedTuple):
    """A stream with clusters. ``cluster_of``: number of each incident's cluster, -1 for none, (n,)."""

    past: Past
    cluster_of: NDArray[np.int64]
    clusters: list[Cluster]


def inject(past: Past, points: NDArray[np.float64], begin_s: int, per_day: float, seed: int) -> Injected:
    """Return a stream with clusters from ``begin_s`` on, at most one in each slot of 1 / ``per_day`` days.

    ``points``: the locations in metres, (L, 3).
    """
    chance, tree = np.random.default_rng(seed), cKDTree(points)
    end_s = past.buckets * BUCKET_S
    a_day = len(past) / (end_s / 86_400)
    number = np.bincount(past.location * CATEGORIES + past.category, minlength=len(points) * CATEGORIES)
    usual = number.reshape(len(points), CATEGORIES) / end_s
    del a_day
    clusters: list[Cluster] = []
    columns: list[tuple[NDArray[np.int64], NDArray[np.int64], int]] = []
    placed: list[tuple[NDArray[np.float64], int]] = []
    slot_s = 86_400 / per_day
    for slot in range(int((end_s - begin_s) // slot_s)):
        for _ in range(ATTEMPTS):
            start_s = int(begin_s + slot * slot_s + chance.uniform(0, slot_s / 2))
            over_s = start_s + int(3600 * chance.uniform(*HOURS))
            middle = points[past.location[chance.integers(len(past))]]
            is_free = all(np.linalg.norm(middle - at) >= APART_M or start_s >= until_s for at, until_s in placed)
            if over_s > end_s or not is_free:
                continue
            radius_m, category = chance.uniform(*RADIUS_M), int(chance.choice(CATEGORIES, p=_mix(past)))
            zone = np.array(tree.query_ball_point(middle, radius_m, return_sorted=True))
            weight = usual[zone, category]
            if chance.random() < 0.5:
                cases = int(chance.poisson((chance.uniform(*RISK) - 1) * weight.sum() * (over_s - start_s)))
            else:
                cases = int(chance.integers(CASES[0], CASES[1] + 1))
            is_at_addresses = bool(chance.random() < 0.5)
            if cases < 3 or (is_at_addresses and weight.sum() == 0):
                continue
            share = weight / weight.sum() if is_at_addresses else None
            where = chance.choice(zone, cases, p=share)
            when = np.sort(chance.integers(start_s, over_s, cases))
            clusters.append(Cluster(category, is_at_addresses, cases, start_s, over_s, int(when[2])))
            columns.append((when, where, category))
            placed.append((middle, over_s + APART_S))
            break
    second = np.concatenate([past.second, *(when for when, _, _ in columns)])
    location = np.concatenate([past.location, *(where for _, where, _ in columns)])
    category_of = np.concatenate([past.category, *(np.full(len(when), kind) for when, _, kind in columns)])
    cluster_of = np.concatenate(
        [np.full(len(past), -1), *(np.full(len(when), each) for each, (when, _, _) in enumerate(columns))]
    )
    order = np.argsort(second, kind="stable")
    return Injected(
        Past.of(past.first_bucket, past.buckets, second, location, category_of), cluster_of[order], clusters
    )


def _mix(past: Past) -> NDArray[np.float64]:
    number = np.bincount(past.category, minlength=CATEGORIES)
    return number / number.sum()
