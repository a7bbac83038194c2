"""Routes for Prometheus and health checks. They need no sign-in and reveal nothing about alerts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.console.api.session import Served
from streams.console.models import Alive, Json, documented

router = APIRouter()


@router.get("/healthz", response_class=Json, responses=documented(Alive, 200, _503="start the console again"))
async def alive(served: Served) -> Any:
    """Return 200 while the server works, whatever the state of Redis and Kafka."""
    if not served.hub.is_alive:
        raise HTTPException(503, "the event stream has died: start the console again")
    return Json(Alive())


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "metrics for Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def metrics(served: Served) -> Response:
    """Return the console's metrics."""
    served.metrics.viewers(served.hub.viewers)
    served.metrics.redis(served.hub.is_up)
    return Response(generate_latest(served.metrics.registry), media_type=CONTENT_TYPE_LATEST)
