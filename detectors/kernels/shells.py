"""The largest ratio of each of many replications, with whole shells of neighbours ruled out at once.

A shell is a run of consecutive neighbours of a centre. Several durations share a 64-bit word, a lane of 8 or 16 bits
for each: a word holds the cases of a location, a shell or a zone within every duration, and one addition adds all. The
highest bit of a lane is a guard: a lane that sets it has overflowed, and wider lanes are needed.

Each shell has a word of requirements: how many cases a zone that ends in it needs for an LLR above a floor. It is the
need of the shell's first location, since every later one needs more. One subtraction compares all lanes. The kernel
walks the shell and takes logarithms only where a lane reaches its requirement.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import HAIR, Counts, Flags, Floats, Offsets, Words, compiled, log_likelihood_ratio

WORD = 64
"""Bits of a word."""
SIDE_BY_SIDE = 4
"""Replications that are searched together."""
EXACT = 127
"""Largest number of cases with an exact requirement; above it the bound by squares serves."""
HALVINGS = 30
"""Number of halvings in the search for an expected count."""


class ShellRows(NamedTuple):
    """Shells of every centre, in an order in which near locations are near each other.

    ``order``: the locations in that order; ``number``: the position of each in it; both (L,). The other fields use it.
    Centre ``i`` has the shells ``of[i]:of[i + 1]``, shell ``s`` the neighbours ``member[first[s]:first[s + 1]]``;
    location ``p`` lies in the shells ``place_shell[place_start[p]:place_start[p + 1]]``.
    """

    order: Offsets
    number: Counts
    of: Offsets
    first: Offsets
    member: Counts
    place_start: Offsets
    place_shell: Counts


class Packed(NamedTuple):
    """Durations that share a word, ``bits`` for each, the word's guards, and which windows count.

    ``expected``: cases by location, (L, D); ``before``: by shell, in the zone before it, (shells, D); ``totals``: all
    cases that each duration is compared with, (D,).
    """

    bits: int
    guard: np.uint64
    expected: Floats
    before: Floats
    totals: Floats
    min_cases: int
    min_risk: float


class _Beside(NamedTuple):
    """Words of the cases of ``SIDE_BY_SIDE`` replications, by location and by shell, (L or shells, SIDE_BY_SIDE).

    ``has_cases``: whether any has a case at a location, (L,); ``used``: the bits set in any word, (SIDE_BY_SIDE,).
    """

    at: Words
    within: Words
    has_cases: Flags
    used: Words


@compiled
def guard_of(bits: int) -> np.uint64:
    """The word with the highest bit of every lane."""
    word = np.uint64(0)
    for lane in range(WORD // bits):
        word |= np.uint64(1) << np.uint64(bits * lane + bits - 1)
    return word


@compiled
def shells(
    start: Offsets, size: Counts, index: Counts, mass: Floats, growth: float, step: float
) -> tuple[Offsets, Offsets]:
    """Cut every row of neighbours into shells: ``of`` and ``first`` of :class:`ShellRows`, (L + 1,) and (shells + 1,).

    A shell ends before the zone's ``mass`` ``m`` has grown by ``growth m`` or by ``step sqrt(m)``, counted from the
    zone with the shell's first location.
    """
    of = np.zeros(len(start), np.int64)
    first = np.empty(size.sum() + 1, np.int64)
    found, position = 0, 0
    for centre in range(len(start) - 1):
        inside, limit = 0.0, -1.0
        for rank in range(size[centre]):
            inside += mass[index[start[centre] + rank]]
            if rank == 0 or inside > limit:
                first[found] = position
                found += 1
                limit = inside + min(growth * inside, step * math.sqrt(inside))
            position += 1
        of[centre + 1] = found
    first[found] = position
    return of, first[: found + 1].copy()


@compiled
def shells_of_place(of: Offsets, first: Offsets, member: Counts) -> tuple[Offsets, Counts]:
    """The shells that hold each location, in rising order, as compressed rows: (start, shell).

    ``member``: the neighbours in the rows, cut and laid end to end.
    """
    start = np.zeros(len(of), np.int64)
    for position in range(len(member)):
        start[member[position] + 1] += 1
    for location in range(len(of) - 1):
        start[location + 1] += start[location]
    filled = start[:-1].copy()
    shell = np.empty(len(member), np.int32)
    for which in range(len(first) - 1):
        for position in range(first[which], first[which + 1]):
            location = member[position]
            shell[filled[location]] = which
            filled[location] += 1
    return start, shell


@compiled
def expected_before(of: Offsets, first: Offsets, member: Counts, expected: Floats) -> Floats:
    """Expected cases in the zone before each shell, (shells, D), added up in the order of the ranks."""
    durations = expected.shape[1]
    before = np.zeros((len(first) - 1, durations))
    inside = np.zeros(durations)
    for centre in range(len(of) - 1):
        inside[:] = 0.0
        for which in range(of[centre], of[centre + 1]):
            before[which] = inside
            for position in range(first[which], first[which + 1]):
                for column in range(durations):
                    inside[column] += expected[member[position], column]
    return before


@compiled
def _largest_means(total: float, min_cases: int, floor: float) -> Floats:
    """The largest expected count, or a hair more, for which each number of cases has an LLR above the floor."""
    means = np.zeros(EXACT + 1)
    for cases in range(min_cases, EXACT + 1):
        low, high = means[cases - 1], float(min(cases, total))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            if log_likelihood_ratio(cases, middle, total, 0.0) > floor:
                low = middle
            else:
                high = middle
        means[cases] = high * (1 + HAIR)
    return means


@compiled
def _least_by_squares(mean: float, total: float, floor: float) -> int:
    """Lower bound for the cases that have an LLR above the floor: it is at most (n - u)^2 (N + u) / (2 u (N - u))."""
    outside = 1.0 if math.isinf(total) else max(0.0, (total - mean) / (total + mean))
    return int(mean + math.sqrt(2.0 * floor * mean * outside * (1 - HAIR)))


@compiled
def requirements(shells: ShellRows, packed: Packed, floor: float) -> Words:
    """The word of requirements of every shell, (shells,); a lane full except for its guard is never reached."""
    words = np.zeros(len(shells.first) - 1, np.uint64)
    never = 1 << (packed.bits - 1)
    means = np.zeros(0)
    for column in range(WORD // packed.bits):
        shift = np.uint64(packed.bits * column)
        if column >= len(packed.totals):
            words |= np.uint64(never) << shift
            continue
        total = packed.totals[column]
        if column == 0 or total != packed.totals[column - 1]:
            means = _largest_means(total, packed.min_cases, floor)
        for centre in range(len(shells.of) - 1):
            need = packed.min_cases
            for which in range(shells.of[centre], shells.of[centre + 1]):
                mean = packed.before[which, column] + packed.expected[shells.member[shells.first[which]], column]
                while need <= EXACT and means[need] < mean:
                    need += 1
                if need > EXACT:
                    need = max(need, _least_by_squares(mean, total, floor))
                words[which] |= np.uint64(min(need, never)) << shift
    return words


@compiled
def _largest_in_shell(
    packed: Packed, shell: int, member: Counts, at: Words, which: int, zone: int, usual: Floats, floor: float
) -> float:
    """The largest LLR above ``floor``, else ``floor``, of the zones that end within a shell, in replication ``which``.

    ``member``: the shell's locations; ``at``: the words of the replications by location; ``zone``: the word of the
    cases before the shell; ``usual``, (D,), is work space.
    """
    best, cases, lane = floor, np.uint64(zone), np.uint64((1 << packed.bits) - 1)
    expected, totals, min_cases = packed.expected, packed.totals, packed.min_cases
    for column in range(len(usual)):
        usual[column] = packed.before[shell, column]
    for here in member:
        for column in range(len(usual)):
            usual[column] += expected[here, column]
        if at[here, which] == 0:
            continue
        cases += at[here, which]
        for column in range(len(usual)):
            observed = int((cases >> np.uint64(packed.bits * column)) & lane)
            mean, total = usual[column], totals[column]
            if observed < min_cases or observed <= mean:
                continue
            excess = observed - mean
            if math.isinf(total) or excess * excess * (total + mean) * (1 + HAIR) > best * 2.0 * mean * (total - mean):
                best = max(best, log_likelihood_ratio(observed, mean, total, packed.min_risk))
    return best


@compiled
def _count_cases(beside: _Beside, which: int, locations: Counts, ages: Counts, word_of_age: Words) -> None:
    """Add the cases of a replication to the words by location."""
    for case in range(len(locations)):
        beside.at[locations[case], which] += word_of_age[ages[case]]
        beside.used[which] |= beside.at[locations[case], which]
        beside.has_cases[locations[case]] = True


@compiled
def _add_up_shells(beside: _Beside, start: Offsets, shell_of: Counts) -> None:
    """Add the words by location to the words of the shells that hold each location.

    Four replications are written out side by side, so that their words become one vector: it takes under half of the
    time. Locations come in their order, so that neighbours' shells are still in the cache.
    """
    at, within, used = beside.at, beside.within, beside.used
    if at.shape[1] != SIDE_BY_SIDE or within.shape[1] != SIDE_BY_SIDE:  # a known length of rows makes faster code
        raise ValueError
    x0, x1, x2, x3 = used[0], used[1], used[2], used[3]
    for here in range(len(at)):
        if not beside.has_cases[here]:
            continue
        w0, w1, w2, w3 = at[here, 0], at[here, 1], at[here, 2], at[here, 3]
        for position in range(start[here], start[here + 1]):
            shell = shell_of[position]
            c0, c1, c2, c3 = within[shell, 0] + w0, within[shell, 1] + w1, within[shell, 2] + w2, within[shell, 3] + w3
            within[shell, 0], within[shell, 1], within[shell, 2], within[shell, 3] = c0, c1, c2, c3
            x0, x1, x2, x3 = x0 | c0, x1 | c1, x2 | c2, x3 | c3
    used[0], used[1], used[2], used[3] = x0, x1, x2, x3


@compiled
def _search_shells(beside: _Beside, shells: ShellRows, packed: Packed, words: Words, maxima: Floats) -> None:
    """Raise the ``maxima`` of up to ``SIDE_BY_SIDE`` replications where a zone exceeds them; side by side too."""
    at, within, used, guard = beside.at, beside.within, beside.used, packed.guard
    of, first, member = shells.of, shells.first, shells.member
    if within.shape[1] != SIDE_BY_SIDE:  # as in _add_up_shells
        raise ValueError
    zone, usual = np.zeros(SIDE_BY_SIDE, np.uint64), np.zeros(len(packed.totals))
    x0, x1, x2, x3 = used[0], used[1], used[2], used[3]
    for centre in range(len(of) - 1):
        z0 = z1 = z2 = z3 = np.uint64(0)
        for shell in range(of[centre], of[centre + 1]):
            need = words[shell]
            c0, c1, c2, c3 = within[shell, 0], within[shell, 1], within[shell, 2], within[shell, 3]
            z0, z1, z2, z3 = z0 + c0, z1 + c1, z2 + c2, z3 + c3
            x0, x1, x2, x3 = x0 | z0, x1 | z1, x2 | z2, x3 | z3
            if (((z0 | guard) - need) | ((z1 | guard) - need) | ((z2 | guard) - need) | ((z3 | guard) - need)) & guard:
                zone[0], zone[1], zone[2], zone[3] = z0, z1, z2, z3
                for which in range(len(maxima)):
                    cases, most = within[shell, which], maxima[which]
                    if cases and ((zone[which] | guard) - need) & guard:
                        here = member[first[shell] : first[shell + 1]]
                        maxima[which] = _largest_in_shell(
                            packed, shell, here, at, which, zone[which] - cases, usual, most
                        )
    used[0], used[1], used[2], used[3] = x0, x1, x2, x3


@compiled
def largest_ratios(
    start: Offsets,
    location: Counts,
    age: Counts,
    word_of_age: Words,
    shells: ShellRows,
    packed: Packed,
    words: Words,
    floor: float,
) -> Floats:
    """The largest LLR of every replication, (replications,): ``floor`` if none is above it, NaN if a lane overflowed.

    Replication ``r`` has the cases ``start[r]`` to before ``start[r + 1]``, with their ``location`` and ``age``.
    ``word_of_age``: a one in the lane of every duration that holds an age, (ages,); ``words``: the requirements.
    """
    none, locations = np.uint64(0), len(packed.expected)
    beside = _Beside(
        np.zeros((locations, SIDE_BY_SIDE), np.uint64),
        np.zeros((len(words), SIDE_BY_SIDE), np.uint64),
        np.zeros(locations, np.bool_),
        np.zeros(SIDE_BY_SIDE, np.uint64),
    )
    maxima = np.full(len(start) - 1, floor)
    for begin in range(0, len(maxima), SIDE_BY_SIDE):
        end = min(begin + SIDE_BY_SIDE, len(maxima))
        beside.used[:] = none
        for which in range(end - begin):
            mine = slice(start[begin + which], start[begin + which + 1])
            _count_cases(beside, which, shells.number[location[mine]], age[mine], word_of_age)
        _add_up_shells(beside, shells.place_start, shells.place_shell)
        _search_shells(beside, shells, packed, words, maxima[begin:end])
        for which in range(end - begin):
            if beside.used[which] & packed.guard:
                maxima[begin + which] = math.nan
        beside.at[:], beside.within[:], beside.has_cases[:] = none, none, False
    return maxima
