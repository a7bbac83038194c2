from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.incident import Incident, Origin, Status
from detectors.judge import Refusal, TickMark
from detectors.locations import Locations, cell_of
from detectors.monitor import Accounts, Monitor
from detectors.settings import AreaSettings
from detectors.window import NOWHERE
from streams.decode import decode
from streams.tables import Row, Table, TableError
from tests.shared_data import shared

LEEDS = (-1.55, 53.8)
WATERMARK = AreaSettings(clock="watermark")
HERE = Locations.from_cells([cell_of(*LEEDS, 10)])
HEADER = "id,occurred_at,category,longitude,latitude"
DAY = timedelta(days=1)
START = datetime(2024, 3, 1, 12, tzinfo=UTC)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*lines: str, name: str = "incidents.csv") -> Path:
        path = tmp_path / name
        content = "\n".join(lines).encode() + b"\n"
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return path

    return write


def line(id_: str, occurred: datetime | str, longitude: object = LEEDS[0], latitude: object = LEEDS[1]) -> str:
    moment = occurred if isinstance(occurred, str) else occurred.isoformat()
    return f"{id_},{moment},violence,{longitude},{latitude}"


def records(table: Table, **between: datetime) -> list[Row]:
    return list(table.rows("leeds", WATERMARK, **between))


def decoded(row: Row) -> Incident | TickMark | Refusal:
    area, entry = decode(row.key, row.value, row.headers, 0, 1, {"leeds"}, 65_536)
    assert area == "leeds"
    return entry


def ids(rows: Sequence[Row]) -> list[str]:
    return [msgspec.json.decode(row.value)["id"] for row in rows if not row.is_tick]


def ticks(rows: Sequence[Row]) -> list[str]:
    return [row.headers[0][1].decode() for row in rows if row.is_tick]


def accounts_of(rows: Sequence[Row], locations: Locations) -> Accounts:
    """What the area's own Monitor makes of the rows."""
    monitor = Monitor("leeds", AreaSettings(clock="watermark", min_baseline_days=100_000), locations)
    for offset, row in enumerate(rows):
        monitor.put(decoded(row), offset, 0)
    monitor.flush()
    return monitor.accounts


# Rows become records


def test_a_row_becomes_the_record_of_an_incident(write: Write) -> None:
    path = write(
        "LONGITUDE,latitude,id,occurred_from, occurred_to ,reported_at,category,origin,status,revision,beat",
        "-1.55,53.8,a,2024-03-01T10:00:00Z,2024-03-01T12:00:00Z,2024-03-01T13:00:00Z,drugs,discovered,active,3,7",
    )
    [row, _] = records(Table.read(path))
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
def test_a_feed_log_says_what_happened_and_when_it_was_seen(write: Write, op: str, status: str) -> None:
    path = write(
        "seen_at,op,id,occurred_at,reported_at,longitude,latitude",
        f"2024-03-05T00:00:00Z,{op},a,2024-03-01T12:00:00Z,2024-03-02T00:00:00Z,-1.55,53.8",
    )
    table = Table.read(path)
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
    table = Table.read(write(HEADER, line("a", START), row, "", line("c", START + DAY)))
    locations = Locations.from_cells(table.cells())
    monitor = Monitor("leeds", WATERMARK, locations)
    closed = [tick for offset, record in enumerate(records(table)) for tick in monitor.put(decoded(record), offset, 0)]
    assert [refusal[1] for tick in closed for refusal in tick.refusals] == [reason]
    accounts = closed[-1].accounts
    assert (accounts.read, accounts.added, accounts.rejected, accounts.ticks) == (4, 2, 1, 1)


@pytest.mark.parametrize("revision", ["9" * 25, "9" * 5_000, "1.5", "-1", "one"])
def test_a_revision_that_is_no_small_number_is_rejected(write: Write, revision: str) -> None:
    path = write(f"{HEADER},revision", f"{line('a', START)},{revision}", f"{line('b', START)},1")
    first, second, _ = records(Table.read(path))
    assert isinstance(decoded(first), Refusal)
    assert isinstance(decoded(second), Incident)


TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["a", "b", "-1.5", "53.8", START.isoformat()]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(TEXTS, max_size=6), max_size=12))
def test_whatever_the_rows_hold_each_becomes_one_record(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER.split(","), *rows, line("good", START).split(",")])
    path = tmp_path_factory.mktemp("any") / "any.csv"
    try:
        path.write_bytes(text.getvalue().encode())
    except UnicodeEncodeError:
        return
    written = list(csv.reader(io.StringIO(text.getvalue(), newline="")))[1:]
    sent = records(Table.read(path))
    assert sum(not row.is_tick for row in sent) == sum(bool(row) for row in written)
    for row in sent:
        decoded(row)


