"""The commands that run on this machine alone: demo, compile, services."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from streams.cli.terminal import EXISTING_FILE, FILE, fail

if TYPE_CHECKING:
    from streams.demo.summary import Summary


def print_demo(summary: Summary) -> None:
    """Print the summary of a demo as text, then as one line of JSON."""
    from detectors.window.intake import OUTCOMES

    facts = msgspec.to_builtins(summary)
    found = f"{summary.found} of {summary.injected} injected clusters found"
    if summary.delay_s is not None:
        found += f", {summary.delay_s / 3600:.1f} h after their third incident (median, city time)"
    outcomes = ", ".join(f"{name} {facts[name]}" for name in OUTCOMES)
    console = Console(soft_wrap=True)
    console.print(f"accounts: read {summary.read} = {outcomes}")
    console.print(
        f"alerts: {summary.opened} reached the tier alert, {summary.ended} of them ended; "
        f"{summary.watched} stayed below it"
    )
    if summary.injected:
        console.print(found)
    if summary.budget_per_week is not None:
        console.print(f"calibrated: by chance alone {summary.budget_per_week:g} alerts a week reach the tier alert")
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="Seconds to run once ready (default: until Ctrl-C).")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the simulated city.")
@click.option("--no-inject", is_flag=True, help="Inject no clusters.")
@click.option("--data", type=EXISTING_FILE, help="Replay the incidents of this CSV file instead.")
@click.option("--picture", type=FILE, help="File for an SVG picture of the fullest view.")
@click.option(
    "--speed", type=click.FloatRange(0.01, 24), default=4.0, show_default=True, help="Hours of city time per second."
)
@click.option("--console-port", type=click.IntRange(0, 65535), default=0, help="Web page's port (default: a free one).")
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
    from streams.analyst.incident_file import IncidentFileError
    from streams.demo.run import run
    from streams.demo.source import RecordedCity, SimulatedCity
    from streams.demo.summary import DemoError

    try:
        source = (
            SimulatedCity(seed, not no_inject, seconds, speed) if data is None else RecordedCity(data, seconds, speed)
        )
        summary = run(Console(), source, seconds, picture, None if no_console else console_port)
    except (DemoError, IncidentFileError) as error:
        click.echo(f"hotspots: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print_demo(summary)


@click.command("compile")
def compile_() -> None:
    """Compile the kernels into the cache, so that later starts are fast."""
    from detectors.warm_up import compile_calibration, compile_kernels, compile_scan

    click.echo("Compiling the kernels (about a minute the first time) ...")
    compile_kernels()
    compile_scan()
    compile_calibration()


@click.command()
@click.option("--kafka-port", type=click.IntRange(0, 65535), default=9092, show_default=True)
@click.option("--redis-port", type=click.IntRange(0, 65535), default=6379, show_default=True)
@click.option("--prepare", "only_prepare", is_flag=True, help="Only fetch Kafka; start nothing.")
def services(kafka_port: int, redis_port: int, only_prepare: bool) -> None:
    """Run Kafka and Redis on this machine for development."""
    from streams.local_services.kafka_jars import LocalServiceError, prepare
    from streams.local_services.serve import serve

    try:
        if only_prepare:
            prepare(click.echo)
        else:
            serve(kafka_port, redis_port)
    except LocalServiceError as error:
        fail(error)


COMMANDS = (demo, compile_, services)
