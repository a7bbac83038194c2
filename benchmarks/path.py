"""The path from the topic to the window: live intake, restart, rebuild, memory. Real Kafka, one core for the worker.

Live intake is compared with a Faust agent that does nothing, on the same topic, settings and core, before and after,
because the speed of a machine drifts.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import Progress

from benchmarks._city import AREA, cells, history_s, rows
from benchmarks._machine import description, on_core, run_apart
from streams.analyst.replay import feed
from streams.brokers.connection import consumer_arguments, producer_arguments
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from streams.messages import scan
from streams.messages.records import partition_of
from tests.integration.worker_process import Deployment, WorkerProcess, toml

WORKER_CORE, OTHER_CORE = 0, 1
HISTORY = 50_000
"""Incidents of 91 days in the window before live intake begins."""
EMPTY_RECORDS = 200_000
"""Largest number of records that the empty agent reads."""
SETTLE_S = 25
"""Time of live intake before it is measured, in seconds: it begins with a surge that makes each stream replicate."""
SAMPLE_S = 0.2
LOADED_S = 180.0
STEADY = 0.01
"""Growth of the lag, as a share of the rate, below which it is steady: it swings by a second with every tick."""


class Result(NamedTuple):
    """The measured quantity, the figure, the target, and whether it is met (True without a target)."""

    what: str
    figure: str
    wanted: str = ""
    is_met: bool = True


class Live(NamedTuple):
    """Live intake: records fed per second; (second, lag in records); core used; scans and records per second."""

    fed: float
    lag: list[tuple[float, int]]
    core: float
    scans: float
    scan_ms: float
    merged: int
    applied: float

    @property
    def growth(self) -> float:
        """Growth of the lag as a share of the rate, from the median of its first third to that of its last."""
        at_s, lag = map(np.array, zip(*self.lag, strict=True))
        third = len(lag) // 3
        grown, passed_s = (np.median(each[-third:]) - np.median(each[:third]) for each in (lag, at_s))
        return float(grown / passed_s) / self.applied


class Site(Deployment):
    """One area of 20,000 locations on a wall clock, otherwise with defaults, on separate topics.

    ``others``: the settings of more areas, whose files exist already.
    """

    def __init__(
        self, folder: Path, kafka: LocalKafka, valkey: LocalValkey, name: str, others: dict[str, Any] | None = None
    ) -> None:
        folder.mkdir()
        (folder / "cells.txt").write_text("\n".join(cells()))
        tables = {
            "kafka": {"bootstrap": kafka.bootstrap, "topic_prefix": f"{name}-", "group": name},
            "redis": {"url": valkey.url},
            "metrics": {"port": 0},
            f"areas.{AREA}": {"timezone": "Europe/London", "cells_file": "cells.txt"},
            **{f"areas.{other}": settings for other, settings in (others or {}).items()},
        }
        super().__init__(folder, toml(tables))
        self.partition = partition_of(AREA.encode(), self.kafka.partitions)

    def load(self, number: int, bar: Progress) -> None:
        """Send incidents of the past 91 days to the topic, as fast as Kafka takes them."""
        task = bar.add_task(f"{self.kafka.topic_prefix[:-1]}: {number:,} incidents into Kafka", total=number)
        feed(rows(history_s(number, time.time()), 0, seed=1), self.kafka, on_sent=lambda _: bar.advance(task))


class Lag:
    """The number of records in the topic that no committed scan record covers."""

    def __init__(self, site: Site) -> None:
        self._incidents = TopicPartition(site.kafka.topic("incidents"), site.partition)
        self._scans = TopicPartition(site.kafka.topic("scans"), site.partition)
        self._consumer = KafkaConsumer(**consumer_arguments(site.kafka))
        self._consumer.assign([self._scans])
        self._covered = 0

    def now(self) -> int:
        """Return the lag by Kafka."""
        for record in self._consumer.poll(timeout_ms=20).get(self._scans, ()):
            if record.key == AREA.encode():
                self._covered = scan.decode_scan(record.value).next_offset
        return int(self._consumer.end_offsets([self._incidents])[self._incidents]) - self._covered

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()


def figures(worker: WorkerProcess) -> dict[str, float]:
    """Return the worker's metrics, each summed over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.ports()[0]}/metrics") as response:
        families = text_string_to_metric_families(response.read().decode())
    summed: dict[str, float] = {}
    for sample in itertools.chain.from_iterable(family.samples for family in families):
        summed[sample.name] = summed.get(sample.name, 0.0) + sample.value
    return summed


