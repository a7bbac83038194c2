"""How many hidden clusters the permutation scan finds, and how soon: at every incident, or once a day.

Both use the permutation scan and the same tracker, each with the thresholds at which the same city without clusters
opens two alerts a week. The delay is counted from a cluster's third incident: before it nothing could be known.

How soon the third one stands out depends on how much else happens there. So there are three kinds of city, each with
the delay of an informed observer, which knows where, when and in which category every cluster begins, and the usual
rate there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.optimize import bisect
from scipy.spatial import cKDTree

from benchmarks._case import BEGIN, HISTORY_WEEKS, SETTINGS, Case, Site
from benchmarks._machine import description
from benchmarks.honest import MEASURED_WEEKS, calibrated
from detectors.area.incident import Incident
from detectors.area.locations import to_sphere
from detectors.area.settings import STREAMS
from detectors.area.strata import BUCKET_S
from detectors.calibration.margins import load
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.kernels.null_alerts import Clusters
from detectors.simulation import City, InjectedCluster, Injection, Simulated

SEEDS = (201, 202, 203)
BUDGET = 2.0
DAY_H = 24
INJECTION = Injection(per_day=1.0, relative_risk=(3.0, 10.0), radius_m=(100.0, 400.0), hours=(6.0, 72.0), expected=0.0)
SHARED = 2
"""Lowest number of a cluster's incidents in an alert that has found it."""
RESAMPLES = 2_000


class Kind(NamedTuple):
    """A kind of city: the arguments that define where its places lie, and whether it is as dense as real ones.

    In Philadelphia, Chicago, Denver and Houston the median incident has 0.03, 0.05, 0.06 and 0.17 others a day within
    300 m (`../shared/data`).
    """

    name: str
    places: Mapping[str, float]
    is_real: bool


KINDS = (
    Kind("as dense as Houston", {"places": 20_000, "radius_m": 9_000.0, "scatter_m": 1_000.0}, True),
    Kind("three times as dense", {"scatter_m": 800.0}, False),
    Kind("eight times as dense", {}, False),
)
NEAR_M = 300.0


class Way(NamedTuple):
    """A way of scanning: its name and the hours between scans, None for every scan of the Monitor."""

    name: str
    every_h: int | None


WAYS = (Way("every incident", None), Way("once a day", DAY_H))


class Hidden(NamedTuple):
    """A city's incidents as columns, their points, (n, 3) metres, and the cluster of each, -1 for none."""

    past: Past
    points: NDArray[np.float64]
    cluster_of: NDArray[np.int64]
    clusters: tuple[InjectedCluster, ...]


def hidden(site: Site, simulated: Simulated, begin_weeks: float, weeks: float) -> Hidden:
    """Return the incidents of ``weeks``, from ``begin_weeks`` after the beginning on."""
    number_of = {member: number for number, each in enumerate(simulated.clusters) for member in each.members}
    begin = BEGIN + timedelta(weeks=begin_weeks)
    past = site.past(simulated.incidents, begin, weeks)
    second = np.array([int(each.occurred.timestamp()) for each in simulated.incidents if each.occurred]) - (
        past.first_bucket * BUCKET_S
    )
    cluster = np.array([number_of.get(each.id, -1) for each in simulated.incidents])
    inside = (second >= 0) & (second < past.buckets * BUCKET_S)
    order = np.flatnonzero(inside)[np.argsort(second[inside], kind="stable")]
    points = to_sphere(*(np.array(each) for each in zip(*map(_place, simulated.incidents), strict=True)))
    return Hidden(past, points[order], cluster[order], simulated.clusters)


def _place(incident: Incident) -> tuple[float, float]:
    return incident.longitude or 0.0, incident.latitude or 0.0  # every simulated incident has both


def opened(site: Site, clusters: Sequence[Clusters], watch: float, tier_at: float = np.inf) -> tuple[int, int]:
    """Return how many alerts open, and how many reach a tier."""
    lives = [site.scanning.lives(each, watch, tier_at) for each in clusters]
    return sum(len(each.opened_s) for each in lives), sum(int((each.reached_s >= 0).sum()) for each in lives)


def thresholds(site: Site, clusters: Sequence[Clusters]) -> tuple[float, float]:
    """Return the scores of watch and alert at which a city without clusters keeps the budget."""
    weeks = MEASURED_WEEKS

    def too_many_watched(score: float) -> float:
        return opened(site, clusters, score)[0] / weeks - 10 * BUDGET

    def too_many(score: float) -> float:
        return opened(site, clusters, watch, score)[1] / weeks - BUDGET

    watch = float(bisect(too_many_watched, 0.0, 60.0, xtol=1e-3)) if too_many_watched(0.0) > 0 else 0.0
    return watch, float(bisect(too_many, watch, 60.0, xtol=1e-3))


