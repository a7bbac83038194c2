"""The commands on a file of incidents or cases: backtest, calibrate, replay, scan."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import click

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
    from streams.analyst.incident_file import Table, TableError
    from streams.calibration.calibration_file import CalibrationError
    from streams.cli.terminal import print_backtest, progress
    from streams.configuration.load import ConfigurationError, load

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        table = Table.read(file)
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
    except (CalibrationError, ConfigurationError, TableError, OSError) as error:
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
    from streams.analyst.incident_file import Table, TableError
    from streams.calibration import make as run
    from streams.calibration.calibration_file import CalibrationError, write
    from streams.calibration.plot import NoPlotsError, check, draw
    from streams.cli.terminal import print_calibration, progress
    from streams.configuration.load import ConfigurationError, alerts_per_week

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        if picture is not None:
            check(picture)
        table = Table.read(file)
        chosen = plan(table, config, os.environ, area, timezone, None)
        wanted = alerts_per_week(budget or chosen.budget)
        past = run.past_of(table.incidents(), chosen, begin, end)
        with progress("null histories", blocks_of(weeks)) as step:
            made = run.make(
                past, chosen, wanted, weeks, seed, not no_near_repeats, threads or os.cpu_count() or 1, step
            )
        write(output, made)
        print_calibration(made)
        if picture is not None:
            draw(made.calibration, picture)
    except (CalibrationError, ConfigurationError, NoPlotsError, TableError, OSError) as error:
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
    from streams.analyst.incident_file import Table, TableError
    from streams.analyst.replay import FeedError
    from streams.cli.sending import send
    from streams.configuration.load import ConfigurationError, load

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        table = Table.read(file)
        chosen = plan(table, config, os.environ, area, None, None)
        for refusal in table.refused:
            click.echo(str(refusal), err=True)
        rows = list(table.rows(chosen.area, chosen.settings, from_=begin, to=end))
        sent = send(rows, load(config, os.environ).kafka, chosen.settings.tick_s, speed=speed)
    except (ConfigurationError, TableError, FeedError) as error:
        fail(error)
    click.echo(f"{sent} records sent")


DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("cases", type=EXISTING_FILE)
@click.option("--locations", type=EXISTING_FILE, required=True, help="CSV: location_id and coordinates.")
@click.option("--population", type=EXISTING_FILE, help="CSV: location_id, population or expected_weight.")
@click.option("--model", type=click.Choice(["permutation", "poisson", "eb-poisson"]), required=True)
@click.option("--retrospective", is_flag=True, help="Clusters that ended before the study did, too.")
@click.option("--time-stratified", is_flag=True, help="Poisson: every interval is compared with itself.")
@click.option("--from", "from_", type=DATE, required=True, help="First day of the study.")
@click.option("--to", type=DATE, required=True, help="Its last day.")
@click.option("--interval", type=click.Choice(["day", "year", "hour"]), default="day", show_default=True)
@click.option("--max-radius", type=click.FloatRange(min=0), metavar="KM", help="Of a cluster (default: no limit).")
@click.option(
    "--max-share",
    type=click.FloatRange(min=0, max=0.5, min_open=True),
    default=0.5,
    show_default=True,
    help="Of all cases, or of all expected, within a cluster's locations over the whole study.",
)
@click.option("--max-duration", type=click.IntRange(min=1), metavar="N", help="Intervals (default: half the study).")
@click.option("--min-cases", type=click.IntRange(min=2), default=2, show_default=True)
@click.option("--min-risk", type=click.FloatRange(min=0), default=0.0, help="Least relative risk of a cluster.")
@click.option("--replications", type=click.IntRange(min=0, max=1_000_000), default=999, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the replications.")
@click.option("--adjust-from", type=DATE, help="Adjust for the analyses of every interval since this day.")
@click.option("--early-stop", is_flag=True, help="Stop once one in twenty replications is above the top cluster.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: as many as there are processors.")
@click.option("--output", type=click.Choice(["json", "geojson", "table"]), default="table", show_default=True)
def scan(
    cases: Path,
    locations: Path,
    population: Path | None,
    model: Literal["permutation", "poisson", "eb-poisson"],
    retrospective: bool,
    time_stratified: bool,
    from_: datetime,
    to: datetime,
    interval: Literal["day", "year", "hour"],
    max_radius: float | None,
    max_share: float,
    max_duration: int | None,
    min_cases: int,
    min_risk: float,
    replications: int,
    seed: int,
    adjust_from: datetime | None,
    early_stop: bool,
    threads: int | None,
    output: str,
) -> None:
    """Scan a file of cases once, as an analyst does: clusters with their p-values."""
    from detectors.study import Question
    from streams.analyst.study import scan as run
    from streams.analyst.study.files import StudyError
    from streams.cli.terminal import print_study, progress

    request = run.Request(
        cases=cases,
        locations=locations,
        population=population,
        model=model,
        first=from_.date(),
        last=to.date(),
        interval=interval,
        time_stratified=time_stratified,
        max_radius_km=max_radius,
        max_share=max_share,
        max_duration=max_duration,
        adjust_from=adjust_from.date() if adjust_from else None,
        question=Question(
            max_duration=0,
            min_cases=min_cases,
            min_risk=min_risk,
            is_retrospective=retrospective,
            replications=replications,
            seed=seed,
            early_stop=early_stop,
            threads=threads or os.cpu_count() or 1,
        ),
    )
    try:
        study = run.read(request)
        if study.cases.outside:
            click.echo(f"{study.cases.outside} cases lie outside the study and are left out", err=True)
        with progress("replications", replications) as step:
            report = run.scan(study, step)
        print_study(study, report, output)
    except StudyError as error:
        fail(error)


COMMANDS = (backtest, calibrate, replay, scan)