def start_worker(site: Site) -> WorkerProcess:
    """Start a worker on its core."""
    with on_core(WORKER_CORE):
        return WorkerProcess(site)


def measure_live(site: Site, worker: WorkerProcess, rate: float, seconds: int, bar: Progress) -> Live:
    """Feed the worker at a rate, from a separate process, and watch its lag."""
    process = psutil.Process(worker.process.pid)
    fed_s = SETTLE_S + seconds + 5
    with closing(Lag(site)) as lag, ThreadPoolExecutor(1) as executor:
        task = bar.add_task(f"live at {rate:,.0f} records/s", total=SETTLE_S + seconds)
        arguments = (str(site.file), str(rate), str(fed_s), str(HISTORY))
        feeding: Future[dict[str, float]] = executor.submit(run_apart, "_feed.py", *arguments, core=OTHER_CORE)
        begin_s = time.monotonic()
        samples: list[tuple[float, int]] = []
        before: dict[str, float] = {}
        cpu_s = from_s = 0.0
        while (at_s := time.monotonic() - begin_s) < SETTLE_S + seconds:
            if at_s >= SETTLE_S and not before:
                before, cpu_s, from_s = figures(worker), sum(process.cpu_times()[:2]), at_s
            # Several samples a second, since every transaction reduces the lag by the records of a tick.
            samples.append((at_s, lag.now()))
            bar.update(task, completed=at_s, description=f"live at {rate:,.0f} records/s, lag {samples[-1][1]:,}")
            time.sleep(SAMPLE_S)
        after, cpu_s = figures(worker), sum(process.cpu_times()[:2]) - cpu_s
        measured_s = time.monotonic() - begin_s - from_s
        fed = feeding.result()["rate"]
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    return Live(
        fed=fed,
        lag=[sample for sample in samples if sample[0] >= SETTLE_S],
        core=cpu_s / measured_s,
        scans=grown["hotspots_scan_seconds_count"] / measured_s,
        scan_ms=1000 * grown["hotspots_scan_seconds_sum"] / max(1.0, grown["hotspots_scan_seconds_count"]),
        merged=int(grown.get("hotspots_merged_ticks_total", 0)),
        applied=grown["hotspots_records_total"] / measured_s,
    )


def empty_rate(site: Site, number: int, what: str, bar: Progress) -> float:
    """Return the records per second that an empty agent reads."""
    task = bar.add_task(f"empty agent, {what}", total=None)
    rate = float(run_apart("_empty_agent.py", str(site.file), str(number), core=WORKER_CORE)["rate"])
    bar.update(task, total=1, completed=1, description=f"empty agent, {what}: {rate:,.0f} records/s")
    return rate


def bench_live(site: Site, share: float, least: float, seconds: int, bar: Progress) -> Iterator[Result]:
    """Measure readiness, then live intake at a share of the empty agent's rate."""
    site.load(HISTORY, bar)
    before = max(empty_rate(site, HISTORY, "before", bar) for _ in range(2))  # one may meet a slow moment
    with start_worker(site) as worker, closing(Lag(site)) as lag:
        worker.until(lambda: lag.now() == 0, "the history is on record", LOADED_S)
        worker.stop()
    started = time.monotonic()
    with start_worker(site) as worker:
        worker.until(worker.is_ready, "ready")
        ready_s = time.monotonic() - started
        yield Result(
            f"process start to ready, {HISTORY:,} incidents in the window",
            f"{ready_s:.1f} s",
            "at most 10 s",
            ready_s <= 10,
        )
        live = measure_live(site, worker, share * before, seconds, bar)
        worker.stop()
    number = min(EMPTY_RECORDS, HISTORY + int(live.fed * seconds))
    after = max(empty_rate(site, number, "after", bar) for _ in range(2))
    ratio = 2 * min(live.applied, live.fed) / (before + after)  # records that waited before do not count
    yield Result("empty Faust agent, best of two before and after", f"{before:,.0f} and {after:,.0f} records/s")
    yield Result(
        "live intake, put on record",
        f"{live.applied:,.0f} records/s of {live.fed:,.0f} fed, {ratio:.0%} of the empty agent",
        f"at least {least:.0%}",
        ratio >= least,
    )
    lag_s = np.quantile([lag for _, lag in live.lag], (0, 0.5, 1)) / live.applied
    yield Result(
        f"lag over {seconds} s (records not covered by a scan record)",
        f"{lag_s[0]:.1f} to {lag_s[2]:.1f} s, median {lag_s[1]:.1f} s; grows by {live.growth:+.1%} of the rate",
        "does not grow",
        live.growth < STEADY,
    )
    yield Result(
        "scans meanwhile, of the streams touched: all five",
        f"{live.scans:.2f} a second, {live.scan_ms:.0f} ms each",
        "1 a second",
        live.scans > 0.9,
    )
    yield Result("ticks extended, core used", f"{live.merged}, {live.core:.0%}")


