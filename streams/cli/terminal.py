"""Common parts of all commands: options, failure, progress on standard error, results on standard output."""

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
TABLE_WIDTH = 160
"""Width of a table outside a terminal, in characters."""

config_option = click.option("--config", type=EXISTING_FILE, help="Configuration file (default: the environment only).")
area_option = click.option("--area", help="Area of the configuration; required if there are several.")
from_option = click.option("--from", "from_", type=str, metavar="TIME", help="RFC 3339; a date alone is midnight UTC.")
to_option = click.option("--to", type=str, metavar="TIME", help="RFC 3339; rows at or after this time are left out.")

speed_option = click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Multiple of recorded time; 0: as fast as Kafka takes it.",
)

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds without change after which the wait for the records' outcomes ends; 0: do not wait.",
)


def fail(message: object) -> NoReturn:
    """Print a message and exit with code 2.

    Raises:
        BrokenPipeError: The message is one. Click then ends the command without a word: its reader has seen enough.
    """
    if isinstance(message, BrokenPipeError):
        raise message
    click.echo(f"hotspots: {message}", err=True)
    sys.exit(2)


def moment(text: str | None, option: str) -> datetime | None:
    """Return a time given on the command line. A time without an offset is in UTC."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: must be a time such as 2012-06-01 or 2012-06-01T06:00:00-05:00")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[..., object]]:
    """Show a progress bar while the block runs; yield a function to call with a number of steps, by default 1."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps=1: bar.advance(task, steps)


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[], object]]:
    """Show the number of steps so far if the total is unknown; yield a function to call at each step."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda: bar.advance(task)


def print_json(content: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or with ``TABLE_WIDTH`` if there is no terminal."""
    is_terminal = Console().is_terminal
    Console(width=None if is_terminal else TABLE_WIDTH).print(table)
