"""Viewers of the console beside a busy worker: how late they hear of a change, and whether detection minds them.

The worker has a core to itself; broker, Valkey, console, viewers and the feed share the other. The city's incidents
come at a steady rate; beside it the same worker watches a village, where clusters grow by the second, so that alerts
change all the time. Runs with and without viewers take turns, in an order in which neither is always the later, since
the window grows.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import click
import h3
import msgspec
import numpy as np
import psutil
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rich.console import Console
from rich.progress import Progress

from benchmarks._city import history_s
from benchmarks._machine import HERE, description, on_core, run_apart
from benchmarks.path import HISTORY, OTHER_CORE, SETTLE_S, Lag, Site, start_worker
from detectors.incident import Category, Incident
from detectors.settings import STREAMS
from streams.configuration import KafkaSettings
from streams.local_services import LocalKafka, LocalValkey
from streams.messages import PROVENANCE_HEADER, Provenance
from streams.redis_copy import area_key
from streams.replay import feed
from streams.tables import Row
from tests.integration.worker_process import HOTSPOTS, WorkerProcess

DELAY_S = 1.0
"""Wanted: 99 of 100 changes are with a viewer within that, from Redis on."""
CHANGED = 0.2
"""Wanted: by no more than this share may viewers change the detection latency."""
VILLAGE, VILLAGE_HISTORY = "village", 4000
PLACES = 3
VILLAGE_CELLS = sorted(h3.grid_disk(h3.latlng_to_cell(53.2, -1.5, 10), 12))
LAST_S = 2.0
"""What came so shortly before the end of a run may not have been heard yet."""
PAUSE_S = 3.0
"""Between the moment when all look and the measurement."""
READY_S = 120.0


class Kind(NamedTuple):
    """A kind of viewers: the program that plays them, how long they take to begin, and how often alerts change."""

    program: str
    open_s: float
    every_s: float


CLIENTS = Kind("_viewers.py", open_s=10.0, every_s=0.3)
PAGES = Kind("_pages.py", open_s=30.0, every_s=3.0)


class Run(NamedTuple):
    """One run, in seconds: from a record's arrival to the commit of the revision it made; from Redis to viewers, by
    their kind.
    """

    latencies: list[float]
    delays: dict[str, list[float]]
    unheard: int
    core: float


class Written(threading.Thread):
    """Notes when each revision has come to Redis, and how long after its record it was committed."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.revisions: list[tuple[str, float, float]] = []
        self._redis = Redis.from_url(url, socket_timeout=None)

    def run(self) -> None:
        """Until Redis ends."""
        with suppress(RedisConnectionError):
            self._read()

    def _read(self) -> None:
        last: Any = b"$"
        while True:
            # The library's types leave open what comes back, since that depends on how the connection was made.
            [[_, entries]] = cast(list[Any], self._redis.xread({area_key(VILLAGE, "alerts"): last}, block=0))
            moment = time.time()
            last = entries[-1][0]
            for _, fields in entries:
                told = msgspec.json.decode(fields[PROVENANCE_HEADER.encode()], type=Provenance)
                name = f"{fields[b'id'].decode()} {int(fields[b'revision'])}"
                self.revisions.append((name, moment, told.latency_s))


