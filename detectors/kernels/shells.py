"""The largest ratio of each of many replications, with whole shells of neighbours ruled out at once.

A shell is a run of consecutive neighbours of a centre. Several durations share a 64-bit word, a lane of 8 or 16 bits
for each: a word holds the cases of a place, of a shell or of a zone within every duration, and one addition adds all.
The highest bit of a lane is a guard: a lane that comes to use it has overflowed, and wider ones are needed.

For every shell a word of requirements tells how many cases a zone that ends in it needs for an LLR above a floor: what
its first location needs, for every later one needs more. A subtraction compares all lanes. Only where a lane reaches
its requirement is the shell walked and a logarithm taken.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.kernels.ratio import Counts, Floats, Offsets, Words, compiled, log_likelihood_ratio

WORD = 64
"""Bits of a word."""
SIDE_BY_SIDE = 4
"""So many replications go side by side."""
EXACT = 127
"""Up to so many cases the requirement is exact; above, what the bound by squares needs at least."""
HALVINGS = 30
"""So many times the search for an expected count halves what is left."""
_HAIR = 1e-9


@compiled
def guard_of(bits: int) -> np.uint64:
    """A word with the highest bit of every lane."""
    word = np.uint64(0)
    for lane in range(WORD // bits):
        word |= np.uint64(1) << np.uint64(bits * lane + bits - 1)
    return word


@compiled
def shells(
    start: Offsets, size: Counts, index: Counts, mass: Floats, growth: float, step: float
) -> tuple[Offsets, Offsets]:
    """Cuts every row of neighbours into shells: (of centre, first position), (L + 1,) and (shells + 1,).

    Centre ``i`` has the shells ``of[i]`` to before ``of[i + 1]``; shell ``s`` the positions ``first[s]`` to before
    ``first[s + 1]`` of the rows, cut to their sizes and laid end to end. A shell ends before the zone's ``mass``
    ``m`` has grown by ``growth m`` or by ``step sqrt(m)``, counted from the zone with the shell's first location.
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
    """For every place the shells that hold it, in rising order, as compressed rows: (start, shell).

    ``member``: the neighbours in the rows, cut and laid end to end.
    """
    start = np.zeros(len(of), np.int64)
    for position in range(len(member)):
        start[member[position] + 1] += 1
    for place in range(len(of) - 1):
        start[place + 1] += start[place]
    filled = start[:-1].copy()
    shell = np.empty(len(member), np.int32)
    for which in range(len(first) - 1):
        for position in range(first[which], first[which + 1]):
            place = member[position]
            shell[filled[place]] = which
            filled[place] += 1
    return start, shell


@compiled
def expected_before(of: Offsets, first: Offsets, member: Counts, expected: Floats) -> Floats:
    """What is expected in the zone before each shell, (shells, D), added up in the order of the ranks."""
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
    """The largest expected count for which each number of cases has an LLR above the floor, or a hair more."""
    means = np.zeros(EXACT + 1)
    for cases in range(min_cases, EXACT + 1):
        low, high = means[cases - 1], float(min(cases, total))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            if log_likelihood_ratio(cases, middle, total, 0.0) > floor:
                low = middle
            else:
                high = middle
        means[cases] = high * (1 + _HAIR)
    return means


@compiled
def _least_by_squares(mean: float, total: float, floor: float) -> int:
    """No fewer cases than these have an LLR above the floor, since it is at most (n - u)^2 (N + u) / (2 u (N - u))."""
    outside = 1.0 if math.isinf(total) else max(0.0, (total - mean) / (total + mean))
    return int(mean + math.sqrt(2.0 * floor * mean * outside * (1 - _HAIR)))


