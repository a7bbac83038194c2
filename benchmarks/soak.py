"""An hour at 1,000 incidents a second with a scan each second: do memory, descriptors, threads and latency stay flat?

The city of the other benchmarks, with 50,000 incidents of history and 200,000 that come again and again. A town in the
same partition has clusters that grow all the time, as in ``latency.py``. All processes share all cores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import click
import matplotlib as mpl
import numpy as np
import psutil
from matplotlib import pyplot
from rich.console import Console
from rich.progress import Progress

from benchmarks._machine import HERE, description
from benchmarks._plot import IMAGES
from benchmarks._town import TOWN, Town, Written
from benchmarks.path import HISTORY, Lag, Site, figures
from streams.configuration.kafka import KafkaSettings
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from tests.integration.worker_process import WorkerProcess

IDS = 200_000
EVERY_S = 3.1
"""Interval between two incidents of the town, in seconds: its alerts list all their members, so few may come."""
SAMPLE_S = 10.0
READY_S = 120.0
WARM_S = 300.0
"""Time before the first sample that counts, in seconds: the live incidents fill the window for so long."""
FLAT = 0.05
"""Largest growth from the first quarter of the samples to the last, as a share."""


class Sample(NamedTuple):
    """The worker at one moment, and the revisions since the moment before."""

    at_s: float
    resident_mib: float
    descriptors: float
    threads: float
    scans: float
    latency_s: float


PLOTTED = {
    "resident_mib": "resident, MiB",
    "descriptors": "descriptors",
    "threads": "threads",
    "scans": "scans a second",
    "latency_s": "median latency, s",
}


def sampled(site: Site, town: Town, rate: float, seconds: float, bar: Progress) -> list[Sample]:
    """Run the worker under load; return a sample every ``SAMPLE_S``."""
    town.load()
    site.load(HISTORY, bar)
    samples: list[Sample] = []
    with ExitStack() as stack:
        worker = stack.enter_context(WorkerProcess(site))
        lag = stack.enter_context(closing(Lag(site)))
        worker.until(lambda: lag.now() == 0, "the history is on record", READY_S)
        written = Written(site.configuration.redis.url, town)
        written.start()
        command = [sys.executable, str(HERE / "_soak_feed.py"), str(site.file), str(rate), str(seconds), str(IDS)]
        feeding = stack.enter_context(subprocess.Popen(command))
        stack.callback(feeding.terminate)
        town.start()
        stack.callback(town.is_over.set)
        process, begin_s, scans, seen = psutil.Process(worker.process.pid), time.monotonic(), 0.0, 0
        task = bar.add_task(f"{rate:,.0f} incidents/s", total=seconds)
        while (at_s := time.monotonic() - begin_s) < seconds:
            time.sleep(SAMPLE_S)
            done = figures(worker)["hotspots_scan_seconds_count"]
            found = written.revisions[seen:]
            latencies = [each.written_s - each.sent_s for each in found if each.sent_s is not None]
            samples.append(
                Sample(
                    at_s=at_s,
                    resident_mib=process.memory_info().rss / 2**20,
                    descriptors=process.num_fds(),
                    threads=process.num_threads(),
                    scans=(done - scans) / SAMPLE_S,
                    latency_s=float(np.median(latencies)) if latencies else float("nan"),
                )
            )
            scans, seen = done, seen + len(found)
            bar.update(task, completed=at_s)
    return samples[1:]


def draw(samples: list[Sample]) -> None:
    """Write ``docs/images/soak.svg``."""
    mpl.rcParams.update({"svg.hashsalt": "soak", "svg.fonttype": "none", "font.size": 8})
    figure, axes = pyplot.subplots(1, len(PLOTTED), figsize=(11, 2.0), layout="constrained")
    for axis, (name, label) in zip(axes, PLOTTED.items(), strict=True):
        axis.plot([each.at_s / 60 for each in samples], [getattr(each, name) for each in samples], linewidth=0.8)
        axis.set_ylim(bottom=0)
        axis.set_title(label, fontsize=8)
        axis.set_xlabel("minutes")
    figure.savefig(IMAGES / "soak.svg", metadata={"Date": None})


@click.command()
@click.option("--rate", default=1000.0, show_default=True, help="Incidents per second.")
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--plot/--no-plot", default=False, help="Draw the picture of the documentation again.")
def main(rate: float, minutes: float, plot: bool) -> None:
    """Measure and print a table in Markdown; fails if something grows."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotspots-bench-")))
        kafka = stack.enter_context(LocalKafka(folder / "kafka"))
        valkey = stack.enter_context(LocalValkey(folder / "valkey"))
        bar = stack.enter_context(Progress(console=Console(stderr=True)))
        town = Town(KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix="soak-"), EVERY_S)
        site = Site(folder / "site", kafka, valkey, "soak", {TOWN: town.settings(folder / "town.txt")})
        samples = sampled(site, town, rate, 60 * minutes, bar)
    counted = [each for each in samples if each.at_s >= WARM_S]
    quarter = len(counted) // 4
    print(f"{description()}\n\n| what | first quarter | last quarter | growth |\n| --- | --- | --- | --- |")
    grown = []
    for name, label in PLOTTED.items():
        first, last = (float(np.nanmedian([getattr(each, name) for each in part])) for part in _ends(counted, quarter))
        print(f"| {label} | {first:.2f} | {last:.2f} | {last / first - 1:+.1%} |")
        if name != "scans" and last > (1 + FLAT) * first:
            grown.append(label)
    if plot:
        draw(samples)
    if grown:
        raise click.ClickException(f"grows: {', '.join(grown)}")


def _ends(samples: list[Sample], number: int) -> tuple[list[Sample], list[Sample]]:
    return samples[:number], samples[-number:]


if __name__ == "__main__":
    main()