def delays(
    site: Site, clusters: Sequence[Clusters], hidden_: Hidden, watch: float, alert: float
) -> NDArray[np.float64]:
    """Return the hours from each cluster's third incident to the first alert, by its end, that finds it; NaN for none.

    Shape (2, clusters): first only alerts from the third incident on, then all, with earlier ones counted as 0 h.
    """
    found = np.full((2, len(hidden_.clusters)), np.nan)
    begin_s = hidden_.past.first_bucket * BUCKET_S
    for each in clusters:
        lives = site.scanning.lives(each, watch, alert)
        for reached_s, cluster in zip(lives.reached_s.tolist(), lives.reached_as.tolist(), strict=True):
            if reached_s < 0:
                continue
            members = each.member[each.begins[cluster] : each.begins[cluster + 1]]
            number, times = np.unique(hidden_.cluster_of[members], return_counts=True)
            for injected in number[(number >= 0) & (times >= SHARED)].tolist():
                truth = hidden_.clusters[injected]
                tick_s = begin_s + reached_s
                hours = (tick_s - truth.third_s) / 3600
                if truth.start_s <= tick_s <= truth.end_s:
                    found[1, injected] = np.fmin(found[1, injected], max(0.0, hours))
                    if hours >= 0:
                        found[0, injected] = np.fmin(found[0, injected], hours)
    return found


def informed(city: City, hidden_: Hidden, made: Calibration, alert: float) -> NDArray[np.float64]:
    """Return the hours from each cluster's third incident to the alert of an informed observer; NaN for none.

    That compares the Poisson LLR of the incidents since the start (Kulldorff 1997, for an infinite total) with the same
    score.
    """
    past, begin_s = hidden_.past, hidden_.past.first_bucket * BUCKET_S
    second, window = begin_s + past.second, SETTINGS.window_days * DAY_H
    result = np.full(len(hidden_.clusters), np.nan)
    for number, truth in enumerate(hidden_.clusters):
        stream = STREAMS.index(truth.category.value)
        here = to_sphere(np.array([truth.longitude]), np.array([truth.latitude]))
        since = slice(*np.searchsorted(second, (truth.start_s, truth.end_s)))
        is_in = np.linalg.norm(hidden_.points[since] - here, axis=1) <= truth.radius_m
        times = second[since][is_in & (past.category[since] == stream)]
        bucket = (truth.third_s - begin_s) // BUCKET_S
        recent = past.bucket[(past.category == stream) & (past.bucket <= bucket)] - bucket + window - 1
        gumbel = made.margins[stream].gumbel(load(np.bincount(recent[recent >= 0], minlength=window).astype(np.int32)))
        for count, time_s in enumerate(times.tolist(), 1):
            usual = city.expected(truth, time_s + 1)
            if time_s >= truth.third_s and count > usual:
                if gumbel.score(count * np.log(count / usual) - count + usual) >= alert:
                    result[number] = (time_s - truth.third_s) / 3600
                    break
    return result


def density(city: City) -> float:
    """Return the median number of incidents a day within ``NEAR_M`` of an incident."""
    history = city.simulate(BEGIN, BEGIN + timedelta(weeks=HISTORY_WEEKS), inject=False).incidents
    tree = cKDTree(to_sphere(*(np.array(each) for each in zip(*map(_place, history), strict=True))))
    return float(np.median(tree.query_ball_point(tree.data, NEAR_M, return_length=True) - 1)) / HISTORY_WEEKS / 7


class Measured(NamedTuple):
    """For the clusters of a city: delays in hours, (clusters,), of each way and of the informed one; the budget used by
    each way; the density.
    """

    live: NDArray[np.float64]
    daily: NDArray[np.float64]
    informed: NDArray[np.float64]
    early: NDArray[np.float64]
    used: NDArray[np.float64]
    density: float


