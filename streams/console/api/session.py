"""The user who sends a request, the user's role, and whether the console's own page sent it."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response, Security
from fastapi.security import APIKeyCookie
from pydantic import BaseModel, ConfigDict, Field

from streams.console.console import Console
from streams.console.models import Json, LayerName, Role, Session, documented
from streams.console.users import MAX_PASSWORD, Busy

COOKIE = "hotspots_session"
CSRF_HEADER = "X-CSRF-Token"
_cookie = APIKeyCookie(
    name=COOKIE, scheme_name="session", description="only where the console asks for a login", auto_error=False
)

router = APIRouter()


class Identity(NamedTuple):
    """A user who is signed in."""

    user: str
    role: Role


class Credentials(BaseModel):
    """The user and password of a sign-in."""

    model_config = ConfigDict(extra="forbid")

    user: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD, json_schema_extra={"format": "password"})]


def console(request: Request) -> Console:
    """Return the console that the application serves."""
    found: Console = request.app.state.console
    return found


def address_of(request: Request) -> str:
    """Return the address that sends the request; behind a reverse proxy, the address of the proxy."""
    return request.client.host if request.client else ""


def identity(request: Request) -> Identity | None:
    """Return the user who sends the request; None without a sign-in."""
    served = console(request)
    settings = served.settings
    if settings.login == "none":
        return Identity("local", "operator")
    if settings.login == "proxy":
        is_proxy = address_of(request) in settings.proxies
        user = request.headers.get(settings.proxy_user_header, "")[:100] if is_proxy else ""
        role = request.headers.get(settings.proxy_role_header, "") if settings.proxy_role_header else ""
        return Identity(user, "operator" if role == "operator" else "viewer") if user.isprintable() and user else None
    return _begun(request, served)


def _begun(request: Request, served: Console) -> Identity | None:
    """Return the user of a session, if the password has not changed since the sign-in."""
    user = served.passwords.users.get(request.session.get("user", "")) if served.passwords else None
    if user is None or not secrets.compare_digest(user.mark, str(request.session.get("mark", ""))):
        return None
    return Identity(user.name, user.role)


def viewer(request: Request, _: Annotated[str | None, Security(_cookie)] = None) -> Identity:
    """Return the user if signed in; otherwise 401."""
    found = identity(request)
    if found is None:
        raise HTTPException(401, "sign in first")
    return found


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # half a bracket
        return None


def own_page(
    request: Request,
    token: Annotated[str, Header(alias=CSRF_HEADER, max_length=200, description="csrf of /api/session")] = "",
) -> None:
    """Return 403 unless the request has the session's token and comes from this origin."""
    origin = request.headers.get("origin")
    if origin is not None and _host(origin) != request.headers.get("host", ""):
        raise HTTPException(403, "the request comes from a page of another site")
    right = str(request.session.get("csrf", ""))
    if not right or not secrets.compare_digest(right.encode(), token.encode()):
        raise HTTPException(403, f"the header {CSRF_HEADER} must be the token that /api/session gives")


def operator(who: Annotated[Identity, Depends(viewer)], _: Annotated[None, Depends(own_page)]) -> Identity:
    """Return the user if it can respond and uses the console's own page; otherwise 401 or 403."""
    if who.role != "operator":
        raise HTTPException(403, "a viewer can look but not respond")
    return who


Served = Annotated[Console, Depends(console)]
Viewer = Annotated[Identity, Depends(viewer)]
Operator = Annotated[Identity, Depends(operator)]


@router.get("/api/session", responses=documented(Session, 200), response_class=Json)
def session(request: Request, served: Served) -> Any:
    """Return the user, and what the page needs to begin. The first HTTP response sets the session's cookie."""
    who = identity(request)
    csrf = request.session.setdefault("csrf", secrets.token_urlsafe(24))
    settings = served.settings
    areas = served.areas if who else {}
    return Json(
        Session(
            user=who.user if who else "",
            role=who.role if who else "viewer",
            login=settings.login,
            signed_in=who is not None,
            csrf=csrf,
            areas=list(areas),
            time_zones={name: area.timezone for name, area in areas.items()},
            clocks={name: area.clock for name, area in areas.items()},
            tiles=settings.tiles_url if who else "",
            attribution=settings.tiles_attribution if who else "",
            layers=[LayerName(name=each.name, kind=each.kind, label=each.label) for each in served.layers]
            if who
            else [],
            version=served.version,
        )
    )


@router.post(
    "/api/login",
    status_code=204,
    dependencies=[Depends(own_page)],
    responses=documented(
        None,
        204,
        _401="the user or the password is wrong",
        _403="not sent by this page",
        _404="this console has no sign-in by password",
        _413="the body is too large",
        _429="too many sign-ins at once",
    ),
)
async def login(request: Request, served: Served, given: Credentials) -> Response:
    """Sign in. Request /api/session again afterwards, because its token changes."""
    if served.passwords is None:
        raise HTTPException(404, "this console has no sign-in by password")
    try:
        user = await served.passwords.check(given.user, given.password, address_of(request))
    except Busy:
        raise HTTPException(429, "too many sign-ins at once, try again soon", {"Retry-After": "5"}) from None
    if user is None:
        raise HTTPException(401, "the user or the password is wrong")
    request.session.clear()
    request.session.update(user=user.name, mark=user.mark, csrf=secrets.token_urlsafe(24))
    return Response(status_code=204)


@router.post(
    "/api/logout",
    status_code=204,
    dependencies=[Depends(own_page)],
    responses=documented(None, 204, _403="not sent by this page", _413="the body is too large"),
)
def logout(request: Request) -> Response:
    """Sign out: the browser forgets the session."""
    request.session.clear()
    return Response(status_code=204)
