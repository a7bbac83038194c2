"""How many hidden clusters are found, and how soon: every incident looked at, against one scan a day.

Both by the same engine, score and tracker, each with the thresholds at which the same city without clusters opens two
alerts a week. The delay is counted from a cluster's third incident: before it nothing could be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.optimize import bisect

from benchmarks._machine import description
from benchmarks.honest import BEGIN, HISTORY_WEEKS, MEASURED_WEEKS, SETTINGS, Case, Site, calibrated
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.kernels.track import Told
from detectors.settings import STREAMS
from detectors.simulation import City, InjectedCluster, Injection, Simulated
from detectors.strata import BUCKET_S

SEEDS = (201, 202, 203)
BUDGET = 2.0
DAY_H = 24
INJECTION = Injection(per_day=1.0, relative_risk=(3.0, 10.0), radius_m=(100.0, 400.0), hours=(6.0, 72.0), expected=2.0)
SHARED = 2
"""An alert that has found a cluster shares so many of its incidents."""
RESAMPLES = 2_000


class Way(NamedTuple):
    """A way of scanning: its name, and the hours between scans, None for every scan of the Monitor."""

    name: str
    every_h: int | None


WAYS = (Way("every incident", None), Way("once a day", DAY_H))


class Hidden(NamedTuple):
    """A city's incidents as columns, and which injected cluster each belongs to, -1 for none."""

    past: Past
    cluster_of: NDArray[np.int64]
    clusters: tuple[InjectedCluster, ...]


def hidden(site: Site, simulated: Simulated, begin_weeks: float, weeks: float) -> Hidden:
    """The incidents from some weeks after the beginning on."""
    number_of = {member: number for number, each in enumerate(simulated.clusters) for member in each.members}
    begin = BEGIN + timedelta(weeks=begin_weeks)
    past = site.past(simulated.incidents, begin, weeks)
    second = np.array([int(each.occurred.timestamp()) for each in simulated.incidents if each.occurred]) - (
        past.first_bucket * BUCKET_S
    )
    cluster = np.array([number_of.get(each.id, -1) for each in simulated.incidents])
    inside = (second >= 0) & (second < past.buckets * BUCKET_S)
    order = np.flatnonzero(inside)[np.argsort(second[inside], kind="stable")]
    return Hidden(past, cluster[order], simulated.clusters)


def opened(site: Site, told: Sequence[Told], watch: float, tier_at: float = np.inf) -> tuple[int, int]:
    """How many alerts open, and how many reach a tier."""
    lives = [site.scanning.lives(each, watch, tier_at) for each in told]
    return sum(len(each.opened_s) for each in lives), sum(int((each.reached_s >= 0).sum()) for each in lives)


def thresholds(site: Site, told: Sequence[Told]) -> tuple[float, float]:
    """The scores of watch and alert at which a city without clusters keeps the budget."""
    weeks = MEASURED_WEEKS

    def too_many_watched(score: float) -> float:
        return opened(site, told, score)[0] / weeks - 10 * BUDGET

    def too_many(score: float) -> float:
        return opened(site, told, watch, score)[1] / weeks - BUDGET

    watch = float(bisect(too_many_watched, 0.0, 60.0, xtol=1e-3)) if too_many_watched(0.0) > 0 else 0.0
    return watch, float(bisect(too_many, watch, 60.0, xtol=1e-3))


def delays(site: Site, told: Sequence[Told], hidden_: Hidden, watch: float, alert: float) -> NDArray[np.float64]:
    """Hours from each cluster's third incident to the first alert that shares some with it by its end; NaN for none.

    Shape (2, clusters): of alerts from the third incident on, which found it, and of any, before it counted as 0 h.
    """
    found = np.full((2, len(hidden_.clusters)), np.nan)
    begin_s = hidden_.past.first_bucket * BUCKET_S
    for stream, (each, numbers) in enumerate(zip(told, hidden_.past.streams(), strict=True)):
        lives = site.scanning.lives(each, watch, alert)
        for reached_s, cluster in zip(lives.reached_s.tolist(), lives.reached_as.tolist(), strict=True):
            if reached_s < 0:
                continue
            members = numbers[each.member[each.begins[cluster] : each.begins[cluster + 1]]]
            number, times = np.unique(hidden_.cluster_of[members], return_counts=True)
            for injected in number[(number >= 0) & (times >= SHARED)].tolist():
                truth = hidden_.clusters[injected]
                tick_s = begin_s + reached_s
                is_its = STREAMS[stream] in (truth.category.value, STREAMS[-1])
                hours = (tick_s - truth.third_s) / 3600
                if is_its and truth.start_s <= tick_s <= truth.end_s:
                    found[1, injected] = np.fmin(found[1, injected], max(0.0, hours))
                    if hours >= 0:
                        found[0, injected] = np.fmin(found[0, injected], hours)
    return found


