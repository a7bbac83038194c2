"""The analyst's files for a one-shot scan: locations, cases and population, as arrays."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.area.locations import EARTH_RADIUS_M, to_sphere
from detectors.models.poisson import Census
from streams.analyst.study.calendar import Calendar, delay_s, moment

TIMES = ("date", "year", "occurred_at")
POPULATIONS = ("population", "expected_weight")
COORDINATES = (("longitude", "latitude"), ("x_km", "y_km"), ("x", "y"))
LONGEST_DELAY_S = 2**31 - 1
"""Longest delay of a report, in seconds. Longer delays count as this long."""


class StudyError(ValueError):
    """A file or an option of a study cannot be used. The message is one line: where, what is wrong, what is right."""


class Row(NamedTuple):
    """One row of a file: its line number, and its fields in the order of the columns."""

    line: int
    fields: list[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """The locations of a study, in byte order of their names. All ids at one point are the same location.

    ``ids``: the ids of each location, its name first.
    ``points``: in kilometres, on a plane, (L, 2), or on the sphere, (L, 3).
    ``coordinates``: the two coordinates of each location, from the file's columns ``columns``.
    ``index``: id -> index of its location.
    """

    ids: tuple[tuple[str, ...], ...]
    points: NDArray[np.float64]
    coordinates: NDArray[np.float64]
    columns: tuple[str, str]
    index: dict[str, int]

    @property
    def is_sphere(self) -> bool:
        """Whether the locations lie on a sphere, so that distances are chords."""
        return self.columns == COORDINATES[0]

    def radius_km(self, distance: float) -> float:
        """Return the length on the ground of a straight distance, in kilometres."""
        if not self.is_sphere:
            return distance
        radius_km = EARTH_RADIUS_M / 1000
        return 2 * radius_km * math.asin(min(1.0, distance / (2 * radius_km)))


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """The cases within the study.

    ``place``, ``interval``, ``group``: location, interval and class (index into ``groups``) of each case, int32, (N,).
    ``covariates``: the columns whose values make a class.
    ``outside``: number of cases before or after the study.
    ``delay_s``: seconds to each case's report, -1 if unknown, int32, (N,).
    ``reported_until``: moment of the last report, in days since 0001-01-01, 0 without reports.
    """

    place: NDArray[np.int32]
    interval: NDArray[np.int32]
    group: NDArray[np.int32]
    covariates: tuple[str, ...]
    groups: dict[tuple[str, ...], int]
    outside: int
    delay_s: NDArray[np.int32]
    reported_until: float


def read_places(path: Path) -> Places:
    """Read locations: ``location_id`` with ``longitude, latitude`` (degrees), ``x_km, y_km`` or ``x, y`` (kilometres).

    Raises:
        StudyError: The file cannot be used.
    """
    header, rows = _read(path)
    (id_at,) = _columns(path, header, ("location_id",))
    pair = next((names for names in COORDINATES if set(names) <= set(header)), None)
    if pair is None:
        raise StudyError(f"{path}: line 1: needs the columns latitude and longitude, x_km and y_km, or x and y")
    x_at, y_at = _columns(path, header, pair)
    where: dict[str, tuple[float, float]] = {}
    for row in rows:
        name, point = row.fields[id_at], (_number(path, row, x_at, pair[0]), _number(path, row, y_at, pair[1]))
        if pair == COORDINATES[0] and not (abs(point[0]) <= 180 and abs(point[1]) <= 90):
            raise StudyError(f"{path}: line {row.line}: longitude, latitude = {point}: must be degrees")
        if where.setdefault(name, point) != point:
            raise StudyError(f"{path}: line {row.line}: location_id {name!r}: an earlier line has it at another point")
    if not where:
        raise StudyError(f"{path}: has no rows; must have at least one location")
    names_at: dict[tuple[float, float], list[str]] = {}
    for name in sorted(where, key=str.encode):
        names_at.setdefault(where[name], []).append(name)
    ids = tuple(map(tuple, names_at.values()))
    coordinates = np.array(list(names_at), np.float64)
    points = to_sphere(*coordinates.T) / 1000 if pair == COORDINATES[0] else coordinates
    index = {name: number for number, names in enumerate(ids) for name in names}
    return Places(ids, np.ascontiguousarray(points), coordinates, pair, index)


def read_cases(path: Path, places: Places, calendar: Calendar, with_delays: bool = False) -> Cases:
    """Read cases (``location_id``, ``date`` or ``year``, ``count``, covariates), or incidents with coordinates.

    An incident has no ``location_id``, but ``occurred_at``, ``longitude`` and ``latitude``. It counts for the nearest
    location, at the local time in the file; its other columns are ignored. With ``with_delays``, ``reported_at`` is
    read beside ``occurred_at``. It is never a covariate.

    Raises:
        StudyError: The file cannot be used.
    """
    header, rows = _read(path)
    locate: Callable[[Row], int]
    covariates: tuple[str, ...] = ()
    if "location_id" in header:
        id_at, time_at = header.index("location_id"), _time_column(path, header)
        taken = ("location_id", "count", *TIMES, *(("reported_at",) if header[time_at] == "occurred_at" else ()))
        covariates = tuple(name for name in header if name not in taken)

        def locate(row: Row) -> int:
            found = places.index.get(row.fields[id_at])
            if found is None:
                name = row.fields[id_at]
                raise StudyError(f"{path}: line {row.line}: location_id {name!r}: must be one of the locations")
            return found
    else:
        time_at, *at = _columns(path, header, ("occurred_at", *places.columns))
        tree = cKDTree(places.points)

        def locate(row: Row) -> int:
            point = np.array([_number(path, row, each, name) for each, name in zip(at, places.columns, strict=True)])
            here = to_sphere(point[:1], point[1:])[0] / 1000 if places.is_sphere else point
            return int(tree.query(here)[1])

    count_at = header.index("count") if "count" in header else None
    has_reports = with_delays and "reported_at" in header and header[time_at] == "occurred_at"
    reported_at = header.index("reported_at") if has_reports else None
    group_at = [header.index(name) for name in covariates]
    groups: dict[tuple[str, ...], int] = {}
    moment_of: dict[str, float] = {}
    entries: list[tuple[int, int, int, int]] = []
    counts: list[int] = []
    outside, reported_until = 0, 0.0
    for row in rows:
        text = row.fields[time_at]
        if text not in moment_of:
            moment_of[text] = _moment(path, row, time_at, header)
        interval = calendar.interval(moment_of[text])
        delay = -1
        if reported_at is not None and row.fields[reported_at]:
            delay = _delay_s(path, row, text, reported_at)
            reported_until = max(reported_until, moment_of[text] + delay / 86_400)
        count = 1 if count_at is None else _count(path, row, count_at)
        place = locate(row)
        if interval is None:
            outside += count
            continue
        group = groups.setdefault(tuple(row.fields[each] for each in group_at), len(groups))
        entries.append((place, interval, group, min(delay, LONGEST_DELAY_S)))
        counts.append(count)
    if not sum(counts):
        raise StudyError(f"{path}: has no case within the study")
    columns = np.repeat(np.array(entries, np.int32), counts, axis=0).T.copy()
    return Cases(columns[0], columns[1], columns[2], covariates, groups, outside, columns[3], reported_until)


def read_population(path: Path, places: Places, cases: Cases) -> list[Census]:
    """Read ``location_id``, ``population`` or ``expected_weight``, ``date`` or ``year``, and covariates.

    Raises:
        StudyError: The file cannot be used, or its covariates differ from the cases' covariates.
    """
    header, rows = _read(path)
    (id_at,) = _columns(path, header, ("location_id",))
    value = next((name for name in POPULATIONS if name in header), None)
    if value is None:
        raise StudyError(f"{path}: line 1: needs a column population or expected_weight")
    value_at = header.index(value)
    time_at = _time_column(path, header) if set(TIMES) & set(header) else None
    covariates = tuple(name for name in header if name not in ("location_id", *POPULATIONS, *TIMES))
    if set(covariates) != set(cases.covariates):
        given, needed = ", ".join(covariates) or "none", ", ".join(cases.covariates) or "none"
        raise StudyError(f"{path}: line 1: its covariates ({given}) must be the same as the cases' ({needed})")
    group_at = [header.index(name) for name in cases.covariates]
    groups = dict(cases.groups)
    counted: dict[tuple[int, int], dict[int, float]] = {}
    for row in rows:
        place = places.index.get(row.fields[id_at])
        if place is None:
            where = f"{path}: line {row.line}: location_id {row.fields[id_at]!r}"
            raise StudyError(f"{where}: must be one of the locations")
        people = _number(path, row, value_at, value)
        if people < 0:
            raise StudyError(f"{path}: line {row.line}: {value} = {people:g}: must not be negative")
        day = 0 if time_at is None else int(_moment(path, row, time_at, header))
        group = groups.setdefault(tuple(row.fields[each] for each in group_at), len(groups))
        known = counted.setdefault((place, group), {})
        known[day] = known.get(day, 0.0) + people
    return [
        Census(place, group, sorted(known), [known[day] for day in sorted(known)])
        for (place, group), known in counted.items()
    ]


def _read(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Return the names of the columns, and the rows. Each row is as long as the header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror or error}") from None
    reader = csv.reader(text.splitlines(keepends=True), strict=True)

    def rows() -> Iterator[Row]:
        try:
            for fields in reader:
                if fields and len(fields) != len(header):
                    raise StudyError(
                        f"{path}: line {reader.line_num}: {len(fields)} fields; must be {len(header)}, as in line 1"
                    )
                if fields:
                    yield Row(reader.line_num, fields)
        except csv.Error as error:
            raise StudyError(f"{path}: line {reader.line_num}: must be CSV ({error})") from None

    try:
        header = next(reader, [])
    except csv.Error as error:
        raise StudyError(f"{path}: line 1: must be CSV ({error})") from None
    if len(set(header)) != len(header):
        raise StudyError(f"{path}: line 1: two columns have the same name")
    return header, rows()


def _columns(path: Path, header: Sequence[str], names: Sequence[str]) -> list[int]:
    missing = [name for name in names if name not in header]
    if missing:
        raise StudyError(f"{path}: line 1: needs a column {', '.join(missing)}")
    return [header.index(name) for name in names]


def _time_column(path: Path, header: Sequence[str]) -> int:
    given = [name for name in TIMES if name in header]
    if len(given) != 1:
        raise StudyError(
            f"{path}: line 1: needs one column of date, year, occurred_at; has {', '.join(given) or 'none'}"
        )
    return header.index(given[0])


def _moment(path: Path, row: Row, at: int, header: Sequence[str]) -> float:
    try:
        return moment(row.fields[at])
    except ValueError:
        raise StudyError(
            f"{path}: line {row.line}: {header[at]} = {row.fields[at]!r}: must be a time such as 2025, 2025-12-31 or "
            "2025-12-31T23:10"
        ) from None


def _delay_s(path: Path, row: Row, occurred: str, at: int) -> int:
    try:
        return delay_s(occurred, row.fields[at])
    except ValueError:
        raise StudyError(
            f"{path}: line {row.line}: reported_at = {row.fields[at]!r}: must be a time such as 2025-12-31T23:10, with "
            f"a UTC offset if occurred_at = {occurred!r} has one, or empty"
        ) from None


def _number(path: Path, row: Row, at: int, name: str) -> float:
    try:
        number = float(row.fields[at])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise StudyError(f"{path}: line {row.line}: {name} = {row.fields[at]!r}: must be a number")
    return number


def _count(path: Path, row: Row, at: int) -> int:
    text = row.fields[at]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise StudyError(f"{path}: line {row.line}: count = {text!r}: must be a whole number, 0 or more")
    return int(text)
