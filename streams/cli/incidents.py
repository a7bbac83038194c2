"""The commands that run or send incidents of a file or of a simulated city: backtest, replay, simulate."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from streams.cli.terminal import (
    EXISTING_FILE,
    FILE,
    area_option,
    config_option,
    fail,
    from_option,
    moment,
    print_json,
    print_table,
    speed_option,
    to_option,
    wait_option,
)

if TYPE_CHECKING:
    from streams.analyst.backtest import Backtest


@click.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@click.option("--timezone", metavar="ZONE", help="IANA name, such as America/Chicago.")
@from_option
@to_option
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the replications.")
@click.option("--calibration", type=EXISTING_FILE, help="Calibration file of the area (see `hotspots calibrate`).")
@click.option("--write-config", type=FILE, help="Write the configuration that a worker would run with.")
@click.option("--alerts", type=FILE, help="Write every revision as it would be published, one line each.")
@click.option("--output", type=click.Choice(["table", "json", "geojson"]), default="table", show_default=True)
def backtest(
    file: Path,
    config: Path | None,
    area: str | None,
    timezone: str | None,
    from_: str | None,
    to: str | None,
    seed: int | None,
    calibration: Path | None,
    write_config: Path | None,
    alerts: Path | None,
    output: str,
) -> None:
    """Run the monitor over a CSV file of incidents, without a broker."""
    from streams.analyst import backtest as run
    from streams.analyst.chosen_area import chosen_area, chosen_table, write_configuration
    from streams.analyst.incident_file import IncidentFile, IncidentFileError
    from streams.calibration.calibration_file import CalibrationError
    from streams.cli.terminal import progress
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        incidents = IncidentFile.read(file)
        configuration = load(config, os.environ)
        name, table = chosen_table(configuration.areas, area, timezone=timezone, seed=seed, calibration=calibration)
        chosen = chosen_area(name, table, incidents, is_calibrated=True)
        for refusal in incidents.refused:
            click.echo(str(refusal), err=True)
        made = chosen.calibration
        if made is not None and made.extrapolates:
            click.echo(
                "calibration: of a former version, which gives longer intervals than it simulated; calibrate again",
                err=True,
            )
        if write_config is not None:
            write_configuration(write_config, chosen, table)
        rows = list(incidents.rows(name, chosen.settings, to=end))
        max_bytes = configuration.worker.max_record_bytes
        with progress("backtest", len(rows)) as step:
            result = run.backtest(rows, chosen, begin.timestamp() if begin else None, max_bytes, step)
        if alerts is not None:
            alerts.write_bytes(b"".join(event + b"\n" for event in result.events))
    except (CalibrationError, ConfigurationError, IncidentFileError, OSError) as error:
        fail(error)
    for remark in result.remarks():
        click.echo(remark, err=True)
    print_backtest(result, output)


@click.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@from_option
@to_option
@speed_option
@wait_option
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def replay(
    file: Path,
    config: Path | None,
    area: str | None,
    from_: str | None,
    to: str | None,
    speed: float,
    wait_s: float,
    output: str,
) -> None:
    """Send the incidents of a CSV file to Kafka, in order of arrival, and show what became of them.

    Exit code 1: some are not on record in time, or the area took none of them.
    """
    from kafka.errors import KafkaError

    from streams.analyst.chosen_area import chosen_table
    from streams.analyst.incident_file import IncidentFile, IncidentFileError
    from streams.analyst.replay import FeedError
    from streams.area_log.records import LogError
    from streams.brokers.connection import error_text
    from streams.cli.sending import deliver, print_delivery
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        incidents = IncidentFile.read(file)
        configuration = load(config, os.environ)
        name, table = chosen_table(configuration.areas, area)
        for refusal in incidents.refused:
            click.echo(str(refusal), err=True)
        rows = list(incidents.rows(name, table.settings, from_=begin, to=end))
        delivery = deliver(rows, configuration, name, wait_s=wait_s, speed=speed)
    except (ConfigurationError, IncidentFileError, FeedError, LogError) as error:
        fail(error)
    except KafkaError as error:
        fail(error_text(error, configuration.kafka))
    print_delivery(delivery, output)
    sys.exit(0 if delivery.is_good else 1)


def print_backtest(result: Backtest, output: str) -> None:
    """Print a backtest as ``json``, ``geojson`` (last revision of each alert) or ``table``."""
    if output == "json":
        print_json(result.summary)
    elif output == "geojson":
        print_json({"type": "FeatureCollection", "features": result.features()})
    else:
        print_table(_alert_table(result))
        accounts = ", ".join(f"{name} {number}" for name, number in result.summary.incidents.items())
        unmapped = f" ({result.unmapped} of an unknown category)" if result.unmapped else ""
        Console(soft_wrap=True).print(
            f"{accounts}{unmapped}; scans {result.summary.scans}, alerts {len(result.summary.alerts)}"
        )


def _alert_table(result: Backtest) -> Table:
    from streams.messages.wording import interval_words

    title = f"Alerts that reached the tier 'alert'; {result.interval_kind} intervals; times of {result.timezone}"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("alerted", "category", "tier", "state", "where", "radius"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seen", "usual", "once in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for alert in result.summary.alerts:
        table.add_row(
            f"{alert.alerted_at:%Y-%m-%d %H:%M}",
            alert.category,
            alert.tier,
            alert.state,
            f"{alert.latitude:.4f}, {alert.longitude:.4f}",
            f"{alert.radius_m:.0f} m",
            str(alert.observed),
            f"{alert.expected:.2f}",
            interval_words(alert.recurrence_interval_days, alert.interval_is_lower_bound),
        )
    return table


@click.command()
@config_option
@area_option
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the simulated city.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=7.0, show_default=True)
@click.option("--no-inject", is_flag=True, help="Inject no clusters.")
@from_option
@to_option
@speed_option
@wait_option
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
    wait_s: float,
    truth: Path | None,
    cells: Path | None,
    output: Path | None,
) -> None:
    """Send a simulated city to Kafka: twelve weeks of history at once, then days with hidden clusters.

    Exit code 1: some records are not on record in time, or the area took none of them.
    """
    from kafka.errors import KafkaError

    from streams.analyst.chosen_area import chosen_table
    from streams.analyst.incident_file import IncidentFile
    from streams.analyst.replay import FeedError
    from streams.analyst.simulated_city import RESOLUTION, Simulation, write_incidents, write_truth
    from streams.area_log.records import LogError
    from streams.brokers.connection import error_text
    from streams.cli.sending import deliver, print_delivery
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

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
        configuration = load(config, os.environ)
        name, table = chosen_table(configuration.areas, area)
        incidents = IncidentFile.from_incidents(simulated.incidents)
        rows = list(incidents.rows(name, table.settings, from_=begin, to=end))
        live_from_s = simulation.live_from.timestamp()
        delivery = deliver(rows, configuration, name, wait_s=wait_s, speed=speed, live_from_s=live_from_s)
    except KafkaError as error:
        fail(error_text(error, configuration.kafka))
    except (ConfigurationError, FeedError, LogError, OSError) as error:
        fail(error)
    print_delivery(delivery, "table")
    click.echo(f"clusters hidden in them: {len(simulated.clusters)}")
    sys.exit(0 if delivery.is_good else 1)


COMMANDS = (backtest, replay, simulate)
