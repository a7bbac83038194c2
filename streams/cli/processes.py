"""The commands of the deployed processes, and of their setup: topics, configuration, passwords."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import click

from streams.cli.terminal import EXISTING_FILE, config_option, fail

NEEDED = ("fastapi", "uvicorn", "itsdangerous", "argon2", "shapely", "xstatic")
"""Modules of the extra `console`."""


def _needs_extra() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        fail(f"{missing[0]} is missing: the console needs more packages, pip install 'hotspot-monitor[console]'")


@click.command()
@config_option
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0: any free one (default: from the configuration).")
@click.option("--log", "log_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def console(config: Path | None, port: int | None, log_format: Literal["text", "json"]) -> None:
    """Serve the control room's web page and the HTTP API."""
    _needs_extra()
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError
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


@click.command()
@config_option
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True)
def worker(config: Path | None, log: Literal["text", "json"]) -> None:
    """Read incidents from Kafka, write alerts to Kafka and Redis, serve metrics."""
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError
    from streams.worker.process import run_worker

    try:
        configuration = load(config, os.environ)
    except ConfigurationError as error:
        fail(error)
    sys.exit(run_worker(configuration, log))


@click.command()
@config_option
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True)
def webhook(config: Path | None, log: Literal["text", "json"]) -> None:
    """Post alerts from Kafka to an on-call tool, as Alertmanager does."""
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    try:
        configuration = load(config, os.environ)
    except ConfigurationError as error:
        fail(error)
    if not configuration.webhook.url:
        fail("webhook.url: missing; set it, or HOTSPOTS_WEBHOOK__URL, to the address of an on-call tool")
    try:
        from streams.webhook.process import run_webhook
    except ModuleNotFoundError as error:
        fail(f"{error.name} is missing: pip install 'hotspot-monitor[console]'")
    sys.exit(run_webhook(configuration, log))


@click.command()
@config_option
@click.option("--check", is_flag=True, help="Create nothing; only check.")
def topics(config: Path | None, check: bool) -> None:
    """Create the missing topics, and check all of them."""
    from kafka.errors import KafkaError

    from streams.brokers.connection import error_text
    from streams.brokers.topics import check_topics, create_topics
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    try:
        configuration = load(config, os.environ)
        if not check:
            for created in create_topics(configuration.kafka, configuration.longest_window_days):
                click.echo(f"created {created}")
        faults = check_topics(configuration.kafka, configuration.longest_window_days)
    except ConfigurationError as error:
        fail(error)
    except KafkaError as error:
        fail(error_text(error, configuration.kafka))
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(1)
    click.echo("the topics are good")


@click.command("copy-inputs")
@config_option
@click.option("--to-prefix", default="new-", show_default=True, help="kafka.topic_prefix of the new topics.")
@click.option(
    "--partitions", type=click.IntRange(1, 10_000), help="Partitions of the new topics (default: kafka.partitions)."
)
def copy_inputs(config: Path | None, to_prefix: str, partitions: int | None) -> None:
    """Copy incidents and responses into new topics, from which a worker derives everything again."""
    import msgspec
    from kafka.errors import KafkaError

    from streams.area_log.copy_inputs import CopyError
    from streams.area_log.copy_inputs import copy_inputs as copy
    from streams.brokers.connection import error_text
    from streams.cli.terminal import working
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    try:
        configuration = load(config, os.environ)
        source = configuration.kafka
        target = msgspec.structs.replace(
            source, topic_prefix=to_prefix, partitions=source.partitions if partitions is None else partitions
        )
        with working("records") as step:
            copied = copy(
                source,
                target,
                configuration.areas,
                configuration.longest_window_days,
                configuration.worker.max_record_bytes,
                step,
            )
    except (ConfigurationError, CopyError) as error:
        fail(error)
    except KafkaError as error:
        fail(error_text(error, source))
    click.echo("copied " + ", ".join(f"{number} {topic}" for topic, number in copied.items()))
    click.echo(f'set kafka.topic_prefix = "{target.topic_prefix}" and kafka.partitions = {target.partitions}')


@click.command("check-config")
@click.argument("file", type=EXISTING_FILE, required=False)
def check_config(file: Path | None) -> None:
    """Check a configuration file and the environment; print one line for each fault."""
    from streams.areas.configured import configured_areas, faults_of
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    faults = faults_of(file, os.environ)
    if not faults:
        try:
            configured_areas(load(file, os.environ).areas)
        except ConfigurationError as error:
            faults = str(error).splitlines()
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(2)
    click.echo("the configuration is good")


COMMANDS = (console, password, worker, webhook, topics, copy_inputs, check_config)
