"""Truncated deliveries of a feed log, which would delete most known incidents, are refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from detectors.area.locations import Locations
from streams.analyst.incident_file import IncidentFile
from tests.streams.analyst.incident_files import DAY, LEEDS, START, Write, accounts_of, records


def feed_log(write: Write, *deliveries: tuple[int, Sequence[tuple[str, str]]]) -> IncidentFile:
    lines = [
        f"{(START + day * DAY).isoformat()},{op},{id_},{START.isoformat()},{LEEDS[0]},{LEEDS[1]}"
        for day, rows in deliveries
        for op, id_ in rows
    ]
    return IncidentFile.read(write("seen_at,op,id,occurred_at,longitude,latitude", *lines))


def everything(count: int, op: str = "snapshot") -> list[tuple[str, str]]:
    return [(op, f"i{number:03d}") for number in range(count)]


def test_a_delivery_that_deletes_too_much_is_refused_and_the_rest_goes_on(write: Write) -> None:
    table = feed_log(
        write,
        (0, everything(200)),
        (1, [("delete", "i003"), ("insert", "j000")]),
        (2, [*everything(150, "delete"), ("insert", "j001")]),
        (3, [("delete", "i004"), ("insert", "j002")]),
    )
    [refused] = table.refused
    assert (refused.seen_at, refused.rows, refused.deleted, refused.known) == (START + 2 * DAY, 151, 149, 200)
    assert str(refused).startswith("delivery of 2024-03-03T12:00:00+00:00 (151 rows) refused: it deletes 149 of 200")
    accounts = accounts_of(records(table), Locations.from_cells(table.cells()))
    assert (accounts.added, accounts.removed) == (202, 2)


@pytest.mark.parametrize(
    ("known", "deleted", "is_refused"), [(200, 10, False), (200, 11, True), (20, 4, False), (20, 5, True), (5, 5, True)]
)
def test_few_deletions_at_once_are_ordinary(write: Write, known: int, deleted: int, is_refused: bool) -> None:
    table = feed_log(write, (0, everything(known)), (1, everything(deleted, "delete")))
    assert bool(table.refused) == is_refused


def test_deletions_of_unknown_incidents_do_not_count(write: Write) -> None:
    table = feed_log(write, (0, everything(100)), (1, [("delete", f"x{number}") for number in range(50)]))
    assert table.refused == ()


def test_many_deletions_over_many_deliveries_are_ordinary(write: Write) -> None:
    deletions = [(1 + number, [("delete", f"i{number:03d}")]) for number in range(60)]
    table = feed_log(write, (0, everything(100)), *deletions)
    assert table.refused == ()
    assert accounts_of(records(table), Locations.from_cells(table.cells())).removed == 60
