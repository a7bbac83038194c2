"""The command that tests the whole chain: drill."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from streams.cli.terminal import EXISTING_FILE, config_option, fail, print_json


@click.command()
@config_option
@click.option("--area", default="drill", show_default=True, help="Area of the configuration with exercise = true.")
@click.option("--console", "console_url", metavar="URL", help="Address of the console (default: from [console]).")
@click.option("--no-console", is_flag=True, help="Leave the console out.")
@click.option("--user", help="User of the console's password file.")
@click.option("--password-file", type=EXISTING_FILE, help="A file that holds only that user's password.")
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Time limit for each station, in seconds.",
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def drill(
    config: Path | None,
    area: str,
    console_url: str | None,
    no_console: bool,
    user: str | None,
    password_file: Path | None,
    limit_s: float,
    output: str,
) -> None:
    """Send an invented cluster through Kafka, worker, Redis, console and webhook, and show the time at each.

    Its alerts are marked as exercises everywhere, and end with the drill.
    Exit code 1: it stopped at the last station named.
    """
    from kafka.errors import KafkaError

    from streams.analyst.chosen_area import only_area
    from streams.analyst.replay import FeedError
    from streams.area_log.records import LogError
    from streams.brokers.connection import error_text
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError
    from streams.drill.run import Passed, Stopped
    from streams.drill.run import drill as run
    from streams.drill.stations import SignIn

    if (user is None) != (password_file is None):
        fail("--user, --password-file: give both or none")
    passed: list[Passed] = []
    stopped: Stopped | None = None
    try:
        configuration = load(config, os.environ)
        name = only_area(configuration.areas, area)
        url = "" if no_console else console_url or configuration.console.url
        password = password_file.read_text(encoding="utf-8").strip() if password_file else ""
        for each in run(configuration, name, url, SignIn(user, password) if user else None, limit_s):
            passed.append(each)
            if output == "table":
                click.echo(f"{each.seconds:8.2f} s  {each.station:<10}  {each.detail}")
    except Stopped as error:
        stopped = error
    except KafkaError as error:
        fail(error_text(error, configuration.kafka))
    except (ConfigurationError, FeedError, LogError, OSError) as error:
        fail(error)
    if output == "json":
        print_json({"passed": passed, "stopped_at": stopped.station if stopped else None, "reason": str(stopped or "")})
    elif stopped:
        click.echo(str(stopped), err=True)
    sys.exit(1 if stopped else 0)


COMMANDS = (drill,)
