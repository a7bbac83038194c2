"""The analyst's CSV files as the records that a live feed would have sent.

Every row, good or bad, becomes the JSON of an incident record. So backtest, replay and worker decode, reject and count
the same bytes. Tick records announce the gaps of a file.
"""

from __future__ import annotations

import bisect
import csv
import dataclasses
import gzip
import itertools
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from detectors.area.incident import Incident, Status
from detectors.area.locations import cell_of, to_sphere
from detectors.area.settings import AreaSettings
from detectors.window.admission import EARLIEST_S, LATEST_S
from streams.analyst.deliveries import FileRow, RefusedDelivery, without_truncated
from streams.messages.incident import TICK_HEADER

NEAR_M = 50_000.0
"""Largest distance from the median coordinate, in metres: rows at (0, 0) or in other states are not in the city."""

_ALIASES = {"seen_at": "reported_at", "op": "status"}
_STATUS = {"snapshot": "active", "insert": "active", "update": "active", "delete": "cancelled"}
_NUMBERS: dict[str, type[float] | type[int]] = {
    "longitude": float,
    "latitude": float,
    "uncertainty_m": float,
    "revision": int,
}
_TIMES = ("reported_at", "occurred_at", "occurred_to", "occurred_from")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Record = dict[str, str | float | msgspec.Raw]
_decoder = msgspec.json.Decoder(Incident)


class IncidentFileError(Exception):
    """The file cannot be read as incidents. The message is one line with the file and the fault."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One record for the topic ``incidents``: an incident, or a tick (empty value, header ``tick``).

    ``time_s``: seconds since 1970 UTC, by which rows are sorted and paced.
    """

    key: bytes
    value: bytes
    time_s: float
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def is_tick(self) -> bool:
        """Whether the record announces a time and not an incident."""
        return bool(self.headers)


