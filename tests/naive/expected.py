"""Observed and expected cases, added case by case and bucket by bucket."""

from __future__ import annotations

from collections.abc import Sequence

Table = list[list[float]]


def recent_counts(
    location: Sequence[int], age: Sequence[int], durations: Sequence[int], locations: int
) -> list[list[int]]:
    """Return the cases of each location with an age below each duration."""
    return [
        [sum(1 for where, old in zip(location, age, strict=True) if where == one and old < d) for d in durations]
        for one in range(locations)
    ]


def stratified_expected(by_stratum: Sequence[Sequence[int]], weight: Sequence[Sequence[float]]) -> Table:
    """Return ``sum over s of n[l][s] weight[s][d]``, strata in rising order."""
    expected = []
    for cases in by_stratum:
        row = []
        for column in range(len(weight[0])):
            total = 0.0
            for stratum, number in enumerate(cases):
                total += number * weight[stratum][column]
            row.append(total)
        expected.append(row)
    return expected


def share_of_duration(in_bucket: Sequence[int], stratum: Sequence[int], strata: int, durations: Sequence[int]) -> Table:
    """Return the cases of each stratum within each duration, over all cases of the stratum; 0 of 0 is 0."""
    shares = []
    for one in range(strata):
        cases = [n if s == one else 0 for n, s in zip(in_bucket, stratum, strict=True)]
        shares.append([sum(cases[len(cases) - d :]) / sum(cases) if sum(cases) else 0.0 for d in durations])
    return shares


def permutation(
    cases: Sequence[tuple[int, int]], stratum: Sequence[int], strata: int, durations: Sequence[int], locations: int
) -> Table:
    """Return the expected cases, from the cases themselves, each a (location, age in buckets).

    Per stratum: cases of the location x cases of the bucket / cases of the stratum, summed over the buckets of the
    duration (docs/method.md section 2). ``stratum`` is that of each bucket, the current one last.
    """
    buckets = len(stratum)
    expected = [[0.0] * len(durations) for _ in range(locations)]
    for one in range(strata):
        mine = [(location, age) for location, age in cases if stratum[buckets - 1 - age] == one]
        for location in range(locations):
            at_location = sum(1 for there, _ in mine if there == location)
            for column, duration in enumerate(durations):
                within = sum(1 for _, age in mine if age < duration)
                if mine:
                    expected[location][column] += at_location * within / len(mine)
    return expected
