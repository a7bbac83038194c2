"""From the sending of an incident to its revision in Redis, through a real Kafka, at a steady rate of incidents.

A city of 20,000 locations brings the load. A town in the same partition, so that its ticks wait in the same queue, has
clusters that grow all the time. Every revision with a new incident counts once, with the latest of its new incidents.
All processes share all cores of the machine.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from benchmarks._machine import description, run_apart
from benchmarks._plot import IMAGES
from benchmarks._town import TOWN, Town, Written
from benchmarks.path import HISTORY, SETTLE_S, Lag, Site, figures
from streams.configuration.kafka import KafkaSettings
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from tests.integration.worker_process import WorkerProcess

MEDIAN_S, RARE_S = 0.6, 1.5
"""Targets for the median and the 99th percentile, in seconds."""
EVERY_S = 0.3
"""Interval between two incidents of the town, in seconds: no divisor of a tick, so that they fall anywhere in it."""
READY_S = 120.0
BIN_S = 0.05


def measure(site: Site, town: Town, rate: float, seconds: float, bar: Progress) -> tuple[float, list[float], str]:
    """Return the incidents sent per second, the latencies in seconds, and the worker's own figures in one line."""
    town.load()
    site.load(HISTORY, bar)
    with ExitStack() as stack:
        worker = stack.enter_context(WorkerProcess(site))
        lag = stack.enter_context(closing(Lag(site)))
        worker.until(lambda: lag.now() == 0, "the history is on record", READY_S)
        written = Written(site.configuration.redis.url, town)
        written.start()
        feeder = stack.enter_context(ThreadPoolExecutor(1))
        arguments = (str(site.file), str(rate), str(SETTLE_S + seconds), str(HISTORY))
        feeding = feeder.submit(run_apart, "_feed.py", *arguments, core=None)
        worker.until(lambda: lag.now() > 0, "the feed has begun", READY_S + SETTLE_S + seconds)
        town.start()
        stack.callback(town.is_over.set)
        time.sleep(SETTLE_S)
        first, before = len(written.revisions), figures(worker)
        for _ in bar.track(range(int(seconds)), description=f"{rate:,.0f} incidents/s"):
            time.sleep(1.0)
        counted, after = written.revisions[first:], figures(worker)
        town.is_over.set()
        fed = float(feeding.result()["rate"])
    scans, scan_s = (
        after[name] - before[name] for name in ("hotspots_scan_seconds_count", "hotspots_scan_seconds_sum")
    )
    own = f"{scans / seconds:.1f} scans a second, {1000 * scan_s / max(1.0, scans):.0f} ms each"
    return fed, [each.written_s - each.sent_s for each in counted if each.sent_s is not None], own


def draw(latencies: NDArray[np.float64], middle_s: float, rare_s: float, rate: float) -> None:
    """Write the histogram as ``docs/images/latency.svg``."""
    mpl.rcParams.update({"svg.hashsalt": "latency", "svg.fonttype": "none", "font.size": 8})
    figure, axis = pyplot.subplots(figsize=(7, 2.4), layout="constrained")
    axis.hist(latencies, bins=np.arange(0.0, max(2.0, latencies.max()) + BIN_S, BIN_S))
    for value, words in ((middle_s, "median"), (rare_s, "99 %")):
        axis.axvline(value, color="black", linewidth=0.8)
        axis.annotate(f" {words} {value:.2f} s", (value, 0.9), xycoords=("data", "axes fraction"))
    axis.set_xlabel(f"seconds from an incident to its alert in Redis, at {rate:,.0f} incidents a second")
    axis.set_ylabel("revisions")
    figure.savefig(IMAGES / "latency.svg", metadata={"Date": None})


@click.command()
@click.option("--rate", default=1000.0, show_default=True, help="Incidents per second.")
@click.option("--seconds", default=180.0, show_default=True, help="Length of the measurement.")
@click.option("--plot/--no-plot", default=False, help="Draw the histogram of the documentation again.")
def main(rate: float, seconds: float, plot: bool) -> None:
    """Measure and print a table in Markdown; fails if a target is not reached."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-bench-")))
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        valkey = stack.enter_context(LocalValkey(folder / "valkey"))
        bar = stack.enter_context(Progress(console=Console(stderr=True)))
        town = Town(KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix="latency-"), EVERY_S)
        site = Site(folder / "site", kafka, valkey, "latency", {TOWN: town.settings(folder / "town.txt")})
        fed, found, own = measure(site, town, rate, seconds, bar)
    latencies = np.array(found)
    middle_s, rare_s = (float(each) for each in np.quantile(latencies, (0.5, 0.99)))
    print(f"{description()}\n\n| what | measured | wanted |\n| --- | --- | --- |")
    print(f"| incidents a second | {fed:,.0f} | {rate:,.0f} |")
    print(f"| incident to alert in Redis, median of {len(latencies):,} | {middle_s:.2f} s | at most {MEDIAN_S} s |")
    print(f"| 99th percentile, longest | {rare_s:.2f} s, {latencies.max():.2f} s | under {RARE_S} s |")
    print(f"| meanwhile | {own} | |")
    if plot:
        draw(latencies, middle_s, rare_s, rate)
    if fed < 0.95 * rate or middle_s > MEDIAN_S or rare_s >= RARE_S:
        raise click.ClickException("not reached")


if __name__ == "__main__":
    main()
