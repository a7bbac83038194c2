"""``GET /api/stream``: alerts and health as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from streams.console.api.queries import StreamQuery, chosen
from streams.console.api.session import Identity, Served, Viewer, address_of
from streams.console.data.hub import Hub, read
from streams.console.data.viewers import TooManyViewers, Viewers
from streams.console.models import Json, Problem, documented

LONGEST_S = 3600.0
"""Longest event stream, in seconds. The browser then connects again, which checks its session."""

router = APIRouter()


class EventStream(StreamingResponse):
    """An HTTP response that continues until the viewer leaves."""

    media_type = "text/event-stream"


class CountedStream(EventStream):
    """An event stream that counts among the viewers; 503 if there are too many."""

    def __init__(self, events: AsyncGenerator[bytes], viewers: Viewers, who: Identity, address: str) -> None:
        super().__init__(events, headers={"X-Accel-Buffering": "no"})
        self._viewers = viewers
        self._who = who
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._viewers.entered(self._who.user, self._address))
            except TooManyViewers as error:
                await Json(Problem(str(error)), 503)(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)


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
    request: Request,
    served: Served,
    who: Viewer,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[str | None, Header(max_length=8192)] = None,
) -> CountedStream:
    """Send all events from now on, or after the event with the given id. Ends after an hour; resume it then."""
    areas = frozenset(chosen(query.area, served.store.areas))
    given = last_event_id or query.last_event_id
    try:
        seen = read(given) if given else None
    except ValueError as error:
        raise RequestValidationError([{"loc": ("header", "last-event-id"), "msg": str(error)}]) from None
    if seen is not None:
        seen = {area: entry for area, entry in seen.items() if area in served.store.areas}
    return CountedStream(_bounded(served.hub, areas, seen), served.viewers, who, address_of(request))


async def _bounded(hub: Hub, areas: frozenset[str], seen: dict[str, str] | None) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    ends = clock() + LONGEST_S
    async with aclosing(hub.events(areas, seen)) as events:
        async for text in events:
            yield text
            if clock() > ends:
                return
