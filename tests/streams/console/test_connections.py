"""Clients that keep the server waiting shut nobody out, and are closed within the limit; nor can one user."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.configuration.load import Configuration
from streams.console import connections
from streams.console.users import password_line
from tests.streams.console.site import Client, Feed, alert, configured, new_area, serving

CROWD = 1_005
AT_ONCE_S = 4.0
"""Time limit for an answer on a busy machine, in seconds, below that after which an idle connection is closed."""
LATE_S = 3.0
"""Tolerance for a busy machine."""
PASSWORD = "a long password"
HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"


@pytest.fixture
def configuration(valkey: Any, tmp_path: Path) -> Configuration:
    passwords = tmp_path / "passwords"
    passwords.write_text("\n".join(password_line(user, "operator", PASSWORD) for user in ("ann", "bob")))
    return configured(valkey.url, new_area(), password_file=str(passwords), proxies=())


@pytest.fixture
def signed_in(configuration: Configuration) -> Iterator[Client]:
    with serving(configuration) as client:
        assert client.sign_in("ann", PASSWORD).status_code == 204
        yield client


Opened = Callable[[bytes, str], socket.socket]


@contextmanager
def opening(client: Client) -> Iterator[Opened]:
    """A way to open connections from an address of this machine; they are closed at the end."""
    with ExitStack() as stack:

        def opened(sent: bytes, address: str) -> socket.socket:
            made = socket.create_connection(("127.0.0.1", client.base_url.port or 0), 5, (address, 0))
            made.sendall(sent)
            return stack.enter_context(closing(made))

        yield opened


def is_closed(connection: socket.socket) -> bool:
    """Read what there is; whether the server has then closed."""
    connection.settimeout(0)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def open_of(crowd: list[socket.socket]) -> int:
    return sum(not is_closed(each) for each in crowd)


def assert_served(client: Client) -> None:
    """A new connection, as well as the one in use, is served at once."""
    for path in ("/healthz", "/api/alerts"):
        for is_new in (False, True):
            began = time.monotonic()
            with httpx.Client(base_url=client.base_url, cookies=dict(client.cookies)) as other:
                assert (other if is_new else client).get(path).status_code == 200
            assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("addresses", [1, 50], ids=["of one address", "of 50 addresses"])
@pytest.mark.parametrize(
    "sent",
    [b"", HEAD, POST + b'{"user"', HEAD + b"\r\n", HEAD + b"\r\n" + HEAD],
    ids=["idle", "half a head", "half a body", "idle after a response", "half a head after a response"],
)
def test_a_crowd_that_sends_nothing_shuts_nobody_out_and_is_closed(
    signed_in: Client, monkeypatch: pytest.MonkeyPatch, sent: bytes, addresses: int
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 5.0)
    with opening(signed_in) as opened:
        crowd = [opened(sent, f"127.0.1.{1 + number % addresses}") for number in range(CROWD)]
        signed_in.get("/healthz")  # after the requests of the crowd, of which each takes a millisecond
        assert_served(signed_in)
        if addresses == 1:
            assert open_of(crowd) <= 200
        began = time.monotonic()
        while open_of(crowd):
            assert time.monotonic() - began < 5.0 + LATE_S
            signed_in.get("/healthz")  # an idle connection could end just as the next request begins
            time.sleep(0.1)
        assert_served(signed_in)


def test_one_who_trickles_a_head_is_closed(signed_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 1.0)
    with opening(signed_in) as opened:
        slow = opened(HEAD, "127.0.0.1")
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 10:
                slow.sendall(b"X-Slow: 1\r\n")
                time.sleep(0.1)
        assert 1.0 <= time.monotonic() - began < 1.0 + LATE_S
    assert 'connections_closed_total{reason="slow"} 0.0' not in signed_in.get("/metrics").text


def test_a_client_in_use_does_not_give_way(signed_in: Client) -> None:
    """An event stream in use stays open; without any other that could give way, a newcomer is refused."""
    settings = signed_in.app.state.console.settings
    cookie = "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())
    watch = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
    with opening(signed_in) as opened:
        streams = [opened(watch, "127.0.1.1") for _ in range(settings.event_streams_per_user)]
        assert all(stream.recv(12) == b"HTTP/1.1 200" for stream in streams)
        crowd = [opened(b"", "127.0.1.1") for _ in range(CROWD)]
        assert_served(signed_in)  # by a connection that comes after the crowd
        assert open_of(streams) == len(streams)
        assert 0 < open_of(crowd) <= settings.connections_per_address - len(streams)


def test_a_proxy_has_no_limit_of_its_own(valkey: Any) -> None:
    with (
        serving(configured(valkey.url, new_area(), proxies=("127.0.1.1",))) as client,
        opening(client) as opened,
    ):
        crowd = [opened(b"", "127.0.1.1") for _ in range(300)]
        other = [opened(b"", "127.0.1.2") for _ in range(300)]
        assert client.get("/healthz").status_code == 200
        assert (open_of(crowd), open_of(other)) == (300, 200)


def test_one_user_cannot_hold_all_event_streams(configuration: Configuration) -> None:
    with serving(configuration) as client, ExitStack() as stack:
        client.sign_in("ann", PASSWORD)
        most = client.app.state.console.settings.event_streams_per_user

        def codes(number: int) -> list[int]:
            return [stack.enter_context(client.stream("GET", "/api/stream")).status_code for _ in range(number)]

        assert codes(most + 3) == [200] * most + [503] * 3
        client.act("/api/logout")
        client.sign_in("bob", PASSWORD)
        assert codes(1) == [200]


def test_the_event_streams_of_one_address_leave_room_for_requests(
    valkey: Any, tmp_path: Path, configuration: Configuration
) -> None:
    settings = configured(
        valkey.url,
        new_area(),
        password_file=configuration.console.password_file,
        proxies=(),
        connections_per_address=10,
    )
    with serving(settings) as client, ExitStack() as stack:
        client.sign_in("ann", PASSWORD)
        codes = [stack.enter_context(client.stream("GET", "/api/stream")).status_code for _ in range(7)]
        assert codes == [200] * 5 + [503] * 2
        assert client.get("/api/alerts").status_code == 200


def test_a_viewer_that_takes_nothing_is_closed(valkey: Any, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 1.0)
    area = new_area()
    with serving(configured(valkey.url, area)) as client, opening(client) as opened:
        slow = opened(b"", "127.0.0.1")
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        viewers = client.app.state.console.hub
        deadline = time.monotonic() + 30
        number = 0
        while not viewers.viewers:
            assert time.monotonic() < deadline
        while viewers.viewers:
            assert time.monotonic() < deadline, "the viewer is still there"
            feed.put(alert(number, area, members=tuple(f"{number}-{each}" for each in range(2_000))))
            number += 1
        assert 'connections_closed_total{reason="slow"} 1.0' in client.get("/metrics").text


def test_in_a_full_server_the_longest_waiting_of_all_gives_way(valkey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy has most connections, and all of them are in use."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 40)
    with serving(configured(valkey.url, new_area(), proxies=("127.0.1.1",))) as client, opening(client) as opened:
        client.close()  # its connection would give way first
        watch = b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        streams = [opened(watch, "127.0.1.1") for _ in range(20)]
        assert all(stream.recv(12) == b"HTTP/1.1 200" for stream in streams)
        idle = [opened(b"", f"127.0.1.{2 + number % 10}") for number in range(20)]
        newcomer = opened(HEAD + b"\r\n", "127.0.1.50")
        assert newcomer.recv(12) == b"HTTP/1.1 200"
        assert open_of(streams) == 20
        assert [is_closed(each) for each in idle] == [True] + 19 * [False]


def secured(valkey: Any, tmp_path: Path, **settings: Any) -> Configuration:
    """A console with TLS."""
    names: dict[str, Any] = {name: str(tmp_path / name) for name in ("ssl_certfile", "ssl_keyfile")}
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    certificate = ["-out", names["ssl_certfile"], "-keyout", names["ssl_keyfile"]]
    subprocess.run([*command.split(), *certificate], check=True, capture_output=True)
    return configured(valkey.url, new_area(), **names, **settings)


def test_one_who_begins_no_tls_is_closed(valkey: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 1.0)
    with serving(secured(valkey, tmp_path)) as client, opening(client) as opened:
        began = time.monotonic()
        silent = opened(b"", "127.0.0.1")
        assert silent.recv(1) == b""
        assert 1.0 <= time.monotonic() - began < 1.0 + LATE_S


def test_those_who_begin_no_tls_count_as_connections(valkey: Any, tmp_path: Path) -> None:
    settings = secured(valkey, tmp_path, connections_per_address=10, proxies=())
    with serving(settings) as client, opening(client) as opened:
        context = ssl.create_default_context(cafile=settings.console.ssl_certfile)
        with httpx.Client(base_url=str(client.base_url).replace("http:", "https:"), verify=context) as secure:
            crowd = [opened(b"", "127.0.0.1") for _ in range(30)]
            gone = [opened(b"", "127.0.1.1") for _ in range(10)]
            for each in gone:
                each.close()  # in the middle of the handshake
            assert secure.get("/healthz").status_code == 200
            assert open_of(crowd) == 9
            assert 'connections_closed_total{reason="displaced"} 21.0' in secure.get("/metrics").text