def test_made_incidents_are_the_same_records_as_read_ones(write: Write) -> None:
    read = Table.read(write(HEADER, line("b", START + DAY), line("a", START)))
    made = Table.from_incidents(
        Incident(id=id_, occurred_at=when, category="violence", longitude=LEEDS[0], latitude=LEEDS[1])
        for id_, when in (("b", START + DAY), ("a", START))
    )
    assert [decoded(row) for row in records(made)] == [decoded(row) for row in records(read)]


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
    sent = [msgspec.json.decode(row.value) for row in records(Table.read(path)) if not row.is_tick]
    expected = sorted(range(len(rows)), key=lambda number: (*rows[number], number))
    assert [incident["revision"] for incident in sent] == expected


def test_times_of_different_offsets_are_compared_as_moments(write: Write) -> None:
    table = Table.read(write(HEADER, line("b", "2024-03-01T12:00:00+02:00"), line("a", "2024-03-01T11:00:00+00:30")))
    assert ids(records(table)) == ["b", "a"]


def test_a_row_without_a_time_stays_behind_the_row_before_it(write: Write) -> None:
    table = Table.read(
        write(HEADER, line("x", ""), line("c", START + 2 * DAY), line("d", "0001-01-01T00:00:00Z"), line("b", START))
    )
    assert ids(records(table)) == ["b", "c", "d", "x"]


def test_a_bad_row_is_sorted_by_the_time_that_it_has(write: Write) -> None:
    table = Table.read(write(HEADER, line("a", START), line("c", START + 2 * DAY), line("b", START + DAY, "", "")))
    assert ids(records(table)) == ["a", "b", "c"]


def test_a_range_is_half_open_and_ends_with_a_tick(write: Write) -> None:
    table = Table.read(write(HEADER, *(line(str(day), START + day * DAY) for day in range(6))))
    sent = records(table, from_=START + DAY, to=START + 3 * DAY)
    assert ids(sent) == ["1", "2"]
    assert ticks(sent) == [(START + 2 * DAY + timedelta(seconds=1)).isoformat()]
    assert records(table, from_=START + 9 * DAY) == []


def test_cells_are_those_of_the_whole_file_near_its_median(write: Write) -> None:
    lines = [line(f"a{n}", START + n * DAY) for n in range(9)]
    lines += [line("b", START, LEEDS[0] + 0.3), line("c", START, LEEDS[0] + 1.0)]  # 20 km and 66 km away
    lines += [line("d", START, 0, 0), line("e", "never", -1.6)]
    table = Table.read(write(HEADER, *lines))
    locations = Locations.from_cells(table.cells(9))
    assert locations.resolution == 9
    located = {
        entry.id: locations.locate(entry.incident) is not None for entry in table.entries if entry.incident is not None
    }
    assert [id_ for id_, inside in located.items() if not inside] == ["c", "d"]
    assert len(locations) == 2


# Gaps


def test_rows_outside_the_area_move_its_clock(write: Write) -> None:
    lines = [line("a", START)]
    lines += [line(f"x{day}", START + day * DAY, LEEDS[0] + 0.1) for day in range(1, 12)]
    lines += [line(f"b{n}", START + 12 * DAY) for n in range(10)]
    accounts = accounts_of(records(Table.read(write(HEADER, *lines))), HERE)
    assert (accounts.added, accounts.rejected, accounts.ticks) == (11, 11, 1)


def test_a_real_gap_is_announced_and_nothing_is_refused(write: Write) -> None:
    lines = [line(f"a{n}", START + n * DAY) for n in range(5)]
    lines += [line(f"b{n}", START + (60 + n) * DAY) for n in range(10)]
    table = Table.read(write(HEADER, *lines))
    locations = Locations.from_cells(table.cells())
    sent = records(table)
    assert ticks(sent) == [
        (START + 60 * DAY).isoformat(),
        (START + 69 * DAY + timedelta(seconds=1)).isoformat(),
    ]
    assert [row.is_tick for row in sent].index(True) == 5
    accounts = accounts_of(sent, locations)
    assert (accounts.added, accounts.rejected, accounts.ticks) == (15, 0, 2)


