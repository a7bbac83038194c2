"""The commands of the control room: the console itself, and lines for its password file."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import click

from streams.cli.options import config_option, fail

NEEDED = ("fastapi", "uvicorn", "itsdangerous", "argon2", "shapely", "xstatic")


def _needs_extra() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        fail(f"{missing[0]} is missing: the console needs more packages, pip install 'hotspot-monitor[console]'")


@click.command()
@config_option
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one (default: as the configuration says).")
@click.option("--log", "log_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def console(config: Path | None, port: int | None, log_format: Literal["text", "json"]) -> None:
    """Serve the control room's web page and the HTTP API."""
    _needs_extra()
    from streams.configuration.load import ConfigurationError, load
    from streams.console.server import run_console

    try:
        sys.exit(run_console(load(config, os.environ), port, log_format))
    except ConfigurationError as error:
        fail(error)


@click.command()
@click.argument("user")
@click.option("--role", type=click.Choice(["viewer", "operator"]), default="viewer", show_default=True)
def password(user: str, role: Literal["viewer", "operator"]) -> None:
    """Ask for a password and print the user's line for the console's password file."""
    _needs_extra()
    from streams.console.users import password_line

    given = click.prompt("Password", hide_input=True, confirmation_prompt=sys.stdin.isatty(), err=True)
    try:
        click.echo(password_line(user, role, given))
    except ValueError as error:
        fail(error)


COMMANDS = (console, password)
