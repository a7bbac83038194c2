"""How late real page sessions show what has come to Redis: fifty of them beside a running demo, one Chromium.

It needs Debian's chromium. The pages share the machine with all that they watch.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
from redis import Redis
from rich.console import Console

from benchmarks._machine import description
from benchmarks._pages import Pages
from streams.demo_source import AREA
from streams.redis_copy import area_key
from tests.integration.demo_process import Demo

WANTED_S = 1.0
SETTLE_S = 5.0
"""What comes so shortly before the end may not have been drawn yet."""


class Written(threading.Thread):
    """Notes when each revision has come to Redis."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(daemon=True)
        self.moments: dict[tuple[str, int], float] = {}
        self._redis = redis

    def run(self) -> None:
        """Until the process ends."""
        last = b"$"
        while True:
            # The library's types leave open what comes back, since that depends on how the connection was made.
            [[_, entries]] = cast(list[Any], self._redis.xread({area_key(AREA, "alerts"): last}, block=0))
            for entry, fields in entries:
                self.moments[fields[b"id"].decode(), int(fields[b"revision"])] = time.time()
                last = entry


@click.command()
@click.option("--pages", default=50, show_default=True, help="Sessions.")
@click.option("--seconds", default=60.0, show_default=True, help="To measure.")
@click.option("--speed", default="4", show_default=True, help="Hours of city time in a second.")
def main(pages: int, seconds: float, speed: str) -> None:
    """Measure; exits 1 if the 99th percentile is above a second."""
    console = Console()
    console.print(description())
    with tempfile.TemporaryDirectory() as folder, closing(Demo(Path(folder), "--speed", speed)) as demo:
        demo.wait_for("Ready after")
        [url] = re.findall(r"(http://\S+) is the console", demo.output)
        [address] = re.findall(r"Redis ([\d.:]+\d)", demo.output)
        with Pages(url, pages) as sessions:
            written = Written(Redis.from_url(f"redis://{address}/0"))
            written.start()
            time.sleep(seconds)
            until = time.time() - SETTLE_S
            delays = sessions.delays_s({which: at for which, at in written.moments.items() if at < until})
    middle, rare = np.quantile(delays, [0.5, 0.99])
    console.print(
        f"{pages} pages, {len(delays) // pages} revisions each: from Redis to the screen "
        f"median {middle:.3f} s, 99th percentile {rare:.3f} s (wanted: below {WANTED_S:g})"
    )
    raise SystemExit(rare >= WANTED_S)


if __name__ == "__main__":
    main()
