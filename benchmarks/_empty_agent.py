"""How fast Faust itself is: ``_empty_agent.py CONFIG NUMBER`` reads NUMBER records with an agent that does nothing.

The app is that of the worker, with the same settings. Only its agent and handlers do nothing, and records are passed on
in Faust's own way. Prints the records per second between the first and the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import faust
from mode import Service
from prometheus_client import CollectorRegistry

from streams.configuration.load import Configuration, load
from streams.worker.consumer import Worker
from streams.worker.faust_transport import PromptTransport
from streams.worker.metrics import Metrics


class PlainTransport(PromptTransport):
    """Faust's consumer, except that it fetches promptly; otherwise many partitions would be held up."""

    class Consumer(PromptTransport.Consumer):
        """Faust's consumer, which passes records on in a race with the next rebalance."""

        wait_first = Service.wait_first


class EmptyWorker(Worker):
    """A worker that reads and acknowledges, nothing else."""

    def __init__(self, configuration: Configuration, number: int) -> None:
        metrics = Metrics(CollectorRegistry())
        super().__init__(configuration.kafka, configuration.worker, configuration.instance, {}, metrics)
        self._number = number
        self._finished = asyncio.Event()
        self.seconds = 0.0

    async def _read(self, stream: Any) -> None:
        read = 0
        async for event in stream.noack().events():
            if not read:
                started = time.perf_counter()
            read += 1
            if read == self._number:
                self.seconds = time.perf_counter() - started
                self._finished.set()
            event.ack()

    def _app(self, folder: str) -> faust.App:
        app = super()._app(folder)
        app.transport = PlainTransport(app.conf.broker_consumer, app)
        return app

    async def _assigned(self, *_args: Any, **_: Any) -> None: ...

    async def _revoked(self, *_args: Any, **_: Any) -> None: ...

    async def measure(self) -> None:
        """Read the number of records."""
        with tempfile.TemporaryDirectory() as folder:
            app = self._app(folder)
            await app.start()
            await self._finished.wait()
            await app.stop()


async def main(file: Path, number: int) -> None:
    """Measure in a new consumer group and print the rate."""
    configuration = load(file, {"HOTSPOTS_KAFKA__GROUP": f"empty-{uuid.uuid4().hex}"})
    worker = EmptyWorker(configuration, number)
    await worker.measure()
    print(json.dumps({"rate": (number - 1) / worker.seconds}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
