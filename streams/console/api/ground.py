"""What lies under the alerts on the map: the intensity that is usual, and the operator's layers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Response

from streams.console.api.alerts import NO_AREA, NO_REDIS, NO_SIGN_IN
from streams.console.api.queries import OneAreaQuery, chosen
from streams.console.api.session import Served, Viewer
from streams.console.data.health import health
from streams.console.models import Cells, Health, Json, answers

router = APIRouter()
LayerName = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="as /api/session lists them")]


@router.get(
    "/api/usual", response_class=Json, responses=answers(Cells, 200, _401=NO_SIGN_IN, _404=NO_AREA, _503=NO_REDIS)
)
async def usual(served: Served, _: Viewer, query: Annotated[OneAreaQuery, Query()]) -> Any:
    """How many incidents each cell has had in the window; cells that had none are left out."""
    areas = chosen([query.area] if query.area is not None else [], served.store.areas)
    if len(areas) > 1:
        raise HTTPException(404, "there are several areas: name one")
    found = await served.store.usual(areas[0])
    if found is None:
        raise HTTPException(404, "not known yet: the worker writes it once it has caught up")
    return Json(await served.usual[areas[0]].encoded(found))


@router.get(
    "/api/layers/{name}",
    response_class=Response,
    responses={
        **answers(None, 200, _401=NO_SIGN_IN, _404="there is no such layer"),
        200: {
            "description": "the operator's GeoJSON",
            "content": {"application/geo+json": {"schema": {"type": "object"}}},
        },
    },
)
async def layer(served: Served, _: Viewer, name: LayerName) -> Response:
    """A layer as the operator's file has it."""
    found = served.layers.get(name)
    if found is None:
        raise HTTPException(404, "there is no such layer")
    return Response(found.geojson, media_type="application/geo+json")


@router.get("/api/health", response_class=Json, responses=answers(Health, 200, _401=NO_SIGN_IN))
async def areas_health(served: Served, _: Viewer) -> Any:
    """How Redis, the workers and the feeds are."""
    return Json(await health(served.store))
