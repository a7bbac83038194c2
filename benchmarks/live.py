"""The live scan: from one incident to new clusters, and how its time grows; a table and a plot.

A Monitor with a full window gets one incident after another, each in a separate tick, which scans the streams that the
incident touches. Then an hour passes, which scans all streams.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks._city import AREA, cells, history_s, incidents
from benchmarks._machine import description
from benchmarks._plot import draw
from benchmarks._yardstick import nanoseconds
from detectors.area.locations import Locations
from detectors.area.settings import AreaSettings
from detectors.restoring import Restoring

LABELS = ("one incident, median", "one incident, 99th percentile", "an hour passes, all streams")
WINDOW, LOCATIONS, RADIUS_M = 50_000, 15_000, 500.0
DURATIONS = AreaSettings().durations_h
SINGLE = 400
"""Number of timed single incidents."""
BOUNDARIES = 5


class Case(NamedTuple):
    """The varied quantities."""

    window: int = WINDOW
    locations: int = LOCATIONS
    radius_m: float = RADIUS_M
    durations_h: tuple[int, ...] = DURATIONS


class Times(NamedTuple):
    """Milliseconds: for single incidents, median and 99th percentile; for boundaries, median and longest."""

    median: float
    rare: float
    boundary: float
    replicated: float


def measure(case: Case) -> Times:
    """Fill a window, then time single incidents and boundaries."""
    locations = Locations.from_cells(cells(case.locations))
    settings = AreaSettings(max_radius_m=case.radius_m, durations_h=case.durations_h)
    restoring = Restoring(AREA, settings, locations)
    now_s = int(time.time()) // 3600 * 3600 + 600
    for offset, incident in enumerate(incidents(history_s(case.window, now_s), 0, 1, case.locations)):
        restoring.refill(incident, offset, now_s)
    monitor = restoring.monitor()
    later = incidents((now_s + 2 * each for each in range(SINGLE + 2)), case.window, 2, case.locations)
    offset, times = case.window, []
    for number, incident in enumerate(later):
        started = time.perf_counter()
        monitor.put(incident, offset, now_s + 2 * number)
        monitor.flush()
        times.append(1000 * (time.perf_counter() - started))
        offset += 1
    boundaries = []
    for hour in range(1, BOUNDARIES + 1):
        started = time.perf_counter()
        closed = monitor.advance(now_s // 3600 * 3600 + 3600 * hour + 1)
        boundaries.append(1000 * (time.perf_counter() - started) / len(closed))
    single = np.array(times[2:])  # the first scan makes the usual rates, the second may be the first of a stream
    return Times(
        float(np.median(single)), float(np.quantile(single, 0.99)), float(np.median(boundaries)), max(boundaries)
    )


def variations() -> Iterator[tuple[str, str, float, Case]]:
    """Yield (the varied quantity, its value as text, its value, the case)."""
    for window in (10_000, 25_000, 50_000, 100_000, 200_000, 500_000):
        yield "incidents in the window", f"{window:,}", window, Case(window=window)
    for locations in (5_000, 10_000, 15_000, 20_000):
        yield "locations", f"{locations:,}", locations, Case(locations=locations)
    for radius_m in (250.0, 500.0, 750.0, 1000.0):
        yield "radius, m", f"{radius_m:.0f} m", radius_m, Case(radius_m=radius_m)
    for durations in (DURATIONS[:2], DURATIONS[:4], DURATIONS, (*range(1, 9), *DURATIONS[3:])):
        yield "durations", str(len(durations)), len(durations), Case(durations_h=durations)


@click.command()
def main() -> None:
    """Measure, print a table in Markdown and draw the plot."""
    found: dict[str, list[tuple[float, Times]]] = {}
    rows = []
    with Progress(console=Console(stderr=True)) as bar:
        for what, value, number, case in bar.track(list(variations()), description="live scan"):
            times = measure(case)
            found.setdefault(what, []).append((number, times))
            rows.append(
                f"| {what} | {value} | {times.median:.1f} ms | {times.rare:.1f} ms | {times.boundary:.0f} ms | "
                f"{times.replicated:.0f} ms |"
            )
    print(f"{description()}; yardstick {nanoseconds():.1f} ns\n")
    print("| varied | value | one incident, median | 99th percentile | hour passes, median | longest |")
    print("\n".join(["|" + " --- |" * 6, *rows]))
    draw("live", "milliseconds", LABELS, (1, 200), found)
    usual = next(times for number, times in found["incidents in the window"] if number == WINDOW)
    limits = (("median", usual.median, 5), ("99th percentile", usual.rare, 25), ("boundary", usual.boundary, 100))
    missed = [f"{what}: {value:.1f} ms, wanted {most} ms" for what, value, most in limits if value > most]
    if missed:
        raise click.ClickException(f"not reached: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
