"""Locations as GeoJSON: H3 cells, and entries of the operator's ``places_file``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping

import h3
import msgspec
from msgspec import UNSET, UnsetType

from streams.console.models import Cell, CellProperties, Cells, Polygon
from streams.messages.alert import Point
from streams.messages.usual import Usual

WEEK_DAYS = 7.0
DIGITS = 6
"""Decimal places of degrees, 0.1 m."""
CELL = re.compile(r"[0-9a-f]{15,16}")
"""The id of an H3 cell, if it is a valid one."""


def outlines(ids: Iterable[str], places: Mapping[str, tuple[float, float]]) -> Cells:
    """Return the outlines of cells or the points of places; other ids are left out."""
    return Cells(features=[cell for each in ids if (cell := _cell(CellProperties(id=each), places)) is not None])


def usual_cells(usual: Usual, places: Mapping[str, tuple[float, float]]) -> Cells:
    """Return how many incidents each location with incidents has had."""
    known = places if isinstance(usual.places, UnsetType) else usual.places
    weeks = usual.days / WEEK_DAYS
    counted = (
        CellProperties(id=each, count=count, per_week=float(f"{count / weeks:.6g}") if weeks else UNSET)
        for each, count in usual.cells.items()
    )
    return Cells(features=[cell for each in counted if (cell := _cell(each, known)) is not None])


class UsualCells:
    """The usual intensity of an area as JSON, encoded once for all viewers until the value in Redis changes."""

    def __init__(self, places: Mapping[str, tuple[float, float]]) -> None:
        self._places = places
        self._lock = asyncio.Lock()
        self._usual = self._cells = b""

    async def encoded(self, usual: bytes) -> bytes:
        """Return the locations, as JSON, for the value in Redis; raises msgspec.DecodeError if it cannot be read."""
        async with self._lock:
            if usual != self._usual:
                self._cells = await asyncio.to_thread(self._encode, usual)
                self._usual = usual
            return self._cells

    def _encode(self, usual: bytes) -> bytes:
        return msgspec.json.encode(usual_cells(Usual.read(usual), self._places))


def _cell(properties: CellProperties, places: Mapping[str, tuple[float, float]]) -> Cell | None:
    if properties.id in places:
        return Cell(geometry=Point(places[properties.id]), properties=properties)
    if not CELL.fullmatch(properties.id) or not h3.is_valid_cell(properties.id):
        return None
    corners = [
        (round(longitude, DIGITS), round(latitude, DIGITS))
        for latitude, longitude in h3.cell_to_boundary(properties.id)
    ]
    return Cell(geometry=Polygon(coordinates=((*corners, corners[0]),)), properties=properties)
