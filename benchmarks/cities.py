"""Clusters hidden in real cities, at equal alerts on the real stream: both scans and the simple rules.

Records of the same event count once, whichever way looks at them. Each way has the thresholds at which the real stream,
with everything that really happened in it, opens a number of alerts a week.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from benchmarks._case import SETTINGS, WEEK_H, Site
from benchmarks._injected import Injected, inject
from benchmarks._machine import description
from benchmarks.power import HEAD, MARGIN_WEEKS, PER_DAY, found, limits_of, row, ways
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.calibrate import Nulls, calibrate
from detectors.calibration.past import Past
from detectors.calibration.scanning import Scanning
from streams.analyst.chosen_area import chosen_area, chosen_table
from streams.analyst.incident_file import IncidentFile
from streams.calibration.make import past_of
from streams.configuration.load import Configuration

DATA = Path(__file__).parents[2] / "shared/data"
WINDOW_WEEKS = SETTINGS.window_days // 7


class City(NamedTuple):
    """A file of real incidents: its zone, the first day that is used, and the weeks after the first window."""

    name: str
    file: str
    zone: str
    begin: datetime
    weeks: int
    budgets: tuple[float, ...]


CITIES = (
    City(
        "Chicago, assaults",
        "chicago_aggravated_assaults_2010_2013.csv.gz",
        "America/Chicago",
        datetime(2010, 1, 1, tzinfo=ZoneInfo("America/Chicago")),
        104,
        (4.0, 2.0),
    ),
    City(
        "Houston",
        "houston_2010.csv.gz",
        "America/Chicago",
        datetime(2010, 1, 4, tzinfo=ZoneInfo("America/Chicago")),
        21,
        (32.0, 16.0),
    ),
)


def measure(city: City, seed: int) -> tuple[list[str], Injected]:
    """Return the lines of a city, and its stream with clusters."""
    table = IncidentFile.read(DATA / city.file)
    chosen = chosen_area(*chosen_table(Configuration().areas, None, timezone=city.zone), table)
    end = city.begin + timedelta(weeks=WINDOW_WEEKS + city.weeks)
    points = chosen.locations.points
    real = past_of(table.incidents(), chosen, city.begin, end)
    plain = msgspec.structs.replace(chosen.settings, statistic="permutation")
    site = Site(chosen.locations, Scanning(plain, points, chosen.neighbours))
    first_s = WINDOW_WEEKS * WEEK_H * BUCKET_S
    history = Past.of(real.first_bucket, WINDOW_WEEKS * WEEK_H, real.second, real.location, real.category)
    nulls = Nulls(history, points, SCHEMES[SETTINGS.strata], ZoneInfo(city.zone), seed, True)
    made = calibrate(history, site.scanning, nulls, max(city.budgets), MARGIN_WEEKS, 2, lambda: None)
    injected = inject(real, points, first_s, PER_DAY, seed)
    lines = []
    for way in ways(site, made.margins):
        for budget, limits in zip(city.budgets, limits_of(way, real, city.weeks, city.budgets), strict=True):
            hours = found(way, injected, limits)
            lines.append(row(city.name, way.name, budget, limits.rate, hours, [injected]))
    return lines, injected


@click.command()
@click.option("--only", help="Only cities whose name contains this text.")
@click.option("--seed", default=1, show_default=True)
def main(only: str | None, seed: int) -> None:
    """Measure and print a table in Markdown."""
    print(f"{description()}\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    chosen = [each for each in CITIES if only is None or only in each.name]
    with Progress(console=Console(stderr=True)) as bar:
        for city in bar.track(chosen, description="cities"):
            print("\n".join(measure(city, seed)[0]), flush=True)


if __name__ == "__main__":
    main()
