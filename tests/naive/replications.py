"""The permutation null: all times of a stratum are dealt again to all its locations."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

from tests.naive.expected import recent_counts
from tests.naive.scan import Rows, largest_ratio

Case = tuple[int, int, int]
"""(location, age in buckets, stratum)."""


def redraw(pool: Sequence[Sequence[int]], case_stratum: Sequence[int], draws: Sequence[float]) -> list[int]:
    """Return the locations of the recent cases, drawn from each stratum's pool without replacement.

    Each drawn one is swapped with the first that is left, and the next is drawn behind it.
    """
    left = [list(places) for places in pool]
    taken = [0] * len(pool)
    places = []
    for stratum, draw in zip(case_stratum, draws, strict=True):
        rest, first = left[stratum], taken[stratum]
        chosen = first + int(draw * (len(rest) - first))
        rest[first], rest[chosen] = rest[chosen], rest[first]
        places.append(rest[first])
        taken[stratum] += 1
    return places


def deal(cumulative: Sequence[float], draw: float) -> int:
    """Return the first location at which the running sum exceeds this share of the whole."""
    return next((place for place, until in enumerate(cumulative) if until > draw * cumulative[-1]), len(cumulative) - 1)


def shuffled(cases: Sequence[Case], strata: int, generator: random.Random) -> list[Case]:
    """Return the same cases with times shuffled over locations within every stratum."""
    dealt: list[Case] = []
    for stratum in range(strata):
        places = [place for place, _, s in cases if s == stratum]
        ages = [age for _, age, s in cases if s == stratum]
        generator.shuffle(ages)
        dealt += [(place, age, stratum) for place, age in zip(places, ages, strict=True)]
    return dealt


def largest_by_chance(
    cases: Sequence[Case],
    strata: int,
    rows: Rows,
    expected: Sequence[Sequence[float]],
    durations: Sequence[int],
    min_cases: int,
    replications: int,
    generator: random.Random,
) -> list[float]:
    """Return the largest LLR of each full shuffle."""
    return [
        _largest(shuffled(cases, strata, generator), rows, expected, durations, min_cases) for _ in range(replications)
    ]


def distribution_of_largest(
    cases: Sequence[Case],
    strata: int,
    rows: Rows,
    expected: Sequence[Sequence[float]],
    durations: Sequence[int],
    min_cases: int,
) -> dict[float, Fraction]:
    """Return the exact distribution of the largest LLR (to 9 decimals), from every possible shuffle."""
    numbers: dict[float, int] = {}
    for dealt in _every_shuffle(cases, strata):
        largest = round(_largest(dealt, rows, expected, durations, min_cases), 9)
        numbers[largest] = numbers.get(largest, 0) + 1
    return {largest: Fraction(number, sum(numbers.values())) for largest, number in numbers.items()}


def _every_shuffle(cases: Sequence[Case], strata: int) -> Iterator[list[Case]]:
    by_stratum = [[case for case in cases if case[2] == stratum] for stratum in range(strata)]
    orders = [itertools.permutations([age for _, age, _ in mine]) for mine in by_stratum]
    for ages in itertools.product(*orders):
        yield [
            (place, age, stratum)
            for mine, dealt in zip(by_stratum, ages, strict=True)
            for (place, _, stratum), age in zip(mine, dealt, strict=True)
        ]


def _largest(
    cases: Sequence[Case], rows: Rows, expected: Sequence[Sequence[float]], durations: Sequence[int], min_cases: int
) -> float:
    recent = [(place, age) for place, age, _ in cases if age < durations[-1]]
    counts = recent_counts([place for place, _ in recent], [age for _, age in recent], durations, len(rows))
    return largest_ratio(rows, counts, expected, len(cases), min_cases)
