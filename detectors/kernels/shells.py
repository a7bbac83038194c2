"""The largest ratio of each of many replications, found by ruling out whole shells of neighbours at once.

A shell is a run of consecutive neighbours of a centre. A 64-bit word is divided into lanes of 8 or 16 bits, one for
each of several durations. A word holds the cases of a location, shell or zone within every one of these durations, so
one addition adds all. The highest bit of a lane is a guard: if it is set, the lane has overflowed, and wider lanes are
needed.

Each shell has a word of requirements: how many cases a zone that ends in the shell needs for an LLR above a floor. It
is the requirement of the zone that ends with the shell's first location, since all others need more. One subtraction
compares all lanes. Only where a lane reaches its requirement does the kernel walk the shell and take logarithms.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detectors.kernels.ratio import HAIR, Counts, Flags, Floats, Offsets, Words, compiled, log_likelihood_ratio

WORD = 64
"""Bits of a word."""
SIDE_BY_SIDE = 4
"""Number of replications that are searched together."""
EXACT = 127
"""Largest number of cases with an exact requirement. Above it a bound by squares is used."""
HALVINGS = 30
"""Number of halvings in the search for an expected count."""


class ShellRows(NamedTuple):
    """The shells of every centre. Locations are renumbered, so that near ones have near numbers.

    ``order``: the locations in the new order, (L,).
    ``number``: the new number of each location, (L,). The other fields use new numbers.
    ``of``: the shells of centre ``i`` are ``of[i]:of[i + 1]``.
    ``first``, ``member``: the neighbours in shell ``s`` are ``member[first[s]:first[s + 1]]``.
    ``place_start``, ``place_shell``: location ``p`` is in shells ``place_shell[place_start[p]:place_start[p + 1]]``.
    """

    order: Offsets
    number: Counts
    of: Offsets
    first: Offsets
    member: Counts
    place_start: Offsets
    place_shell: Counts


class Packed(NamedTuple):
    """The durations that share a word, and the conditions of a high window.

    ``bits``: width of a lane.
    ``guard``: the word with every lane's guard set.
    ``expected``: expected cases by location, (L, D).
    ``before``: expected cases in the zone before each shell, (shells, D).
    ``totals``: all cases with which windows of each duration are compared, (D,).
    """

    bits: int
    guard: np.uint64
    expected: Floats
    before: Floats
    totals: Floats
    min_cases: int
    min_risk: float


class _Beside(NamedTuple):
    """Words of the cases of ``SIDE_BY_SIDE`` replications.

    ``at``, ``within``: by location and by shell, (L or shells, SIDE_BY_SIDE).
    ``has_cases``: whether any of the replications has a case at a location, (L,).
    ``used``: bits that are set in any word of a replication, (SIDE_BY_SIDE,).
    """

    at: Words
    within: Words
    has_cases: Flags
    used: Words


@compiled
def guard_of(bits: int) -> np.uint64:
    """Return the word in which the highest bit of every lane is set."""
    word = np.uint64(0)
    for lane in range(WORD // bits):
        word |= np.uint64(1) << np.uint64(bits * lane + bits - 1)
    return word


@compiled
def shells(
    start: Offsets, size: Counts, index: Counts, mass: Floats, growth: float, step: float
) -> tuple[Offsets, Offsets]:
    """Cut every row of neighbours into shells; return ``of`` and ``first`` of :class:`ShellRows`.

    Their shapes are (L + 1,) and (shells + 1,). Let ``m`` be the ``mass`` of the zone that ends with a shell's first
    location. The shell ends before the mass has grown by ``growth m`` or by ``step sqrt(m)``.
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
    """Return the shells that hold each location, in rising order, as compressed rows: (start, shell).

    ``member``: the neighbours in all shells, one after the other.
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
    """Return the expected cases in the zone before each shell, (shells, D), added up in the order of neighbours."""
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
    """Return the largest expected count, rounded up, at which each number of cases has an LLR above the
    floor."""
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
    """Return a lower bound for the cases that have an LLR above the floor.

    The LLR is at most ``(n - u)^2 (N + u) / (2 u (N - u))``.
    """
    outside = 1.0 if math.isinf(total) else max(0.0, (total - mean) / (total + mean))
    return int(mean + math.sqrt(2.0 * floor * mean * outside * (1 - HAIR)))


@compiled
def requirements(shells: ShellRows, packed: Packed, floor: float) -> Words:
    """Return the word of requirements of every shell, (shells,). A lane of ones below its guard is never reached."""
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
    """Return the largest LLR of the zones that end within a shell, in replication ``which``; at least ``floor``.

    ``member``: locations of the shell.
    ``at``: words of the replications by location.
    ``zone``: word of the cases before the shell.
    ``usual``: work space, (D,).
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

    Four replications are written out side by side, so that their words become one vector. This takes under half of the
    time. Locations come in their new order, so that the shells of near ones are still in the processor's cache.
    """
    at, within, used = beside.at, beside.within, beside.used
    if at.shape[1] != SIDE_BY_SIDE or within.shape[1] != SIDE_BY_SIDE:  # code for rows of a known length is faster
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
    """Raise the ``maxima`` of up to ``SIDE_BY_SIDE`` replications to the LLR of every zone that exceeds them."""
    at, within, used, guard = beside.at, beside.within, beside.used, packed.guard
    of, first, member = shells.of, shells.first, shells.member
    if within.shape[1] != SIDE_BY_SIDE:  # for speed, as in _add_up_shells
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
    """Return the largest LLR of every replication, (replications,): at least ``floor``, NaN if a lane overflowed.

    ``start``: the cases of replication ``r`` are ``start[r]`` to before ``start[r + 1]`` of the next two arrays.
    ``location``, ``age``: of each case.
    ``word_of_age``: the word with a one in the lane of every duration that includes an age, (ages,).
    ``words``: the requirements.
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
