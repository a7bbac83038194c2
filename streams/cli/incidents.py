"""The commands on a file of incidents or cases: backtest, calibrate, replay, scan."""

from __future__ import annotations

import os
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
)

if TYPE_CHECKING:
    from streams.analyst.backtest import Backtest
    from streams.calibration.calibration_file import CalibrationFile


@click.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@click.option("--timezone", metavar="ZONE", help="IANA name, such as America/Chicago.")
@from_option
@to_option
@click.option("--seed", type=click.IntRange(min=0), help="Of the replications.")
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
    from streams.analyst.chosen_area import plan as planned
    from streams.analyst.chosen_area import write_configuration
    from streams.analyst.incident_file import IncidentFile, IncidentFileError
    from streams.calibration.calibration_file import CalibrationError
    from streams.cli.terminal import progress
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        table = IncidentFile.read(file)
        plan = planned(table, config, os.environ, area, timezone, seed, calibration, is_calibrated=True)
        for refusal in table.refused:
            click.echo(str(refusal), err=True)
        if write_config is not None:
            write_configuration(write_config, plan)
        rows = list(table.rows(plan.area, plan.settings, to=end))
        max_bytes = load(config, os.environ).worker.max_record_bytes
        with progress("backtest", len(rows)) as step:
            result = run.backtest(rows, plan, begin.timestamp() if begin else None, max_bytes, step)
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
@click.option("--timezone", metavar="ZONE", help="IANA name, such as America/Chicago.")
@from_option
@to_option
@click.option("--budget", help="Alerts that chance may open, such as '2 per week' (default: the area's).")
@click.option("--weeks", type=click.IntRange(min=78), default=624, show_default=True, help="Of null histories.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the null histories.")
@click.option("--no-near-repeats", is_flag=True, help="Leave ordinary near repeats out of what chance includes.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: as many as there are processors.")
@click.option("--output", type=FILE, required=True, help="The calibration, JSON.")
@click.option(
    "--picture", type=FILE, help="Draw how often chance reaches each score (SVG or PNG; needs the extra plots)."
)
def calibrate(
    file: Path,
    config: Path | None,
    area: str | None,
    timezone: str | None,
    from_: str | None,
    to: str | None,
    budget: str | None,
    weeks: int,
    seed: int,
    no_near_repeats: bool,
    threads: int | None,
    output: Path,
    picture: Path | None,
) -> None:
    """Find from the history in a CSV file what keeps a budget of false alerts."""
    from detectors.calibration.calibrate import blocks_of
    from streams.analyst.chosen_area import plan
    from streams.analyst.incident_file import IncidentFile, IncidentFileError
    from streams.calibration import make as run
    from streams.calibration.calibration_file import CalibrationError, write
    from streams.calibration.plot import NoPlotsError, check, draw
    from streams.cli.terminal import progress
    from streams.configuration.area import alerts_per_week
    from streams.configuration.reader import ConfigurationError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        if picture is not None:
            check(picture)
        table = IncidentFile.read(file)
        chosen = plan(table, config, os.environ, area, timezone, None)
        wanted = alerts_per_week(budget or chosen.budget)
        known = chosen.area, chosen.settings, chosen.locations
        past = run.past_of(table.incidents(), *known[1:], begin, end)
        with progress("null histories", blocks_of(weeks)) as step:
            made = run.make(
                past, *known, wanted, weeks, seed, not no_near_repeats, threads or os.cpu_count() or 1, step
            )
        write(output, made)
        print_calibration(made)
        if picture is not None:
            draw(made.calibration, picture)
    except (CalibrationError, ConfigurationError, NoPlotsError, IncidentFileError, OSError) as error:
        fail(error)


@click.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@from_option
@to_option
@speed_option
def replay(file: Path, config: Path | None, area: str | None, from_: str | None, to: str | None, speed: float) -> None:
    """Send the incidents of a CSV file to Kafka, in order of arrival."""
    from streams.analyst.chosen_area import plan
    from streams.analyst.incident_file import IncidentFile, IncidentFileError
    from streams.analyst.replay import FeedError
    from streams.cli.sending import send
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        table = IncidentFile.read(file)
        chosen = plan(table, config, os.environ, area, None, None)
        for refusal in table.refused:
            click.echo(str(refusal), err=True)
        rows = list(table.rows(chosen.area, chosen.settings, from_=begin, to=end))
        sent = send(rows, load(config, os.environ).kafka, chosen.settings.tick_s, speed=speed)
    except (ConfigurationError, IncidentFileError, FeedError) as error:
        fail(error)
    click.echo(f"{sent} records sent")


MANY_FOLLOWERS = 0.15
"""From so many near repeats on a calibration warns: it has been seen to miss its promise by more."""


def print_backtest(result: Backtest, output: str) -> None:
    """The result of a backtest as ``json``, ``geojson`` (last revision of each alert) or ``table``."""
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


def print_calibration(file: CalibrationFile) -> None:
    """What a calibration promises, in words and as a table of tiers."""

    made, history = file.calibration, file.history
    table = Table(title=f"Calibration of {file.area}", box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("tier", "score from", "by chance, a week"):
        table.add_column(heading, justify="left" if heading == "tier" else "right")
    for tier, score in made.scores.items():
        table.add_row(tier, f"{score:.2f}", f"{made.rate_of(score):.2f}")
    console = Console(soft_wrap=True)
    console.print(table)
    days = (history.ends_at - history.begins_at).days
    console.print(f"history: {history.incidents:,} incidents in {days} days, {history.begins_at:%Y-%m-%d} on")
    followed = ", ".join(f"{category} {rate:.2f}" for category, rate in made.near_repeats.followers.items())
    included = f"includes ordinary near repeats, followers an incident: {followed}"
    console.print(f"chance {included if file.with_near_repeats else 'leaves near repeats out, as asked'}")
    if max(made.near_repeats.followers.values()) > MANY_FOLLOWERS:
        console.print("many near repeats: the promise may be missed by 40 % rather than by 25 %")
    console.print(
        f"promised: {made.budget:g} alerts a week by chance; {file.weeks // 3} other weeks had {made.rate:.2f} "
        f"(95 %: {made.rate_low:.2f} to {made.rate_high:.2f}); it took {file.seconds:.0f} s"
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
            interval_words(alert.recurrence_interval_days),
        )
    return table


@click.command()
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
    from streams.analyst.incident_file import IncidentFile
    from streams.analyst.replay import FeedError
    from streams.analyst.simulated_city import RESOLUTION, Simulation, write_incidents, write_truth
    from streams.cli.sending import send
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
        table = IncidentFile.from_incidents(simulated.incidents)
        chosen = plan(table, config, os.environ, area, None, None)
        rows = list(table.rows(chosen.area, chosen.settings, from_=begin, to=end))
        kafka, live_from_s = load(config, os.environ).kafka, simulation.live_from.timestamp()
        sent = send(rows, kafka, chosen.settings.tick_s, speed=speed, live_from_s=live_from_s)
    except (ConfigurationError, FeedError, OSError) as error:
        fail(error)
    click.echo(f"{sent} records sent, clusters hidden in them: {len(simulated.clusters)}")


COMMANDS = (backtest, calibrate, replay, simulate)
