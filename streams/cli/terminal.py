"""What all commands share: options, failure, progress on standard error, results on standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

config_option = click.option("--config", type=EXISTING_FILE, help="Configuration file (default: none is needed).")
area_option = click.option("--area", help="Which area of the configuration; needed where it has several.")
from_option = click.option("--from", "from_", type=str, metavar="TIME", help="RFC 3339; a date alone is midnight UTC.")
to_option = click.option("--to", type=str, metavar="TIME", help="RFC 3339; rows from then on are left out.")

speed_option = click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Times recorded time; 0 is as fast as Kafka takes them.",
)


def fail(message: object) -> NoReturn:
    """Leave with one clear line for each fault, and exit code 2."""
    click.echo(f"hotspots: {message}", err=True)
    sys.exit(2)


def moment(text: str | None, option: str) -> datetime | None:
    """A time given on the command line; without an offset it is UTC."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: must be a time such as 2012-06-01 or 2012-06-01T06:00:00-05:00")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


WHOLE = 160
"""Characters that every table has room in."""


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[..., object]]:
    """A progress bar while the block runs; the function it gives is called for each step, or with a number of them."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps=1: bar.advance(task, steps)


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[], object]]:
    """How many steps were made so far, where their number is not known beforehand."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda: bar.advance(task)


def print_json(content: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")


def print_table(table: Table) -> None:
    """Fitted to the terminal; whole where there is none."""
    is_terminal = Console().is_terminal
    Console(width=None if is_terminal else WHOLE).print(table)
