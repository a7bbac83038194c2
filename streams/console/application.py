"""The ASGI application: its routes, its middleware and its error responses."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from redis import RedisError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from xstatic.pkg import leaflet

from streams.configuration.load import Configuration
from streams.console.api import alerts, event_stream, ground, probes, responses, session, terms
from streams.console.console import Console
from streams.console.guards import BodyLimit, SecurityHeaders
from streams.console.models import Json, Problem, components

STATIC = str(files("streams.console").joinpath("static"))


def application(configuration: Configuration) -> FastAPI:
    """Return the console as an ASGI application.

    Raises:
        ConfigurationError: A file that the configuration names cannot be used.
    """
    console = Console(configuration)
    settings = console.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await console.start()
        yield
        await console.stop()

    app = FastAPI(
        title="Hotspot monitor console",
        version=console.version,
        description="Alerts of the hotspot monitor, read from Redis; responses of operators go to Kafka.",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
    )
    app.state.console = console
    for module in (session, alerts, responses, ground, event_stream, probes, terms):
        app.include_router(module.router)
    app.get("/", include_in_schema=False)(_page)
    app.mount("/static/leaflet", StaticFiles(directory=leaflet.BASE_DIR))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(RedisError, _without_redis)
    app.openapi = _described(app.openapi)  # type: ignore[method-assign]
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.session_secret.reveal() or secrets.token_urlsafe(32),
        session_cookie=session.COOKIE,
        max_age=int(settings.session_hours * 3600),
        same_site="strict",
        https_only=settings.is_secure,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=5)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False)
    app.add_middleware(SecurityHeaders, settings=settings)
    return app


async def _page() -> FileResponse:
    return FileResponse(f"{STATIC}/index.html")


async def _refused(_: Request, error: Exception) -> Json:
    refused = error if isinstance(error, HTTPException) else HTTPException(500)
    return Json(Problem(refused.detail), refused.status_code, refused.headers)


async def _invalid(_: Request, error: Exception) -> Json:
    """Return the place of the fault but not the value, which can be a password."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    return Json(Problem("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults)), 422)


async def _without_redis(_request: Request, _error: Exception) -> Json:
    return Json(Problem("Redis is unavailable: the alerts cannot be read at the moment"), 503, {"Retry-After": "2"})


def _described(openapi: Any) -> Any:
    """Add the types that msgspec describes to the OpenAPI document."""

    def described() -> dict[str, Any]:
        schema: dict[str, Any] = openapi()
        schema.setdefault("components", {}).setdefault("schemas", {}).update(components())
        return schema

    return described
