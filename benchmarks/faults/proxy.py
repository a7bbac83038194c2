"""A TCP proxy whose link can be cut, delayed, narrowed, or forgotten on one side."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self

CHUNK = 65_536
HOST = "127.0.0.1"
SLICE_S = 0.05
"""Time between two writes on a narrowed link, in seconds."""


class Proxy:
    """Forwards connections from ``port`` (0: a free one) to ``target``; it runs in a thread of its own.

    A cut link loses nothing that TCP would send again: bytes wait, and so do new connections.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self.target = target
        self.port = port
        self._delay_s = 0.0
        self._bytes_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._link = asyncio.Event()
        self._forgotten = asyncio.Event()  # what connections on a forgotten link wait for: never set
        self._alive: set[asyncio.Task[None]] = set()
        self._dead: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Let nothing pass in either direction."""
        self._loop.call_soon_threadsafe(self._link.clear)

    def mend(self) -> None:
        """Let everything pass at full speed, and what has waited first."""
        self._delay_s, self._bytes_s = 0.0, 0.0
        self._loop.call_soon_threadsafe(self._link.set)

    def delay(self, seconds: float) -> None:
        """Deliver every byte this much later."""
        self._delay_s = seconds

    def narrow(self, bytes_s: float) -> None:
        """Let each connection pass this many bytes a second in each direction."""
        self._bytes_s = bytes_s

    def forget(self) -> None:
        """Leave present connections half-open for ever: neither side hears of the other. New ones work."""
        self._loop.call_soon_threadsafe(lambda: self._dead.update(self._alive))

    def drop(self) -> None:
        """Close every connection."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._alive])

    def __enter__(self) -> Self:
        self._thread.start()
        self._link.set()
        self._server = self._run(asyncio.start_server(self._accept, HOST, self.port))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exception: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _close(self) -> None:
        self._server.close()
        for task in self._alive:
            task.cancel()
        await asyncio.gather(*self._alive, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._alive.add(task)
        try:
            await self._link.wait()
            there_reader, there_writer = await asyncio.open_connection(HOST, self.target)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(task, reader, there_writer))
                    both.create_task(self._pass_on(task, there_reader, writer))
            finally:
                there_writer.close()
        except* (OSError, EOFError):
            pass
        except* asyncio.CancelledError:
            pass
        finally:
            self._alive.discard(task)
            self._dead.discard(task)
            writer.close()

    async def _pass_on(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass one direction on; raises EOFError when it ends, which ends the other too."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due_s, data = await queue.get()
                await asyncio.sleep(max(0.0, due_s - self._loop.time()))
                await self._link.wait()
                if task in self._dead:
                    await self._forgotten.wait()
                if not data:
                    raise EOFError
                while data and self._bytes_s:
                    share = max(1, int(self._bytes_s * SLICE_S))
                    writer.write(data[:share])
                    data = data[share:]
                    await asyncio.sleep(SLICE_S)
                writer.write(data)
                await writer.drain()

        async def collect() -> None:
            data = b"-"
            while data:
                with contextlib.suppress(ConnectionError):
                    data = await reader.read(CHUNK)
                    await queue.put((self._loop.time() + self._delay_s, data))
                    continue
                data = b""
                await queue.put((0.0, data))

        async with asyncio.TaskGroup() as pair:
            pair.create_task(deliver())
            pair.create_task(collect())
