"""The command that calibrates an area on the incidents of a file."""

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
    to_option,
)

if TYPE_CHECKING:
    from streams.calibration.calibration_file import CalibrationFile

MANY_FOLLOWERS = 0.15
"""Number of near repeats per incident above which the command warns, because the promise is then kept less well."""


@click.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@click.option("--timezone", metavar="ZONE", help="IANA name, such as America/Chicago.")
@from_option
@to_option
@click.option("--budget", help="Alerts that chance may open, such as '2 per week' (default: the area's).")
@click.option(
    "--weeks",
    type=click.IntRange(min=78),
    help="Weeks of null histories (default: 624, and up to 1872 for a budget below 2 a month).",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the null histories.")
@click.option("--no-near-repeats", is_flag=True, help="Leave ordinary near repeats out of chance.")
@click.option("--threads", type=click.IntRange(min=1), help="Number of threads (default: one per processor).")
@click.option("--output", type=FILE, required=True, help="File for the calibration, JSON.")
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
    weeks: int | None,
    seed: int,
    no_near_repeats: bool,
    threads: int | None,
    output: Path,
    picture: Path | None,
) -> None:
    """Find the scores that keep a budget of false alerts, from the history in a CSV file."""
    from detectors.calibration.calibrate import blocks_of
    from detectors.calibration.result import weeks_for
    from streams.analyst.chosen_area import chosen_area, chosen_table
    from streams.analyst.incident_file import IncidentFile, IncidentFileError
    from streams.calibration.calibration_file import CalibrationError, write
    from streams.calibration.history import History
    from streams.calibration.make import NullHistories, make, past_of
    from streams.calibration.plot import NoPlotsError, check, draw
    from streams.cli.terminal import progress
    from streams.configuration.area import alerts_per_week
    from streams.configuration.load import load
    from streams.configuration.reader import ConfigurationError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        if picture is not None:
            check(picture)
        incidents = IncidentFile.read(file)
        name, table = chosen_table(load(config, os.environ).areas, area, timezone=timezone)
        chosen = chosen_area(name, table, incidents)
        wanted = alerts_per_week(budget or table.budget)
        past = past_of(incidents.incidents(), chosen, begin, end)
        for remark in History.of(past).remarks():
            click.echo(remark, err=True)
        nulls = NullHistories(weeks or weeks_for(wanted), seed, not no_near_repeats, threads or os.cpu_count() or 1)
        with progress("null histories", blocks_of(nulls.weeks)) as step:
            made = make(past, chosen, wanted, nulls, step)
        write(output, made)
        print_calibration(made)
        if picture is not None:
            draw(made.calibration, picture)
    except (CalibrationError, ConfigurationError, NoPlotsError, IncidentFileError, OSError) as error:
        fail(error)


def print_calibration(file: CalibrationFile) -> None:
    """Print the promise of a calibration, as text and as a table of tiers."""
    from detectors.calibration.in_all import FEWEST_WEEKS
    from streams.messages.wording import figure_words

    made, history = file.calibration, file.history
    for remark in file.remarks():
        click.echo(remark)
    table = Table(title=f"Calibration of {file.area}", box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("tier", "score from", "by chance, a week"):
        table.add_column(heading, justify="left" if heading == "tier" else "right")
    for tier, score in made.scores.items():
        table.add_row(tier, f"{score:.2f}", figure_words(made.rate_of(score)))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"history: {history.incidents:,} incidents in {history.days} days, {history.begins_at:%Y-%m-%d} on")
    followed = ", ".join(f"{category} {rate:.2f}" for category, rate in made.near_repeats.followers.items())
    included = f"includes ordinary near repeats, followers an incident: {followed}"
    console.print(f"chance {included if file.with_near_repeats else 'leaves near repeats out, as asked'}")
    if max(made.near_repeats.followers.values()) > MANY_FOLLOWERS:
        console.print("many near repeats: the promise may be missed by 40 % rather than by 25 %")
    console.print(
        f"promised: {made.budget:g} alerts a week by chance; {file.weeks // 3} other weeks had {made.rate:.2f} "
        f"(95 %: {made.rate_low:.2f} to {made.rate_high:.2f}); it took {file.seconds:.0f} s"
    )
    if file.in_all is not None:
        console.print(
            f"expect {file.in_all.rate:.1f} alerts a week in all, by chance or not: so many would have opened in the "
            f"last {file.in_all.weeks} weeks of the history"
        )
    else:
        console.print(
            f"how many alerts a week to expect in all is unknown: that takes {FEWEST_WEEKS} weeks of history after the "
            f"first window of {file.settings.window_days} days"
        )


COMMANDS = (calibrate,)
