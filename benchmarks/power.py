"""How many small emerging clusters each statistic finds at equal false alerts: both scans, and simple rules.

All use the Monitor's tracker. For each statistic, the thresholds are set so that the same stream without clusters gives
the same number of false alerts a week. So none profits from an optimistic calibration. A cluster is found if an alert
that shares two of its incidents reaches the tier ``alert`` before the cluster's end. An alert before the cluster's
third incident counts as 0 h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.optimize import bisect

from benchmarks._case import BEGIN, HISTORY_WEEKS, SETTINGS, WEEK_H, Case, Site
from benchmarks._found_picture import Share, draw
from benchmarks._injected import Injected, inject
from benchmarks._machine import description
from benchmarks._simple_rules import Cells, at_days, count_of_day, cusum
from benchmarks.detection import KINDS, SHARED
from benchmarks.honest import calibrated
from detectors.area.strata import BUCKET_S
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.margins import Margins
from detectors.calibration.past import Past
from detectors.calibration.scanning import Scanning
from detectors.kernels.null_alerts import Clusters

SEEDS = (201, 202, 203)
PER_DAY = 1.0
WATCH_RATIO = 10.0
"""Alerts that open for each one that reaches the tier ``alert``."""
RESOLUTIONS = (9, 8)
"""H3 resolutions of the cells of the simple rules, about 350 and 900 m wide."""
HIGHEST = 200.0
SOON_H = 3.0
MARGIN_WEEKS = 78
"""Weeks of null histories from which the score of the permutation scan is learnt."""


class Way(NamedTuple):
    """A way to find clusters.

    ``clusters``: returns the clusters of each stream whose score is at least a given one.
    ``levels``: scores down to which a stream is scanned until enough alerts open; the last is the lowest.
    """

    name: str
    scanning: Scanning
    clusters: Callable[[Past, float], list[Clusters]]
    levels: tuple[float, ...]


class Limits(NamedTuple):
    """The scores at which alerts open and reach the tier ``alert``, and the alerts of that tier a week.

    A rule that opens too few alerts at its lowest score has a lower rate than was asked for.
    """

    watch: float
    alert: float
    rate: float


def ways(site: Site, margins: Sequence[Margins]) -> list[Way]:
    """Return the ways for a city. ``margins``: of the permutation scan."""
    plain = site.scanning
    bayes = BayesScanning(msgspec.structs.replace(plain.settings, statistic="bayes"), plain.points, plain.near)

    def by_permutation(past: Past, lowest: float) -> list[Clusters]:
        return plain.clusters(past, plain.stratum(past.first_bucket, past.buckets), margins, lowest)

    def by_bayes(past: Past, lowest: float) -> list[Clusters]:
        return bayes.clusters(past, bayes.stratum(past.first_bucket, past.buckets), (), lowest)

    def once_a_day(past: Past, lowest: float) -> list[Clusters]:
        return [at_days(each) for each in by_bayes(past, lowest)]

    return [
        *(
            # An ended alert of a rule holds back every alert near it, or a CUSUM that rises again counts twice.
            Way(f"{name}, H3 resolution {each}", plain, Cells(site, bayes, each, rule).clusters, (0.0,))
            for name, rule in (("count of 24 h", count_of_day), ("CUSUM", cusum))
            for each in RESOLUTIONS
        ),
        Way("Bayes once a day", bayes, once_a_day, bayes.levels),
        Way("permutation", plain, by_permutation, (SETTINGS.ease_below,)),
        Way("Bayes", bayes, by_bayes, bayes.levels),
    ]


def opened(way: Way, clusters: Sequence[Clusters], watch: float, alert: float = np.inf) -> int:
    """Return how many alerts open; if ``alert`` is given, how many reach that score."""
    lives = [way.scanning.lives(each, watch, alert) for each in clusters]
    if np.isinf(alert):
        return sum(len(each.opened_s) for each in lives)
    return sum(int((each.reached_s >= 0).sum()) for each in lives)


def limits_of(way: Way, past: Past, weeks: int, budgets: Sequence[float]) -> list[Limits]:
    """Return the limits at which a stream without clusters keeps each budget."""
    for level in way.levels:
        clusters = way.clusters(past, level - SETTINGS.ease_below)
        if opened(way, clusters, level) / weeks > WATCH_RATIO * max(budgets):
            break
    return [_limits(way, clusters, level, weeks, budget) for budget in budgets]


def _limits(way: Way, clusters: Sequence[Clusters], level: float, weeks: int, budget: float) -> Limits:

    def too_many(watch: float) -> float:
        return opened(way, clusters, watch) / weeks - WATCH_RATIO * budget

    def too_many_alerts(alert: float) -> float:
        return opened(way, clusters, watch, alert) / weeks - budget

    watch = _lowest(too_many, level)
    alert = _lowest(too_many_alerts, watch)
    return Limits(watch, alert, opened(way, clusters, watch, alert) / weeks)


def _lowest(too_many: Callable[[float], float], least: float) -> float:
    """Return the lowest score, ``least`` or more, at which there are not too many."""
    return float(bisect(too_many, least, HIGHEST, xtol=1e-3)) if too_many(least) > 0 else least


def found(way: Way, injected: Injected, limits: Limits) -> NDArray[np.float64]:
    """Return the hours from the third incident to the alert of each cluster, NaN for none, (clusters,)."""
    hours = np.full(len(injected.clusters), np.nan)
    for each in way.clusters(injected.past, limits.watch - SETTINGS.ease_below):
        lives = way.scanning.lives(each, limits.watch, limits.alert)
        for reached_s, which in zip(lives.reached_s.tolist(), lives.reached_as.tolist(), strict=True):
            if reached_s < 0:
                continue
            members = each.member[each.begins[which] : each.begins[which + 1]]
            number, times = np.unique(injected.cluster_of[members], return_counts=True)
            for one in number[(number >= 0) & (times >= SHARED)].tolist():
                truth = injected.clusters[one]
                if truth.start_s <= reached_s <= truth.end_s:
                    hours[one] = np.fmin(hours[one], max(0.0, (reached_s - truth.third_s) / 3600))
    return hours


def stream(site: Site, case: Case, weeks: int) -> Past:
    """Return the stream without clusters. Its first weeks only fill the window."""
    window = SETTINGS.window_days // 7
    begin = BEGIN + timedelta(weeks=HISTORY_WEEKS - window)
    incidents = case.city().simulate(begin, begin + timedelta(weeks=window + weeks), inject=False).incidents
    return site.past(incidents, begin, window + weeks)


def row(
    city: str, name: str, budget: float, rate: float, hours: NDArray[np.float64], injected: Sequence[Injected]
) -> str:
    """Return a line of the table."""
    clusters = [each for one in injected for each in one.clusters]
    is_found, cases = ~np.isnan(hours), np.array([each.cases for each in clusters])
    at_addresses, is_mixed = np.array([(each.is_at_addresses, each.is_mixed) for each in clusters]).T
    whole, mixed = (_share(is_found[which]) for which in (~is_mixed, is_mixed))
    hours, is_found, cases, at_addresses = (each[~is_mixed] for each in (hours, is_found, cases, at_addresses))
    sizes = cases <= 5, (cases > 5) & (cases <= 10), cases > 10
    cells = (
        city,
        name,
        f"{budget:g} ({rate:.2f})",
        f"**{whole}**",
        f"**{mixed}**",
        f"{is_found[at_addresses].mean():.2f} / {is_found[~at_addresses].mean():.2f}",
        " ".join(f"{is_found[size].mean():.2f}" for size in sizes),
        " ".join(f"{(hours <= within).mean():.2f}" for within in (1, 3, 6, 12)),
    )
    return f"| {' | '.join(cells)} |"


def share(rate: float, hours: NDArray[np.float64], injected: Sequence[Injected]) -> Share:
    """Return the shares of the clusters of one category that are found."""
    hours = hours[[not each.is_mixed for one in injected for each in one.clusters]]
    return Share(rate, float((~np.isnan(hours)).mean()), float((hours <= SOON_H).mean()))


def _share(is_found: NDArray[np.bool_]) -> str:
    """Return the share of clusters found, and its standard error."""
    share = is_found.mean()
    return f"{share:.3f} ± {np.sqrt(share * (1 - share) / len(is_found)):.3f}"


HEAD = (
    "city",
    "statistic",
    "false alerts a week: asked (opened)",
    "found, of one category",
    "of several",
    "at addresses / on discs",
    "3 to 5, 6 to 10, over 10 incidents",
    "within 1, 3, 6, 12 h of the third",
)


@click.command()
@click.option("--cities", default=len(SEEDS), show_default=True, help="Number of cities of each kind, up to three.")
@click.option("--only", default="", help="Only kinds whose name contains this text.")
@click.option("--weeks", default=104, show_default=True, help="Weeks of each city.")
@click.option("--budget", "budgets", multiple=True, default=(2.0, 0.5), show_default=True, help="False alerts a week.")
@click.option("--picture", is_flag=True, help="Write docs/images/found.svg.")
def main(cities: int, only: str, weeks: int, budgets: tuple[float, ...], picture: bool) -> None:
    """Measure and print a table in Markdown."""
    shown: dict[str, dict[str, list[Share]]] = {}
    print(f"{description()}\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    with Progress(console=Console(stderr=True)) as bar:
        chosen = [kind for kind in KINDS if only in kind.name]
        task = bar.add_task("cities", total=len(chosen) * cities)
        for kind in chosen:
            hours: dict[tuple[str, float], list[NDArray[np.float64]]] = {}
            rates: dict[tuple[str, float], list[float]] = {}
            streams = []
            for seed in SEEDS[:cities]:
                case = Case(seed, places=tuple(dict(kind.places).items()), statistic="permutation")
                site = Site.of(case.city(), "permutation")
                null = stream(site, case, weeks)
                first_s = SETTINGS.window_days // 7 * WEEK_H * BUCKET_S
                streams.append(inject(null, site.locations.points, first_s, PER_DAY, seed))
                _, _, made = calibrated(case, 2.0, 2, MARGIN_WEEKS)
                for way in ways(site, made.margins):
                    for budget, limits in zip(budgets, limits_of(way, null, weeks, budgets), strict=True):
                        hours.setdefault((way.name, budget), []).append(found(way, streams[-1], limits))
                        rates.setdefault((way.name, budget), []).append(limits.rate)
                bar.advance(task)
            for (name, budget), each in hours.items():
                rate = float(np.mean(rates[name, budget]))
                print(row(kind.name, name, budget, rate, np.concatenate(each), streams), flush=True)
                shares = shown.setdefault(kind.name, {}).setdefault(name, [])
                shares.append(share(rate, np.concatenate(each), streams))
    if picture:
        draw(shown)


if __name__ == "__main__":
    main()
