"""Rows become records, in order. Bad rows and the packing of the file do not change the others."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Incident, Origin, Status
from detectors.area.locations import Locations
from detectors.monitor import Monitor
from detectors.window.admission import Refusal
from streams.analyst.incident_file import IncidentFile
from tests.streams.analyst.incident_files import (
    DAY,
    HEADER,
    LEEDS,
    START,
    WATERMARK,
    Write,
    decoded,
    ids,
    line,
    records,
    ticks,
)

# Rows become records


def test_a_row_becomes_the_record_of_an_incident(write: Write) -> None:
    path = write(
        "LONGITUDE,latitude,id,occurred_from, occurred_to ,reported_at,category,origin,status,revision,beat",
        "-1.55,53.8,a,2024-03-01T10:00:00Z,2024-03-01T12:00:00Z,2024-03-01T13:00:00Z,drugs,discovered,active,3,7",
    )
    [row, _] = records(IncidentFile.read(path))
    assert row.key == b"leeds"
    assert row.headers == ()
    assert row.time_s == datetime(2024, 3, 1, 13, tzinfo=UTC).timestamp()
    assert b"beat" not in row.value
    assert decoded(row) == Incident(
        id="a",
        occurred_from=datetime(2024, 3, 1, 10, tzinfo=UTC),
        occurred_to=datetime(2024, 3, 1, 12, tzinfo=UTC),
        reported_at=datetime(2024, 3, 1, 13, tzinfo=UTC),
        category="drugs",
        longitude=-1.55,
        latitude=53.8,
        origin=Origin.DISCOVERED,
        revision=3,
        status=Status.ACTIVE,
    )


@pytest.mark.parametrize(
    ("op", "status"), [("snapshot", "active"), ("insert", "active"), ("update", "active"), ("delete", "cancelled")]
)
def test_a_feed_log_gives_status_and_time_of_report(write: Write, op: str, status: str) -> None:
    path = write(
        "seen_at,op,id,occurred_at,reported_at,longitude,latitude",
        f"2024-03-05T00:00:00Z,{op},a,2024-03-01T12:00:00Z,2024-03-02T00:00:00Z,-1.55,53.8",
    )
    table = IncidentFile.read(path)
    [entry] = table.entries
    assert entry.incident is not None
    assert entry.incident.status == status
    assert entry.incident.reported_at == datetime(2024, 3, 5, tzinfo=UTC)
    assert entry.time_s == datetime(2024, 3, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b,2024-03-01T12:00:00Z,violence,,", "wrong_type"),
        ("b,2024-03-01T12:00:00Z,violence,-1.55,", "wrong_type"),
        ("b,2024-03-01T12:00:00Z,violence,west,53.8", "wrong_type"),
        ("b,2024-03-01T12:00:00Z,violence,-1.55,93.8", "wrong_type"),
        ("b,2024-03-01T12:00:00Z,violence,nan,53.8", "not_finite"),
        ("b,2024-03-01T12:00:00Z,violence,-1e999,53.8", "not_finite"),
        ("b,2024-03-01T12:00:00,violence,-1.55,53.8", "naive_time"),
        ("b,yesterday,violence,-1.55,53.8", "wrong_type"),
        ("b,,violence,-1.55,53.8", "wrong_type"),
        (",2024-03-01T12:00:00Z,violence,-1.55,53.8", "wrong_type"),
        ("b", "wrong_type"),
        ("b,2024-03-01T12:00:00Z,violence,0,0", "out_of_area"),
        (f"{'b' * 200},2024-03-01T12:00:00Z,violence,-1.55,53.8", "wrong_type"),
        (f"b,2024-03-01T12:00:00Z,{'x' * 70_000},-1.55,53.8", "oversize"),
    ],
)
def test_a_bad_row_is_left_for_decoding_to_reject_and_its_neighbours_are_kept(
    write: Write, row: str, reason: str
) -> None:
    table = IncidentFile.read(write(HEADER, line("a", START), row, "", line("c", START + DAY)))
    locations = Locations.from_cells(table.cells())
    monitor = Monitor("leeds", WATERMARK, locations)
    closed = [tick for offset, record in enumerate(records(table)) for tick in monitor.put(decoded(record), offset, 0)]
    assert [refusal.reason for tick in closed for _, refusal in tick.refusals] == [reason]
    accounts = closed[-1].accounts
    assert (accounts.read, accounts.added, accounts.rejected, accounts.ticks) == (4, 2, 1, 1)


@pytest.mark.parametrize("revision", ["9" * 25, "9" * 5_000, "1.5", "-1", "one"])
def test_a_revision_that_is_not_a_small_number_is_rejected(write: Write, revision: str) -> None:
    path = write(f"{HEADER},revision", f"{line('a', START)},{revision}", f"{line('b', START)},1")
    first, second, _ = records(IncidentFile.read(path))
    assert isinstance(decoded(first), Refusal)
    assert isinstance(decoded(second), Incident)


TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["a", "b", "-1.5", "53.8", START.isoformat()]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(TEXTS, max_size=6), max_size=12))
def test_every_row_becomes_one_record(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER.split(","), *rows, line("good", START).split(",")])
    path = tmp_path_factory.mktemp("any") / "any.csv"
    try:
        path.write_bytes(text.getvalue().encode())
    except UnicodeEncodeError:
        return
    written = list(csv.reader(io.StringIO(text.getvalue(), newline="")))[1:]
    sent = records(IncidentFile.read(path))
    assert sum(not row.is_tick for row in sent) == sum(bool(row) for row in written)
    for row in sent:
        decoded(row)


def test_generated_and_read_incidents_become_the_same_records(write: Write) -> None:
    read = IncidentFile.read(write(HEADER, line("b", START + DAY), line("a", START)))
    made = IncidentFile.from_incidents(
        Incident(id=id_, occurred_at=when, category="violence", longitude=LEEDS[0], latitude=LEEDS[1])
        for id_, when in (("b", START + DAY), ("a", START))
    )
    assert [decoded(row) for row in records(made)] == [decoded(row) for row in records(read)]


def test_gzip_and_a_byte_order_mark_change_nothing(write: Write) -> None:
    lines = (HEADER, line("a", START))
    plain = IncidentFile.read(write(*lines))
    assert IncidentFile.read(write(*lines, name="incidents.csv.gz")) == plain
    assert IncidentFile.read(write("\ufeff" + lines[0], lines[1])) == plain


# Order and range


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), min_size=1, max_size=30))
def test_rows_are_sorted_stably_by_time_and_id(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("order") / "order.csv"
    lines = [
        f"{START.isoformat()},{id_},{(START + hour * timedelta(hours=1)).isoformat()},{number},{LEEDS[0]},{LEEDS[1]}"
        for number, (hour, id_) in enumerate(rows)
    ]
    path.write_text("\n".join(["occurred_at,id,reported_at,revision,longitude,latitude", *lines]))
    sent = [msgspec.json.decode(row.value) for row in records(IncidentFile.read(path)) if not row.is_tick]
    expected = sorted(range(len(rows)), key=lambda number: (*rows[number], number))
    assert [incident["revision"] for incident in sent] == expected


def test_times_of_different_offsets_are_compared_as_moments(write: Write) -> None:
    table = IncidentFile.read(
        write(HEADER, line("b", "2024-03-01T12:00:00+02:00"), line("a", "2024-03-01T11:00:00+00:30"))
    )
    assert ids(records(table)) == ["b", "a"]


def test_a_row_without_a_time_stays_behind_the_row_before_it(write: Write) -> None:
    table = IncidentFile.read(
        write(HEADER, line("x", ""), line("c", START + 2 * DAY), line("d", "0001-01-01T00:00:00Z"), line("b", START))
    )
    assert ids(records(table)) == ["b", "c", "d", "x"]


def test_a_bad_row_is_sorted_by_the_time_that_it_has(write: Write) -> None:
    table = IncidentFile.read(
        write(HEADER, line("a", START), line("c", START + 2 * DAY), line("b", START + DAY, "", ""))
    )
    assert ids(records(table)) == ["a", "b", "c"]


def test_a_range_is_half_open_and_ends_with_a_tick(write: Write) -> None:
    table = IncidentFile.read(write(HEADER, *(line(str(day), START + day * DAY) for day in range(6))))
    sent = records(table, from_=START + DAY, to=START + 3 * DAY)
    assert ids(sent) == ["1", "2"]
    assert ticks(sent) == [(START + 2 * DAY + timedelta(seconds=1)).isoformat()]
    assert records(table, from_=START + 9 * DAY) == []


def test_cells_are_those_of_the_whole_file_near_its_median(write: Write) -> None:
    lines = [line(f"a{n}", START + n * DAY) for n in range(9)]
    lines += [line("b", START, LEEDS[0] + 0.3), line("c", START, LEEDS[0] + 1.0)]  # 20 km and 66 km away
    lines += [line("d", START, 0, 0), line("e", "never", -1.6)]
    table = IncidentFile.read(write(HEADER, *lines))
    locations = Locations.from_cells(table.cells(9))
    assert locations.resolution == 9
    located = {
        entry.id: locations.locate(entry.incident) is not None for entry in table.entries if entry.incident is not None
    }
    assert [id_ for id_, inside in located.items() if not inside] == ["c", "d"]
    assert len(locations) == 2