def measure(seed: int) -> tuple[list[NDArray[np.float64]], list[float]]:
    """Delays of each way, (2, clusters), and the share of weeks' budgets that each way used without clusters."""
    site, _, made = calibrated(Case(seed), BUDGET, 2)
    window_weeks = SETTINGS.window_days / 7
    begin_weeks, weeks = HISTORY_WEEKS - window_weeks, MEASURED_WEEKS + window_weeks
    begin, end = BEGIN + timedelta(weeks=begin_weeks), BEGIN + timedelta(weeks=HISTORY_WEEKS + MEASURED_WEEKS)
    city = City(seed, annual_swing=0.15, near_repeats=0.0, delay_minutes=0.0, injection=INJECTION)
    live_from = BEGIN + timedelta(weeks=HISTORY_WEEKS)
    usual = hidden(site, city.simulate(begin, end, inject=False), begin_weeks, weeks)
    busy = hidden(site, city.simulate(begin, end, inject_from=live_from), begin_weeks, weeks)
    result, used = [], []
    for way in WAYS:
        lowest = -SETTINGS.ease_below
        null = told(site, usual.past, made, lowest, way)
        watch, alert = thresholds(site, null)
        used.append(opened(site, null, watch, alert)[1] / MEASURED_WEEKS / BUDGET)
        result.append(delays(site, told(site, busy.past, made, watch - SETTINGS.ease_below, way), busy, watch, alert))
    return result, used


def told(site: Site, past: Past, made: Calibration, lowest: float, way: Way) -> list[Told]:
    """The clusters of every scan of a way."""
    stratum = site.scanning.stratum(past.first_bucket, past.buckets)
    return site.scanning.told(past, stratum, made.margins, lowest, way.every_h)


def interval(values: NDArray[np.float64], statistic: str) -> str:
    """A statistic with its 95 % bootstrap interval over clusters."""
    generator = np.random.default_rng(0)
    of = {"mean": np.mean, "median": np.median}[statistic]
    drawn = [of(generator.choice(values, len(values))) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{of(values):.2f} ({low:.2f} to {high:.2f})"


@click.command()
@click.option("--cities", default=len(SEEDS), show_default=True, help="So many of the three.")
def main(cities: int) -> None:
    """Measure, print a table in Markdown; exits non-zero where looking at every incident is not better."""
    with Progress(console=Console(stderr=True)) as bar:
        each = [measure(seed) for seed in bar.track(SEEDS[:cities], description="cities")]
    live, daily = (np.concatenate([result[way][0] for result, _ in each]) for way in range(2))
    early_live, early_daily = (np.concatenate([result[way][1] for result, _ in each]) for way in range(2))
    both = ~np.isnan(live) & ~np.isnan(daily)
    used = np.mean([used for _, used in each], axis=0)
    print(f"{description()}\n\n{len(live)} injected clusters of three or more incidents in {cities} cities.\n")
    print("| scan | false alerts / budget | found by the cluster's end | delay from its third incident, median |")
    print("| --- | --- | --- | --- |")
    for way, hours, part in zip(WAYS, (live, daily), used.tolist(), strict=True):
        is_found = (~np.isnan(hours)).astype(float)
        print(f"| {way.name} | {part:.2f} | {interval(is_found, 'mean')} | {interval(hours[both], 'median')} h |")
    sooner = (live[both] < daily[both]).mean()
    ratio = float(np.median(live[both]) / np.median(daily[both]))
    print(f"\nOf the {both.sum()} that both find, {sooner:.0%} sooner by looking at every incident; ratio {ratio:.2f}.")
    early = ~np.isnan(early_live) & ~np.isnan(early_daily)
    found = [f"{(~np.isnan(hours)).mean():.2f}" for hours in (early_live, early_daily)]
    median = [f"{np.median(hours[early]):.2f} h" for hours in (early_live, early_daily)]
    print(f"With alerts before the third incident as 0 h: found {' and '.join(found)}, median {' and '.join(median)}.")
    if np.isnan(live).sum() > np.isnan(daily).sum() or ratio > 1 / 3:
        raise click.ClickException("fewer found than by one scan a day, or not within a third of the delay")


if __name__ == "__main__":
    main()
