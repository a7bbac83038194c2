"""Many areas on one worker and on two: throughput, CPU, memory, take-over, and the CPU of each part.

200 districts of 45 incidents a day and ten cities of 500. A week is their history. Each measured day after it is a
backlog for the workers that start then: every incident is a tick, and every hour of every area a boundary. At last one
of two workers is killed. Broker and Valkey run on the same machine.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click
import psutil
from rich.console import Console
from rich.progress import Progress

from benchmarks._country import BASELINE_DAYS, BEGIN_S, CITY, DAY_S, DISTRICT, Size, rows, tables
from benchmarks._machine import description
from benchmarks.path import figures
from streams.analyst.incident_file import Row
from streams.analyst.replay import feed
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from tests.integration.worker_process import Deployment, WorkerProcess, toml, until

PARTITIONS = 8
SESSION_S = 6
DEADLINE_S = 1800.0
MIB = 2**20


class Day(NamedTuple):
    """A day put on record: records, scans, ticks, seconds from the first record to the last, CPU seconds by part, and
    the largest resident size of a worker in bytes.
    """

    records: float
    scans: float
    ticks: float
    seconds: float
    cpu_s: dict[str, float]
    resident: int


class Stack(NamedTuple):
    """The running parts."""

    site: Deployment
    kafka: LocalKafka
    valkey: LocalValkey
    sizes: tuple[Size, ...]

    @property
    def areas(self) -> list[str]:
        """The names of all areas."""
        return [area for size in self.sizes for area in size.areas]

    def send(self, days: range) -> int:
        """Send the incidents of some days, and close the last tick of every area; return the number of records."""
        end = datetime.fromtimestamp(BEGIN_S + days.stop * DAY_S, UTC).isoformat().encode()
        ticks = [Row(area.encode(), b"", BEGIN_S + days.stop * DAY_S, (("tick", end),)) for area in self.areas]
        return feed([*rows(self.sizes, days, seed=1), *ticks], self.site.kafka)

    def workers(self, stack: ExitStack, number: int) -> list[WorkerProcess]:
        """Start some workers; return once they have joined the group and own a partition each."""
        workers = [stack.enter_context(WorkerProcess(self.site, instance=f"w{each}")) for each in range(number)]
        for worker in workers:
            worker.until(lambda each=worker: "no partition" not in each.asked("/readyz")[1] and each.ports(), "joined")  # type: ignore[misc]
        return workers

    def cpu_s(self, workers: Sequence[WorkerProcess]) -> dict[str, float]:
        """Return the CPU seconds of each part so far."""
        processes = {
            "workers": [each.process.pid for each in workers],
            "Kafka": [self.kafka.process.pid],
            "Valkey": [self.valkey.process.pid],
        }
        return {part: sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids) for part, pids in processes.items()}


def recorded(workers: Sequence[WorkerProcess], name: str = "hotspots_records_total") -> float:
    """Return the sum of a counter over all workers."""
    return sum(figures(each).get(name, 0.0) for each in workers)


def put_on_record(stack: Stack, workers: Sequence[WorkerProcess], sent: int, shown: Callable[[float], None]) -> Day:
    """Wait until the workers have put ``sent`` records on record."""
    begun_s, before, resident = time.monotonic(), stack.cpu_s(workers), 0
    while (done := recorded(workers)) < sent:
        assert time.monotonic() - begun_s < DEADLINE_S, f"{done:,.0f} of {sent:,} records"
        resident = max(resident, *(psutil.Process(each.process.pid).memory_info().rss for each in workers))
        shown(done)
        time.sleep(0.5)
    after = stack.cpu_s(workers)
    return Day(
        records=done,
        scans=recorded(workers, "hotspots_scans_total"),
        ticks=recorded(workers, "hotspots_ticks_total"),
        seconds=time.monotonic() - begun_s,
        cpu_s={part: after[part] - before[part] for part in after},
        resident=resident,
    )


def day(stack: Stack, number: int, days: range, bar: Progress) -> Day:
    """Measure some days on a number of workers, which are stopped afterwards."""
    sent = stack.send(days)
    task = bar.add_task(f"{sent:,} records, workers: {number}", total=sent)
    with ExitStack() as running:
        workers = stack.workers(running, number)
        found = put_on_record(stack, workers, sent, lambda done: bar.update(task, completed=done))
        bar.update(task, completed=sent)
        for worker in workers:
            worker.stop()
    return found


def take_over(stack: Stack) -> float:
    """Kill one of two workers; return the seconds until the other has rebuilt and caught up with all partitions."""
    with ExitStack() as running:
        workers = stack.workers(running, 2)
        for worker in workers:
            worker.until(worker.is_ready, "ready", DEADLINE_S)
        workers[0].kill()
        killed_s = time.monotonic()
        until(lambda: _owned(workers[1]) == set(stack.areas), "the other has taken all areas", DEADLINE_S)
        workers[1].until(workers[1].is_ready, "ready again", DEADLINE_S)
        return time.monotonic() - killed_s


def _owned(worker: WorkerProcess) -> set[str]:
    """Return the areas whose health a worker shows."""
    status, text = worker.asked("/metrics")
    lines = [line for line in text.splitlines() if line.startswith("hotspots_lag_records{")] if status == 200 else []
    return {line.split('"')[1] for line in lines}


def report(history: Day, days: dict[int, Day], taken_s: float) -> None:
    """Print tables in Markdown."""
    print("| workers | records | scans | ticks | seconds | records a second | CPU seconds | resident, largest worker |")
    print("|" + " --- |" * 8)
    for label, each in [("1, history", history), *((str(number), each) for number, each in days.items())]:
        cpu = ", ".join(f"{part} {seconds:.0f}" for part, seconds in each.cpu_s.items())
        counts = f"{each.records:,.0f} | {each.scans:,.0f} | {each.ticks:,.0f}"
        rate = f"{each.seconds:.0f} | {each.records / each.seconds:,.0f}"
        print(f"| {label} | {counts} | {rate} | {cpu} | {each.resident / MIB:,.0f} MiB |")
    one, two = days[1], days[2]
    gain = (two.records / two.seconds) / (one.records / one.seconds)
    busy = {number: sum(each.cpu_s.values()) / each.seconds for number, each in days.items()}
    print(f"\nTwo workers take {gain:.2f} times what one takes; cores busy: {busy[1]:.2f} and {busy[2]:.2f} of 2.")
    print(f"Take-over of half the areas after SIGKILL: {taken_s:.1f} s, with a session time-out of {SESSION_S} s.")
    print(f"A record of the measured day: {1000 * one.cpu_s['workers'] / one.records:.1f} ms of a worker's core.")
    print(json.dumps({str(number): each._asdict() for number, each in days.items()}))


@click.command()
@click.option("--districts", default=DISTRICT.number, show_default=True)
@click.option("--cities", default=CITY.number, show_default=True)
def main(districts: int, cities: int) -> None:
    """Measure and print tables in Markdown."""
    sizes = (DISTRICT._replace(number=districts), CITY._replace(number=cities))
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-bench-")))
        kafka = running.enter_context(LocalKafka(folder / "kafka"))
        valkey = running.enter_context(LocalValkey(folder / "valkey"))
        bar = running.enter_context(Progress(console=Console(stderr=True)))
        services = {
            "kafka": {
                "bootstrap": kafka.bootstrap,
                "topic_prefix": "scale-",
                "group": "scale",
                "partitions": PARTITIONS,
            },
            "redis": {"url": valkey.url},
            "metrics": {"port": 0},
            "worker": {"session_timeout_s": SESSION_S},
        }
        stack = Stack(Deployment(folder, toml(services | tables(folder, sizes))), kafka, valkey, sizes)
        history = day(stack, 1, range(BASELINE_DAYS), bar)
        first = BASELINE_DAYS
        days = {1: day(stack, 1, range(first, first + 1), bar), 2: day(stack, 2, range(first + 1, first + 2), bar)}
        taken_s = take_over(stack)
    print(f"{description()}\n")
    report(history, days, taken_s)


if __name__ == "__main__":
    main()
