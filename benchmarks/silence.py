"""Silence in a part of a city: how often chance looks like it, how soon it is found, and how soon it ends.

Simulated cities with near repeats and a yearly swing. Nothing stops in them, or one category, one quarter or one round
district stops for a week. The detector does not compare that round district as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click
import numpy as np

from benchmarks._machine import description
from detectors.area.districts import DISTRICTS, SMALLEST, District, Districts
from detectors.area.incident import Origin
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.simulation import City
from detectors.window.silent_parts import QUARTER_H, SilentPart, silent_parts
from detectors.window.sliding import SlidingWindow, Version

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SETTINGS = AreaSettings()
LEARN_H = SETTINGS.window_days * 24
SILENCE_H = 168
AFTERWARDS_H = 120
STARTS_H = (14, 98)
"""When silences start, in hours after the beginning of a week: Monday 14:00 and Friday 02:00."""
RADIUS_M = 1_200.0
"""Radius of the district that stops, in metres."""

Stopped = Callable[[Version], bool]


class Town(NamedTuple):
    """A simulated city, its incidents in order of arrival, each with the second of its report."""

    locations: Locations
    districts: Districts
    reports: list[tuple[int, Version]]

    @classmethod
    def of(cls, seed: int, per_day: float, weeks: float) -> Town:
        """Return the incidents of so many weeks in a city."""
        city = City(seed, incidents_per_day=per_day, annual_swing=0.2, near_repeats=0.1)
        locations = Locations.from_cells(city.cells())
        simulated = city.simulate(BEGIN, BEGIN + timedelta(weeks=weeks), inject=False)
        reports = []
        for offset, each in enumerate(simulated.incidents):
            assert each.occurred_at and each.reported_at and each.longitude is not None and each.latitude is not None
            occurred_s, reported_s = int(each.occurred_at.timestamp()), int(each.reported_at.timestamp())
            location = locations.locate(each)
            assert location is not None
            at = (location, each.longitude, each.latitude)
            category = STREAMS.index(each.category)
            delay_s = reported_s - occurred_s
            version = Version(
                each.id, occurred_s, category, Origin.REPORTED, *at, None, offset, reported_s, False, delay_s
            )
            reports.append((reported_s, version))
        return cls(locations, Districts.of(locations), reports)

    def is_mostly(self, part: tuple[District, Stream], is_part: Stopped) -> bool:
        """Return whether half of the incidents of a part, or more, belong to something else."""
        district, stream = part
        names = DISTRICTS[-SMALLEST:]
        here = [
            version
            for _, version in self.reports
            if names[self.districts.smallest[version.location]][: len(district)] == district
            and stream in (Stream.ALL, STREAMS[version.category])
        ]
        return 2 * sum(map(is_part, here)) >= len(here)

    def watch(self, first_h: int, last_h: int, is_missing: Stopped) -> Iterator[tuple[int, tuple[SilentPart, ...]]]:
        """Yield (hour, silent parts) at each boundary between two hours; reports that are missing never arrive."""
        window = SlidingWindow(len(self.locations), LEARN_H, 1, SCHEMES[SETTINGS.strata], ZoneInfo("UTC"))
        begin = int(BEGIN.timestamp()) // BUCKET_S
        reports = iter(self.reports)
        reported_s, version = next(reports)
        for hour in range(last_h):
            window.advance(begin + hour)
            if hour >= first_h:
                yield hour, silent_parts(window, self.districts, SETTINGS.silent_parts_per_quarter)
            while reported_s < (begin + hour + 1) * BUCKET_S:
                if not is_missing(version):
                    window.put(version)
                reported_s, version = next(reports, (2**62, version))


def begun(per_day: float, seed: int, weeks: int) -> tuple[int, int]:
    """Return how many silences begin in a city in which nothing stops, and for how many hours there is one."""
    number, hours, before = 0, 0, set[tuple[object, ...]]()
    for _, parts in Town.of(seed, per_day, weeks).watch(LEARN_H, weeks * 168, lambda _: False):
        now: set[tuple[object, ...]] = {(part.district, part.stream) for part in parts}
        number, hours, before = number + len(now - before), hours + bool(now), now
    return number, hours


class Found(NamedTuple):
    """What became of one silence.

    ``usual``: usual incidents a day of what stops.
    ``after_h``: hours until it is found, None if it is not.
    ``ended_h``: hours from its end until no part is silent.
    ``times``: how often a silent part is announced.
    """

    usual: float
    after_h: int | None
    ended_h: int
    times: int


def found(town: Town, start_h: int, is_part: Stopped) -> Found:
    """Return what becomes of a silence of a week that starts at an hour."""
    from_s, end_s = (int(BEGIN.timestamp()) + hour * BUCKET_S for hour in (start_h, start_h + SILENCE_H))
    after_h, ended_h, times, before = None, 0, 0, False
    days = (town.reports[-1][0] - town.reports[0][0]) / 86_400
    affected: dict[tuple[District, Stream], bool] = {}

    def is_missing(version: Version) -> bool:
        return version.occurred_s is not None and from_s <= version.occurred_s < end_s and is_part(version)

    for hour, parts in town.watch(start_h, start_h + SILENCE_H + AFTERWARDS_H, is_missing):
        is_found = False
        for part in parts:
            key = part.district, part.stream
            if key not in affected:
                affected[key] = town.is_mostly(key, is_part)
            is_found |= affected[key]
        if is_found and after_h is None:
            after_h = hour - start_h
        times += is_found and not before
        before = is_found
        if is_found:
            ended_h = max(0, hour + 1 - start_h - SILENCE_H)
    return Found(sum(is_part(version) for _, version in town.reports) / days, after_h, ended_h, times)


def silences(town: Town, seed: int) -> Iterator[tuple[str, Stopped]]:
    """Yield (what stops, whether a version belongs to it): each category, a quarter, a round district."""
    for category in range(len(STREAMS) - 1):
        yield f"{STREAMS[category]}", lambda version, category=category: version.category == category
    yield "a quarter of the city", lambda version: bool(town.districts.smallest[version.location] // 4 == seed % 4)
    rng = np.random.default_rng([seed, 9])
    _, middle = town.reports[int(rng.integers(len(town.reports)))]
    points = town.locations.points
    is_near = np.linalg.norm(points - points[middle.location], axis=1) <= RADIUS_M
    yield "a round district", lambda version: bool(is_near[version.location])


@click.command()
@click.option("--rates", default="10,45,400", show_default=True, help="Incidents a day.")
@click.option("--seeds", default=3, show_default=True, help="Number of cities of each rate.")
@click.option("--weeks", default=65, show_default=True, help="Weeks of each city without a silence, 13 to learn from.")
def main(rates: str, seeds: int, weeks: int) -> None:
    """Measure and print two tables in Markdown; fails if chance begins more silences than promised."""
    print(f"{description()}\n")
    too_many = []
    promised = SETTINGS.silent_parts_per_quarter
    print(
        "| incidents a day | silences begun a quarter | promised | share of hours with one |\n| --- | --- | --- | --- |"
    )
    for rate in map(float, rates.split(",")):
        results = [begun(rate, seed, weeks) for seed in range(1, seeds + 1)]
        quarters = seeds * (weeks * 168 - LEARN_H) / QUARTER_H
        number, hours = (sum(column) for column in zip(*results, strict=True))
        print(
            f"| {rate:g} | {number / quarters:.2f} ({number} in {quarters:g}) | {promised:g} | "
            f"{hours / quarters / QUARTER_H:.2%} |",
            flush=True,
        )
        if number > promised * quarters + 2 * (promised * quarters) ** 0.5:
            too_many.append(rate)
    print("\n| incidents a day | what stops | usual a day | found | after, h | ends after, h | announced |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for rate in map(float, rates.split(",")):
        of: dict[str, list[Found]] = {}
        for seed in range(1, seeds + 1):
            town = Town.of(seed, rate, 17)
            for start_h in STARTS_H:
                for what, is_part in silences(town, seed):
                    of.setdefault(what, []).append(found(town, LEARN_H + 168 + start_h, is_part))
        for what, each in of.items():
            delays = sorted(one.after_h for one in each if one.after_h is not None)
            ends = sorted(one.ended_h for one in each if one.after_h is not None)
            print(
                f"| {rate:g} | {what} | {np.mean([one.usual for one in each]):.1f} | {len(delays)} of {len(each)} | "
                f"{np.median(delays) if delays else float('nan'):g} | {np.median(ends) if ends else float('nan'):g} | "
                f"{np.mean([one.times for one in each]):.1f} |",
                flush=True,
            )
    if too_many:
        raise click.ClickException(f"more silences than promised: {too_many}")


if __name__ == "__main__":
    main()
