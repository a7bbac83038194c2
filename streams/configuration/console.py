"""Settings of the console: its address, who may use it, and what its map shows."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from streams.configuration.reader import matching
from streams.configuration.sources import Secret

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""Names by which a browser on this machine reaches the console."""

LoginMode = Literal["none", "password", "proxy"]
LayerKind = Literal["boundary", "beats", "streets", "other"]
LayerName = Annotated[str, matching("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "1 to 64 of A-Z a-z 0-9 _ -")]
HeaderName = Annotated[str, matching("[A-Za-z0-9-]{0,64}", "the name of an HTTP header, such as 'X-Remote-User'")]


class LayerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A GeoJSON file for the map. Layers of streets and beats also name places."""

    name: LayerName
    kind: LayerKind = "other"
    file: str = ""
    label: str = "name"

    def __post_init__(self) -> None:
        if not self.file:
            raise ValueError("file: missing; must be a GeoJSON file")


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address of ``hotspots console``, who may use it, and what its map shows. Port 0 is any free port."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8080
    hosts: tuple[str, ...] = ()
    password_file: str = ""
    proxy_user_header: HeaderName = ""
    proxy_role_header: HeaderName = ""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    session_secret: Secret = Secret()
    session_secret_file: str = ""
    session_hours: Annotated[float, msgspec.Meta(gt=0, le=168)] = 12.0
    secure_cookie: bool = False
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    tiles_url: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    tiles_attribution: Annotated[str, msgspec.Meta(max_length=500)] = ""
    layers: tuple[LayerSettings, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if self.password_file and self.proxy_user_header:
            faults.append("password_file, proxy_user_header: give only one of them")
        if not self.is_loopback and self.login == "none":
            faults.append(
                f"host = {self.host!r}: must be 127.0.0.1 or another loopback address unless there is a login; "
                "give password_file or proxy_user_header"
            )
        names = [layer.name for layer in self.layers]
        faults.extend(f"layers: {name!r} is given twice" for name in sorted({n for n in names if names.count(n) > 1}))
        if self.tiles_url and not self.tiles_origin:
            faults.append(
                "tiles_url: must be an http or https address with {z}, {x} and {y}, such as "
                "'https://tiles.example.org/{z}/{x}/{y}.png'"
            )
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def login(self) -> LoginMode:
        """How users sign in."""
        return "password" if self.password_file else "proxy" if self.proxy_user_header else "none"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the console."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The host names under which requests are accepted.

        Without a login, a web page open on this machine could reach the console through a host name that
        resolves to loopback. So without a login only the machine's own names are accepted.
        """
        return self.hosts or (LOOPBACK_NAMES if self.login == "none" else ("*",))

    @property
    def is_secure(self) -> bool:
        """Whether browsers must send the session cookie over https only."""
        return self.secure_cookie or bool(self.ssl_certfile)

    @property
    def tiles_origin(self) -> str:
        """The origin of the tiles for a Content-Security-Policy; empty if the URL is not usable."""
        if not all(part in self.tiles_url for part in ("{z}", "{x}", "{y}")) or set(self.tiles_url) & set(" ;,'\"<>"):
            return ""
        try:
            address = urlsplit(self.tiles_url.replace("{s}", "*"))
            host, _ = address.hostname, address.port
        except ValueError:  # not a port, or an unbalanced bracket
            return ""
        return f"{address.scheme}://{address.netloc}" if address.scheme in ("http", "https") and host else ""