@pytest.mark.parametrize(("days", "announced"), [(7, 0), (8, 1)])
def test_a_week_is_no_gap(write: Write, days: int, announced: int) -> None:
    lines = [line("a", START), *(line(f"b{n}", START + days * DAY) for n in range(10))]
    assert len(ticks(records(Table.read(write(HEADER, *lines))))) == announced + 1


@pytest.mark.parametrize(("before", "after", "announced"), [(5, 9, 0), (5, 10, 1), (1_990, 19, 0), (1_980, 20, 1)])
def test_a_jump_that_few_rows_follow_is_a_wrong_date(write: Write, before: int, after: int, announced: int) -> None:
    """Ten rows and 1 % of the file must follow; a wrong date neither moves the clock nor the tick at the end."""
    last = START + timedelta(minutes=before - 1)
    lines = [line(f"a{n}", START + timedelta(minutes=n)) for n in range(before)]
    lines += [line(f"b{n}", datetime(2099, 1, 1, tzinfo=UTC)) for n in range(after)]
    table = Table.read(write(HEADER, *lines))
    locations = Locations.from_cells(table.cells())
    sent = records(table)
    assert len(ticks(sent)) == announced + 1
    assert ticks(sent)[-1] == ("2099-01-01T00:00:01+00:00" if announced else (last + timedelta(seconds=1)).isoformat())
    assert accounts_of(sent, locations).rejected == (0 if announced else after)


def test_rows_that_are_no_incidents_do_not_hide_a_gap(write: Write) -> None:
    """They do not move the area's clock; unannounced, the first good row would be refused, and all after it."""
    lines = [line("a", START)]
    lines += [line(f"x{day}", START + day * DAY, "") for day in range(1, 12)]
    lines += [line(f"b{n}", START + 12 * DAY) for n in range(10)]
    accounts = accounts_of(records(Table.read(write(HEADER, *lines))), HERE)
    assert (accounts.added, accounts.rejected, accounts.ticks) == (11, 11, 2)


KINDS = ("in", "in", "out", "bad", "cancelled", "cancelled without a time")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(KINDS)), min_size=1, max_size=60),
    st.sampled_from([1, 60, 3600]),
)
def test_the_area_refuses_no_row_but_wrong_dates(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], tick_s: int
) -> None:
    path = tmp_path_factory.mktemp("gaps") / "gaps.csv"
    longitude = {"out": LEEDS[0] + 0.1, "bad": ""}
    lines = [
        f"i{number},{'' if 'without' in kind else (START + timedelta(hours=hour)).isoformat()},"
        f"{longitude.get(kind, LEEDS[0])},{LEEDS[1]},{'cancelled' if 'cancelled' in kind else 'active'}"
        for number, (hour, kind) in enumerate([*rows, (4_000, "out")])
    ]
    path.write_text("\n".join(["id,occurred_at,longitude,latitude,status", *lines]))
    wanted = AreaSettings(clock="watermark", tick_s=tick_s, min_baseline_days=100_000)
    monitor = Monitor("leeds", wanted, HERE)
    sent = list(Table.read(path).rows("leeds", wanted))
    closed = [tick for offset, row in enumerate(sent) for tick in monitor.put(decoded(row), offset, 0)]
    jumps = [offset for tick in closed for offset, reason, _ in tick.refusals if reason == "clock_jump"]
    # Only the last nine rows can be wrong dates.
    incidents = [offset for offset, row in enumerate(sent) if not row.is_tick]
    assert set(jumps) <= set(incidents[-9:])
    # The tick at the end closes the last one: nothing waits.
    assert monitor.flush() == []
    assert closed[-1].accounts.read == len(sent)


# Truncated deliveries


def feed_log(write: Write, *deliveries: tuple[int, Sequence[tuple[str, str]]]) -> Table:
    lines = [
        f"{(START + day * DAY).isoformat()},{op},{id_},{START.isoformat()},{LEEDS[0]},{LEEDS[1]}"
        for day, rows in deliveries
        for op, id_ in rows
    ]
    return Table.read(write("seen_at,op,id,occurred_at,longitude,latitude", *lines))


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


def test_deletions_of_what_was_never_known_do_not_count(write: Write) -> None:
    table = feed_log(write, (0, everything(100)), (1, [("delete", f"x{number}") for number in range(50)]))
    assert table.refused == ()


def test_many_deletions_over_many_deliveries_are_ordinary(write: Write) -> None:
    deletions = [(1 + number, [("delete", f"i{number:03d}")]) for number in range(60)]
    table = feed_log(write, (0, everything(100)), *deletions)
    assert table.refused == ()
    assert accounts_of(records(table), Locations.from_cells(table.cells())).removed == 60


