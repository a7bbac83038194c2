"""What commands have in common: options, times on the command line, and how a command fails."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click

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
