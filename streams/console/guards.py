"""Middleware: a limit for the size of a body, and security headers for browsers."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.configuration.console import ConsoleSettings
from streams.console.models import Json, Problem

MAX_BODY_BYTES = 32_768
"""Largest body: a name and a password with every character escaped."""
TOO_LARGE = f"the body must be at most {MAX_BODY_BYTES} bytes long"


class BodyLimit:
    """Returns 413 for a body of more than ``MAX_BODY_BYTES``, with or without a ``Content-Length``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
            await Json(Problem(TOO_LARGE), 413, {"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, limited, send)


class SecurityHeaders:
    """Adds headers to every HTTP response that isolate this site from others."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings) -> None:
        self._app = app
        images = " ".join(filter(None, ("'self'", "data:", settings.tiles_origin)))
        self._headers = {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
                f"img-src {images}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                # A browser checks static files again each time, and stores nothing else: it can hold an alert.
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