@compiled
def requirements(
    of: Offsets,
    first: Offsets,
    member: Counts,
    expected: Floats,
    before: Floats,
    totals: Floats,
    min_cases: int,
    floor: float,
    bits: int,
) -> Words:
    """The word of requirements of every shell, (shells,); a lane full but for its guard is never reached."""
    words = np.zeros(len(first) - 1, np.uint64)
    never = 1 << (bits - 1)
    means = np.zeros(0)
    for column in range(WORD // bits):
        shift = np.uint64(bits * column)
        if column >= len(totals):
            words |= np.uint64(never) << shift
            continue
        if column == 0 or totals[column] != totals[column - 1]:
            means = _largest_means(totals[column], min_cases, floor)
        for centre in range(len(of) - 1):
            need = min_cases
            for which in range(of[centre], of[centre + 1]):
                mean = before[which, column] + expected[member[first[which]], column]
                while need <= EXACT and means[need] < mean:
                    need += 1
                if need > EXACT:
                    need = max(need, _least_by_squares(mean, totals[column], floor))
                words[which] |= np.uint64(min(need, never)) << shift
    return words


@compiled
def _largest_in_shell(
    shell: tuple[int, int],
    member: Counts,
    packed: Words,
    which: int,
    zone: int,
    before: Floats,
    expected: Floats,
    totals: Floats,
    min_cases: int,
    min_risk: float,
    usual: Floats,
    floor: float,
    bits: int,
) -> float:
    """The largest LLR above ``floor``, else ``floor``, of the zones that end within a shell, in replication ``which``.

    ``shell``: its first position and the one after its last; ``zone``: the word of the cases before it, ``before`` what
    is expected there; ``usual`` is work space.
    """
    best = floor
    usual[:] = before
    cases = np.uint64(zone)
    lane = np.uint64((1 << bits) - 1)
    for position in range(shell[0], shell[1]):
        here = member[position]
        for column in range(len(usual)):
            usual[column] += expected[here, column]
        if packed[here, which] == 0:
            continue
        cases += packed[here, which]
        for column in range(len(usual)):
            observed = int((cases >> np.uint64(bits * column)) & lane)
            mean, total = usual[column], totals[column]
            if observed < min_cases or observed <= mean:
                continue
            excess = observed - mean
            if math.isinf(total) or excess * excess * (total + mean) * (1 + _HAIR) > best * 2.0 * mean * (total - mean):
                best = max(best, log_likelihood_ratio(observed, mean, total, min_risk))
    return best


@compiled
def largest_ratios(
    number: Counts,
    case_start: Offsets,
    place: Counts,
    age: Counts,
    word_of_age: Words,
    of: Offsets,
    first: Offsets,
    member: Counts,
    place_start: Offsets,
    place_shell: Counts,
    words: Words,
    before: Floats,
    expected: Floats,
    totals: Floats,
    min_cases: int,
    min_risk: float,
    floor: float,
    bits: int,
) -> Floats:
    """The largest LLR of every replication, (replications,): ``floor`` if none is above it, NaN if a lane overflowed.

    Replication ``r`` has the cases ``case_start[r]`` to before ``case_start[r + 1]``, with their ``place`` (by the
    ``number`` that it has here) and ``age``; ``word_of_age`` has a one in the lane of every duration of that age or
    more. Four replications go side by side, written out, for then their words become one vector: under half of the
    time of one after the other.
    """
    none, guard = np.uint64(0), guard_of(bits)
    locations = len(expected)
    packed = np.zeros((locations, SIDE_BY_SIDE), np.uint64)
    has_cases = np.zeros(locations, np.bool_)
    cells = np.zeros((len(words), SIDE_BY_SIDE), np.uint64)
    used = np.zeros(SIDE_BY_SIDE, np.uint64)
    inside, cell = np.zeros(SIDE_BY_SIDE, np.uint64), np.zeros(SIDE_BY_SIDE, np.uint64)
    usual = np.zeros(len(totals))
    maxima = np.full(len(case_start) - 1, floor)
    for begin in range(0, len(maxima), SIDE_BY_SIDE):
        beside = min(SIDE_BY_SIDE, len(maxima) - begin)
        used[:] = none
        for which in range(beside):
            for case in range(case_start[begin + which], case_start[begin + which + 1]):
                here = number[place[case]]
                packed[here, which] += word_of_age[age[case]]
                used[which] |= packed[here, which]
                has_cases[here] = True
        x0, x1, x2, x3 = used[0], used[1], used[2], used[3]
        # In the order of the places, so that neighbours' shells are still at hand.
        for here in range(locations):
            if not has_cases[here]:
                continue
            w0, w1, w2, w3 = packed[here, 0], packed[here, 1], packed[here, 2], packed[here, 3]
            for position in range(place_start[here], place_start[here + 1]):
                shell = place_shell[position]
                c0, c1, c2, c3 = cells[shell, 0] + w0, cells[shell, 1] + w1, cells[shell, 2] + w2, cells[shell, 3] + w3
                cells[shell, 0], cells[shell, 1], cells[shell, 2], cells[shell, 3] = c0, c1, c2, c3
                x0, x1, x2, x3 = x0 | c0, x1 | c1, x2 | c2, x3 | c3
        for centre in range(locations):
            z0 = z1 = z2 = z3 = none
            for shell in range(of[centre], of[centre + 1]):
                need = words[shell]
                c0, c1, c2, c3 = cells[shell, 0], cells[shell, 1], cells[shell, 2], cells[shell, 3]
                z0, z1, z2, z3 = z0 + c0, z1 + c1, z2 + c2, z3 + c3
                x0, x1, x2, x3 = x0 | z0, x1 | z1, x2 | z2, x3 | z3
                if (
                    ((z0 | guard) - need) | ((z1 | guard) - need) | ((z2 | guard) - need) | ((z3 | guard) - need)
                ) & guard:
                    inside[0], inside[1], inside[2], inside[3] = z0, z1, z2, z3
                    cell[0], cell[1], cell[2], cell[3] = c0, c1, c2, c3
                    for which in range(beside):
                        if cell[which] and ((inside[which] | guard) - need) & guard:
                            maxima[begin + which] = _largest_in_shell(
                                (first[shell], first[shell + 1]),
                                member,
                                packed,
                                which,
                                inside[which] - cell[which],
                                before[shell],
                                expected,
                                totals,
                                min_cases,
                                min_risk,
                                usual,
                                maxima[begin + which],
                                bits,
                            )
        used[0], used[1], used[2], used[3] = x0, x1, x2, x3
        cells[:] = none
        for which in range(beside):
            if used[which] & guard:
                maxima[begin + which] = math.nan
            for case in range(case_start[begin + which], case_start[begin + which + 1]):
                packed[number[place[case]], which] = none
                has_cases[number[place[case]]] = False
    return maxima
