"""The share of further records: told apart from chance, and never in the way of a young window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.area.incident import Origin
from detectors.area.strata import SCHEMES
from detectors.kernels.events import Same
from detectors.window.further import FurtherShares, further_shares, has_changed
from detectors.window.sliding import SlidingWindow, Version

FIRST = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) // 3600
DAYS = 60


def window(a_day: int, before: float, last_week: float, seed: int = 1) -> SlidingWindow:
    """A window of ``a_day`` events a day far apart, of which a share is recorded twice, before and in the last week."""
    generator = np.random.default_rng(seed)
    made = SlidingWindow(50, DAYS * 24, 2, SCHEMES["operational"], ZoneInfo("UTC"), Same(50.0, 600))
    made.advance(FIRST + DAYS * 24 - 1)
    number = 0
    for day in range(DAYS):
        share = last_week if day >= DAYS - 7 else before
        for each in range(a_day):
            occurred_s = FIRST * 3600 + day * 86_400 + each * 86_400 // a_day
            for copy in range(1 + int(generator.random() < share)):
                made.put(
                    Version(
                        id=str(number),
                        occurred_s=occurred_s + 60 * copy,
                        category=number % 4 if copy == 0 else (number - 1) % 4,
                        origin=Origin.REPORTED,
                        location=each % 50,
                        longitude=-1.5 + each % 50 / 100,
                        latitude=53.8,
                        revision=None,
                        offset=number,
                        clock_s=None,
                        is_interval=False,
                    )
                )
                number += 1
    return made


def test_shares_are_those_of_the_records():
    shares = further_shares(window(60, 0.05, 0.25))
    assert shares is not None
    assert shares.before == pytest.approx(0.05 / 1.05, abs=0.01)
    assert shares.last_week == pytest.approx(0.25 / 1.25, abs=0.05)
    assert shares.is_changed


@pytest.mark.parametrize(("before", "last_week"), [(0.0, 0.0), (0.05, 0.05), (0.05, 0.07), (0.3, 0.3)])
def test_what_stays_is_no_change(before: float, last_week: float):
    shares = further_shares(window(60, before, last_week))
    assert shares is not None
    assert not shares.is_changed


@pytest.mark.parametrize(("before", "last_week"), [(0.0, 0.05), (0.3, 0.05)])
def test_beginning_and_end_are_changes(before: float, last_week: float):
    shares = further_shares(window(120, before, last_week))
    assert shares is not None
    assert shares.is_changed


def test_chance_alone_is_hardly_ever_a_change():
    """The level is 1e-4, so none of 40 windows is expected."""
    assert not any(shares.is_changed for seed in range(40) if (shares := further_shares(window(20, 0.1, 0.1, seed))))


def rings(runs: int, draw: Callable[[np.random.Generator, np.ndarray], np.ndarray], usual: float = 45.0) -> int:
    """In how many of ``runs`` windows of 91 days, with ``usual`` events a day, the numbers drawn are a change."""
    generator, number = np.random.default_rng(2), 0
    for _ in range(runs):
        events = generator.poisson(usual, 91)
        number += has_changed(draw(generator, events), events)
    return number


@pytest.mark.parametrize("share", [0.002, 0.02, 0.1, 0.3])
def test_chance_changes_at_most_one_window_in_a_thousand(share: float):
    """Copies of single events: the level is 1e-4, so 3 of 3000 windows are already ten times as many."""
    assert rings(3000, lambda generator, events: generator.binomial(events, share)) <= 3


@pytest.mark.parametrize(("share", "clump"), [(0.02, 3), (0.02, 15), (0.1, 6), (0.1, 15)])
def test_clumped_copies_change_hardly_more(share: float, clump: int):
    """Copies come in clumps of a day, whose size is geometric with this mean: at most 1 % of the windows change."""
    ordinary = rings(
        1000,
        lambda generator, events: np.array(
            [generator.geometric(1 / clump, each).sum() for each in generator.poisson(share * events / clump)]
        ),
    )
    assert ordinary <= 10


def test_one_day_full_of_copies_is_no_change_but_a_share_that_goes_on_is():
    """A twentieth of 45 incidents a day, from a week ago on, is seen in nine windows of ten."""
    odd = np.arange(91) == 3
    assert not rings(500, lambda generator, events: generator.binomial(events, 0.01) + 15 * odd)
    late = np.arange(91) < 7
    assert rings(500, lambda generator, events: generator.binomial(events, 0.05 * late)) >= 450


def test_one_incident_with_fifteen_records_is_no_change():
    made = window(40, 0.01, 0.01)
    for number in range(15):
        occurred_s = (FIRST + DAYS * 24 - 60) * 3600 + number * 40
        version = (str(10_000 + number), occurred_s, 2, Origin.REPORTED, 7, -1.43, 53.8, None, 10_000 + number)
        made.put(Version(*version, None, False))
    shares = further_shares(made)
    assert shares is not None
    assert shares.last_week > 3 * shares.before
    assert not shares.is_changed


def test_too_few_records_show_no_change():
    shares = further_shares(window(2, 0.0, 1.0))
    assert shares == FurtherShares(0.5, 0.0, is_changed=False)
    assert further_shares(SlidingWindow(1, 24, 2, SCHEMES["operational"], ZoneInfo("UTC"))) is None
