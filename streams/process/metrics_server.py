"""The port for Prometheus and health checks: ``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PATIENCE_S = 10.0
"""Time limit for a connection, from its first byte to its last, in seconds."""
MAX_CONNECTIONS = 50
"""Largest number of connections, each of which has a thread. A new connection displaces the oldest one."""


class _Server(ThreadingWSGIServer):
    """A server that ends connections in time, so that idle clients use up neither its threads nor its files."""

    request_queue_size = 1024

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._open: dict[socket.socket, float] = {}  # since when, on the monotonic clock; the oldest comes first

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Count a new connection, and end the oldest if there are too many."""
        self._open[request] = time.monotonic()
        self._end(len(self._open) - MAX_CONNECTIONS)
        return super().verify_request(request, client_address)

    def service_actions(self) -> None:
        """End the connections that have lasted too long; called every half second."""
        super().service_actions()
        now_s = time.monotonic()
        self._end(sum(now_s - since_s > PATIENCE_S for since_s in list(self._open.values())))

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that is done, and close it."""
        self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing about a broken connection."""

    def _end(self, number: int) -> None:
        """End the oldest connections: their threads wake and close them."""
        for connection in list(self._open)[: max(number, 0)]:
            self._open.pop(connection, None)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (a name of the base class)
        """Log no requests."""


class MetricsServer:
    """An HTTP server for ``/metrics``, ``/healthz`` and ``/readyz``, in a thread.

    ``dead`` and ``not_ready`` return None when all is well. Otherwise they return the reason in one line, which becomes
    the body of a 503. Port 0 is any free port; :meth:`start` puts its number into :attr:`port`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        dead: Callable[[], str | None] = lambda: None,
        not_ready: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._host = host
        self.port = port
        self._metrics = make_wsgi_app(registry)
        self._probes = {"/healthz": dead, "/readyz": not_ready}

    def start(self) -> None:
        """Listen on the port. Raises OSError if it is taken, or if the host is not an address of this machine."""
        family, _, _, _, address = socket.getaddrinfo(self._host, self.port, type=socket.SOCK_STREAM)[0]
        server_class: type[_Server] = type("_ServerOfFamily", (_Server,), {"address_family": family})
        self._server = make_server(str(address[0]), self.port, self._respond, server_class, _Handler)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics(environ, start_response)
            return metrics
        if path in self._probes:
            fault = self._probes[path]()
            status, body = ("200 OK", "ok") if fault is None else ("503 Service Unavailable", fault)
        else:
            status, body = "404 Not Found", "see /metrics, /healthz, /readyz"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{body}\n".encode()]