class Village(threading.Thread):
    """A small area: its history, and from then on, until told to stop, incidents at a few places in turn.

    So its alerts change again and again, however busy the worker is with the city.
    """

    def __init__(self, kafka: KafkaSettings, every_s: float) -> None:
        super().__init__(daemon=True)
        self.is_over = threading.Event()
        self._kafka = kafka
        self._every_s = every_s
        self._number = 0

    def settings(self, file: Path) -> dict[str, str]:
        """Of its area; its cells are written into a file."""
        file.write_text("\n".join(VILLAGE_CELLS))
        return {"timezone": "Europe/London", "cells_file": str(file)}

    def load(self) -> None:
        """Send its history."""
        chance = np.random.default_rng(3)
        places = chance.integers(len(VILLAGE_CELLS), size=VILLAGE_HISTORY).tolist()
        times = history_s(VILLAGE_HISTORY, time.time())
        told = zip(times, places, range(VILLAGE_HISTORY), strict=True)
        feed((self._row(time_s, place, STREAMS[number % 4]) for time_s, place, number in told), self._kafka)

    def run(self) -> None:
        """Send what happens now, as it happens."""
        feed(self._live(), self._kafka, speed=1.0)

    def _live(self) -> Iterator[Row]:
        begin_s = time.time()
        for turn in itertools.count():
            number = turn % PLACES
            yield self._row(begin_s + turn * self._every_s, 7 * number, STREAMS[number])
            if self.is_over.is_set():
                return

    def _row(self, time_s: float, place: int, category: str) -> Row:
        latitude, longitude = h3.cell_to_latlng(VILLAGE_CELLS[place])
        self._number += 1
        incident = Incident(
            id=f"village-{self._number}",
            occurred_at=datetime.fromtimestamp(time_s, UTC),
            category=Category(category),
            longitude=longitude,
            latitude=latitude,
        )
        return Row(VILLAGE.encode(), msgspec.json.encode(incident), time_s)


@contextmanager
def started_console(site: Site) -> Iterator[tuple[str, psutil.Process]]:
    """The console on the other core: its address and its process."""
    command = [str(HOTSPOTS), "console", "--config", str(site.file), "--port", "0"]
    with on_core(OTHER_CORE), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if "the console is at" in line)
            yield re.findall(r"http://\S+", line)[0], psutil.Process(process.pid)
        finally:
            process.terminate()


