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
import h3
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from scipy.optimize import bisect

from benchmarks._injected import Injected, inject
from benchmarks._machine import description
from benchmarks.detection import KINDS, SHARED
from benchmarks.honest import BEGIN, HISTORY_WEEKS, SETTINGS, WEEK_H, Case, Site, calibrated
from detectors.area.strata import BUCKET_S
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.margins import Margins
from detectors.calibration.past import CATEGORIES, Past
from detectors.calibration.scanning import Scanning
from detectors.kernels.null_alerts import Clusters
from detectors.models.rates import RENEWAL_H

SEEDS = (201, 202, 203)
PER_DAY = 1.0
WATCH_RATIO = 10.0
"""Alerts that open for each one that reaches the tier ``alert``."""
RESOLUTIONS = (9, 8)
"""H3 resolutions of the cells of the simple rules, about 350 and 900 m wide."""
RULE_S = 86_400
HIGHEST = 200.0


class Way(NamedTuple):
    """A way to find clusters.

    ``clusters``: returns the clusters of each stream whose score is at least a given one.
    ``lowest``: the lowest score that can be asked for.
    """

    name: str
    scanning: Scanning
    clusters: Callable[[Past, float], list[Clusters]]
    lowest: float


class Found(NamedTuple):
    """Hours from the third incident to the alert of each cluster, NaN for none, (clusters,), and the thresholds."""

    hours: NDArray[np.float64]
    watch: float
    alert: float


def ways(site: Site, margins: Sequence[Margins]) -> list[Way]:
    """Return the ways for a city. ``margins``: of the permutation scan."""
    plain = site.scanning
    bayes = BayesScanning(msgspec.structs.replace(plain.settings, statistic="bayes"), plain.points, plain.near)

    def by_permutation(past: Past, lowest: float) -> list[Clusters]:
        return plain.clusters(past, plain.stratum(past.first_bucket, past.buckets), margins, lowest)

    def by_bayes(past: Past, lowest: float) -> list[Clusters]:
        return bayes.clusters(past, bayes.stratum(past.first_bucket, past.buckets), (), lowest)

    rules = [
        Way(f"count of 24 h, H3 resolution {each}", bayes, Rule(site, bayes, each).clusters, 0.0)
        for each in RESOLUTIONS
    ]
    return [
        *rules,
        Way("permutation", plain, by_permutation, 0.0),
        Way("Bayes", bayes, by_bayes, bayes.lowest - SETTINGS.ease_below),
    ]


