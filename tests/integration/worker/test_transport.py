"""Faust's consumer gets a limit for how long a fetch waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import faust
from faust.types import StreamT

from streams.worker.faust_transport import FETCH_WAIT_MS, PromptTransport, faust_arguments
from tests.integration.conftest import NewSite


def test_a_running_consumer_has_the_short_wait(new_site: NewSite, tmp_path: Path) -> None:
    kafka = new_site().kafka

    async def wait_ms() -> Any:
        app = faust.App(kafka.group, **faust_arguments(kafka), datadir=str(tmp_path), store="memory://")
        app.conf.web_enabled = False
        app.conf.topic_disable_leader = True
        app.transport = PromptTransport(app.conf.broker_consumer, app)

        async def ignore(stream: StreamT[Any]) -> None:
            async for _ in stream:
                pass

        app.agent(app.topic(kafka.topic("incidents"), value_type=bytes))(ignore)
        await app.start()
        try:
            return app.consumer._thread._consumer._fetcher._fetch_max_wait_ms  # type: ignore[attr-defined]
        finally:
            await app.stop()

    assert asyncio.run(wait_ms()) == FETCH_WAIT_MS
