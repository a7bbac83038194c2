"""H3 cells and the operator's own places as GeoJSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import h3
from msgspec import UNSET, UnsetType

from streams.console.models import Cell, CellProperties, Cells, Polygon
from streams.messages import Point
from streams.usual import Usual

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


def _cell(told: CellProperties, places: Mapping[str, tuple[float, float]]) -> Cell | None:
    if told.id in places:
        return Cell(geometry=Point(places[told.id]), properties=told)
    if not h3.is_valid_cell(told.id):
        return None
    corners = [
        (round(longitude, DIGITS), round(latitude, DIGITS)) for latitude, longitude in h3.cell_to_boundary(told.id)
    ]
    return Cell(geometry=Polygon(coordinates=((*corners, corners[0]),)), properties=told)
