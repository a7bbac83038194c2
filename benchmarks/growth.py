"""How the cost of the analyst's scan grows with locations, cases, radius and durations: a table and a plot.

The problems are variations of one with 10,000 locations and 50,000 cases, made by the generator in
``../shared/reference``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import Progress

from benchmarks._machine import description, run_apart
from benchmarks._plot import draw
from benchmarks.scan import REFERENCE

LABELS = ("permutation", "Poisson")
REPLICATIONS = 999
YEAR = 365
SEED = 20250103


class Case(NamedTuple):
    """The varied quantities."""

    locations: int = 10_000
    cases: int = 50_000
    radius_km: float = 1.0
    days: int = 7


def variations() -> Iterator[tuple[str, float, Case]]:
    """Yield (the varied quantity, its value, the case)."""
    for locations in (2_500, 5_000, 10_000, 20_000):
        yield "locations", locations, Case(locations=locations)
    for cases in (12_500, 25_000, 50_000, 100_000):
        yield "cases", cases, Case(cases=cases)
    for radius_km in (0.25, 0.5, 1.0, 2.0):
        yield "radius, km", radius_km, Case(radius_km=radius_km)
    for days in (2, 4, 8, 16):
        yield "durations", days, Case(days=days)


def measure(case: Case, folder: str) -> tuple[float, ...]:
    """Return the CPU seconds of each model, one thread, warm."""
    generator = [sys.executable, str(REFERENCE / "make_scan_problem.py"), folder, "--days", str(YEAR)]
    sizes = ["--locations", str(case.locations), "--cases", str(case.cases), "--seed", str(SEED)]
    subprocess.run([*generator, *sizes], check=True, stdout=subprocess.DEVNULL)
    limits = (str(REPLICATIONS), "1", str(case.radius_km), str(case.days))
    return tuple(run_apart("_scan_problem.py", folder, each.lower(), *limits, core=None)["warm"] for each in LABELS)


@click.command()
def main() -> None:
    """Measure, print a table in Markdown and draw the plot."""
    if not REFERENCE.exists():
        raise click.ClickException(f"{REFERENCE}: is not there; the problems are made by its make_scan_problem.py")
    found: dict[str, list[tuple[float, tuple[float, ...]]]] = {}
    with tempfile.TemporaryDirectory(prefix="hotspots-bench-") as folder, Progress(console=Console(stderr=True)) as bar:
        for number, (what, value, case) in enumerate(bar.track(list(variations()), description="growth")):
            found.setdefault(what, []).append((value, measure(case, f"{folder}/{number}")))
    print(f"{description()}\n\n| varied | value | permutation | Poisson |\n|" + " --- |" * 4)
    for what, points in found.items():
        for value, seconds in points:
            print(f"| {what} | {value:,g} | " + " | ".join(f"{each:.2f} s" for each in seconds) + " |")
    draw("growth", "CPU seconds", LABELS, (0.1, 20.0), found)


if __name__ == "__main__":
    main()
