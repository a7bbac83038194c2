"""A backlog of millions of records, caught up by one worker: time, memory, and what it says meanwhile.

    python -m benchmarks.faults.backlog --records 3000000

The feed has sent every incident of the window again and again, as feeds with full deliveries do. Prints a table in
Markdown.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
from kafka import KafkaProducer
from redis import Redis
from rich.console import Console
from rich.progress import Progress

from benchmarks._city import AREA, cells, history_s, rows
from benchmarks._machine import description
from benchmarks.faults.observe import problems_on_page
from benchmarks.faults.supervisor import Supervised
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from streams.messages.scan import decode_scan
from tests.integration.worker_process import Deployment, toml

DISTINCT = 100_000
"""Number of different incidents in the backlog."""
LOOK_S = 1.0
LIMIT_S = 3600.0
MOST_BYTES = 2**30


class Moment(NamedTuple):
    """What the worker is and says at a moment: resident bytes, records on record, ``/readyz``, lag, the page."""

    at_s: float
    resident: int
    covered: int
    is_ready: bool
    lag: int
    page: str


def send(site: Deployment, number: int, bar: Progress) -> None:
    """Send the backlog."""
    made = list(rows(history_s(DISTINCT, time.time()), 0, seed=1))
    task = bar.add_task(f"{number:,} records into Kafka", total=number)
    producer = KafkaProducer(bootstrap_servers=site.kafka.bootstrap, acks="all", linger_ms=50, batch_size=2**18)
    for turn in range(number):
        row = made[turn % DISTINCT]
        producer.send(site.kafka.topic("incidents"), row.value, key=row.key)
        if turn % 1_000 == 0:
            bar.update(task, completed=turn)
    producer.flush()
    producer.close()
    bar.update(task, completed=number)


def look(site: Deployment, worker: Supervised, console: Supervised, redis: Redis, began_s: float) -> Moment:
    """Look at the worker, its heartbeat and the page."""
    scans = site.scans().get(AREA, [])
    heartbeat = redis.hgetall(f"hotspots:{{{AREA}}}:health")
    lag = int(heartbeat[b"lag"]) if isinstance(heartbeat, dict) and heartbeat else -1
    return Moment(
        time.monotonic() - began_s,
        psutil.Process(worker.process.process.pid).memory_info().rss,
        decode_scan(scans[-1]).next_offset if scans else 0,
        worker.is_ready(),
        lag,
        ", ".join(problems_on_page(console)) or "all is well",
    )


@click.command()
@click.option("--records", default=3_000_000, show_default=True, help="Number of records that wait.")
def main(records: int) -> None:
    """Send the backlog, start a worker, watch it until it has caught up."""
    moments: list[Moment] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-backlog-")))
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        valkey = stack.enter_context(LocalValkey(folder / "valkey"))
        redis = stack.enter_context(Redis.from_url(valkey.url))
        bar = stack.enter_context(Progress(console=Console(stderr=True)))
        (folder / "cells.txt").write_text("\n".join(cells()))
        tables: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap": kafka.bootstrap, "partitions": 1},
            "redis": {"url": valkey.url},
            "metrics": {"port": 0},
            "console": {"port": 0},
            f"areas.{AREA}": {"timezone": "UTC", "cells_file": str(folder / "cells.txt")},
        }
        site = Deployment(folder, toml(tables))
        stack.callback(site.close)
        send(site, records, bar)
        console = Supervised(site, "console", {}, "console")
        stack.callback(console.stop)
        worker = Supervised(site, "w1", {})
        stack.callback(worker.stop)
        task = bar.add_task("caught up", total=records)
        began_s = time.monotonic()
        while not (moments and moments[-1].covered >= records and moments[-1].is_ready):
            time.sleep(LOOK_S)
            moments.append(look(site, worker, console, redis, began_s))
            bar.update(task, completed=moments[-1].covered)
            if moments[-1].at_s > LIMIT_S or worker.ends:
                raise click.ClickException(f"not caught up: {moments[-1]}, exit codes {worker.ends}")
    print(table(records, moments))
    most = max(each.resident for each in moments)
    if most > MOST_BYTES:
        raise click.ClickException(f"{most / 2**20:.0f} MiB resident, wanted at most {MOST_BYTES // 2**20}")


def table(records: int, moments: list[Moment]) -> str:
    """Return what was measured, in Markdown."""
    behind = [each for each in moments if each.covered < records]
    ready = sum(each.is_ready for each in behind)
    said = json.dumps(sorted({each.page for each in behind}))
    lines = (
        ("caught up after", f"{moments[-1].at_s:.0f} s, {records / moments[-1].at_s:,.0f} records/s"),
        ("resident, at most", f"{max(each.resident for each in moments) / 2**20:.0f} MiB"),
        ("looks while behind, of them with `/readyz` 200", f"{len(behind)}, {ready}"),
        ("what the page said while behind", said),
        ("lag that the heartbeat said, at most", f"{max(each.lag for each in moments):,}"),
    )
    text = "".join(f"| {what} | {figure} |\n" for what, figure in lines)
    return f"{description()}\n\n| {records:,} records wait | |\n| --- | --- |\n{text}"


if __name__ == "__main__":
    main()
