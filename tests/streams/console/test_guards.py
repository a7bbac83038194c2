"""The middleware without a server: the limit for bodies, and the headers for browsers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from streams.configuration.console import ConsoleSettings
from streams.console.guards import MAX_BODY_BYTES, BodyLimit, SecurityHeaders

TILES = "https://{s}.tiles.example.org/{z}/{x}/{y}.png"


class App:
    """An ASGI application that reads the whole body and returns 200."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.body: bytes | None = None
        self._headers = [*headers]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.body, has_more = b"", scope["type"] == "http"
        while has_more:
            message = await receive()
            self.body += message["body"]
            has_more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": b""})


def ask(app: Any, *parts: bytes, path: str = "/", kind: str = "http", **headers: str) -> tuple[int, dict[str, str]]:
    """Return status and headers of a request whose body comes in these parts."""
    sent: list[Any] = []
    waiting = list(parts) or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(app({"type": kind, "path": path, "headers": raw}, receive, send))
    start = sent[0]
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 30])
def test_a_body_that_announces_its_length_is_not_read(length: str) -> None:
    app = App()
    status, headers = ask(BodyLimit(app), b"x", content_length=length)
    assert (status, headers["connection"], app.body) == (413, "close", None)


@pytest.mark.parametrize("headers", [{}, {"content_length": "1"}, {"content_length": "nonsense"}])
def test_a_body_in_parts_is_counted(headers: dict[str, str]) -> None:
    app = BodyLimit(App())
    with pytest.raises(HTTPException) as error:
        ask(app, b"x" * MAX_BODY_BYTES, b"x", **headers)
    assert error.value.status_code == 413


def test_the_largest_body_passes() -> None:
    app = App()
    parts = (b"x" * (MAX_BODY_BYTES - 1), b"y")
    assert ask(BodyLimit(app), *parts, content_length=str(MAX_BODY_BYTES))[0] == 200
    assert app.body == b"".join(parts)


@pytest.mark.parametrize(("path", "kept"), [("/static/page/app.js", "no-cache"), ("/api/alerts", "no-store")])
def test_browsers_check_scripts_again_and_store_nothing_else(path: str, kept: str) -> None:
    status, headers = ask(SecurityHeaders(App(), ConsoleSettings()), path=path)
    assert (status, headers["cache-control"]) == (200, kept)
    assert headers["x-content-type-options"] == "nosniff"


def test_a_route_can_choose_how_long_it_is_stored() -> None:
    app = App((b"cache-control", b"max-age=60"))
    assert ask(SecurityHeaders(app, ConsoleSettings()))[1]["cache-control"] == "max-age=60"


@pytest.mark.parametrize(
    ("tiles", "images"), [("", "'self' data:;"), (TILES, "'self' data: https://*.tiles.example.org;")]
)
def test_only_the_map_tiles_come_from_elsewhere(tiles: str, images: str) -> None:
    policy = ask(SecurityHeaders(App(), ConsoleSettings(tiles_url=tiles)))[1]["content-security-policy"]
    assert f"img-src {images}" in policy
    assert "script-src 'self';" in policy


def test_other_scopes_pass_unchanged() -> None:
    """Such as the start of the server."""
    app = SecurityHeaders(BodyLimit(App()), ConsoleSettings())
    assert ask(app, kind="lifespan", content_length="9" * 9) == (200, {})
