"""Gaps in a file are announced and wrong dates are not, so the area refuses only wrong dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.monitor import Monitor
from streams.analyst.incident_file import IncidentFile
from tests.streams.analyst.incident_files import (
    DAY,
    HEADER,
    HERE,
    LEEDS,
    START,
    Write,
    accounts_of,
    decoded,
    line,
    records,
    ticks,
)


def test_rows_outside_the_area_move_its_clock(write: Write) -> None:
    lines = [line("a", START)]
    lines += [line(f"x{day}", START + day * DAY, LEEDS[0] + 0.1) for day in range(1, 12)]
    lines += [line(f"b{n}", START + 12 * DAY) for n in range(10)]
    accounts = accounts_of(records(IncidentFile.read(write(HEADER, *lines))), HERE)
    assert (accounts.added, accounts.rejected, accounts.ticks) == (11, 11, 1)


def test_a_real_gap_is_announced_and_nothing_is_refused(write: Write) -> None:
    lines = [line(f"a{n}", START + n * DAY) for n in range(5)]
    lines += [line(f"b{n}", START + (60 + n) * DAY) for n in range(10)]
    table = IncidentFile.read(write(HEADER, *lines))
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
def test_a_week_is_not_a_gap(write: Write, days: int, announced: int) -> None:
    lines = [line("a", START), *(line(f"b{n}", START + days * DAY) for n in range(10))]
    assert len(ticks(records(IncidentFile.read(write(HEADER, *lines))))) == announced + 1


@pytest.mark.parametrize(("before", "after", "announced"), [(5, 9, 0), (5, 10, 1), (1_990, 19, 0), (1_980, 20, 1)])
def test_a_jump_that_few_rows_follow_is_a_wrong_date(write: Write, before: int, after: int, announced: int) -> None:
    """Ten rows and 1 % of the file must follow; a wrong date neither moves the clock nor the tick at the end."""
    last = START + timedelta(minutes=before - 1)
    lines = [line(f"a{n}", START + timedelta(minutes=n)) for n in range(before)]
    lines += [line(f"b{n}", datetime(2099, 1, 1, tzinfo=UTC)) for n in range(after)]
    table = IncidentFile.read(write(HEADER, *lines))
    locations = Locations.from_cells(table.cells())
    sent = records(table)
    assert len(ticks(sent)) == announced + 1
    assert ticks(sent)[-1] == ("2099-01-01T00:00:01+00:00" if announced else (last + timedelta(seconds=1)).isoformat())
    assert accounts_of(sent, locations).rejected == (0 if announced else after)


def test_rows_that_are_not_incidents_do_not_hide_a_gap(write: Write) -> None:
    """They do not move the area's clock. Without an announcement, all good rows after them would be refused."""
    lines = [line("a", START)]
    lines += [line(f"x{day}", START + day * DAY, "") for day in range(1, 12)]
    lines += [line(f"b{n}", START + 12 * DAY) for n in range(10)]
    accounts = accounts_of(records(IncidentFile.read(write(HEADER, *lines))), HERE)
    assert (accounts.added, accounts.rejected, accounts.ticks) == (11, 11, 2)


KINDS = ("in", "in", "out", "bad", "cancelled", "cancelled without a time")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(KINDS)), min_size=1, max_size=60),
    st.sampled_from([1, 60, 3600]),
)
def test_the_area_refuses_only_wrong_dates(
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
    sent = list(IncidentFile.read(path).rows("leeds", wanted))
    closed = [tick for offset, row in enumerate(sent) for tick in monitor.put(decoded(row), offset, 0)]
    jumps = [offset for tick in closed for offset, refusal in tick.refusals if refusal.reason == "clock_jump"]
    # Only the last nine rows can be wrong dates.
    incidents = [offset for offset, row in enumerate(sent) if not row.is_tick]
    assert set(jumps) <= set(incidents[-9:])
    # The tick at the end closes the last one: nothing waits.
    assert monitor.flush() == []
    assert closed[-1].accounts.read == len(sent)
