"""The proxy cuts, delays, narrows and forgets connections, and otherwise passes every byte on."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.faults.proxy import Proxy

SOON_S = 0.3
"""Time in which an answer comes over a link that works, with a wide margin, in seconds."""


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def echo(connection: socket.socket, data: bytes) -> float:
    """Seconds until the whole of it has come back."""
    began_s = time.monotonic()
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    received = b""
    while len(received) < len(data):
        received += connection.recv(65_536)
    sender.join()
    assert received == data
    return time.monotonic() - began_s


def is_silent(connection: socket.socket) -> bool:
    """Whether no answer comes to a byte that is sent."""
    connection.settimeout(SOON_S)
    connection.sendall(b"?")
    try:
        return not connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(10)


def test_every_byte_is_passed_on(proxy: Proxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        echo(first, bytes(range(256)) * 10_000)
        echo(second, b"hello")


def test_what_is_sent_over_a_cut_link_arrives_when_it_is_mended(proxy: Proxy) -> None:
    with connect(proxy) as before:
        echo(before, b"hello")
        proxy.cut()
        assert is_silent(before)
        with connect(proxy) as meanwhile:
            assert is_silent(meanwhile)
            proxy.mend()
            assert (before.recv(1), meanwhile.recv(1)) == (b"?", b"?")


def test_a_forgotten_connection_stays_silent_and_a_new_one_works(proxy: Proxy) -> None:
    with connect(proxy) as before:
        echo(before, b"hello")
        proxy.forget()
        assert is_silent(before)
        with connect(proxy) as after:
            echo(after, b"hello")
        assert is_silent(before)


def test_a_delay_holds_back_and_does_not_narrow(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.delay(0.2)
        assert 0.4 <= echo(connection, b"x" * 1_000_000) < 2.0


def test_a_narrow_link_passes_so_many_bytes_a_second(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.narrow(20_000)
        assert echo(connection, b"x" * 10_000) >= 0.4
        proxy.mend()
        assert echo(connection, b"x" * 10_000) < SOON_S


@pytest.mark.parametrize("side", ["client", "server"])
def test_the_end_of_one_side_ends_the_other(proxy: Proxy, side: str) -> None:
    with connect(proxy) as connection:
        echo(connection, b"hello")
        if side == "client":
            connection.shutdown(socket.SHUT_WR)
        else:
            proxy.drop()
        assert connection.recv(1) == b""
