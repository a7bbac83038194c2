"""What the Monitor makes of single records: wrong dates, lost places, records before any time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.area.incident import Incident, Status
from detectors.area.settings import STREAMS
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from detectors.window.admission import Entry, Refusal
from detectors.window.intake import Accounts
from detectors.window.sliding import ALL
from tests.detectors.monitor_driver import AWAY, BEGIN, LOCATIONS, area, incident


def test_one_row_dated_years_ahead_is_refused_and_does_not_empty_the_window() -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 0, 0)
    monitor.put(incident(2, BEGIN.replace(year=2099)), 1, 0)
    monitor.put(incident(3, BEGIN + timedelta(seconds=5)), 2, 0)
    monitor.flush()
    assert "i1" in monitor.window and "i3" in monitor.window and "i2" not in monitor.window


def test_a_refused_record_moves_no_watermark() -> None:
    """However often such a row comes, it can empty no window."""
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 0, 0)
    reported = BEGIN + timedelta(days=6)
    early = msgspec.structs.replace(incident(2, reported + timedelta(hours=1)), reported_at=reported)
    for offset in range(1, 20):
        monitor.put(early, offset, 0)
    assert monitor.clock_s == int(BEGIN.timestamp())
    (closed,) = monitor.flush()
    assert closed.accounts.rejected == 19 and "i1" in monitor.window


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ({"longitude": None, "latitude": None}, "wrong_type"),
        ({"longitude": AWAY[1], "latitude": AWAY[0]}, "out_of_area"),
        ({"longitude": None, "latitude": None, "location": "nowhere"}, "out_of_area"),
    ],
)
def test_a_version_without_a_usable_place_keeps_the_last_good_one(lost: dict[str, Any], reason: str) -> None:
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    first, second, third = (incident(number, BEGIN, place=number) for number in range(3))
    amended = msgspec.structs.replace(first, category="drugs", occurred_at=BEGIN - timedelta(hours=1), **lost)
    feed = [
        msgspec.structs.replace(second, **lost),
        first,
        amended,
        third,
        Incident(id=third.id, status=Status.CANCELLED),
        msgspec.structs.replace(third, **lost),
    ]
    for offset, entry in enumerate(feed):
        monitor.put(entry, offset, 0)
    (closed,) = monitor.flush()
    assert [(offset, refusal.reason) for offset, refusal in closed.refusals] == [(0, reason), (5, reason)]
    assert closed.accounts == Accounts(read=6, added=2, replaced=1, removed=1, rejected=2)
    window = monitor.window
    drugs, place = STREAMS.index("drugs"), LOCATIONS.locate(first)
    assert np.argwhere(window.by_stratum.sum(axis=2)).tolist() == [[drugs, place], [ALL, place]]
    assert window.totals(ALL, window.now - 1, window.now).tolist() == [1, 0]
    # The place is in the log where the first version said it, and nowhere later.
    assert closed.checkpoint.lowest_offset == 1


def test_what_comes_before_any_time_is_refilled_when_time_begins() -> None:
    withdrawn = Incident(id="gone", status=Status.CANCELLED)
    feed: list[Entry] = [Refusal("wrong_type", "id: missing"), withdrawn, incident(1, BEGIN), incident(2, BEGIN)]
    monitor = Monitor("leeds", area("watermark"), LOCATIONS)
    restoring = Restoring("leeds", area("watermark"), LOCATIONS)
    for offset, entry in enumerate(feed):
        monitor.put(entry, offset, 0)
        if offset < 3:
            restoring.refill(entry, offset, 0)
    filled = restoring.monitor()
    filled.put(feed[3], 3, 0)
    assert monitor.flush()[0].accounts == filled.flush()[0].accounts
    assert filled.accounts.read == 4 and len(filled.window) == 3


def test_an_offset_is_taken_once() -> None:
    monitor = Monitor("leeds", area("wall"), LOCATIONS)
    monitor.put(incident(1, BEGIN), 5, 0)
    with pytest.raises(ValueError, match="offset 5: was already taken; must be 6 or higher"):
        monitor.put(incident(1, BEGIN), 5, 0)