# Files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"id,occurred_at,category,longitude,latitude\n", "no row has a time"),
        (b"occurred_at,longitude,latitude\n", "no column id; its columns are occurred_at, longitude, latitude"),
        (b"id,longitude,latitude\n", "no column occurred_at (or occurred_from and occurred_to)"),
        (b"id,reported_at,longitude,latitude\n", "no column occurred_at"),
        (b"id,occurred_at,latitude\n", "no column longitude (or location)"),
        (b"id,occurred_at,longitude\n", "no column latitude (or location)"),
        (b"id,occurred_at,longitude,latitude\na,2024-03-01,-1.5,53.8\n", "no row has a time with an offset"),
        (b"id,occurred_at,longitude,latitude\n\xff\xfe\n", "not UTF-8 text (invalid start byte)"),
        (b"id,occurred_at,longitude,latitude\n" + b"x" * 140_000, "line 2 is not CSV (field larger than field limit"),
        (gzip.compress(b"id", mtime=0), "not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_says_so_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(TableError) as raised:
        Table.read(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,occurred_at\n", "not gzip data, although the name ends in .gz"),
        (b"", "the file is empty"),
        (gzip.compress(bytes(range(97, 123)) * 99, mtime=0)[:-9], "the gzip data are damaged or cut short"),
        (gzip.compress(b"id", mtime=0)[:-8] + bytes(8), "not gzip data"),
    ],
)
def test_a_broken_gzip_file_says_so_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.csv.gz"
    path.write_bytes(content)
    with pytest.raises(TableError) as raised:
        Table.read(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.csv: No such file"):
        Table.read(tmp_path / "none.csv")
    with pytest.raises(TableError, match="Is a directory"):
        Table.read(tmp_path)


def test_gzip_and_a_byte_order_mark_change_nothing(write: Write) -> None:
    lines = (HEADER, line("a", START))
    plain = Table.read(write(*lines))
    assert Table.read(write(*lines, name="incidents.csv.gz")) == plain
    assert Table.read(write("\ufeff" + lines[0], lines[1])) == plain


# Real files


def test_cells_of_a_real_file_leave_out_what_lies_far_away() -> None:
    """Houston has 210 points outside its metropolitan box, and 5 rows without coordinates."""
    path = shared("data/houston_2010.csv.gz")
    with gzip.open(path, "rt") as lines:
        texts = [(row["longitude"], row["latitude"]) for row in csv.DictReader(lines) if row["longitude"]]
    longitude, latitude = np.radians(np.array(texts, dtype=float)).T
    lon, lat = np.median(longitude), np.median(latitude)
    haversine = np.sin((latitude - lat) / 2) ** 2 + np.cos(lat) * np.cos(latitude) * np.sin((longitude - lon) / 2) ** 2
    far = int((2 * 6_371_000 * np.arcsin(np.sqrt(haversine)) > 50_000).sum())
    table = Table.read(path)
    locations = Locations.from_cells(table.cells())
    assert far >= 210
    assert reasons(records(table), locations) == {"wrong_type": 5, "out_of_area": far}


def reasons(rows: Sequence[Row], locations: Locations) -> Counter[str]:
    """What the rules of clock and place make of the rows, in plain words: a twin of the Monitor's.

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
        # 469 without coordinates, 41 near zero; three are said to have happened after they were reported.
        ("denver_2018_2019", 49_089, 18, {"wrong_type": 469, "out_of_area": 41, "future": 3}),
        ("houston_2010", 86_314, 0, None),
        ("philadelphia_feed_2021_2022", 31_300, 0, None),
    ],
)
def test_a_real_file_is_taken_whole(name: str, rows: int, gaps: int, rejected: dict[str, int] | None) -> None:
    """Its rows, its gaps, and the rows that its description says are bad: no other is refused."""
    table = Table.read(shared(f"data/{name}.csv.gz"))
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

    table = Table.read(path)
    plan = AreaSettings(clock="watermark", timezone="America/New_York", window_days=2738, min_baseline_days=100_000)
    monitor = Monitor("leeds", plan, Locations.from_cells(table.cells()))
    begin_s = datetime.fromisoformat(last_delivery).timestamp() - 36 * 3600
    for offset, record in enumerate(table.rows("leeds", plan)):
        # Every hour between two deliveries is a tick, which takes longer than its records: only the last two have them.
        take = monitor.refill if record.time_s < begin_s else monitor.put
        take(decoded(record), offset, 0)
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
