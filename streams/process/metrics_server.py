"""The port for Prometheus and health checks: ``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


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
        self._registry = registry
        self._host = host
        self.port = port
        self._metrics = make_wsgi_app(registry)
        self._probes = {"/healthz": dead, "/readyz": not_ready}

    def start(self) -> None:
        """Listen on the port. Raises OSError if it is taken, or if the host is not an address of this machine."""
        self._server, self._thread = start_http_server(self.port, self._host, self._registry)
        self._server.set_app(self._respond)
        self.port = self._server.server_port

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
