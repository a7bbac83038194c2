"""The process of ``hotspots console``: one event loop that serves everything."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress

import msgspec
import uvicorn
from fastapi import FastAPI

from streams.configuration.console import ConsoleSettings
from streams.configuration.load import Configuration
from streams.console.application import application
from streams.console.connections import Connections, Loop
from streams.process.logs import LogFormat, set_up_logging

STOP_S = 3
"""Time limit for open event streams to end, in seconds."""

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """The HTTP server of a console, not yet running."""

    def __init__(self, app: FastAPI, settings: ConsoleSettings) -> None:
        connections = Connections(settings.connections_per_address, settings.proxies, app.state.console.metrics.closed)
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host.strip("[]"),
                port=settings.port,
                loop=f"{Loop.__module__}:{Loop.__name__}",
                http=connections.protocol(),
                log_config=None,
                access_log=False,  # URLs hold ids and areas of alerts
                server_header=False,
                proxy_headers=False,  # only the configured addresses count as proxies
                ssl_certfile=settings.ssl_certfile or None,
                ssl_keyfile=settings.ssl_keyfile or None,
                timeout_graceful_shutdown=STOP_S,
            )
        )

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Log the address once the server listens. With port 0 the address is not known earlier."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            log.info("the console is at %s://%s:%d/", scheme, f"[{host}]" if ":" in host else host, port)


def run_console(configuration: Configuration, port: int | None, log_format: LogFormat) -> int:
    """Serve until SIGTERM or Ctrl-C. Return the exit code.

    Raises:
        ConfigurationError: A file that the configuration names cannot be used.
    """
    settings = configuration.console
    if port is not None:
        settings = msgspec.structs.replace(settings, port=port)
        configuration = msgspec.structs.replace(configuration, console=settings)
    app = application(configuration)
    set_up_logging(log_format)
    server = Server(app, settings)
    has_failed = False

    def fail() -> None:
        nonlocal has_failed
        has_failed = server.should_exit = True

    app.state.console.hub.failed = fail
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises the signal again after its end
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started and not has_failed else 1
