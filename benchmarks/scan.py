"""The analyst's scan on SaTScan's problems: its time and memory, and SaTScan's time on the same kind of machine.

It needs the generator of the problems and SaTScan's timings, ``../shared/reference``.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from benchmarks._machine import description, run_apart

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"
SIZES = ("small", "medium", "large")
MODELS = {"permutation": "stp", "poisson": "poisson"}
MOST_MIB = 150
WANTED = {("large", "permutation"): 48.3 / 25, ("large", "poisson"): 92.3 / 25, ("medium", "permutation"): 0.12}
"""Targets: CPU seconds of 999 replications on one thread."""


def satscan(timings: dict[str, Any], size: str, model: str, replications: int) -> float | None:
    """Return SaTScan's CPU seconds on a quiet machine, one thread."""
    for run in timings["runs"]:
        wanted = {"size": size, "model": MODELS[model], "replications": replications, "threads": 1}
        if run["condition"].startswith("quiet") and all(run[key] == value for key, value in wanted.items()):
            return float(run["cpu_s"])
    return None


@click.command()
@click.option("--size", "sizes", multiple=True, type=click.Choice(SIZES), default=SIZES, help="Problems to scan.")
def main(sizes: tuple[str, ...]) -> None:
    """Measure and print a table in Markdown."""
    if not REFERENCE.exists():
        raise click.ClickException(f"{REFERENCE}: is not there; the problems are made by its make_scan_problem.py")
    timings = json.loads((REFERENCE / "satscan" / "timings.json").read_text())
    cases = list(itertools.product(sizes, MODELS, (0, 99, 999), (1, 2)))
    rows, missed = [], []
    with tempfile.TemporaryDirectory(prefix="hotspots-bench-") as folder, Progress(console=Console(stderr=True)) as bar:
        for size in sizes:
            generator = [sys.executable, str(REFERENCE / "make_scan_problem.py"), "--preset", size, f"{folder}/{size}"]
            subprocess.run(generator, check=True, stdout=subprocess.DEVNULL)
        for size, model, replications, threads in bar.track(cases, description="scan"):
            if threads == 2 and replications == 0:
                continue
            arguments = (f"{folder}/{size}", model, str(replications), str(threads))
            found = run_apart("_scan_problem.py", *arguments, core=None)
            theirs = satscan(timings, size, model, replications) if threads == 1 else None
            ratio = "" if theirs is None else f"{theirs:.2f} s | {theirs / found['warm']:.0f}"
            floor = f"{found['floor']:.2f} s" if replications else ""
            rows.append(
                f"| {size} | {model} | {replications} | {threads} | {found['cold']:.2f} s | {found['warm']:.3f} s | "
                f"{found['wall']:.3f} s | {found['peak_mib']:.0f} MiB | {floor} | {found['step_ns']:.1f} ns | "
                f"{ratio or '|'} |"
            )
            limit = WANTED.get((size, model))
            if replications == 999 and threads == 1 and limit is not None and found["warm"] > limit:
                missed.append(f"{size} {model}: {found['warm']:.2f} s, wanted {limit:.2f}")
            if found["peak_mib"] > MOST_MIB:
                missed.append(f"{size} {model}: {found['peak_mib']:.0f} MiB, wanted {MOST_MIB}")
    print(f"{description()}\n")
    print(
        "| problem | model | replications | threads | cold, CPU | warm, CPU | warm, wall | peak above imports | ",
        end="",
    )
    print("floor | yardstick | SaTScan, CPU | times faster |\n|" + " --- |" * 12)
    print("\n".join(rows))
    if missed:
        raise click.ClickException(f"not reached: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
