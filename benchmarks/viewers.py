"""Viewers of the console beside a busy worker: how late they receive a change, and whether they slow detection.

The worker has one core; broker, Valkey, console, clients and the feed share the other; real pages run on both. The
city's incidents come at a steady rate, and the same worker watches a town where clusters grow all the time. Runs with
and without viewers take turns, in an order in which neither is always later, since the window grows. The program that
plays the viewers is suspended in the runs without.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress

from benchmarks._machine import HERE, description, on_core, run_apart
from benchmarks._town import TOWN, Town, Written
from benchmarks.path import HISTORY, OTHER_CORE, SETTLE_S, Lag, Site, start_worker
from streams.configuration.kafka import KafkaSettings
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from tests.integration.worker_process import HOTSPOTS, WorkerProcess

DELAY_S = 1.0
"""Target: time from Redis to a viewer, in seconds, for 99 of 100 changes."""
CHANGED = 0.2
"""Target: largest relative change of the detection latency by viewers."""
LAST_S = 2.0
"""Time before the end of a run, in seconds, in which changes do not count: they may still be on their way."""
PAUSE_S = 10.0
"""Time from the moment when all view to the measurement, in seconds: suspended processes are cold."""
READY_S = 120.0


class Kind(NamedTuple):
    """A kind of viewers: the program that plays them, how long they take to begin, how often alerts change, and how
    long they view before the runs that count: a browser compiles code that it has run often enough.
    """

    program: str
    open_s: float
    every_s: float
    warm_s: float


CLIENTS = Kind("_viewers.py", open_s=15.0, every_s=0.3, warm_s=0.0)
PAGES = Kind("_pages.py", open_s=40.0, every_s=3.0, warm_s=60.0)


class Run(NamedTuple):
    """One run, in seconds: latencies from the sending of an incident to its revision in Redis; delays from Redis to
    viewers, by their kind; number of receipts missing; share of a core that the console used.
    """

    latencies: list[float]
    delays: dict[str, list[float]]
    missing: int
    core: float

    @property
    def push_delay(self) -> str:
        """Median and 99th percentile of the delays, as text."""
        if not self.delays:
            return "no viewers"
        middle, rare = np.quantile([*itertools.chain(*self.delays.values())], (0.5, 0.99))
        return f"{middle * 1000:.0f} ms, {rare * 1000:.0f} ms"


@contextmanager
def started_console(site: Site) -> Iterator[tuple[str, psutil.Process]]:
    """Run the console on the other core; yield its address and its process."""
    command = [str(HOTSPOTS), "console", "--config", str(site.file), "--port", "0"]
    environ = os.environ | {"HOTSPOTS_CONSOLE__EVENT_STREAMS_PER_USER": "500"}  # all viewers are the user `local`
    with on_core(OTHER_CORE), subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if "the console is at" in line)
            yield re.findall(r"http://\S+", line)[0], psutil.Process(process.pid)
        finally:
            process.terminate()


class Viewers:
    """The program that plays ``number`` viewers of a kind; ``drawn`` of the pages are drawn."""

    def __init__(self, kind: Kind, url: str, number: int, drawn: int) -> None:
        self.number = number
        command = [sys.executable, str(HERE / kind.program), url, str(number)]
        if kind is PAGES:
            command.append(str(drawn))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"
        self._suspend()

    def begin(self) -> None:
        """Begin, and wait until all view."""
        self._resume()
        self._signal()
        assert self._line() == "ready\n"

    def end(self) -> dict[str, dict[str, list[float]]]:
        """Stop, and return by kind, alert and revision when each viewer received it."""
        self._signal()
        received = dict(json.loads(self._line()))
        self._suspend()
        return received

    def _all(self) -> list[psutil.Process]:
        process = psutil.Process(self._process.pid)
        return [process, *process.children(recursive=True)]

    def _suspend(self) -> None:
        for process in self._all():
            process.suspend()

    def _resume(self) -> None:
        for process in self._all():
            process.resume()

    def _signal(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the program."""
        self._resume()
        self._process.communicate()


def measure(console: psutil.Process, viewers: Viewers | None, seconds: float, written: Written) -> Run:
    """Measure one run, with viewers or without."""
    if viewers:
        viewers.begin()
        time.sleep(PAUSE_S)
    begin_s, first = time.time(), len(written.revisions)
    cpu_s = sum(console.cpu_times()[:2])
    time.sleep(seconds)
    end_s, cpu_s = time.time(), sum(console.cpu_times()[:2]) - cpu_s
    received = viewers.end() if viewers else {}
    own = [each for each in written.revisions[first:] if begin_s <= each.written_s < end_s - LAST_S]
    delays = {
        kind: [moment - each.written_s for each in own for moment in moments.get(each.name, ())]
        for kind, moments in received.items()
    }
    return Run(
        latencies=[each.written_s - each.sent_s for each in own if each.sent_s is not None],
        delays=delays,
        missing=viewers.number * len(own) - sum(map(len, delays.values())) if viewers else 0,
        core=cpu_s / (end_s - begin_s),
    )