class Rule:
    """A simple rule: the Poisson LLR of a category's last 24 hours in a fixed cell, against the same usual rates."""

    def __init__(self, site: Site, scanning: BayesScanning, resolution: int) -> None:
        parents = [h3.cell_to_parent(each, resolution) for each in site.locations.ids]
        self._scanning = scanning
        self._cell_of = np.unique(parents, return_inverse=True)[1]

    def clusters(self, past: Past, lowest: float) -> list[Clusters]:
        """Return the clusters of each category. After each incident, only the cell of that incident is scored."""
        stratum = self._scanning.stratum(past.first_bucket, past.buckets)
        rates = {
            begin: self._scanning.rates(past, stratum, begin).rate
            for begin in range(self._scanning.window - 1, past.buckets, RENEWAL_H)
        }
        first_s = (self._scanning.window - 1) * BUCKET_S
        result = []
        for category, numbers in enumerate(list(past.streams())[:CATEGORIES]):
            second, cell = past.second[numbers], self._cell_of[past.location[numbers]]
            of_cell = {
                begin: np.apply_along_axis(lambda rate: np.bincount(self._cell_of, rate), 0, rate[category])
                for begin, rate in rates.items()
            }
            scores, members, ticks = [], [], []
            for last in np.flatnonzero(second >= first_s).tolist():
                now_s = int(second[last])
                since = int(np.searchsorted(second, now_s - RULE_S, side="right"))
                inside = since + np.flatnonzero(cell[since : last + 1] == cell[last])
                begin = first_s // BUCKET_S + (now_s - first_s) // (RENEWAL_H * BUCKET_S) * RENEWAL_H
                hours = stratum[now_s // BUCKET_S - 23 : now_s // BUCKET_S + 1]
                usual, number = float(of_cell[begin][cell[last], hours].sum()), len(inside)
                score = number * np.log(number / usual) - number + usual if number > usual else 0.0
                is_in = number >= SETTINGS.min_cases and score >= lowest
                ticks.append(now_s)
                scores.append(score if is_in else -1.0)
                members.append(inside if is_in else inside[:0])
            result.append(self._as_clusters(past, category, ticks, scores, [numbers[each] for each in members]))
        return result

    @staticmethod
    def _as_clusters(
        past: Past,
        category: int,
        ticks: Sequence[int],
        scores: Sequence[float],
        members: Sequence[NDArray[np.int64]],
    ) -> Clusters:
        kept = np.flatnonzero(np.array(scores) >= 0.0)
        centre = np.array([past.location[members[each][-1]] for each in kept], np.int32)
        return Clusters(
            np.array(ticks, np.int64),
            np.full(len(ticks), category, np.int32),
            np.searchsorted(kept, np.arange(len(ticks) + 1)).astype(np.int64),
            np.array(scores)[kept],
            centre,
            np.concatenate(([0], np.cumsum([len(members[each]) for each in kept]))).astype(np.int64),
            np.concatenate([np.array([], np.int32), *(members[each] for each in kept)]).astype(np.int32),
        )


def opened(way: Way, clusters: Sequence[Clusters], watch: float, alert: float = np.inf) -> int:
    """Return how many alerts open; if ``alert`` is given, how many reach that score."""
    lives = [way.scanning.lives(each, watch, alert) for each in clusters]
    if np.isinf(alert):
        return sum(len(each.opened_s) for each in lives)
    return sum(int((each.reached_s >= 0).sum()) for each in lives)


def thresholds(way: Way, clusters: Sequence[Clusters], weeks: int, budget: float) -> tuple[float, float]:
    """Return the scores of watch and alert at which a stream without clusters keeps the budget."""

    def too_many(watch: float) -> float:
        return opened(way, clusters, watch) / weeks - WATCH_RATIO * budget

    def too_many_alerts(alert: float) -> float:
        return opened(way, clusters, watch, alert) / weeks - budget

    watch = _lowest(too_many, way.lowest + SETTINGS.ease_below)
    return watch, _lowest(too_many_alerts, watch)


def _lowest(too_many: Callable[[float], float], least: float) -> float:
    """Return the lowest score, ``least`` or more, at which there are not too many."""
    return float(bisect(too_many, least, HIGHEST, xtol=1e-3)) if too_many(least) > 0 else least


def found(way: Way, injected: Injected, watch: float, alert: float) -> Found:
    """Return when each cluster was found."""
    hours = np.full(len(injected.clusters), np.nan)
    clusters = way.clusters(injected.past, watch - SETTINGS.ease_below)
    for each in clusters:
        lives = way.scanning.lives(each, watch, alert)
        for reached_s, which in zip(lives.reached_s.tolist(), lives.reached_as.tolist(), strict=True):
            if reached_s < 0:
                continue
            members = each.member[each.begins[which] : each.begins[which + 1]]
            number, times = np.unique(injected.cluster_of[members], return_counts=True)
            for one in number[(number >= 0) & (times >= SHARED)].tolist():
                truth = injected.clusters[one]
                if truth.start_s <= reached_s <= truth.end_s:
                    hours[one] = np.fmin(hours[one], max(0.0, (reached_s - truth.third_s) / 3600))
    return Found(hours, watch, alert)


def stream(site: Site, case: Case, weeks: int) -> Past:
    """Return the stream without clusters. Its first weeks only fill the window."""
    window = SETTINGS.window_days // 7
    begin = BEGIN + timedelta(weeks=HISTORY_WEEKS - window)
    incidents = case.city().simulate(begin, begin + timedelta(weeks=window + weeks), inject=False).incidents
    return site.past(incidents, begin, window + weeks)


def row(city: str, name: str, budget: float, hours: NDArray[np.float64], injected: Sequence[Injected]) -> str:
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
        f"{budget:g}",
        f"**{whole}**",
        f"**{mixed}**",
        f"{is_found[at_addresses].mean():.2f} / {is_found[~at_addresses].mean():.2f}",
        " ".join(f"{is_found[size].mean():.2f}" for size in sizes),
        " ".join(f"{(hours <= within).mean():.2f}" for within in (1, 3, 6, 12)),
    )
    return f"| {' | '.join(cells)} |"


def _share(is_found: NDArray[np.bool_]) -> str:
    """Return the share of clusters found, and its standard error."""
    share = is_found.mean()
    return f"{share:.3f} ± {np.sqrt(share * (1 - share) / len(is_found)):.3f}"


HEAD = (
    "city",
    "statistic",
    "false alerts a week",
    "found, of one category",
    "of several",
    "at addresses / on discs",
    "3 to 5, 6 to 10, over 10 incidents",
    "within 1, 3, 6, 12 h of the third",
)


@click.command()
@click.option("--cities", default=len(SEEDS), show_default=True, help="Number of cities of each kind, up to three.")
@click.option("--kinds", default=len(KINDS), show_default=True, help="Number of kinds, up to three.")
@click.option("--weeks", default=104, show_default=True, help="Weeks of each city.")
@click.option("--budget", "budgets", multiple=True, default=(2.0, 0.5), show_default=True, help="False alerts a week.")
def main(cities: int, kinds: int, weeks: int, budgets: tuple[float, ...]) -> None:
    """Measure and print a table in Markdown."""
    print(f"{description()}\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("cities", total=kinds * cities)
        for kind in KINDS[:kinds]:
            hours: dict[tuple[str, float], list[NDArray[np.float64]]] = {}
            streams = []
            for seed in SEEDS[:cities]:
                case = Case(seed, places=tuple(dict(kind.places).items()), statistic="permutation")
                site = Site.of(case.city(), case.statistic)
                null = stream(site, case, weeks)
                first_s = SETTINGS.window_days // 7 * WEEK_H * BUCKET_S
                streams.append(inject(null, site.locations.points, first_s, PER_DAY, seed))
                _, _, made = calibrated(case, 2.0, 2)
                for way in ways(site, made.margins):
                    clusters = way.clusters(null, way.lowest)
                    for budget in budgets:
                        limits = thresholds(way, clusters, weeks, budget)
                        one = found(way, streams[-1], *limits)
                        hours.setdefault((way.name, budget), []).append(one.hours)
                bar.advance(task)
            for (name, budget), each in hours.items():
                print(row(kind.name, name, budget, np.concatenate(each), streams), flush=True)


if __name__ == "__main__":
    main()