def bench_rebuild(site: Site, number: int, profile: bool, console: Console, bar: Progress) -> Iterator[Result]:
    """Measure the memory of a full window, and its rebuild from the log."""
    site.load(number, bar)
    task = bar.add_task(f"a window of {number:,} incidents", total=None)
    window = run_apart("_window.py", str(number), core=WORKER_CORE)
    bar.update(task, total=1, completed=1)
    yield Result(
        f"memory of a window of {window['held']:,} incidents",
        f"{window['bytes']:.0f} bytes each",
        "at most 400",
        window["bytes"] <= 400,
    )
    with closing(KafkaProducer(**producer_arguments(site.kafka))) as producer:
        scan = str(window["scan"]).encode()
        producer.send(site.kafka.topic("scans"), scan, key=AREA.encode()).get(timeout=30)
    task = bar.add_task("rebuild", total=None)
    rebuilt = run_apart("_rebuild.py", str(site.file), core=WORKER_CORE)
    bar.update(task, total=1, completed=1)
    figure = f"{rebuilt['rate']:,.0f} incidents/s, {rebuilt['held']:,} in {rebuilt['seconds']:.1f} s"
    yield Result("rebuild", figure, "at least 50,000/s", rebuilt["rate"] >= 50_000)
    if profile:
        for function, share in run_apart("_rebuild.py", str(site.file), "profile", core=WORKER_CORE)["profile"]:
            console.print(f"{share:6.1%}  {function}", markup=False)


@click.command()
@click.option(
    "--share", "shares", multiple=True, type=float, default=(0.77,), show_default=True, help="Share of the empty rate."
)
@click.option("--least", default=0.75, show_default=True, help="Wanted share of the empty rate.")
@click.option("--seconds", default=60, show_default=True, help="Length of live intake.")
@click.option("--incidents", default=500_000, show_default=True, help="Incidents in the rebuilt window.")
@click.option("--profile", is_flag=True, help="Show where the rebuild spends its time.")
@click.option("--only", type=click.Choice(["live", "rebuild"]), help="Measure only one part.")
def main(
    shares: tuple[float, ...], least: float, seconds: int, incidents: int, profile: bool, only: str | None
) -> None:
    """Measure and print a table in Markdown."""
    os.sched_setaffinity(0, {OTHER_CORE})
    console = Console(stderr=True)
    results: list[Result] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-bench-")))
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        valkey = stack.enter_context(LocalValkey(folder / "valkey"))
        bar = stack.enter_context(Progress(console=console))
        for number, share in enumerate(shares if only != "rebuild" else ()):
            site = Site(folder / f"live{number}", kafka, valkey, f"live{number}")
            results += bench_live(site, share, least, seconds, bar)
        if only != "live":
            site = Site(folder / "rebuild", kafka, valkey, "rebuild")
            results += bench_rebuild(site, incidents, profile, console, bar)
    print(f"{description()}\n\n| what | measured | wanted |\n| --- | --- | --- |")
    print("\n".join(f"| {each.what} | {each.figure} | {each.wanted} |" for each in results))
    missed = [each.what for each in results if not each.is_met]
    if missed:
        raise click.ClickException(f"not reached: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
