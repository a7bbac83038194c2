"""H3 cells and the operator's own places as GeoJSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import h3
import msgspec
from msgspec import UNSET, UnsetType

from streams.console.models import Cell, CellProperties, Cells, Polygon
from streams.messages.alert import Point
from streams.messages.usual import Usual

WEEK_DAYS = 7.0
DIGITS = 6
"""Of degrees: 0.1 m."""


def outlines(ids: Iterable[str], places: Mapping[str, tuple[float, float]]) -> Cells:
    """The outlines of cells, or the points of places; an id that is neither is left out."""
    return Cells(features=[cell for each in ids if (cell := _cell(CellProperties(id=each), places)) is not None])


def usual_cells(usual: Usual, places: Mapping[str, tuple[float, float]]) -> Cells:
    """What is usual in each cell or place that has had incidents."""
    known = places if isinstance(usual.places, UnsetType) else usual.places
    weeks = usual.days / WEEK_DAYS
    told = (
        CellProperties(id=each, count=count, per_week=float(f"{count / weeks:.6g}") if weeks else UNSET)
        for each, count in usual.cells.items()
    )
    return Cells(features=[cell for each in told if (cell := _cell(each, known)) is not None])


class UsualCells:
    """What is usual in an area as JSON: made once for all who ask, until Redis holds something else."""

    def __init__(self, places: Mapping[str, tuple[float, float]]) -> None:
        self._places = places
        self._lock = asyncio.Lock()
        self._usual = self._cells = b""

    async def encoded(self, usual: bytes) -> bytes:
        """The cells of what Redis holds."""
        async with self._lock:
            if usual != self._usual:
                self._cells = await asyncio.to_thread(self._encode, usual)
                self._usual = usual
            return self._cells

    def _encode(self, usual: bytes) -> bytes:
        return msgspec.json.encode(usual_cells(msgspec.json.decode(usual, type=Usual), self._places))


def _cell(told: CellProperties, places: Mapping[str, tuple[float, float]]) -> Cell | None:
    if told.id in places:
        return Cell(geometry=Point(places[told.id]), properties=told)
    if not h3.is_valid_cell(told.id):
        return None
    corners = [
        (round(longitude, DIGITS), round(latitude, DIGITS)) for latitude, longitude in h3.cell_to_boundary(told.id)
    ]
    return Cell(geometry=Polygon(coordinates=((*corners, corners[0]),)), properties=told)