def bench(
    site: Site, town: Town, rate: float, kind: Kind, number: int, drawn: int, runs: int, seconds: float, bar: Progress
) -> tuple[float, Run | None, list[tuple[bool, Run]]]:
    """Return the rate reached, the warm-up run if the kind has one, and all runs, each with whether it had viewers."""
    town.load()
    site.load(HISTORY, bar)
    turns = [bool((number + 1) // 2 % 2) for number in range(2 * runs)]  # without, with, with, without, ...
    fed_s = SETTLE_S + kind.warm_s + len(turns) * seconds + (runs + 1) * kind.open_s
    with ExitStack() as stack:
        worker: WorkerProcess = stack.enter_context(start_worker(site))
        lag = stack.enter_context(closing(Lag(site)))
        worker.until(lambda: lag.now() == 0, "the history is on record", READY_S)
        url, console = stack.enter_context(started_console(site))
        viewers = stack.enter_context(closing(Viewers(kind, url, number, drawn)))
        written = Written(site.configuration.redis.url, town)
        written.start()
        feeder = stack.enter_context(ThreadPoolExecutor(1))
        arguments = (str(site.file), str(rate), str(fed_s), str(HISTORY))
        feeding = feeder.submit(run_apart, "_feed.py", *arguments, core=OTHER_CORE)
        worker.until(lambda: lag.now() > 0, "the feed has begun", READY_S + fed_s)
        town.start()
        stack.callback(town.is_over.set)
        time.sleep(SETTLE_S)
        first = measure(console, viewers, kind.warm_s, written) if kind.warm_s else None
        found = [
            (has_viewers, measure(console, viewers if has_viewers else None, seconds, written))
            for has_viewers in bar.track(turns, description=f"{rate:,.0f} incidents/s")
        ]
        assert not feeding.done(), "the feed has ended before the last run"
        town.is_over.set()
        fed = float(feeding.result()["rate"])
    return fed, first, found


@click.command()
@click.option("--viewers", default=50, show_default=True)
@click.option(
    "--pages", is_flag=True, help="Real pages in Debian's Chromium instead of clients of the event stream alone."
)
@click.option("--drawn", default=5, show_default=True, help="Number of pages that draw frames.")
@click.option("--rate", default=1000.0, show_default=True, help="Incidents per second.")
@click.option("--runs", default=5, show_default=True, help="Runs with viewers, and as many without.")
@click.option("--seconds", default=30.0, show_default=True, help="Length of each run.")
def main(viewers: int, pages: bool, drawn: int, rate: float, runs: int, seconds: float) -> None:
    """Measure and print a table in Markdown; fails if changes arrive too late or viewers slow detection."""
    os.sched_setaffinity(0, {OTHER_CORE})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-bench-")))
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        valkey = stack.enter_context(LocalValkey(folder / "valkey"))
        bar = stack.enter_context(Progress(console=Console(stderr=True)))
        kind = PAGES if pages else CLIENTS
        town = Town(KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix="viewers-"), kind.every_s)
        site = Site(folder / "site", kafka, valkey, "viewers", {TOWN: town.settings(folder / "town.txt")})
        fed, first, found = bench(site, town, rate, kind, viewers, drawn, runs, seconds, bar)
    print(f"{description()}\n")
    print("| run | revisions | detection latency, median | push delay, median, 99 % | console's core |")
    print("|" + " --- |" * 5)
    medians: dict[bool, list[float]] = {True: [], False: []}
    for number, (has_viewers, run) in enumerate(found, 1):
        medians[has_viewers].append(float(np.median(run.latencies)))
        figures = f"{len(run.latencies)} | {medians[has_viewers][-1]:.2f} s | {run.push_delay} | {run.core:.0%}"
        print(f"| {number} | {figures} |")
    if first:
        period = f"{PAUSE_S:.0f} to {PAUSE_S + kind.warm_s:.0f} s after all began to view"
        print(f"\nbefore them, not counted, {period}: push delay {first.push_delay}")
    latest = 0.0
    viewed = [run for has_viewers, run in found if has_viewers]
    print(f"\n{viewers} viewers, {fed:,.0f} of {rate:,.0f} incidents/s")
    for each in viewed[0].delays:
        delays = np.concatenate([run.delays[each] for run in viewed])
        if not len(delays):
            continue
        middle, rare = np.quantile(delays, (0.5, 0.99))
        latest = max(latest, float(rare))
        print(
            f"{each}: {len(delays):,} receipts, push delay {middle * 1000:.0f} ms (median), {rare * 1000:.0f} ms (99 %)"
        )
    missing = sum(run.missing for _, run in found)
    with_viewers, without = (float(np.median(medians[has_viewers])) for has_viewers in (True, False))
    change = with_viewers / without - 1
    print(f"receipts missing: {missing}; push delay at 99 % wanted under {DELAY_S * 1000:.0f} ms for each kind")
    print(
        f"detection latency, median of {runs} runs: {with_viewers:.2f} s with viewers, {without:.2f} s without, "
        f"{change:+.0%}, wanted within {CHANGED:.0%}"
    )
    if fed < 0.95 * rate or latest >= DELAY_S or missing or abs(change) > CHANGED:
        raise click.ClickException("not reached")


if __name__ == "__main__":
    main()
