"""Is the promise kept in real cities? Calibrated on 26 weeks, they are watched over the weeks that follow.

Nobody knows which alerts of a real stream are false. So a week-shuffled copy of the stream is watched as well, and
calibrated on its own 26 weeks. There each incident is moved by up to six whole weeks: locations, hours of the week and
seasons stay, and whatever really emerged is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from benchmarks._case import HISTORY_WEEKS
from benchmarks._machine import description
from benchmarks._opened import opened, part_of
from benchmarks.honest import NULL_WEEKS, Result
from detectors.area.incident import Incident
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.calibrate import WEEK, Nulls, calibrate
from detectors.calibration.past import Past
from detectors.calibration.scanning import Scanning
from streams.analyst.chosen_area import chosen_area, chosen_table
from streams.analyst.incident_file import IncidentFile
from streams.calibration.make import past_of
from streams.configuration.load import Configuration

DATA = Path(__file__).parents[2] / "shared/data"
BUDGET = 2.0
FARTHEST_WEEKS = 6
"""Upper bound for the number of weeks by which an incident is moved."""
COPY_SEED = 77
WEEK_S = WEEK * BUCKET_S
Chance = Literal["near repeats", "independent", "shuffled"]
Stream = Literal["real", "shuffled"]


class City(NamedTuple):
    """A file of real incidents.

    ``halvings``: how often it is halved into districts, which are watched as areas of their own.
    """

    name: str
    file: str
    begin: datetime
    weeks: int
    halvings: int


ZONE = ZoneInfo("America/Chicago")
"""Time zone of both cities."""
CITIES = (
    City(
        "Chicago, assaults", "chicago_aggravated_assaults_2010_2013.csv.gz", datetime(2010, 1, 1, tzinfo=ZONE), 208, 0
    ),
    City("Houston, 8 districts", "houston_2010.csv.gz", datetime(2010, 1, 4, tzinfo=ZONE), 34, 3),
)


class Shuffled(Nulls):
    """Null histories made of the history's own incidents, each moved by whole weeks.

    If a null history must be longer than the history, the history is used again, moved in another way.
    """

    def __call__(self, number: int, buckets: int) -> Past:
        """Return one null history. It begins where the history ends."""
        generator = np.random.default_rng([self._seed, number])
        past = self._past
        begin, length = int(generator.integers(past.buckets // WEEK)) * WEEK_S, past.buckets * BUCKET_S
        copies = -(-(begin + buckets * BUCKET_S) // length)
        second = np.concatenate([moved(past, generator) + copy * length - begin for copy in range(copies)])
        location, category = np.tile(past.location, copies), np.tile(past.category, copies)
        return Past.of(past.first_bucket + past.buckets, buckets, second, location, category)


def moved(past: Past, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the times of a past of whole weeks, each moved by up to six whole weeks, (n,). None leaves the past."""
    week = past.second // WEEK_S
    earliest = np.maximum(week - FARTHEST_WEEKS, 0)
    last = np.minimum(week + FARTHEST_WEEKS, past.buckets // WEEK - 1)
    return np.asarray(past.second + (generator.integers(earliest, last + 1) - week) * WEEK_S)


def districts(incidents: Sequence[Incident], halvings: int) -> Iterator[Sequence[Incident]]:
    """Yield compact districts with as many incidents each, by halving in turn from north to south and west to east."""
    if not halvings:
        yield incidents
        return
    ordered = sorted(incidents, key=lambda each: (each.longitude if halvings % 2 else each.latitude) or 0.0)
    middle = len(ordered) // 2
    yield from districts(ordered[:middle], halvings - 1)
    yield from districts(ordered[middle:], halvings - 1)


def areas(city: City) -> Iterator[tuple[Scanning, Past]]:
    """Yield the areas of a city and their streams."""
    table = IncidentFile.read(DATA / city.file)
    usable = [each for each in table.incidents() if each.longitude is not None and each.occurred is not None]
    for incidents in districts(usable, city.halvings):
        part = IncidentFile.from_incidents(incidents)
        area = chosen_area(*chosen_table(Configuration().areas, None, timezone=ZONE.key), part)
        settings = msgspec.structs.replace(area.settings, statistic="bayes")
        past = past_of(incidents, area, city.begin, city.begin + timedelta(weeks=city.weeks))
        yield BayesScanning(settings, area.locations.points, area.neighbours), part_of(past, 0, city.weeks * WEEK)


def by_week(
    scanning: Scanning, past: Past, chance: Chance, renewal: int, null_weeks: int, threads: int
) -> NDArray[np.int64]:
    """Return the alerts of each week after the history, calibrated again every ``renewal`` weeks, (weeks,)."""
    found = []
    for begin in range(HISTORY_WEEKS, past.buckets // WEEK, renewal):
        history = part_of(past, (begin - HISTORY_WEEKS) * WEEK, HISTORY_WEEKS * WEEK)
        kind = Shuffled if chance == "shuffled" else Nulls
        nulls = kind(history, scanning.points, SCHEMES["operational"], ZONE, 1, chance == "near repeats")
        made = calibrate(history, scanning, nulls, BUDGET, null_weeks, threads, lambda: None)
        found.append(opened(scanning, past, made, begin, min(renewal, past.buckets // WEEK - begin)))
    return np.concatenate(found)


@click.command()
@click.option("--only", help="Only cities whose name contains this text.")
@click.option("--chance", "chances", type=click.Choice(get_args(Chance)), multiple=True, default=("near repeats",))
@click.option("--stream", "streams", type=click.Choice(get_args(Stream)), multiple=True, default=get_args(Stream))
@click.option("--renewal", default=1000, help="Weeks after which the area is calibrated again (default: never).")
@click.option("--areas", "most", type=int, help="Number of a city's areas (default: all).")
@click.option("--null-weeks", default=NULL_WEEKS, show_default=True, help="Weeks of null histories.")
@click.option("--threads", default=2, show_default=True)
def main(
    only: str | None,
    chances: tuple[Chance, ...],
    streams: tuple[Stream, ...],
    renewal: int,
    most: int | None,
    null_weeks: int,
    threads: int,
) -> None:
    """Measure and print a table in Markdown."""
    print(f"{description()}\n")
    print("| city | null histories | stream | alerts | opened / promised | by thirds | variance / mean |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with Progress(console=Console(stderr=True)) as bar:
        for city in bar.track([each for each in CITIES if only is None or only in each.name], description="cities"):
            found: dict[tuple[Chance, Stream], list[NDArray[np.int64]]] = {}
            for scanning, real in list(areas(city))[:most]:
                copy = Past.of(
                    real.first_bucket,
                    real.buckets,
                    moved(real, np.random.default_rng(COPY_SEED)),
                    real.location,
                    real.category,
                )
                for chance in chances:
                    for stream in streams:
                        past = real if stream == "real" else copy
                        weekly = by_week(scanning, past, chance, renewal, null_weeks, threads)
                        found.setdefault((chance, stream), []).append(weekly)
                        bar.console.print(f"{city.name}, {chance}, {stream}: {weekly.mean() / BUDGET:.2f}")
            for (chance, stream), each in found.items():
                every = Result(np.concatenate(each), BUDGET)
                thirds = (f"{third.mean() / BUDGET:.2f}" for third in np.array_split(np.array(each), 3, axis=1))
                print(
                    f"| {city.name} | {chance} | {stream} | {every.by_week.sum()} | {every.ratio:.2f} ± "
                    f"{every.error:.2f} | {', '.join(thirds)} | {every.by_week.var() / every.by_week.mean():.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
