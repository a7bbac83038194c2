"""Runs many days on all cores, or one of them with its log."""

from __future__ import annotations

import gc
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from functools import cache, partial
from multiprocessing import get_context

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.day import Failure, World, past, simulate
from tests.simulation.faults import plan
from tests.simulation.known_faults import KNOWN

CHUNK = 5
"""Seeds that a process takes at a time."""
GARBAGE = 100_000
"""Number of new objects after which garbage is collected."""
SHOWN = 60
"""Lines of the log that a failure shows; replaying the seed shows all."""
ROOM = 2
"""Chunks that wait for each process."""
SAY_S = 10.0
"""Time between two lines of progress where there is no terminal, in seconds."""


@cache
def prepare() -> None:
    """Simulate the days before, once in each process. Garbage is collected seldom, and not in what stays."""
    past()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def day(seed: int, known: str) -> Failure | World:
    """Simulate the day of a seed, with a known fault put back if there is one; return the world, or its failure."""
    drawn = KNOWN[known].drawn if known else None
    prepare()  # the days before are without the fault
    with KNOWN[known].put_back() if known else nullcontext():
        try:
            return simulate(seed, partial(plan, names=drawn))
        except Failure as failure:
            return failure


def days(first: int, last: int, known: str) -> list[tuple[int, str, list[str]]]:
    """Simulate days until one fails; return its seed, fault and log."""
    for seed in range(first, last):
        result = day(seed, known)
        if isinstance(result, Failure):
            return [(seed, str(result), result.lines)]
    return []


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=1000, show_default=True, help="Number of days.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first day.")
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
@click.option("--put-back", "known", type=click.Choice(list(KNOWN)), default=None, help="Put a known fault back.")
@click.option("--seed", type=click.IntRange(0), help="Simulate the day of this seed alone, and print its log.")
def main(seeds: int, first: int, processes: int, known: str | None, seed: int | None) -> None:
    """Simulate days of faults; stop at the first that breaks an invariant."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # a set of strings has another order in every process
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})
    console = Console(highlight=False, soft_wrap=True)
    if seed is not None:
        result = day(seed, known or "")
        console.print(*result.lines, sep="\n", markup=False)
        if isinstance(result, Failure):
            _report(console, str(result), seed, known)
        console.print(f"seed {seed}: every invariant held")
        return
    started = time.monotonic()
    failures = _run(console, range(first, first + seeds, CHUNK), first + seeds, processes, known or "")
    if failures:
        number, what, lines = min(failures)
        console.print(*lines[-SHOWN:], sep="\n", markup=False)
        _report(console, what, number, known)
    rate = seeds / (time.monotonic() - started)
    console.print(f"{seeds} days from seed {first} on, every invariant held, {rate:.1f} days a second")


class Shown:
    """Shows how many days are done, and how many in a second: on a terminal by a bar, elsewhere by lines."""

    def __init__(self, console: Console, total: int) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("days", total=total)
        self._console, self._total, self._done = console, total, 0
        self._began_s = self._said_s = time.monotonic()

    def __enter__(self) -> Shown:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, days: int) -> None:
        """Note that so many more days are done."""
        self._done, now_s = min(self._done + days, self._total), time.monotonic()
        rate = f"{self._done / (now_s - self._began_s):.1f} days a second"
        self._progress.update(self._task, completed=self._done, description=rate)
        if self._progress.disable and now_s - self._said_s >= SAY_S:
            self._said_s = now_s
            self._console.print(f"{self._done} of {self._total} days, {rate}")


def _report(console: Console, what: str, seed: int, known: str | None) -> None:
    argument = f" ARGS='--put-back \"{known}\"'" if known else ""
    console.print(what, style="bold red", markup=False)
    console.print(f"repeat it: make simulate SEED={seed}{argument}", markup=False)
    sys.exit(1)


def _run(console: Console, chunks: range, end: int, processes: int, known: str) -> list[tuple[int, str, list[str]]]:
    """Run all chunks, until a day fails; the seeds before it have passed or are run to their end."""
    failures: list[tuple[int, str, list[str]]] = []
    with (
        Shown(console, end - chunks.start) as shown,
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
    ):
        coming = iter(chunks)
        running = {pool.submit(days, each, min(each + CHUNK, end), known) for each in _first(coming, ROOM * processes)}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            failures += done.result()
            shown.advance(CHUNK)
            if not failures:
                running |= {pool.submit(days, each, min(each + CHUNK, end), known) for each in _first(coming, 1)}
    return failures


def _first(coming: object, number: int) -> list[int]:
    """The next ones of an iterator, up to a number."""
    return [each for _, each in zip(range(number), coming, strict=False)]  # type: ignore[call-overload]
