"""The real files of four cities: every row is taken except those that are known to be bad."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from detectors.area.incident import Status
from detectors.area.locations import Locations, cell_of
from detectors.area.settings import AreaSettings
from detectors.restoring import Restoring
from detectors.window.admission import Refusal, TickMark
from detectors.window.sliding import NOWHERE
from streams.analyst.incident_file import IncidentFile, Row
from tests.shared_data import shared
from tests.streams.analyst.incident_files import decoded, records, ticks


def test_cells_of_a_real_file_leave_out_what_lies_far_away() -> None:
    """Houston has 210 points outside its metropolitan box, and 5 rows without coordinates."""
    path = shared("data/houston_2010.csv.gz")
    with gzip.open(path, "rt") as lines:
        texts = [(row["longitude"], row["latitude"]) for row in csv.DictReader(lines) if row["longitude"]]
    longitude, latitude = np.radians(np.array(texts, dtype=float)).T
    lon, lat = np.median(longitude), np.median(latitude)
    haversine = np.sin((latitude - lat) / 2) ** 2 + np.cos(lat) * np.cos(latitude) * np.sin((longitude - lon) / 2) ** 2
    far = int((2 * 6_371_000 * np.arcsin(np.sqrt(haversine)) > 50_000).sum())
    table = IncidentFile.read(path)
    locations = Locations.from_cells(table.cells())
    assert far >= 210
    assert reasons(records(table), locations) == {"wrong_type": 5, "out_of_area": far}


def reasons(rows: Sequence[Row], locations: Locations) -> Counter[str]:
    """The outcomes of the rows by the rules of clock and location, written plainly: a twin of the Monitor's.

    It never forgets a place, so a file whose incidents come again after a window without one is not for it.
    """
    clock_s, found = -float("inf"), Counter[str]()
    placed: set[str] = set()
    for row in rows:
        entry = decoded(row)
        if isinstance(entry, TickMark):
            clock_s = max(clock_s, entry.tick_s)
            continue
        if isinstance(entry, Refusal):
            found[entry.reason] += 1
            continue
        stamp = entry.reported_at or entry.occurred
        if stamp is not None and stamp.timestamp() > clock_s + 7 * 86_400 > -float("inf"):
            found["clock_jump"] += 1
            continue
        clock_s = clock_s if stamp is None else max(clock_s, stamp.timestamp())
        if entry.occurred is not None and entry.occurred.timestamp() > clock_s + 300:
            found["future"] += 1
        elif entry.status is Status.CANCELLED:
            placed.discard(entry.id)
        elif locations.locate(entry) is not None:
            placed.add(entry.id)
        elif entry.id not in placed:
            found["wrong_type" if entry.longitude is None else "out_of_area"] += 1
    return found


@pytest.mark.parametrize(
    ("name", "rows", "gaps", "rejected"),
    [
        ("chicago_aggravated_assaults_2010_2013", 61_297, 0, {"wrong_type": 20}),
        # 469 without coordinates, 41 near zero; three have a time of occurrence after their report.
        ("denver_2018_2019", 49_089, 18, {"wrong_type": 469, "out_of_area": 41, "future": 3}),
        ("houston_2010", 86_314, 0, None),
        ("philadelphia_feed_2021_2022", 31_300, 0, None),
    ],
)
def test_a_real_file_is_taken_whole(name: str, rows: int, gaps: int, rejected: dict[str, int] | None) -> None:
    """Rows and gaps are as described, and only the rows described as bad are refused."""
    table = IncidentFile.read(shared(f"data/{name}.csv.gz"))
    assert table.refused == ()
    locations = Locations.from_cells(table.cells())
    sent = records(table)
    assert sum(not row.is_tick for row in sent) == rows
    assert len(ticks(sent)) == gaps + 1
    refused = reasons(sent, locations)
    assert refused["clock_jump"] == 0
    if rejected is not None:
        assert refused == rejected


def test_the_philadelphia_feed_replays_to_its_live_incidents() -> None:
    """9,387 rows of the opening, 3,169 inserts and 919 deletions leave 11,637 live incidents, all since 2015.

    A dictionary over the file tells what the window must hold: the last version of each that has a time, at the last
    place in the city that a version had since it was inserted.
    """
    path = shared("data/philadelphia_feed_2021_2022.csv.gz")
    live: dict[str, dict[str, str]] = {}
    held: dict[str, tuple[datetime, float, float]] = {}
    last_delivery, refused, kept = "", 0, 0
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            id_, last_delivery = row["id"], row["seen_at"]
            if row["op"] == "delete":
                del live[id_]
                held.pop(id_, None)
                continue
            live[id_] = row
            # Lost coordinates are empty, and the default ones lie in Florida.
            is_placed = row["latitude"] != "" and 39.8 < float(row["latitude"]) < 40.2
            if row["occurred_at"] and (is_placed or id_ in held):
                place = (float(row["longitude"]), float(row["latitude"])) if is_placed else held[id_][1:]
                held[id_] = (datetime.fromisoformat(row["occurred_at"]), *place)
                kept += not is_placed
            else:
                refused += 1
    missing = [row for id_, row in live.items() if id_ not in held]
    untimed = [row for row in missing if not row["occurred_at"]]
    assert (len(held), len(untimed), len(missing) - len(untimed)) == (11_479, 110, 48)
    assert len(held) + len(missing) == 11_637
    assert (kept, refused) == (6_903, 2_356)

    table = IncidentFile.read(path)
    plan = AreaSettings(clock="watermark", timezone="America/New_York", window_days=2738, min_baseline_days=100_000)
    restoring = Restoring("leeds", plan, Locations.from_cells(table.cells()))
    begin_s = datetime.fromisoformat(last_delivery).timestamp() - 36 * 3600
    rows = list(enumerate(table.rows("leeds", plan)))
    # Every hour between two deliveries is a tick, which takes longer than its records: only the last two have them.
    for offset, record in rows:
        if record.time_s < begin_s:
            restoring.refill(decoded(record), offset, 0)
    monitor = restoring.monitor()
    for offset, record in rows:
        if record.time_s >= begin_s:
            monitor.put(decoded(record), offset, 0)
    assert monitor.flush() == []
    window, columns = monitor.window, monitor.window.columns
    assert window.first * 3600 <= datetime(2015, 1, 1, 5, tzinfo=UTC).timestamp()
    standing = {
        window.ids([row])[0]: (int(columns.occurred_s[row]), monitor.locations.ids[columns.location[row]])
        for row in window.rows(window.first, window.now).tolist()
        if columns.location[row] != NOWHERE
    }
    assert standing == {
        id_: (int(occurred.timestamp()), cell_of(longitude, latitude, 10))
        for id_, (occurred, longitude, latitude) in held.items()
    }
    accounts = monitor.accounts
    assert (accounts.read, accounts.rejected, accounts.outside) == (31_300 + 1, refused, 0)
