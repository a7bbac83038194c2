"""Silent parts: the comparison against a slow twin, and what begins, goes on and ends a silence."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors.area.districts import DISTRICTS, Districts
from detectors.area.incident import Origin
from detectors.area.settings import STREAMS, Stream
from detectors.area.strata import SCHEMES
from detectors.window.silent_parts import (
    DURATIONS,
    LEAST,
    Comparison,
    SilentPart,
    _chance,
    _threshold,
    compare,
    reports_of,
    silent_parts,
)
from detectors.window.sliding import NOWHERE, OTHER, SlidingWindow, Version
from tests.naive import parts as naive
from tests.naive.parts import Case

BLOCKS, ZONE = SCHEMES["operational"], ZoneInfo("UTC")
DISTRICT_OF = Districts(np.arange(16, dtype=np.int32))
"""One location in each of the smallest districts."""
WINDOW_H = 91 * 24
FIRST = 474_000
LONGEST = int(DURATIONS[-1])


def window_of(cases: list[Case], now: int, hours: int = WINDOW_H) -> SlidingWindow:
    """A window of the incidents that are reported before bucket ``now``."""
    window = SlidingWindow(16, hours, 1, BLOCKS, ZONE)
    window.advance(now)
    fill(window, [case for case in cases if case.reported_s < now * 3600])
    return window


def fill(window: SlidingWindow, cases: list[Case]) -> None:
    for number, case in enumerate(cases, len(window)):
        at_s, delay_s = case.occurred_s, case.reported_s - case.occurred_s
        version = (f"{at_s} {number}", at_s, case.category, Origin.REPORTED, case.district, 0.0, 0.0, None, number)
        window.put(Version(*version, case.reported_s, False, delay_s))


def compared(window: SlidingWindow, ago: int = 0) -> Comparison | None:
    reports = reports_of(window, DISTRICT_OF)
    return None if reports is None else compare(reports, ago)


def city(seed: int, hours: int, per_hour: float = 4.0, delay_s: float = 600.0) -> list[Case]:
    """Incidents of a Poisson process in 16 equal districts and 4 equal categories."""
    rng = np.random.default_rng(seed)
    number = rng.poisson(per_hour * hours)
    occurred_s = FIRST * 3600 + np.sort(rng.integers(0, hours * 3600, number))
    reported_s = occurred_s + rng.exponential(delay_s, number).astype(int)
    columns = (occurred_s, reported_s, rng.integers(0, 16, number), rng.integers(0, 4, number))
    return [Case(*map(int, row)) for row in zip(*columns, strict=True)]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), hours=st.integers(26 * 24, 29 * 24), silent_h=st.sampled_from([0, 0, 130]))
def test_the_comparison_is_the_twins(seed: int, hours: int, silent_h: int) -> None:
    now = FIRST + hours
    cases = [
        case
        for case in city(seed, hours, per_hour=0.5, delay_s=20_000.0)
        if case.category or case.occurred_s < (now - silent_h) * 3600
    ]
    window = window_of(cases, now)
    held = [case for case in cases if case.reported_s < now * 3600]
    first = window.baseline_begins()
    assert first is not None
    stratum = {bucket: BLOCKS.of_bucket(bucket, ZONE) for bucket in range(first, now)}
    found = compared(window)
    held = [case for case in held if case.occurred_s >= first * 3600]
    if (now - first - LONGEST) // 24 + 1 < 25:
        assert found is None
        return
    assert found is not None
    for part in (0, 9, 37):
        for step in (5, len(DURATIONS) - 1):
            duration = int(DURATIONS[step])
            assert found.observed[part, step] == naive.count_reports(held, part, now, duration)
            slow = naive.compare_days(held, part, duration, LONGEST, stratum, first, now)
            if slow is not None and found.usual[part, step]:
                assert (found.usual[part, step], found.shape[part, step]) == pytest.approx(slow)


def test_an_hour_ago_is_compared_as_it_was_compared_then() -> None:
    """All hours are counted in one pass; an earlier one is as in a window that ends there, late reports included."""
    hours, cases = 40 * 24, city(7, 40 * 24, per_hour=1.0, delay_s=9_000.0)
    begin = FIRST + 24  # so that both windows begin with the same bucket
    cases = [*cases, *(Case(begin * 3600 + each, begin * 3600 + each, each % 16, each % 4) for each in range(40))]
    cases = [case for case in cases if case.occurred_s >= begin * 3600]
    now = window_of(cases, FIRST + hours)
    for ago in (1, 5, 12):
        then = [case for case in cases if case.reported_s < (FIRST + hours - ago) * 3600]
        one, other = compared(now, ago), compared(window_of(then, FIRST + hours - ago))
        assert one is not None and other is not None
        for each, wanted in zip(one, other, strict=True):
            assert each == pytest.approx(wanted)


def silences(
    cases: list[Case], hours: range, is_missing: Callable[[Case], bool], per_quarter: float = 1.0
) -> dict[int, tuple[SilentPart, ...]]:
    """The silent parts at these hours, without the missing incidents."""
    left = [case for case in cases if not is_missing(case)]
    window, found = window_of(left, FIRST + hours.start), {}
    for hour in hours:
        new = [case for case in left if window.now <= case.reported_s // 3600 < FIRST + hour]
        window.advance(FIRST + hour)
        fill(window, new)
        found[hour] = silent_parts(window, DISTRICT_OF, per_quarter)
    return found


STOP_H, BACK_H = 60 * 24, 61 * 24 + 12
CASES = city(5, 70 * 24)


def is_between(case: Case, first_h: int = STOP_H, last_h: int = BACK_H) -> bool:
    return first_h <= case.occurred_s // 3600 - FIRST < last_h


def test_a_category_that_stops_is_found_once_and_ends_when_it_is_back() -> None:
    """An incident an hour is usual: after 20 hours none is as rare as exp(-20)."""
    found = silences(CASES, range(STOP_H - 12, BACK_H + 36, 2), lambda case: case.category == 1 and is_between(case))
    silent = [hour for hour, parts in found.items() if parts]
    assert STOP_H + 6 <= silent[0] <= STOP_H + 20
    assert BACK_H <= silent[-1] <= BACK_H + 12
    assert silent == list(range(silent[0], silent[-1] + 1, 2))
    (part,) = found[STOP_H + 24]
    assert (part.district, part.stream, part.observed) == ((), Stream.PROPERTY, 0)
    last = max(case.occurred_s for case in CASES if case.category == 1 and case.occurred_s < (FIRST + STOP_H) * 3600)
    assert part.since_s == last
    assert part.usual == pytest.approx(part.hours, rel=0.2)


def test_a_district_that_stops_is_named() -> None:
    is_missing = lambda case: case.district // 4 == 2 and is_between(case)  # noqa: E731
    (part,) = silences(CASES, range(STOP_H + 30, STOP_H + 31), is_missing)[STOP_H + 30]
    assert (part.district, part.stream) == (("south-west",), Stream.ALL)


def test_a_quiet_city_is_not_silence_in_a_part_nor_is_a_busy_rest() -> None:
    everywhere = silences(CASES, range(STOP_H, BACK_H, 6), is_between)
    nearly = silences(CASES, range(STOP_H, BACK_H, 6), lambda case: is_between(case) and case.occurred_s % 5 > 0)
    surge = [case for case in CASES if is_between(case) and case.district == 7]
    again = [case._replace(occurred_s=case.occurred_s + 1, reported_s=case.reported_s + 1) for case in surge * 30]
    busy = silences([*CASES, *again], range(STOP_H, BACK_H, 6), lambda _: False)
    assert not any([*everywhere.values(), *nearly.values(), *busy.values()])


def test_a_station_that_reports_once_a_day_is_not_silent_in_between() -> None:
    """A quarter of the city sends everything at six in the morning; nothing of it is known at five."""
    late = []
    for case in CASES:
        due = (case.occurred_s // 3600 - 6) // 24 * 24 + 30
        late.append(case._replace(reported_s=due * 3600) if case.district < 4 else case)
    assert not any(silences(late, range(STOP_H, STOP_H + 24), lambda _: False).values())
    lost = silences(late, range(STOP_H, STOP_H + 60), lambda case: case.district < 4 and is_between(case))
    assert {part.district for parts in lost.values() for part in parts} >= {("north-west",)}


def test_a_long_silence_does_not_become_usual() -> None:
    """After 30 days it is still one; once fewer than three weeks before it are left, the part is given up."""
    cases = city(6, 120 * 24)
    is_missing = lambda case: case.category == 2 and case.occurred_s // 3600 - FIRST >= STOP_H  # noqa: E731
    found = silences(cases, range(STOP_H + 720, 120 * 24, 240), is_missing)
    assert found[STOP_H + 720][0].stream is Stream.DRUGS
    given_up_h = STOP_H + WINDOW_H - 21 * 24
    assert all(bool(parts) == (hour < given_up_h) for hour, parts in found.items() if abs(hour - given_up_h) > 48)


def test_nothing_is_known_without_history_or_a_budget() -> None:
    window = SlidingWindow(16, WINDOW_H, 1, BLOCKS, ZONE)
    assert silent_parts(window, DISTRICT_OF, 1.0) == ()
    window.advance(FIRST)
    assert silent_parts(window, DISTRICT_OF, 1.0) == ()
    is_missing = lambda case: case.category == 1 and is_between(case)  # noqa: E731
    assert silences(CASES, range(STOP_H + 24, STOP_H + 25), is_missing, 0.0) == {STOP_H + 24: ()}
    young = [case for case in CASES if case.occurred_s // 3600 - FIRST >= STOP_H - 20 * 24]
    assert silences(young, range(STOP_H + 24, STOP_H + 25), is_missing) == {STOP_H + 24: ()}


def test_incidents_that_do_not_count_change_nothing() -> None:
    window = window_of(CASES, FIRST + STOP_H)
    before = compared(window)
    at_s = (FIRST + STOP_H - 5) * 3600
    for number, (category, location, delay_s) in enumerate([(OTHER, 3, 0), (1, NOWHERE, 0), (1, 3, 6 * 3600)]):
        window.put(
            Version(f"x{number}", at_s, category, Origin.REPORTED, location, 0.0, 0.0, None, 0, 0, False, delay_s)
        )
    after = compared(window)
    assert before is not None and after is not None
    assert (before.observed == after.observed).all() and (before.usual == after.usual).all()


@given(
    usual=st.lists(st.floats(0, 60), min_size=1, max_size=30),
    shape=st.floats(1, 500),
    budget=st.sampled_from([1 / 2184, 0.01, 0.2]),
)
def test_all_tests_together_keep_the_budget(usual: list[float], shape: float, budget: float) -> None:
    """The chance that any test calls its number rare, summed over all tests and all possible numbers."""
    means = np.array(usual)[:, None]
    shapes = np.full_like(means, shape)
    compared = Comparison(np.zeros(means.shape, np.int32), means, shapes, np.zeros(len(usual), np.int64))
    threshold, total = _threshold(compared, budget), 0.0
    for mean in usual:
        numbers = np.arange(200)
        of_number = Comparison(
            numbers[:, None].astype(np.int32), np.full((200, 1), mean), np.full((200, 1), shape), numbers
        )
        rare = _chance(of_number, of_number.observed)[:, 0] <= threshold
        if mean >= LEAST:
            law = stats.nbinom(shape, shape / (shape + mean))
            assert _chance(of_number, of_number.observed)[:, 0] == pytest.approx(law.cdf(numbers))
            total += float(law.pmf(numbers[rare]).sum())
    assert total <= budget * (1 + 1e-9)


def test_parts_are_numbered_as_the_kernels_count_them() -> None:
    """Every part of the comparison is the stream in the district that its number says."""
    window = window_of(CASES, FIRST + STOP_H)
    found = compared(window)
    assert found is not None and len(found.observed) == len(DISTRICTS) * len(STREAMS)
    held = [case for case in CASES if case.reported_s < (FIRST + STOP_H) * 3600]
    counted = [naive.count_reports(held, part, FIRST + STOP_H, LONGEST) for part in range(len(found.observed))]
    assert found.observed[:, -1].tolist() == counted
