"""The window against a dictionary of ids, after any sequence of versions and moves of the clock."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Origin
from detectors.area.moment import Interval
from detectors.area.strata import SCHEMES
from detectors.kernels.events import Same
from detectors.window.sliding import ALL, ELSEWHERE, MISSING, NOWHERE, OTHER, UNMAPPED, Outcome, SlidingWindow, Version
from tests.naive import window as naive
from tests.naive.events import EACH, Limits
from tests.naive.strata import of_bucket

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "80"))
LONDON = ZoneInfo("Europe/London")
BLOCKS = SCHEMES["each_weekend_day"]
START = 475515
"""Sunday 31 March 2024, 03:00 UTC: the clocks in London changed two hours before."""
BUCKETS, AHEAD, LOCATIONS = 6, 2, 3
Step = tuple[str, Any]


limits = st.sampled_from([Limits(50.0, 600), Limits(40.0, 3600), EACH])


def windows(same: Limits = EACH) -> tuple[SlidingWindow, naive.SlidingWindow]:
    window = SlidingWindow(LOCATIONS, BUCKETS, AHEAD, BLOCKS, LONDON, Same(*same))
    window.advance(START)
    return window, naive.SlidingWindow(BUCKETS, AHEAD, BLOCKS, LONDON, START, same)


def version(name: str, bucket: int | None, offset: int, **changes: Any) -> Version:
    """An incident of category 0 at location 0, at the start of a bucket."""
    plain = Version(
        id=name,
        occurred_s=None if bucket is None else bucket * 3600,
        category=0,
        origin=Origin.REPORTED,
        location=0,
        longitude=-1.55,
        latitude=53.8,
        revision=None,
        offset=offset,
        clock_s=START * 3600,
        is_interval=False,
    )
    return msgspec.structs.replace(plain, **changes)


def step_of(number: int) -> Step:
    """``("put", (id, fields))``, times relative to the clock, or ``("advance", buckets)``, out of one number."""

    def pick(*options: Any) -> Any:
        nonlocal number
        number, which = divmod(number, len(options))
        return options[which]

    if pick(*["put"] * 4, "advance") == "advance":
        return "advance", pick(0, 1, 1, 2, 3, 5, 6, 8, 9, 10, 40)
    name = pick(*"abcde")  # drawn first, so that the smallest numbers all amend one incident
    cancelled, timed = pick((False, True), (False, True), (False, True), (True, False), (True, True))
    fields = {
        "occurred_s": pick(*range(-BUCKETS - 2, AHEAD + 1)) * 3600 + pick(0, 500, 3300, 3599) if timed else None,
        "location": NOWHERE if cancelled else pick(*range(LOCATIONS), MISSING, ELSEWHERE),
        "category": pick(0, 0, 1, 2, 3, OTHER, UNMAPPED),
        "origin": pick(*Origin),
        "is_interval": pick(False, True),
        "longitude": pick(-1.55, -1.5505, -1.551, 1e-7),
        "revision": pick(None, None, 0, 1, 2),
        "delay_s": pick(None, 0, 60, 7000),
        "spread_s": pick(None, 7200),
    }
    return "put", (name, fields)


def steps(most: int) -> st.SearchStrategy[list[Step]]:
    """A number a step: a fraction of the cost of drawing each field, and it shrinks as well."""
    return st.lists(st.integers(0, 2**28 - 1).map(step_of), min_size=most // 2, max_size=most)


def do(step: Step, offset: int, *both: Any) -> list[Any]:
    """One step on windows that stand at the same bucket; the result of each."""
    verb, given_ = step
    now = both[0].now
    if verb == "advance":
        return [window.advance(now + given_) for window in both]
    put = put_of(step, offset, now)
    return [window.put(put) for window in both]


def put_of(step: Step, offset: int, now: int) -> Version:
    """The version of a step, ``spread_s`` up to its time if it has no location."""
    name, fields = step[1]
    fields = {**fields, "clock_s": now * 3600}
    spread_s = fields.pop("spread_s")
    if fields["occurred_s"] is not None:
        end_s = fields["occurred_s"] = now * 3600 + fields["occurred_s"]
        if spread_s is not None and fields["location"] < NOWHERE:
            fields["interval"] = Interval(end_s - spread_s, end_s)
    return version(name, 0, offset, **fields)


def counts_of(window: SlidingWindow) -> Counter[tuple[int, int, int]]:
    return Counter(
        {(p, at, s): int(window.by_stratum[p, at, s]) for p, at, s in np.argwhere(window.by_stratum).tolist()}
    )


def totals_of(window: SlidingWindow) -> Counter[tuple[int, int]]:
    totals = np.stack([window.totals(stream, window.first, window.now) for stream in range(ALL + 1)])
    return Counter(
        {(plane, window.first + column): int(totals[plane, column]) for plane, column in np.argwhere(totals).tolist()}
    )


def delays_of(window: SlidingWindow) -> dict[str, int]:
    rows = window.rows(window.first, window.now + AHEAD)
    standing = [row for row in rows if window.columns.location[row] != NOWHERE]
    return {window.ids([row])[0]: int(window.columns.delay_s[row]) for row in standing}


def agree(window: SlidingWindow, twin: naive.SlidingWindow) -> None:
    assert (window.now, window.first) == (twin.now, twin.first)
    assert counts_of(window) == twin.by_stratum()
    assert totals_of(window) == twin.in_bucket()
    assert int(window.in_bucket.sum()) == sum(twin.in_bucket().values())  # nothing is left in slots outside
    assert window.baseline_begins() == twin.baseline_begins()
    assert len(window) == len(twin.known)
    assert {name for name in "abcde" if name in window} == set(twin.standing())
    ahead = window.now + AHEAD
    buckets = range(window.first, ahead + 1)
    expected_strata = [of_bucket(BLOCKS, bucket, LONDON) for bucket in buckets]
    assert window.strata(window.first, ahead).tolist() == expected_strata
    in_rows: dict[str, tuple[Any, ...]] = {}
    for bucket in buckets:
        for row in window.rows(bucket, bucket):
            if window.columns.location[row] != NOWHERE:
                (name,) = window.ids([row])
                assert name not in in_rows
                in_rows[name] = row_of(window, row, bucket)
    assert in_rows == {name: row_of_twin(known) for name, known in twin.standing().items()}
    assert further_of(window) == further_of_twin(twin)
    for longitude in (-1.55, 1e-7):
        there = window.rows_at(round(longitude * 10**7), 538_000_000)
        expected = [row_of_twin(twin.known[name]) for name in twin.names_at(longitude, 53.8)]
        assert contents(row_of(window, row, int(window.columns.bucket[row])) for row in there) == contents(expected)


def contents(rows: Iterable[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """What counts of some rows: of records that are alike, it does not matter which one is the first of its event."""
    return Counter(row[:6] for row in rows)


def further_of(window: SlidingWindow) -> Counter[tuple[Any, ...]]:
    columns = window.columns
    rows = [row for row in window.rows(window.first, window.now + AHEAD) if columns.location[row] != NOWHERE]
    return contents(row_of(window, row, int(columns.bucket[row])) for row in rows if columns.further[row])


def further_of_twin(twin: naive.SlidingWindow) -> Counter[tuple[Any, ...]]:
    events = twin.events()
    return contents(row_of_twin(known) for name, known in twin.standing().items() if name not in events)


def row_of(window: SlidingWindow, row: int, bucket: int) -> tuple[Any, ...]:
    return (
        bucket,
        int(window.columns.occurred_s[row]),
        int(window.columns.location[row]),
        int(window.columns.category[row]),
        (bool(window.columns.discovered[row]), bool(window.columns.interval[row])),
        int(window.columns.longitude_e7[row]),
        int(window.columns.revision[row]),
        int(window.columns.delay_s[row]),
    )


def row_of_twin(known: naive.Remembered) -> tuple[Any, ...]:
    held = known.version
    revision = -1 if held.revision is None else held.revision
    discovered = (held.origin is Origin.DISCOVERED, held.is_interval)
    e7 = round(held.longitude * 10**7)
    delay_s = -1 if known.delay_s is None else known.delay_s
    return known.bucket, held.occurred_s, held.location, held.category, discovered, e7, revision, delay_s


@settings(max_examples=2 * EXAMPLES, deadline=None, derandomize=True)
@given(feed=steps(40), same=limits)
def test_after_every_step_the_window_is_its_twin(feed: list[Step], same: Limits):
    window, twin = windows(same)
    for offset, step in enumerate(feed):
        outcome, expected = do(step, offset, window, twin)
        assert outcome == expected
        agree(window, twin)
        bounds, lowest = twin.lowest_between(), window.lowest()
        if bounds is None:
            assert lowest is None
        else:
            assert lowest is not None
            assert bounds[0] <= lowest[0] <= bounds[1]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(feed=steps(40), same=limits)
def test_touched_holds_every_place_whose_counts_changed(feed: list[Step], same: Limits):
    window, _ = windows(same)
    for offset, step in enumerate(feed):
        window.touched[:] = False
        before, counts = planes_of(window), window.by_stratum.copy()
        (outcome,) = do(step, offset, window)
        if step[0] == "put":
            after = planes_of(window)
            assert all(window.touched[plane].any() for plane in range(ALL + 1) if before[plane] != after[plane])
            assert window.touched[(counts != window.by_stratum).any(axis=2)].all()
            if outcome in (Outcome.DUPLICATE, Outcome.OUTSIDE, Outcome.UNPLACED):
                assert not window.touched.any()


def planes_of(window: SlidingWindow) -> list[tuple[bytes, bytes]]:
    return [(window.by_stratum[plane].tobytes(), window.in_bucket[plane].tobytes()) for plane in range(ALL + 1)]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(past=steps(30), future=steps(10), same=limits)
def test_a_window_refilled_from_its_lowest_offset_is_the_same_for_ever(
    past: list[Step], future: list[Step], same: Limits
):
    window, twin = windows(same)
    log: list[tuple[int, Version]] = []
    for offset, step in enumerate(past):
        if step[0] == "put":
            put = put_of(step, offset, window.now)
            log.append((window.now, put))
            window.put(put)
            twin.put(put)
        else:
            do(step, offset, window, twin)
    lowest = window.lowest()
    first_offset, clock_s = lowest if lowest is not None else (len(past), window.now * 3600)

    refilled = SlidingWindow(LOCATIONS, BUCKETS, AHEAD, BLOCKS, LONDON, Same(*same))
    refilled.advance(clock_s // 3600)
    for now, put in log:
        if put.offset >= first_offset:
            refilled.advance(now)
            refilled.put(put)
    refilled.advance(window.now)

    for offset, step in enumerate([("advance", 0), *future], len(past)):
        outcome, again, _ = do(step, offset, window, refilled, twin)
        assert outcome == again
        assert further_of(refilled) == further_of_twin(twin)
        assert np.array_equal(window.by_stratum, refilled.by_stratum)
        assert totals_of(window) == totals_of(refilled)
        assert {name for name in "abcde" if name in window} == {name for name in "abcde" if name in refilled}
        assert delays_of(window) == delays_of(refilled)


def test_an_id_without_revisions_is_remembered_until_the_latest_bucket_it_was_seen_in_has_left():
    window, _ = windows()
    assert window.put(version("a", START, 0)) == Outcome.ADDED
    assert window.put(version("a", START - 5, 1)) == Outcome.REPLACED
    window.advance(START + 1)  # the bucket of the second version has left, that of the first has not
    assert window.by_stratum.sum() == 0
    assert window.put(version("a", None, 2, location=NOWHERE)) == Outcome.DUPLICATE
    window.advance(START + 6)
    assert len(window) == 1  # remembered again, since it was cancelled in a later bucket
    window.advance(START + 7)
    assert len(window) == 0


@pytest.mark.parametrize("back", [5, 9])
def test_an_id_with_revisions_is_remembered_until_no_earlier_one_can_come_any_more(back: int):
    """Whether the latest lies in the window when it comes, or before it."""
    until = START + AHEAD  # reported by now, an earlier one can have been stamped a little ahead
    for moved, known in ((until + BUCKETS - 1, 1), (until + BUCKETS, 0)):
        window, _ = windows()
        expected = Outcome.OUTSIDE if back >= BUCKETS else Outcome.ADDED
        assert window.put(version("a", START - back, 0, revision=2)) == expected
        window.advance(moved)
        assert len(window) == known
        assert "a" not in window
        again = window.put(version("a", until, 1, revision=1))
        assert again == (Outcome.DUPLICATE if known else Outcome.OUTSIDE)
        assert "a" not in window


def test_a_stale_version_keeps_its_id_remembered_for_as_long_as_it_could_come_again():
    window, _ = windows()
    assert window.put(version("a", START - 5, 0, revision=2)) == Outcome.ADDED
    window.advance(START + 4)
    assert window.put(version("a", START + 4, 1, revision=1)) == Outcome.DUPLICATE
    window.advance(START + 4 + AHEAD + BUCKETS - 1)
    assert "a" not in window
    assert len(window) == 1
    window.advance(START + 4 + AHEAD + BUCKETS)
    assert len(window) == 0


@pytest.mark.parametrize(
    ("earlier", "later", "moved", "again"),
    [
        # moved back, then out of the window; the first version comes again
        ({"bucket": START, "revision": 1}, {"bucket": START - 5, "revision": 2}, 1, {"bucket": START, "revision": 1}),
        # moved to before the window; the first version comes again
        ({"bucket": START, "revision": 1}, {"bucket": START - 9, "revision": 2}, 0, {"bucket": START, "revision": 1}),
        # without revisions: moved back, left the window, cancelled
        ({"bucket": START}, {"bucket": START - 5}, 1, {"bucket": None, "location": NOWHERE}),
    ],
)
def test_a_version_that_keeps_an_id_remembered_is_read_again(earlier: Any, later: Any, moved: int, again: Any):
    window, _ = windows()
    log = [version("a", offset=0, **earlier), version("a", offset=1, **later)]
    for put in log:
        window.put(put)
    window.advance(START + moved)
    (first_offset, clock_s) = window.lowest() or (2, window.now * 3600)
    refilled = SlidingWindow(LOCATIONS, BUCKETS, AHEAD, BLOCKS, LONDON)
    refilled.advance(clock_s // 3600)
    for put in log[first_offset:]:
        refilled.put(put)
    refilled.advance(START + moved)
    assert refilled.put(version("a", offset=2, **again)) == window.put(version("a", offset=2, **again))
    assert np.array_equal(refilled.by_stratum, window.by_stratum)


def test_the_delay_is_that_of_the_first_version_unless_a_later_one_moves_the_incident_to_a_later_bucket():
    window, _ = windows()
    window.put(version("a", START - 3, 0, delay_s=60))
    for offset, bucket, location, delay_s, kept in [
        (1, START - 3, 1, 9000, 60),  # amended
        (2, START - 4, 1, 9999, 60),  # and moved back
        (3, START - 2, 1, 5000, 5000),
        (4, START - 2, 2, None, 5000),
    ]:
        window.put(version("a", bucket, offset, location=location, delay_s=delay_s))
        assert delays_of(window) == {"a": kept}
        assert (window.lowest() or (-1,))[0] == (0 if offset < 3 else 3)
    window.put(version("b", START, 5))
    window.put(version("c", START, 6, delay_s=2**40))
    assert delays_of(window) == {"a": 5000, "b": -1, "c": 2**31 - 1}
    window.advance(START + 6)
    assert (window.columns.delay_s == -1).all()


def test_a_delay_is_the_same_where_reading_again_begins_between_two_versions():
    log = [version("a", START, 0), version("b", START, 1)]
    log += [version("a", START, offset, delay_s=delay_s) for offset, delay_s in ((2, 60), (3, None))]
    window, _ = windows()
    for put in log:
        window.put(put)
    refilled, _ = windows()
    for put in log[(window.lowest() or (0,))[0] :]:
        refilled.put(put)
    assert delays_of(refilled) == delays_of(window) == {"a": -1, "b": -1}


def test_a_version_that_stood_nowhere_still_says_which_revision_is_the_latest():
    """Else a window that is refilled from the second version on would keep the fourth and find the last one stale."""
    window, _ = windows()
    log = [
        version("a", START - 1, 0, revision=2, location=NOWHERE),
        version("z", START, 1),
        version("a", START - 1, 2, revision=1),
        version("a", START - 1, 3, revision=4, location=MISSING),
        version("a", START, 4, revision=3),
        version("a", START, 5, revision=4, location=1),
    ]
    outcomes = [window.put(put) for put in log[:-1]]
    assert outcomes[2:] == [Outcome.DUPLICATE, Outcome.UNPLACED, Outcome.DUPLICATE]
    window.advance(START + 1)  # which the log is then needed for from the last version on
    assert window.put(log[-1]) == Outcome.ADDED
    assert window.lowest() == (1, START * 3600)
    refilled, _ = windows()
    for put in log[1:-1]:
        refilled.put(put)
    refilled.advance(START + 1)
    refilled.put(log[-1])
    assert np.array_equal(refilled.by_stratum, window.by_stratum)


def test_incidents_ahead_of_the_clock_wait_until_it_reaches_them():
    window, _ = windows()
    assert window.put(version("a", START + 2, 0)) == Outcome.ADDED
    assert "a" in window
    assert window.by_stratum.sum() == window.totals(ALL, window.first, window.now).sum() == 0
    window.advance(START + 1)
    assert window.by_stratum.sum() == 0
    window.advance(START + 2)
    assert window.by_stratum.sum() == 2  # its own plane and that of all
    assert np.argwhere(window.touched).tolist() == [[0, 0], [ALL, 0]]
    window.touched[:] = False
    window.advance(START + 2 + window.buckets)
    assert window.by_stratum.sum() == 0
    assert not window.touched.any()  # age alone touches nothing


def test_the_window_grows_and_takes_the_rows_of_those_that_left_again():
    window, _ = windows()
    for round_ in range(3):
        for number in range(3000):
            assert window.put(version(f"{round_}-{number}", START + round_ * 6, number)) == Outcome.ADDED
        assert window.by_stratum[ALL].sum() == len(window) == 3000
        assert len(window.columns) == 4096
        window.advance(START + (round_ + 1) * 6)
        assert len(window) == 0
        assert window.lowest() is None


def test_time_only_moves_forward():
    window, _ = windows()
    with pytest.raises(ValueError, match=rf"bucket {START - 1}: the window already ends at {START}"):
        window.advance(START - 1)
    with pytest.raises(ValueError, match="no time yet"):
        _ = SlidingWindow(LOCATIONS, BUCKETS, AHEAD, BLOCKS, LONDON).now


def test_totals_and_strata_are_of_the_buckets_asked_for():
    window, _ = windows()
    window.put(version("a", START - 2, 0, category=1))
    window.put(version("b", START - 2, 1, category=3))
    window.put(version("c", START, 2, category=OTHER))
    totals = [window.totals(stream, START - 3, START).tolist() for stream in range(ALL + 1)]
    assert totals == [[0] * 4, [0, 1, 0, 0], [0] * 4, [0, 1, 0, 0], [0, 2, 0, 0]]


def test_the_baseline_begins_where_more_than_one_in_a_hundred_have_occurred():
    window, _ = windows()
    assert window.baseline_begins() is None
    window.put(version("late", START - 2, 0, category=1))
    for number in range(98):
        window.put(version(f"{number}", START - 1 + number % 2, number + 1, category=1))
    assert window.baseline_begins() == START - 2
    window.put(version("last", START, 99, category=1))
    assert window.baseline_begins() == START - 1
