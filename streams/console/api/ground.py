"""Routes for the map under the alerts: the usual intensity, and the operator's layers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Response

from streams.console.api.alerts import NO_AREA, NO_REDIS, NO_SIGN_IN
from streams.console.api.queries import OneAreaQuery, chosen
from streams.console.api.session import Served, Viewer
from streams.console.data.health import health
from streams.console.models import Cells, Health, Json, documented

router = APIRouter()
LayerName = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="as /api/session lists them")]


@router.get(
    "/api/usual", response_class=Json, responses=documented(Cells, 200, _401=NO_SIGN_IN, _404=NO_AREA, _503=NO_REDIS)
)
async def usual(served: Served, _: Viewer, query: Annotated[OneAreaQuery, Query()]) -> Any:
    """Return how many events each location has had in the window; locations without any are left out."""
    areas = chosen([query.area] if query.area is not None else [], served.store.areas)
    if len(areas) > 1:
        raise HTTPException(404, "there are several areas: add area=")
    found = await served.store.usual(areas[0])
    if found is None:
        raise HTTPException(404, "not known yet; the worker writes these figures once it has caught up")
    try:
        return Json(await served.usual[areas[0]].encoded(found))
    except msgspec.DecodeError as error:
        served.store.leave_out("usual", areas[0], "usual", error)
        raise HTTPException(503, "the usual intensity in Redis cannot be read") from None


@router.get(
    "/api/layers/{name}",
    response_class=Response,
    responses={
        **documented(None, 200, _401=NO_SIGN_IN, _404="there is no such layer"),
        200: {
            "description": "the operator's GeoJSON",
            "content": {"application/geo+json": {"schema": {"type": "object"}}},
        },
    },
)
async def layer(served: Served, _: Viewer, name: LayerName) -> Response:
    """Return a layer as it is in the operator's file."""
    found = served.layers.get(name)
    if found is None:
        raise HTTPException(404, "there is no such layer")
    return Response(found.geojson, media_type="application/geo+json")


@router.get("/api/health", response_class=Json, responses=documented(Health, 200, _401=NO_SIGN_IN))
async def areas_health(served: Served, _: Viewer) -> Any:
    """Return the health of Redis, the workers and the feeds."""
    return Json(await health(served.store))
