"""``python -m tests.simulation``: many days on all cores, or one of them with its log."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.day import Failure, simulate
from tests.simulation.faults import plan

CHUNK = 10
"""Seeds that a process takes at a time."""
SHOWN = 60
"""Lines of the log that a failure shows; replaying the seed shows all."""


def days(first: int, last: int) -> list[tuple[int, str, list[str]]]:
    """Simulate the days of the seeds from ``first`` to before ``last``; return seed, fault and log of those that fail."""
    failures = []
    for seed in range(first, last):
        try:
            simulate(seed, plan)
        except Failure as failure:
            failures.append((seed, str(failure), failure.lines))
    return failures


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=1000, show_default=True, help="Number of days.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first day.")
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Simulate the day of this seed alone, and print its log.")
def main(seeds: int, first: int, processes: int, seed: int | None) -> None:
    """Simulate days of faults; stop at the first that breaks an invariant."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # so that a seed gives the same day everywhere
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606, E501
    console = Console()
    if seed is not None:
        try:
            simulate(seed, plan, verbose=True)
        except Failure as failure:
            console.print(*failure.lines, sep="\n", markup=False, highlight=False)
            console.print(f"[bold red]{failure}")
            sys.exit(1)
        console.print(f"seed {seed}: every invariant held")
        return
    columns = TextColumn("days"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    started = time.monotonic()
    failures = []
    with (
        Progress(*columns, console=console) as progress,
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
    ):
        task = progress.add_task("days", total=seeds)
        ends = range(first, first + seeds, CHUNK)
        running = {pool.submit(days, each, min(each + CHUNK, first + seeds)): each for each in ends}
        for done in as_completed(running):
            progress.advance(task, min(CHUNK, first + seeds - running[done]))
            failures += done.result()
            if failures:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    if failures:
        number, what, lines = min(failures)
        console.print(*lines[-SHOWN:], sep="\n", markup=False, highlight=False)
        console.print(f"[bold red]{what}[/]\nreplay it: make simulate SEED={number}", highlight=False)
        sys.exit(1)
    console.print(f"{seeds} days from seed {first} on, every invariant held, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
