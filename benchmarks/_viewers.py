"""NUMBER viewers of the console's event stream, in a separate process: ``_viewers.py URL NUMBER``.

It prints "ready" at once. At a line of input the viewers begin, and it prints "ready" once all have received something.
At the next line they stop, and it prints one JSON object: under "clients", for each alert and revision ("ID REVISION"),
the moments at which they had it, in seconds since 1970. This repeats until the input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import defaultdict

import httpx

REVISION = re.compile(r'"id":"([0-9a-f]{32})","revision":(\d+)')


async def view(client: httpx.AsyncClient, moments: dict[str, list[float]], heard: asyncio.Semaphore) -> None:
    """Be one viewer, until cancelled."""
    async with client.stream("GET", "/api/stream", timeout=None) as response:
        response.raise_for_status()
        is_new = True
        async for line in response.aiter_lines():
            if line.startswith("data: ") and (found := REVISION.search(line)):
                moments[" ".join(found.groups())].append(time.time())
            if is_new:
                heard.release()
                is_new = False


async def main(url: str, number: int) -> None:
    """View between lines of input."""
    async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=number)) as client:
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            moments: dict[str, list[float]] = defaultdict(list)
            heard = asyncio.Semaphore(0)
            viewers = [asyncio.create_task(view(client, moments, heard)) for _ in range(number)]
            for _ in viewers:
                await heard.acquire()
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            for viewer in viewers:
                viewer.cancel()
            await asyncio.gather(*viewers, return_exceptions=True)
            print(json.dumps({"clients": moments}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
