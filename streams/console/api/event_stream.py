"""``GET /api/stream``: alerts and health as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

from streams.console.api.queries import StreamQuery, chosen
from streams.console.api.session import Served, Viewer
from streams.console.data.hub import Hub, read
from streams.console.models import documented

SLOW_S = 20.0
"""Time limit for a viewer to take an event, in seconds; then it is disconnected."""
LONGEST_S = 3600.0
"""Longest event stream, in seconds. The browser then connects again, which checks its session."""

router = APIRouter()


class EventStream(StreamingResponse):
    """An HTTP response that continues until the viewer leaves or is too slow."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        """Send the events."""

        async def in_time(message: Message) -> None:
            async with asyncio.timeout(SLOW_S):
                await send(message)

        with suppress(TimeoutError):
            await super().stream_response(in_time)


@router.get(
    "/api/stream",
    response_class=EventStream,
    responses={
        **documented(None, 200, _401="not signed in", _404="there is no such area", _503="there are too many viewers"),
        200: {
            "description": "`alert`: a Feature as in /api/alerts, with an id to resume after it; `health`: as "
            "/api/health, at once, with an id to resume from, and every 5 s",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def stream(
    served: Served,
    _: Viewer,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[str | None, Header(max_length=8192)] = None,
) -> EventStream:
    """Send what is new from now on, or after the event with the given id. Ends after an hour; resume it then."""
    areas = frozenset(chosen(query.area, served.store.areas))
    given = last_event_id or query.last_event_id
    try:
        seen = read(given) if given else None
    except ValueError as error:
        raise RequestValidationError([{"loc": ("header", "last-event-id"), "msg": str(error)}]) from None
    if seen is not None:
        seen = {area: entry for area, entry in seen.items() if area in served.store.areas}
    if served.hub.is_full:
        raise HTTPException(503, "there are too many viewers")
    return EventStream(_bounded(served.hub, areas, seen), headers={"X-Accel-Buffering": "no"})


async def _bounded(hub: Hub, areas: frozenset[str], seen: dict[str, str] | None) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    ends = clock() + LONGEST_S
    async with aclosing(hub.events(areas, seen)) as events:
        async for text in events:
            yield text
            if clock() > ends:
                return