def measure(kind: Kind, seed: int) -> Measured:
    """Measure one city of a kind."""
    places: dict[str, float] = {**kind.places}
    case = Case(seed, places=tuple(places.items()), statistic="permutation")
    site, _, made = calibrated(case, BUDGET, 2)
    window_weeks = SETTINGS.window_days / 7
    begin_weeks, weeks = HISTORY_WEEKS - window_weeks, MEASURED_WEEKS + window_weeks
    begin, end = BEGIN + timedelta(weeks=begin_weeks), BEGIN + timedelta(weeks=HISTORY_WEEKS + MEASURED_WEEKS)
    city = case.city(injection=INJECTION)
    live_from = BEGIN + timedelta(weeks=HISTORY_WEEKS)
    usual = hidden(site, city.simulate(begin, end, inject=False), begin_weeks, weeks)
    busy = hidden(site, city.simulate(begin, end, inject_from=live_from), begin_weeks, weeks)
    found, alerts, used = [], [], []
    for way in WAYS:
        null = clusters(site, usual.past, made, -SETTINGS.ease_below, way)
        watch, alert = thresholds(site, null)
        alerts.append(alert)
        used.append(opened(site, null, watch, alert)[1] / MEASURED_WEEKS / BUDGET)
        of_busy = clusters(site, busy.past, made, watch - SETTINGS.ease_below, way)
        found.append(delays(site, of_busy, busy, watch, alert))
    (live, early_live), (daily, early_daily) = found
    best = informed(city, busy, made, alerts[0])
    early = np.stack((early_live, early_daily))
    return Measured(live, daily, best, early, np.array(used), density(city))


def clusters(site: Site, past: Past, made: Calibration, lowest: float, way: Way) -> list[Clusters]:
    """Return the clusters of every scan of a way."""
    stratum = site.scanning.stratum(past.first_bucket, past.buckets)
    return site.scanning.clusters(past, stratum, made.margins, lowest, way.every_h)


def interval(values: NDArray[np.float64], statistic: str) -> str:
    """Return a statistic with its 95 % bootstrap interval over clusters."""
    generator = np.random.default_rng(0)
    of = {"mean": np.mean, "median": np.median}[statistic]
    drawn = [of(generator.choice(values, len(values))) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{of(values):.2f} ({low:.2f} to {high:.2f})"


def row(kind: Kind, each: Sequence[Measured]) -> tuple[str, bool]:
    """Return a line of the table, and whether the targets are met."""
    live, daily, best = (np.concatenate([getattr(one, name) for one in each]) for name in ("live", "daily", "informed"))
    both = ~np.isnan(live) & ~np.isnan(daily)
    found = [interval((~np.isnan(hours)).astype(float), "mean") for hours in (live, daily)]
    medians = [interval(hours[both], "median") for hours in (live, daily)]
    # The informed observer is never later than the scan.
    informed_h = float(np.median(np.fmin(best, live)[both]))
    ratio, sooner = float(np.median(live[both]) / np.median(daily[both])), float((live[both] < daily[both]).mean())
    early_live, early_daily = np.concatenate([one.early for one in each], axis=1)
    early = ~np.isnan(early_live) & ~np.isnan(early_daily)
    early_ratio = float(np.median(early_live[early]) / np.median(early_daily[early]))
    used = ", ".join(f"{part:.2f}" for part in np.mean([one.used for one in each], axis=0))
    cells = (
        f"{kind.name} ({np.mean([one.density for one in each]):.2f})",
        f"{len(live)}, {both.sum()}",
        used,
        *found,
        *(f"{hours} h" for hours in medians),
        f"**{ratio:.2f}** ({early_ratio:.2f})",
        f"{sooner:.0%}",
        f"{informed_h:.1f} h",
    )
    is_right = np.isnan(live).sum() <= np.isnan(daily).sum() and (ratio <= 1 / 3 or not kind.is_real)
    return f"| {' | '.join(cells)} |", bool(is_right)


HEAD = (
    "city (incidents a day within 300 m of one)",
    "clusters, found by both",
    "false alerts / budget: live, daily",
    "found live",
    "found by one scan a day",
    "median delay live",
    "median delay daily",
    "ratio (alerts before the third incident as 0 h)",
    "sooner live",
    "who knew all",
)


@click.command()
@click.option("--cities", default=len(SEEDS), show_default=True, help="Number of cities of each kind, up to three.")
@click.option("--kinds", default=len(KINDS), show_default=True, help="Number of kinds, up to three.")
def main(cities: int, kinds: int) -> None:
    """Measure and print a table in Markdown.

    Fails if scans at every incident find fewer clusters, or are not three times as quick in cities as dense as real
    ones.
    """
    cases = [(kind, seed) for kind in KINDS[:kinds] for seed in SEEDS[:cities]]
    with Progress(console=Console(stderr=True)) as bar:
        results = [(kind, measure(kind, seed)) for kind, seed in bar.track(cases, description="cities")]
    print(f"{description()}\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    lines = [row(kind, [one for of, one in results if of is kind]) for kind in KINDS[:kinds]]
    print("\n".join(line for line, _ in lines))
    if not all(is_right for _, is_right in lines):
        raise click.ClickException("fewer found than by one scan a day, or not within a third of the delay")


if __name__ == "__main__":
    main()