class Viewers:
    """The program that plays so many viewers of a kind."""

    def __init__(self, kind: Kind, url: str, number: int) -> None:
        self.number = number
        command = [sys.executable, str(HERE / kind.program), url, str(number)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._said() == "ready\n"

    def look(self) -> None:
        """Begin, and wait until all look."""
        self._ask()
        assert self._said() == "ready\n"

    def heard(self) -> dict[str, dict[str, list[float]]]:
        """Stop; by kind, by alert and revision, when each heard of it."""
        self._ask()
        return dict(json.loads(self._said()))

    def _ask(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


def measure(console: psutil.Process, viewers: Viewers | None, seconds: float, written: Written) -> Run:
    """One run, with viewers or without."""
    if viewers:
        viewers.look()
        time.sleep(PAUSE_S)
    begin_s, first = time.time(), len(written.revisions)
    cpu_s = sum(console.cpu_times()[:2])
    time.sleep(seconds)
    end_s, cpu_s = time.time(), sum(console.cpu_times()[:2]) - cpu_s
    heard = viewers.heard() if viewers else {}
    own = [each for each in written.revisions[first:] if begin_s <= each[1] < end_s - LAST_S]
    delays = {
        kind: [max(0.0, moment - since) for name, since, _ in own for moment in moments.get(name, ())]
        for kind, moments in heard.items()
    }
    return Run(
        latencies=[latency for _, _, latency in own],
        delays=delays,
        unheard=viewers.number * len(own) - sum(map(len, delays.values())) if viewers else 0,
        core=cpu_s / (end_s - begin_s),
    )


def bench(
    site: Site, village: Village, rate: float, kind: Kind, number: int, runs: int, seconds: float, bar: Progress
) -> tuple[float, list[tuple[bool, Run]]]:
    """The rate that was reached, and all runs, each with whether it had viewers."""
    village.load()
    site.load(HISTORY, bar)
    turns = [bool((number + 1) // 2 % 2) for number in range(2 * runs)]  # without, with, with, without, ...
    fed_s = SETTLE_S + len(turns) * seconds + runs * kind.open_s
    with ExitStack() as stack:
        worker: WorkerProcess = stack.enter_context(start_worker(site))
        lag = stack.enter_context(closing(Lag(site)))
        worker.until(lambda: lag.now() == 0, "the history is on record", READY_S)
        url, console = stack.enter_context(started_console(site))
        viewers = stack.enter_context(closing(Viewers(kind, url, number)))
        written = Written(site.configuration.redis.url)
        written.start()
        feeder = stack.enter_context(ThreadPoolExecutor(1))
        arguments = (str(site.file), str(rate), str(fed_s), str(HISTORY))
        feeding = feeder.submit(run_apart, "_feed.py", *arguments, core=OTHER_CORE)
        worker.until(lambda: lag.now() > 0, "the feed has begun", READY_S + fed_s)
        village.start()
        stack.callback(village.is_over.set)
        time.sleep(SETTLE_S)
        found = [
            (has_viewers, measure(console, viewers if has_viewers else None, seconds, written))
            for has_viewers in bar.track(turns, description=f"{rate:,.0f} incidents/s")
        ]
        village.is_over.set()
        fed = float(feeding.result()["rate"])
    return fed, found


@click.command()
@click.option("--viewers", default=50, show_default=True)
@click.option(
    "--pages",
    is_flag=True,
    help="Real pages in Debian's Chromium, five of which draw what they show, and not clients of the stream alone.",
)
@click.option("--rate", default=1000.0, show_default=True, help="Incidents per second.")
@click.option("--runs", default=5, show_default=True, help="With viewers, and as many without.")
@click.option("--seconds", default=30.0, show_default=True, help="Of each run.")
def main(viewers: int, pages: bool, rate: float, runs: int, seconds: float) -> None:
    """Measure, and print a table in Markdown; fails if viewers hear too late or slow detection."""
    os.sched_setaffinity(0, {OTHER_CORE})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-bench-")))
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        valkey = stack.enter_context(LocalValkey(folder / "valkey"))
        bar = stack.enter_context(Progress(console=Console(stderr=True)))
        kind = PAGES if pages else CLIENTS
        village = Village(KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix="viewers-"), kind.every_s)
        site = Site(folder / "site", kafka, valkey, "viewers", {VILLAGE: village.settings(folder / "village.txt")})
        fed, found = bench(site, village, rate, kind, viewers, runs, seconds, bar)
    print(f"{description()}\n")
    print("| run | revisions | detection latency, median | push delay, median, 99 % | console's core |")
    print("|" + " --- |" * 5)
    medians: dict[bool, list[float]] = {True: [], False: []}
    for number, (has_viewers, run) in enumerate(found, 1):
        medians[has_viewers].append(float(np.median(run.latencies)))
        middle, rare = np.quantile([*itertools.chain(*run.delays.values())], (0.5, 0.99)) if has_viewers else (0.0, 0.0)
        told = f"{middle * 1000:.0f} ms, {rare * 1000:.0f} ms" if has_viewers else "no viewers"
        figures = f"{len(run.latencies)} | {medians[has_viewers][-1]:.2f} s | {told} | {run.core:.0%}"
        print(f"| {number} | {figures} |")
    latest = 0.0
    looked = [run for has_viewers, run in found if has_viewers]
    print(f"\n{viewers} viewers, {fed:,.0f} of {rate:,.0f} incidents/s")
    for each in looked[0].delays:
        delays = np.concatenate([run.delays[each] for run in looked])
        middle, rare = np.quantile(delays, (0.5, 0.99))
        latest = max(latest, float(rare))
        print(
            f"{each}: {len(delays):,} receipts, push delay {middle * 1000:.0f} ms (median), {rare * 1000:.0f} ms (99 %)"
        )
    unheard = sum(run.unheard for _, run in found)
    with_viewers, without = (float(np.median(medians[has_viewers])) for has_viewers in (True, False))
    change = with_viewers / without - 1
    print(f"receipts missing: {unheard}; push delay at 99 % wanted under {DELAY_S * 1000:.0f} ms for each kind")
    print(
        f"detection latency, median of {runs} runs: {with_viewers:.2f} s with viewers, {without:.2f} s without, "
        f"{change:+.0%}, wanted within {CHANGED:.0%}"
    )
    if fed < 0.95 * rate or latest >= DELAY_S or unheard or abs(change) > CHANGED:
        raise click.ClickException("not reached")


if __name__ == "__main__":
    main()