@dataclasses.dataclass(frozen=True)
class IncidentFile:
    """The rows of a file in order of arrival: by ``reported_at``, else by time of occurrence; then by id.

    A row without a usable time stays behind the row before it.
    """

    entries: tuple[FileRow, ...]
    refused: tuple[RefusedDelivery, ...] = ()

    @classmethod
    def read(cls, path: Path) -> IncidentFile:
        """Return the incidents of a CSV file (UTF-8, with a header; gzip if its name ends in ``.gz``).

        Columns are the fields of :class:`Incident`, found by name. ``seen_at`` is read as ``reported_at``, and
        ``op`` (snapshot, insert, update, delete) as ``status``. Other columns and empty fields are left out.

        Raises:
            IncidentFileError: The file cannot be read, lacks a column that incidents need, or has no usable row.
        """
        try:
            with _open(path) as lines:
                reader = csv.reader(lines)
                columns = _columns(path, next(reader, []))
                entries = _entries(_record(columns, row) for row in reader if row)
        except UnicodeDecodeError as error:
            raise IncidentFileError(f"{path}: not UTF-8 text ({error.reason})") from None
        except csv.Error as error:
            raise IncidentFileError(f"{path}: line {reader.line_num}: must be CSV ({error})") from None
        except gzip.BadGzipFile:
            raise IncidentFileError(f"{path}: not gzip data, although the name ends in .gz") from None
        except (EOFError, zlib.error):
            raise IncidentFileError(f"{path}: the gzip data are damaged or cut short") from None
        except OSError as error:
            raise IncidentFileError(f"{path}: {error.strerror or error}") from None
        if not entries:
            raise IncidentFileError(f"{path}: no row has a time with an offset, such as 2024-05-01T22:15:00+01:00")
        return cls(*without_truncated(entries))

    @classmethod
    def from_incidents(cls, incidents: Iterable[Incident]) -> IncidentFile:
        """Return generated incidents, in order of arrival."""
        return cls(tuple(_entries(msgspec.to_builtins(incident) for incident in incidents)))

    def incidents(self) -> Iterator[Incident]:
        """Return the incidents of the valid rows, in order of arrival."""
        return (entry.incident for entry in self.entries if entry.incident is not None)

    def cells(self, resolution: int = 10) -> tuple[str, ...]:
        """Return the occupied H3 cells, in hexadecimal, in rising order: locations for an area without its own.

        A cell is occupied if a valid row lies in it, within 50 km of the median coordinate of all valid rows.
        """
        places = [
            (entry.incident.longitude, entry.incident.latitude)
            for entry in self.entries
            if entry.incident is not None
            and entry.incident.status is Status.ACTIVE
            and entry.incident.longitude is not None
            and entry.incident.latitude is not None
        ]
        if not places:
            return ()
        longitude, latitude = np.array(places).T
        middle = to_sphere(np.median(longitude, keepdims=True), np.median(latitude, keepdims=True))
        near = np.linalg.norm(to_sphere(longitude, latitude) - middle, axis=1) <= NEAR_M
        return tuple(sorted({cell_of(lon, lat, resolution) for lon, lat in set(itertools.compress(places, near))}))

    def rows(
        self,
        area: str,
        settings: AreaSettings,
        *,
        from_: datetime | None = None,
        to: datetime | None = None,
    ) -> Iterator[Row]:
        """Yield the records of the rows in [``from_``, ``to``), with tick records of the area's clock between them.

        A tick record goes into each real gap: a jump of more than ``settings.max_jump_days``, followed by at least ten
        rows and 1 % of the file. A jump that fewer rows follow is a wrong date; the area's clock refuses it. Rows that
        are not incidents do not move the clock, so many of them in a row are a gap too. A last tick record closes the
        last tick.
        """
        key, jump_s = area.encode(), settings.max_jump_days * 86_400
        begin = 0 if from_ is None else self._position(from_)
        end = len(self.entries) if to is None else self._position(to)
        enough = max(10, len(self.entries) / 100)
        row_s: float | None = None  # time of the last row whose date is not wrong
        clock_s: float | None = None  # time of the last row that surely moved the clock
        for position in range(begin, end):
            entry = self.entries[position]
            moves = entry.dated and entry.incident is not None
            before = (row_s, clock_s if moves else None)
            jumps = any(time_s is not None and entry.time_s - time_s > jump_s for time_s in before)
            if jumps and len(self.entries) - position >= enough:
                yield tick_row(key, int(entry.time_s // settings.tick_s) * settings.tick_s)
                row_s = clock_s = entry.time_s
            elif not jumps or (moves and clock_s is None):
                row_s = entry.time_s
                clock_s = entry.time_s if moves else clock_s
            yield Row(key, entry.value, entry.time_s)
        if row_s is not None:
            yield tick_row(key, (int(row_s // settings.tick_s) + 1) * settings.tick_s)

    def _position(self, moment: datetime) -> int:
        return bisect.bisect_left(self.entries, moment.timestamp(), key=lambda entry: entry.time_s)


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _columns(path: Path, header: list[str]) -> list[tuple[int, str]]:
    """Return (position, field of an incident) of every column that is used."""
    if not header:
        raise IncidentFileError(f"{path}: the file is empty")
    names = [name.strip().lower() for name in header]
    fields = [_ALIASES.get(name, name) for name in names]
    for one_of, described in (
        ({"id"}, "id"),
        ({"occurred_at", "occurred_from", "occurred_to"}, "occurred_at (or occurred_from and occurred_to)"),
        ({"longitude", "location"}, "longitude (or location)"),
        ({"latitude", "location"}, "latitude (or location)"),
    ):
        if one_of.isdisjoint(fields):
            raise IncidentFileError(f"{path}: no column {described}; its columns are {', '.join(names)}")
    # An alias goes before the column it stands for: `seen_at` is the time at which this version arrived.
    outranked = {_ALIASES[name] for name in names if name in _ALIASES}
    return [
        (position, field)
        for position, (name, field) in enumerate(zip(names, fields, strict=True))
        if field in Incident.__struct_fields__ and (name in _ALIASES or name not in outranked)
    ]


def _record(columns: list[tuple[int, str]], row: list[str]) -> _Record:
    """Return a row as an incident record. Wrong numbers and unknown words stay text, so that decoding rejects them."""
    record: _Record = {}
    for position, field in columns:
        text = row[position].strip() if position < len(row) else ""
        if not text:
            continue
        if field in _NUMBERS:
            record[field] = _number(text, _NUMBERS[field])
        else:
            record[field] = _STATUS.get(text, text) if field == "status" else text
    return record


def _number(text: str, kind: type[float] | type[int]) -> str | float | msgspec.Raw:
    try:
        number = kind(text)
    except ValueError:
        return text
    if isinstance(number, int):
        return number if abs(number) < 2**63 else text
    return number if math.isfinite(number) else msgspec.Raw(json.dumps(number).encode())


def _entries(records: Iterable[_Record]) -> list[FileRow]:
    """Return the records with their times, sorted. Rows before the first time get that time; without any, no rows."""
    decoded = [_decoded(record) for record in records]
    time_s = next((time_s for time_s, *_ in decoded if time_s is not None), None)
    if time_s is None:
        return []
    entries = []
    for own_s, id_, value, incident in decoded:
        time_s = time_s if own_s is None else own_s
        entries.append(FileRow(time_s, id_, value, incident, own_s is not None))
    return sorted(entries, key=lambda entry: entry.order)


def _decoded(record: _Record) -> tuple[float | None, str, bytes, Incident | None]:
    value = msgspec.json.encode(record)
    incident: Incident | None = None
    try:
        incident = _decoder.decode(value)
        moments = [incident.reported_at, incident.occurred]
    except msgspec.DecodeError:
        moments = [_moment(record.get(name)) for name in _TIMES]
    moment = next((moment for moment in moments if moment is not None), None)
    time_s = None if moment is None else (moment - _EPOCH).total_seconds()
    usable = time_s is not None and EARLIEST_S <= time_s < LATEST_S
    return time_s if usable else None, str(record.get("id", "")), value, incident


def _moment(text: object) -> datetime | None:
    """Return the time in a field of a rejected record; None if it is not a time with an offset."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def tick_row(key: bytes, tick_s: int) -> Row:
    """Return the record that announces a tick (seconds since 1970 UTC) to an area, whose name is the key."""
    return Row(key, b"", tick_s, ((TICK_HEADER, datetime.fromtimestamp(tick_s, UTC).isoformat().encode()),))
