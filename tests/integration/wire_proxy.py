"""A proxy between Kafka's clients and a broker that delays, repeats and reorders requests.

Of a request it reads only the size and the header: api key, version, correlation id. What arrives late comes on a
connection of its own, as it does after a client has lost its connection and has asked again.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from streams.local_services.kafka import LocalKafka
from streams.local_services.service import HOST, free_port

PRODUCE, END_TXN = 0, 26
"""Api keys of Kafka's protocol."""
SIZE = struct.Struct(">i")
HEADER = struct.Struct(">hhi")
SETTLE_S = 5.0
"""Time limit for an answer to a late request, in seconds."""


class Request(NamedTuple):
    """A request as it was sent, without its size."""

    api_key: int
    version: int
    correlation: int
    payload: bytes

    @classmethod
    def of(cls, payload: bytes) -> Self:
        """Read a request's header."""
        api_key, version, correlation = HEADER.unpack_from(payload)
        return cls(api_key, version, correlation, payload)


Fate = Callable[["WireProxy", Request], Coroutine[Any, Any, bool]]
"""Decides about a request before the broker gets it; False: the client's connection is cut instead."""


async def pass_on(_: WireProxy, __: Request) -> bool:
    """Let every request through."""
    return True


class ProxiedKafka(LocalKafka):
    """A broker with a second address, ``through``, whose clients find it through a proxy only."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.behind, self.proxied = free_port("proxy", 0), free_port("proxy", 0)

    @property
    def through(self) -> str:
        """The bootstrap server behind the proxy."""
        return f"{HOST}:{self.proxied}"

    def _command(self) -> list[str | Path]:
        command = super()._command()
        file = self.directory / "server.properties"
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines() if not line.startswith("#"))
        settings["listeners"] += f",PROXIED://{HOST}:{self.behind}"
        settings["advertised.listeners"] = f"PLAINTEXT://{HOST}:{self.port},PROXIED://{self.through}"
        settings["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
        settings["inter.broker.listener.name"] = "PLAINTEXT"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return command


class WireProxy:
    """A proxy in front of a broker, in a thread with an event loop of its own; a context manager.

    ``seen`` are the requests of the two kinds that came from clients, ``done`` how often each thing was done to them.
    """

    def __init__(self, broker: ProxiedKafka, fate: Fate = pass_on) -> None:
        self.seen: list[Request] = []
        self.done: Counter[str] = Counter()
        self._broker = broker
        self._fate = fate
        self._loop = asyncio.new_event_loop()
        self._late: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="wire-proxy", daemon=True)
        self._is_listening = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_listening.wait(10)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def last(self, api_key: int) -> Request:
        """Return the last request of a kind."""
        return next(each for each in reversed(self.seen) if each.api_key == api_key)

    def repeat(self, request: Request) -> int:
        """Send an ``EndTxn`` again, on a connection of its own; return the error code of the answer."""
        with socket.create_connection((HOST, self._broker.behind), timeout=SETTLE_S) as connection:
            connection.sendall(SIZE.pack(len(request.payload)) + request.payload)
            file = connection.makefile("rb")
            (size,) = SIZE.unpack(file.read(SIZE.size))
            answer = file.read(size)
        flexible = 1 if request.version >= 3 else 0  # tagged fields in the header
        return int(struct.unpack_from(">h", answer, 4 + flexible + 4)[0])  # after correlation id and throttle time

    def send_late(self, request: Request, delay_s: float) -> None:
        """Send a request after a while, on a connection of its own; called by a fate."""
        task = self._loop.create_task(self._send_late(request, delay_s))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _send_late(self, request: Request, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            reader, writer = await asyncio.open_connection(HOST, self._broker.behind)
            with closing(writer):
                writer.write(SIZE.pack(len(request.payload)) + request.payload)
                async with asyncio.timeout(SETTLE_S):
                    await reader.readexactly(SIZE.size)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, self._broker.proxied))
        self._is_listening.set()
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # what was closed ends now

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            broker, to_broker = await asyncio.open_connection(HOST, self._broker.behind)
        except OSError:
            to_client.close()
            return
        answers = asyncio.create_task(_copy(broker, to_client))
        with closing(to_broker), closing(to_client), suppress(OSError, asyncio.IncompleteReadError):
            while True:
                (size,) = SIZE.unpack(await client.readexactly(SIZE.size))
                request = Request.of(await client.readexactly(size))
                if request.api_key in (PRODUCE, END_TXN):
                    self.seen.append(request)
                    if not await self._fate(self, request):
                        break
                to_broker.write(SIZE.pack(size) + request.payload)
                await to_broker.drain()
        answers.cancel()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def bad_network(seed: int, share: float, longest_s: float) -> Fate:
    """A fate that does one of three things to a share of the requests, each after up to ``longest_s`` seconds.

    ``delayed``: it comes late. ``repeated``: it comes, and once more late. ``overtaken``: the connection is lost, the
    client asks again, and the first request comes late.
    """
    chance = random.Random(seed)

    async def fate(proxy: WireProxy, request: Request) -> bool:
        if chance.random() >= share:
            return True
        kind, delay_s = chance.choice(("delayed", "repeated", "overtaken")), chance.uniform(0, longest_s)
        proxy.done[f"{kind} {request.api_key}"] += 1
        if kind == "delayed":
            await asyncio.sleep(delay_s)
            return True
        proxy.send_late(request, delay_s)
        return kind == "repeated"

    return fate
