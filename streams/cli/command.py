"""The command `hotspots`: click commands, wiring only. What a command needs is imported when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import click

from streams.cli import evidence as log_commands
from streams.cli import incidents as file_commands
from streams.cli import processes as console_commands
from streams.cli.options import (
    EXISTING_FILE,
    FILE,
    area_option,
    config_option,
    fail,
    from_option,
    moment,
    speed_option,
    to_option,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hotspot-monitor")
def main() -> None:
    """Watch incidents as they come in, and say where they begin to cluster."""


@main.command()
@config_option
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True)
def worker(config: Path | None, log: Literal["text", "json"]) -> None:
    """Read incidents from Kafka, write alerts to Kafka and Redis, answer Prometheus."""
    from streams.configuration.load import ConfigurationError, load
    from streams.worker.consumer import run_worker

    try:
        configuration = load(config, os.environ)
    except ConfigurationError as error:
        fail(error)
    sys.exit(run_worker(configuration, log))


@main.command()
@config_option
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True)
def webhook(config: Path | None, log: Literal["text", "json"]) -> None:
    """Post alerts from Kafka to an on-call tool, as Alertmanager does."""
    from streams.configuration.load import ConfigurationError, load

    try:
        configuration = load(config, os.environ)
    except ConfigurationError as error:
        fail(error)
    if not configuration.webhook.url:
        fail("webhook.url: missing; set it, or HOTSPOTS_WEBHOOK__URL, to the address of an on-call tool")
    try:
        from streams.webhook.sink import run_webhook
    except ModuleNotFoundError as error:
        fail(f"{error.name} is missing: pip install 'hotspot-monitor[console]'")
    sys.exit(run_webhook(configuration, log))


@main.command()
@config_option
@click.option("--check", is_flag=True, help="Change nothing; say what differs from what is needed.")
def topics(config: Path | None, check: bool) -> None:
    """Create the topics that do not exist, and check those that do."""
    from kafka.errors import KafkaError

    from streams.brokers.connection import check_topics, create_topics, said_of
    from streams.configuration.load import ConfigurationError, load

    try:
        configuration = load(config, os.environ)
        if not check:
            for created in create_topics(configuration):
                click.echo(f"created {created}")
        faults = check_topics(configuration)
    except ConfigurationError as error:
        fail(error)
    except KafkaError as error:
        fail(said_of(error, configuration.kafka))
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(1)
    click.echo("the topics are as they must be")


@main.command("check-config")
@click.argument("file", type=EXISTING_FILE, required=False)
def check_config(file: Path | None) -> None:
    """Say what is wrong with a configuration file and the environment, one line each."""
    from streams.areas.watched_area import watched_areas
    from streams.configuration.load import ConfigurationError, check, load

    faults = check(file, os.environ)
    if not faults:
        try:
            watched_areas(load(file, os.environ))
        except ConfigurationError as error:
            faults = str(error).splitlines()
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(2)
    click.echo("the configuration is good")


@main.command()
@config_option
@area_option
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the city.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=7.0, show_default=True)
@click.option("--no-inject", is_flag=True, help="Hide no clusters in the days that follow the history.")
@from_option
@to_option
@speed_option
@click.option("--truth", type=FILE, help="Write the injected clusters, JSON.")
@click.option(
    "--cells", type=FILE, help="Write the city's H3 cells for a configuration's cells_file, and send nothing."
)
@click.option("--output", type=FILE, help="Write all its incidents as a CSV file, and send nothing.")
def simulate(
    config: Path | None,
    area: str | None,
    seed: int,
    days: float,
    no_inject: bool,
    from_: str | None,
    to: str | None,
    speed: float,
    truth: Path | None,
    cells: Path | None,
    output: Path | None,
) -> None:
    """Send a simulated city to Kafka: twelve weeks of history at once, then days with hidden clusters."""
    from streams.analyst.chosen_area import plan
    from streams.analyst.incident_file import Table
    from streams.analyst.replay import FeedError
    from streams.analyst.simulated_city import RESOLUTION, Simulation, write_incidents, write_truth
    from streams.cli.sending import send
    from streams.configuration.load import ConfigurationError, load

    if (cells or output) and any((config, area, from_, to, speed)):
        fail("--cells, --output: nothing is sent then; leave --config, --area, --from, --to and --speed out")
    begin, end = moment(from_, "--from"), moment(to, "--to")
    simulation = Simulation(seed, days, not no_inject)
    try:
        if cells is not None:
            cells.write_text("".join(f"{cell}\n" for cell in simulation.city.cells(RESOLUTION)), encoding="utf-8")
            if output is None:
                return
        simulated = simulation.run()
        if truth is not None:
            write_truth(truth, simulated.clusters)
        if output is not None:
            write_incidents(output, simulated.incidents)
            click.echo(
                f"{len(simulated.incidents)} incidents written, clusters hidden in them: {len(simulated.clusters)}"
            )
            return
        table = Table.from_incidents(simulated.incidents)
        chosen = plan(table, config, os.environ, area, None, None)
        rows = list(table.rows(chosen.area, chosen.settings, from_=begin, to=end))
        kafka, live_from_s = load(config, os.environ).kafka, simulation.live_from.timestamp()
        sent = send(rows, kafka, chosen.settings.tick_s, speed=speed, live_from_s=live_from_s)
    except (ConfigurationError, FeedError, OSError) as error:
        fail(error)
    click.echo(f"{sent} records sent, clusters hidden in them: {len(simulated.clusters)}")


@main.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End so long after it is ready (default: at Ctrl-C).")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the simulated city.")
@click.option("--no-inject", is_flag=True, help="Hide no clusters in it.")
@click.option("--data", type=EXISTING_FILE, help="Replay recorded incidents, a CSV file, instead.")
@click.option("--picture", type=FILE, help="Save the last view as an SVG picture.")
@click.option(
    "--speed", type=click.FloatRange(0.01, 24), default=4.0, show_default=True, help="Hours of city time in a second."
)
@click.option("--console-port", type=click.IntRange(0, 65535), default=0, help="Of the web page (default: a free one).")
@click.option("--no-console", is_flag=True, help="Serve no web page.")
def demo(
    seconds: float | None,
    seed: int,
    no_inject: bool,
    data: Path | None,
    picture: Path | None,
    speed: float,
    console_port: int,
    no_console: bool,
) -> None:
    """Run everything on this machine and watch incidents come in and clusters come out."""
    from rich.console import Console

    from streams.analyst.incident_file import TableError
    from streams.cli.terminal import print_demo
    from streams.demo.run import run
    from streams.demo.source import RecordedCity, SimulatedCity
    from streams.demo.summary import DemoError

    try:
        source = (
            SimulatedCity(seed, not no_inject, seconds, speed) if data is None else RecordedCity(data, seconds, speed)
        )
        summary = run(Console(), source, seconds, picture, None if no_console else console_port)
    except (DemoError, TableError) as error:
        click.echo(f"hotspots: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print_demo(summary)


@main.command("compile")
def compile_() -> None:
    """Compile the kernels into the cache, so that nothing waits for it later."""
    from detectors.warm_up import compile_calibration, compile_kernels, compile_scan

    click.echo("Compiling the kernels (about a minute the first time) ...")
    compile_kernels()
    compile_scan()
    compile_calibration()


@main.command()
@click.option("--kafka-port", type=click.IntRange(0, 65535), default=9092, show_default=True)
@click.option("--redis-port", type=click.IntRange(0, 65535), default=6379, show_default=True)
@click.option("--prepare", "only_prepare", is_flag=True, help="Fetch what is needed, and start nothing.")
def services(kafka_port: int, redis_port: int, only_prepare: bool) -> None:
    """Run a broker and a Redis on this machine for development."""
    from streams.local_services.kafka_jars import prepare
    from streams.local_services.service import LocalServiceError, serve

    try:
        if only_prepare:
            prepare(click.echo)
        else:
            serve(kafka_port, redis_port)
    except LocalServiceError as error:
        fail(error)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs/schemas"))
def schemas(folder: Path) -> None:
    """Write the JSON Schemas of the messages into a folder."""
    from streams.documents.schemas import write

    write(folder)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs/reference"))
@click.option(
    "--annotated",
    type=EXISTING_FILE,
    default=Path("config/monitor.toml"),
    show_default=True,
    help="Configuration whose comments say what each key means.",
)
def reference(folder: Path, annotated: Path) -> None:
    """Write the reference pages of configuration, messages and command line into a folder."""
    from streams.documents.reference import write

    write(folder, main, annotated.read_text(encoding="utf-8"))


for module in (file_commands, log_commands, console_commands):
    for command in module.COMMANDS:
        main.add_command(command)
