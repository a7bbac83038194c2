"""What Prometheus and health checks ask; it needs no sign-in, and says nothing of alerts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.console.api.session import Served
from streams.console.models import Alive, Json, answers

router = APIRouter()


@router.get("/healthz", response_class=Json, responses=answers(Alive, 200, _503="it must be started again"))
async def alive(served: Served) -> Any:
    """Whether the server works; of Redis and Kafka it says nothing."""
    if not served.hub.is_alive:
        raise HTTPException(503, "the event stream has died: start the console again")
    return Json(Alive())


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "figures for Prometheus", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def metrics(served: Served) -> Response:
    """The console's figures."""
    served.metrics.viewers(served.hub.viewers)
    served.metrics.redis(served.hub.is_up)
    return Response(generate_latest(served.metrics.registry), media_type=CONTENT_TYPE_LATEST)
