"""The share of further records: told apart from chance, and never in the way of a young window."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detectors.area.incident import Origin
from detectors.area.strata import SCHEMES
from detectors.kernels.events import Same
from detectors.window.further import FurtherShares, further_shares
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


def test_too_few_records_show_no_change():
    shares = further_shares(window(2, 0.0, 1.0))
    assert shares == FurtherShares(0.5, 0.0, is_changed=False)
    assert further_shares(SlidingWindow(1, 24, 2, SCHEMES["operational"], ZoneInfo("UTC"))) is None
