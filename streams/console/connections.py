"""The server's connections: time limits for clients that keep it waiting, and room for new connections."""

from __future__ import annotations

import asyncio
import resource
from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import chain
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from streams.console.metrics import Closed

PATIENCE_S = 20.0
"""Time limit for a client to send a request, and to read what the server sends, in seconds."""
MAX_CONNECTIONS = 1000
"""Largest number of connections; fewer if the process can open fewer than twice as many files."""


class Connections:
    """All connections of a server. A new connection displaces the one that has kept the server waiting longest.

    ``per_address``: largest number of connections from one address, except addresses in ``exempt``. ``closed`` is
        called with the reason for each connection that is closed early.
    """

    def __init__(self, per_address: int, exempt: Collection[str], closed: Callable[[Closed], None]) -> None:
        self._per_address = per_address
        self._exempt = exempt
        self._closed = closed
        self._most = min(MAX_CONNECTIONS, _files() // 2)
        self._of: defaultdict[str, set[Connection]] = defaultdict(set)

    def add(self, newcomer: Connection) -> None:
        """Add a connection, or close it if it can displace no other."""
        own = self._of[newcomer.address]
        is_crowded = newcomer.address not in self._exempt and len(own) >= self._per_address
        if is_crowded or sum(map(len, self._of.values())) >= self._most:
            crowd = own if is_crowded else chain.from_iterable(self._of.values())
            waiting = [each for each in crowd if each.waits_since_s is not None]
            if not waiting:
                self.close(newcomer, "refused")
                return
            self.close(min(waiting, key=lambda each: each.waits_since_s or 0.0), "displaced")
        self._of[newcomer.address].add(newcomer)

    def close(self, connection: Connection, reason: Closed) -> None:
        """Close a connection at once, even if it still has something to send."""
        self.remove(connection)
        connection.transport.abort()
        self._closed(reason)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        own = self._of[connection.address]
        own.discard(connection)
        if not own:
            del self._of[connection.address]

    def protocol(self) -> type[Connection]:
        """Return the protocol with which uvicorn adds its connections here."""
        return type("_Connection", (Connection,), {"all": self})


class Connection(H11Protocol):
    """A connection of uvicorn that notes since when its client has kept the server waiting."""

    all: Connections

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.address = ""
        self.waits_since_s: float | None = None
        self._limit: asyncio.TimerHandle | None = None

    def accepted(self, transport: asyncio.Transport) -> None:
        """Wait for TLS, or else for the first request."""
        self.transport = transport
        client = get_remote_addr(transport)
        self.address = client[0] if client else ""
        self._wait()
        self.all.add(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        if self.waits_since_s is None:
            self.accepted(transport)
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self.gone()

    def gone(self) -> None:
        """Forget it."""
        self._go_on()
        self.all.remove(self)

    def data_received(self, data: bytes) -> None:
        """Go on once a request is complete."""
        super().data_received(data)
        self._go_on_if_served()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._wait()
        super().on_response_complete()
        self._go_on_if_served()

    def pause_writing(self) -> None:
        """Note that the client does not read what the server sends."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._go_on_if_served()

    def _go_on_if_served(self) -> None:
        cycle = self.cycle
        owes_request = cycle is None or cycle.more_body or cycle.response_complete
        if not owes_request and not self.flow.write_paused:
            self._go_on()

    def _wait(self) -> None:
        self._go_on()
        self.waits_since_s = self.loop.time()
        self._limit = self.loop.call_later(PATIENCE_S, self.all.close, self, "slow")

    def _go_on(self) -> None:
        self.waits_since_s = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class Loop(asyncio.SelectorEventLoop):
    """An event loop that informs a connection about TLS before the handshake. It needs a private name of uvicorn."""

    def _make_ssl_transport(
        self, rawsock: Any, protocol: Any, sslcontext: Any, waiter: asyncio.Future[None], **named: Any
    ) -> asyncio.Transport:
        create: Callable[..., asyncio.Transport] = super()._make_ssl_transport  # type: ignore[misc]
        transport = create(rawsock, protocol, sslcontext, waiter, **named)
        if isinstance(protocol, Connection):
            self.call_soon(protocol.accepted, transport)  # the transport begins in this turn of the loop
            waiter.add_done_callback(lambda _: None if protocol.client else protocol.gone())
        return transport


def _files() -> int:
    """Return how many files this process can open, after raising that number as far as needed and allowed."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 4 * MAX_CONNECTIONS if most == resource.RLIM_INFINITY else min(4 * MAX_CONNECTIONS, most)
    if now < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))
    return max(now, enough)
