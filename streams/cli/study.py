"""The command that scans a file of cases once."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from rich.box import SIMPLE
from rich.table import Table

from streams.cli.terminal import (
    EXISTING_FILE,
    fail,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from streams.analyst.study.scan import Report, Study

DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("cases", type=EXISTING_FILE)
@click.option("--locations", type=EXISTING_FILE, required=True, help="CSV: location_id and coordinates.")
@click.option("--population", type=EXISTING_FILE, help="CSV: location_id, population or expected_weight.")
@click.option("--model", type=click.Choice(["permutation", "poisson", "eb-poisson"]), required=True)
@click.option("--retrospective", is_flag=True, help="Also find clusters that ended before the study.")
@click.option("--time-stratified", is_flag=True, help="Poisson: compare locations only within each interval.")
@click.option("--from", "from_", type=DATE, required=True, help="First day of the study.")
@click.option("--to", type=DATE, required=True, help="Last day of the study.")
@click.option("--interval", type=click.Choice(["day", "year", "hour"]), default="day", show_default=True)
@click.option(
    "--max-radius", type=click.FloatRange(min=0), metavar="KM", help="Largest radius of a cluster (default: no limit)."
)
@click.option(
    "--max-share",
    type=click.FloatRange(min=0, max=0.5, min_open=True),
    default=0.5,
    show_default=True,
    help="Largest share of all cases, observed or expected, in a cluster's locations over the study.",
)
@click.option(
    "--max-duration",
    type=click.IntRange(min=1),
    metavar="N",
    help="Intervals of the longest cluster (default: half the study).",
)
@click.option("--min-cases", type=click.IntRange(min=2), default=2, show_default=True)
@click.option("--min-risk", type=click.FloatRange(min=0), default=0.0, help="Smallest relative risk of a cluster.")
@click.option("--replications", type=click.IntRange(min=0, max=1_000_000), default=999, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the replications.")
@click.option("--adjust-from", type=DATE, help="Adjust for the analyses of every interval since this day.")
@click.option("--early-stop", is_flag=True, help="Stop once one in twenty replications is above the top cluster.")
@click.option("--threads", type=click.IntRange(min=1), help="Number of threads (default: one per processor).")
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
    from streams.cli.terminal import progress

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


def print_study(study: Study, report: Report, output: str) -> None:
    """Print the clusters of a one-shot scan as ``json``, ``geojson`` (a point each) or ``table``."""
    if output == "json":
        print_json(report)
    elif output == "geojson":
        from streams.analyst.study.scan import features

        print_json({"type": "FeatureCollection", "features": features(study, report)})
    else:
        print_table(_cluster_table(report))


def _cluster_table(report: Report) -> Table:
    table = Table(
        title=f"Clusters, {report.replications} replications, seed {report.seed}", box=SIMPLE, padding=(0, 1, 0, 0)
    )
    table.add_column("centre")
    for heading in ("from", "to"):
        table.add_column(heading, no_wrap=True)
    for heading in ("places", "km", "cases", "expected", "LLR", "p", "once in"):
        table.add_column(heading, justify="right")
    for cluster in report.clusters:
        days = cluster.recurrence_interval_days
        table.add_row(
            cluster.centre,
            cluster.start,
            cluster.end,
            str(len(cluster.locations)),
            f"{cluster.radius_km:.2f}",
            str(cluster.observed),
            f"{cluster.expected:.2f}",
            f"{cluster.llr:.3f}",
            "" if cluster.p_value is None else f"{cluster.p_value:.3f}",
            "" if days is None else f"{days:,.0f} d",
        )
    return table


COMMANDS = (scan,)
