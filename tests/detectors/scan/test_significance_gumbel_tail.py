"""The Gumbel fitted to 999 replications, against a million of them: is it right about what is rare?

The million was drawn once; ``gumbel_tail.json`` holds the LLR that one in so many of them exceeds.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings
from detectors.area.strata import SCHEMES
from detectors.models.nulls import PermutationNull
from detectors.models.permutation import permutation, share_of_duration
from detectors.scan.replications import largest_by_chance
from detectors.scan.shells import Shells
from detectors.scan.significance import Gumbel, p_value

RECORD = Path(__file__).with_suffix("").with_name("gumbel_tail.json")
HEAVIER = {1e-3: 1.43, 1e-4: 2.17}
"""So many times too large is the p-value of a Gumbel fitted to the million itself: the true tail is lighter."""
SAMPLING = {1e-3: 1.5, 1e-4: 1.75}
"""And by so much, either way, does a fit to 999 differ from that, in 95 of 100 seeds; these are fixed."""


@functools.cache
def city() -> tuple[PermutationNull, functools.partial[NDArray[np.float64]]]:
    """A quarter of 300 places with 45 incidents a day for 91 days, none of them a cluster, under the live defaults."""
    chance, settings = np.random.default_rng(1), AreaSettings()
    strata = SCHEMES[settings.strata]
    places, cases, buckets = 300, 45 * settings.window_days, 24 * settings.window_days
    near = neighbours(chance.uniform(0, 5.0, (places, 2)), settings.max_radius_m / 1000, np.ones(places), np.inf)
    rate = chance.gamma(1.0, size=places)
    place = chance.choice(places, cases, p=rate / rate.sum()).astype(np.int32)
    bucket = chance.integers(buckets, size=cases)
    of_bucket = np.array([strata.of_bucket(each, ZoneInfo("UTC")) for each in range(buckets)], np.int32)
    by_stratum = np.zeros((places, strata.count), np.int32)
    np.add.at(by_stratum, (place, of_bucket[bucket]), 1)
    durations = np.array(settings.durations_h, np.int32)
    in_bucket = np.bincount(bucket, minlength=buckets).astype(np.int32)
    share = share_of_duration(in_bucket, of_bucket, strata.count, durations)
    age = (buckets - 1 - bucket).astype(np.int32)
    is_recent = age < durations[-1]
    model = permutation(by_stratum, share, cases, place[is_recent], age[is_recent], durations)
    null = PermutationNull(place, of_bucket[bucket], age[is_recent], of_bucket[bucket][is_recent])
    shells = Shells.cut(near, model.expected[:, -1])
    return null, functools.partial(largest_by_chance, model, null, near, shells, settings.min_cases)


def recorded() -> dict[str, float]:
    return {key: float(value) for key, value in record()["llr_exceeded_by"].items()}


def record() -> dict[str, Any]:
    return dict(json.loads(RECORD.read_text()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("p", HEAVIER)
def test_what_is_rare_is_said_to_be_hardly_less_rare(p: float, seed: int):
    """At one in a thousand within a factor of two; at one in ten thousand mostly beyond it, on the safe side."""
    _, largest = city()
    gumbel = Gumbel.fit(largest(999, (seed, 999)))
    said = p_value(gumbel.score(recorded()[f"{p:g}"])) / p
    assert HEAVIER[p] / SAMPLING[p] < said < HEAVIER[p] * SAMPLING[p]
    assert p < 1e-3 or said < 2.0


@pytest.mark.long
def test_the_record_is_what_a_million_replications_say():
    _, largest = city()
    maxima = largest(record()["maxima"], (record()["seed"],), threads=2)
    exceeded = {p: float(np.quantile(maxima, 1 - p)) for p in HEAVIER}
    assert {f"{p:g}": round(llr, 6) for p, llr in exceeded.items()} == recorded()
    gumbel = Gumbel.fit(maxima)
    for p, factor in HEAVIER.items():
        assert p_value(gumbel.score(exceeded[p])) / p == pytest.approx(factor, abs=0.005)
