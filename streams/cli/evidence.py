"""The commands on an area's log, in Kafka or in an exported copy: explain, reproduce, audit, export."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from streams.cli.terminal import area_option, config_option, fail, print_json

if TYPE_CHECKING:
    from streams.area_log.audit import Audit
    from streams.area_log.records import AreaLog
    from streams.area_log.reproduce import Reproduction
    from streams.messages.alert import AlertFeature

log_option = click.option(
    "--log",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that `hotspots export` wrote (default: the log in Kafka).",
)
output_option = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


@contextmanager
def _opened(config: Path | None, area: str | None, folder: Path | None) -> Iterator[AreaLog]:
    """Open the area's log for a block. An error while the block reads it ends the command with one clear line."""
    from kafka.errors import KafkaError

    from streams.analyst.chosen_area import only_area
    from streams.area_log.records import LogError
    from streams.area_log.sources import ExportedLog, KafkaLog
    from streams.brokers.connection import error_text
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    try:
        if folder is not None:
            yield ExportedLog(folder)
            return
        configuration = load(config, os.environ)
        yield KafkaLog(configuration.kafka, only_area(configuration.areas, area), configuration.worker.max_record_bytes)
    except (ConfigurationError, LogError, OSError) as error:
        fail(error)
    except KafkaError as error:
        fail(error_text(error, configuration.kafka))


@click.command()
@click.argument("alert")
@config_option
@area_option
@log_option
@click.option("--revision", type=click.IntRange(min=1), help="Revision to explain (default: the last).")
@output_option
def explain(
    alert: str, config: Path | None, area: str | None, folder: Path | None, revision: int | None, output: str
) -> None:
    """Explain an alert in plain English, and what may be wrong with it.

    ALERT is an alert's id, or the id of one of its revisions.
    """
    from streams.area_log.contents import find

    alert, _, number = alert.partition(".")  # an event's id is the alert's, a full stop, the revision
    if number.isdecimal() and revision is None:
        revision = int(number)
    with _opened(config, area, folder) as log:
        print_explanation(find(log, alert, revision), output)


@click.command()
@click.argument("alert", required=False)
@config_option
@area_option
@log_option
@output_option
def reproduce(alert: str | None, config: Path | None, area: str | None, folder: Path | None, output: str) -> None:
    """Derive every figure of an alert (default: of all alerts) again from the log alone.

    Exits with code 1 if a figure differs.
    """
    from streams.area_log import reproduce as run
    from streams.cli.terminal import working

    with _opened(config, area, folder) as log:
        with working("scan records") as step:
            result = run.reproduce(log, alert, step)
        print_reproduction(result, output)
    if result.differences:
        sys.exit(1)


@click.command()
@config_option
@area_option
@log_option
@output_option
def audit(config: Path | None, area: str | None, folder: Path | None, output: str) -> None:
    """Verify the chain of digests over an area's scan records.

    Prints where the chain breaks, and then exits with code 1.
    """
    from streams.area_log import audit as run
    from streams.cli.terminal import working

    with _opened(config, area, folder) as log:
        with working("scan records") as step:
            result = run.audit(log, step)
        print_audit(result, output)
    if result.breaks:
        sys.exit(1)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@config_option
@area_option
def export(folder: Path, config: Path | None, area: str | None) -> None:
    """Copy an area's log from Kafka into a folder, as evidence or for use elsewhere."""
    from streams.area_log import contents
    from streams.cli.terminal import working

    with _opened(config, area, None) as log, working("records") as step:
        written = contents.export(log, folder, step)
    click.echo(f"{folder}: " + ", ".join(f"{number} {topic}" for topic, number in written.items()))


def print_explanation(feature: AlertFeature, output: str) -> None:
    """Print an alert in one paragraph, and the figures behind it."""
    from streams.messages.explanation import figures, paragraph

    text = paragraph(feature)
    if output == "json":
        print_json({"text": text, "alert": feature})
        return
    click.echo(f"{textwrap.fill(text, 100)}\n")
    for name, figure in figures(feature).items():
        click.echo(f"{name:<25}{figure if isinstance(figure, str) else msgspec.json.encode(figure).decode()}")


def print_reproduction(result: Reproduction, output: str) -> None:
    """Print how much was derived again, and each figure that differs."""
    if output == "json":
        print_json(result)
        return
    for each in result.differences:
        click.echo(f"{each.where}: {each.field}: {each.on_record}" + (f", but {each.derived}" if each.derived else ""))
    outcome = f"{len(result.differences)} differences" if result.differences else "every figure is as recorded"
    click.echo(f"alerts {len(result.alerts)}, revisions {result.revisions}, scan records {result.scans}: {outcome}")


def print_audit(result: Audit, output: str) -> None:
    """Print how far an area's chain of digests reaches, and where it breaks."""
    if output == "json":
        print_json(result)
        return
    for each in result.breaks:
        click.echo(f"scan record at offset {each.offset}, {each.tick.isoformat()}: {each.fault}")
    begins = f"{result.given:,} taken as given, their input is gone" if result.given else "from the first on"
    outcome = f"broken in {len(result.breaks)} places" if result.breaks else "unbroken"
    foreign = f" ({result.left_out:,} other records left out)" if result.left_out else ""
    click.echo(
        f"{result.area}: {result.scans:,} scan records ({begins}), {result.inputs:,} input records: {outcome}{foreign}"
    )


COMMANDS = (explain, reproduce, audit, export)
