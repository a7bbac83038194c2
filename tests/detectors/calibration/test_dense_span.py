"""The dense span of histories with odd rows, against a slow twin and by invented feeds whose true span is known."""

from __future__ import annotations

import itertools
import math
import statistics
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.calibration.dense_span import DAY_S, Density, dense_span, longest_gap, sparse_days

BEGIN = 20_000 * DAY_S


def feed(rate: float | NDArray[np.float64], days: int, begin_s: int = BEGIN) -> NDArray[np.int64]:
    """Return a Poisson feed: a mean number of incidents a day, one for all days or one for each."""
    generator = np.random.default_rng(days)
    day = np.repeat(np.arange(days), generator.poisson(rate, days))
    return begin_s + np.sort(day * DAY_S + generator.integers(0, DAY_S, len(day)))


def of_year(year: int) -> int:
    return int(datetime(year, 3, 1, 12, tzinfo=UTC).timestamp())


def spread(number: int, first_s: int, last_s: int) -> NDArray[np.int64]:
    return np.linspace(first_s, last_s, number).astype(np.int64)


def twin(second: list[int]) -> tuple[int, int]:
    """The rule of the module's docstring, one day at a time and over every pair of days."""
    ordered = sorted(second)
    gaps = [after - before for before, after in itertools.pairwise(ordered)]
    week = max(7, math.ceil(10 * statistics.median(gaps) / DAY_S)) if gaps else 7
    days = [each // DAY_S for each in ordered]

    def around(day: int) -> int:
        return max(sum(day <= each < day + week for each in days), sum(day - week < each <= day for each in days))

    usual = statistics.median(around(day) for day in days)
    worth = {day: 1 if around(day) >= usual / 4 else -1 for day in range(days[0], days[-1] + 1)}
    spans = [(first, last) for last in worth for first in range(days[0], last + 1)]
    first, last = max(
        spans, key=lambda span: (sum(worth[day] for day in range(span[0], span[1] + 1)), span[1], span[0])
    )
    return first, last + 1


@given(st.lists(st.integers(0, 70 * DAY_S), min_size=1, max_size=30))
def test_any_history_has_the_span_of_the_slow_twin(second: list[int]):
    days = Density.of(np.array(second)).days()
    assert days == twin(second)
    first_s, end_s = dense_span(np.array(second))
    within = [each for each in second if days[0] * DAY_S <= each < days[1] * DAY_S]
    assert (first_s, end_s) == (min(within), max(within) + 1)


YEAR = np.arange(365)
FEEDS = {
    "45 a day": feed(45.0, 97),
    "one a day": feed(1.0, 200),
    "one in five days": feed(0.2, 730),
    "one week": feed(45.0, 7),
    "one week of one a day": feed(1.0, 7),
    "grows threefold": feed(np.linspace(10, 30, 365), 365),
    "four times as many in summer": feed(10 + 6 * np.sin(2 * np.pi * YEAR / 365), 365),
    "begins in the evening": feed(45.0, 60, BEGIN + 22 * 3600),
    "one incident": np.array([BEGIN]),
}


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_alone_stays_whole(name: str):
    second = FEEDS[name]
    assert dense_span(second) == (int(second.min()), int(second.max()) + 1)


ODD = {
    "1900": np.array([of_year(1900)]),
    "1970": np.array([0]),
    "three years ago": np.array([BEGIN - 1000 * DAY_S]),
    "2099": np.array([of_year(2099)]),
    "the first and the last year": np.array([of_year(1), of_year(9998)]),
    "1970 and 2099": np.array([0, 1, of_year(2099)]),
    "years before": spread(36, BEGIN - 1400 * DAY_S, BEGIN - 30 * DAY_S),
    "years after": spread(36, BEGIN + 220 * DAY_S, BEGIN + 2000 * DAY_S),
    "on both sides": np.concatenate((spread(30, 0, BEGIN - 20 * DAY_S), spread(30, of_year(2030), of_year(2060)))),
}


@pytest.mark.parametrize("feed_name", ["45 a day", "one a day"])
@pytest.mark.parametrize("name", ODD)
def test_odd_rows_change_nothing(name: str, feed_name: str):
    second = FEEDS[feed_name]
    assert dense_span(np.concatenate((ODD[name], second))) == dense_span(second)


def test_a_default_date_of_many_rows_is_no_history():
    second = FEEDS["45 a day"]
    assert dense_span(np.concatenate((np.zeros(len(second) // 4, np.int64), second))) == dense_span(second)


def test_weeks_of_an_earlier_feed_stay_out_beyond_a_longer_gap():
    second = FEEDS["45 a day"]
    earlier = feed(45.0, 56, BEGIN - 500 * DAY_S)
    assert dense_span(np.concatenate((earlier, second))) == dense_span(second)


def test_a_gap_in_the_middle_stays_in_and_is_found():
    before, after = feed(20.0, 120), feed(20.0, 90, BEGIN + 141 * DAY_S)
    second = np.concatenate((before, after))
    assert dense_span(second) == (int(before[0]), int(after[-1]) + 1)
    assert longest_gap(second, BEGIN, int(second[-1])) == (before[-1], after[0])
    assert 21 - 2 * 7 <= sparse_days(second, BEGIN, int(second[-1])) <= 21


def test_a_time_that_was_asked_for_can_be_mostly_empty():
    second = FEEDS["45 a day"]
    begin_s = BEGIN - 1000 * DAY_S
    assert longest_gap(second, begin_s, BEGIN + 97 * DAY_S) == (begin_s, second[0])
    assert sparse_days(second, begin_s, BEGIN + 97 * DAY_S) == 1000
    assert sparse_days(second[:0], begin_s, BEGIN) == 1000
