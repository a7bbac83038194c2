"""Is the promise kept? Cities without clusters, calibrated on 26 weeks, are watched over the 156 weeks that follow.

Schedule, streams, zones and tracker are those of the Monitor, with the scans of the calibration
(`tests/detectors/calibration/test_scanning.py` shows that both give the same alerts). Where reports are late, the
Monitor itself watches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from benchmarks._case import BEGIN, HISTORY_WEEKS, SETTINGS, WEEK_H, Case, Site, Statistic
from benchmarks._machine import description
from benchmarks._opened import opened
from benchmarks._plot import IMAGES
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.calibrate import Nulls, calibrate
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from detectors.simulation import RepeatKernel
from streams.calibration.plot import draw

SEEDS = (101, 102, 103, 104, 105)
FEW_SEEDS = 3
"""Number of cities in a row where one budget is enough; a single city may be off by a tenth."""
MEASURED_WEEKS, MONITORED_WEEKS, WITHOUT_WEEKS = 156, 104, 13
"""Weeks that the scans of the calibration, the Monitor, and the Monitor without a calibration watch."""
NULL_WEEKS = 624
BUDGETS = (2.0, 1.0, 7.0)
LIMIT, LIMIT_OF_ALL = 0.25, 0.1
"""Upper bounds for the deviation of measured / promised from 1, in a row and in the mean of all rows."""
KERNELS: tuple[RepeatKernel, ...] = ("disc", "exponential", "power_law")


SHOWN = (Case(SEEDS[0]), 2.0)
"""The calibration that ``docs/images/calibration.svg`` shows."""


class Result(NamedTuple):
    """Opened alerts in each week, and the budget."""

    by_week: NDArray[np.int64]
    budget: float

    @property
    def ratio(self) -> float:
        """Measured over promised."""
        return float(self.by_week.mean() / self.budget)

    @property
    def error(self) -> float:
        """Standard error of the ratio, from sampling alone."""
        return float(self.by_week.std() / np.sqrt(len(self.by_week)) / self.budget)


@functools.lru_cache(maxsize=8)
def calibrated(case: Case, budget: float, threads: int, null_weeks: int = NULL_WEEKS) -> tuple[Site, Past, Calibration]:
    """Return the site of a case, its history and the calibration from that."""
    site = Site.of(case.city(), case.statistic)
    end = BEGIN + timedelta(weeks=HISTORY_WEEKS)
    history = site.past(case.incidents(BEGIN, end), BEGIN, HISTORY_WEEKS)
    nulls = Nulls(history, site.locations.points, SCHEMES[SETTINGS.strata], ZoneInfo("UTC"), case.seed, True)
    made = calibrate(history, site.scanning, nulls, budget, null_weeks, threads, lambda: None)
    return site, history, made


def measure(case: Case, budget: float, threads: int) -> Result:
    """Return the alerts opened in the weeks after the history."""
    site, history, made = calibrated(case.before, budget, threads)
    end = BEGIN + timedelta(weeks=HISTORY_WEEKS)
    if case.delays_h:
        return Result(monitored(case, site, made, MONITORED_WEEKS, lambda: None), budget)
    measured = site.past(case.incidents(end, end + timedelta(weeks=MEASURED_WEEKS)), end, MEASURED_WEEKS)
    behind = history.buckets * BUCKET_S
    whole = Past.of(
        history.first_bucket,
        history.buckets + measured.buckets,
        np.concatenate((history.second, measured.second + behind)),
        np.concatenate((history.location, measured.location)),
        np.concatenate((history.category, measured.category)),
    )
    return Result(opened(site.scanning, whole, made, HISTORY_WEEKS, MEASURED_WEEKS), budget)


def monitored(
    case: Case, site: Site, made: Calibration | None, weeks: int, step: Callable[[], object]
) -> NDArray[np.int64]:
    """Return how many alerts of the Monitor itself reach the tier ``alert`` in each week after the history, (weeks,).

    It gets the incidents in the order of their reports.
    """
    begin = BEGIN + timedelta(weeks=HISTORY_WEEKS)
    end = begin + timedelta(weeks=weeks)
    incidents = [*case.before.incidents(BEGIN, begin), *case.incidents(begin, end)]
    arrivals = [(int((each.reported_at or end).timestamp()), each) for each in incidents]
    restoring = Restoring("city", site.settings, site.locations, site.scanning.near, made)
    monitor: Monitor | None = None
    reached: dict[str, int] = {}
    for offset, (arrival_s, incident) in enumerate(sorted(arrivals, key=lambda each: each[0])):
        if arrival_s < begin.timestamp():
            restoring.refill(incident, offset, arrival_s)
            continue
        monitor = monitor or restoring.monitor()
        for closed in monitor.put(incident, offset, arrival_s):
            reached.update({each.id: each.alerted_s for each in closed.changes if each.alerted_s is not None})
        step()
    week = (np.array(list(reached.values()), np.int64) - int(begin.timestamp())) // (WEEK_H * BUCKET_S)
    return np.bincount(week[week < weeks], minlength=weeks)


def parts(seeds: Sequence[int]) -> Iterator[tuple[str, list[tuple[Case, float]]]]:
    """Yield (name, the cases and their budgets)."""
    for budget in BUDGETS:
        yield f"no cluster, {budget:g} a week", [(Case(seed), budget) for seed in seeds]
    few = seeds[:FEW_SEEDS]
    for level in (1.5, 1.2, 0.8, 0.6):
        yield f"level {level - 1:+.0%} afterwards", [(Case(seed, level=level), 2.0) for seed in few]
    yield "5% recorded two or three times afterwards", [(Case(seed, copied=0.05), 2.0) for seed in few]
    for share in (0.1, 0.2):
        for kernel in KERNELS:
            yield f"{share:.0%} near repeats, {kernel}", [(Case(seed, share, kernel), 2.0) for seed in few]
    for deviation in (0.13, 0.3):
        yield f"days differ by {deviation:.0%}", [(Case(seed, day_variance=deviation**2), 2.0) for seed in few]
    yield "summer peak of 40%", [(Case(seed, swing=0.4), 2.0) for seed in few]
    yield "twice as many on ten holidays", [(Case(seed, holidays=2.0), 2.0) for seed in few]
    yield "reports after 12 h", [(Case(seed, delays_h=(12.0,) * 4), 2.0) for seed in few]
    mixed_h = (0.1, 12.0, 1.0, 36.0)
    yield "reports after 0.1, 12, 1 and 36 h by category", [(Case(seed, delays_h=mixed_h), 2.0) for seed in few]


@click.command()
@click.option("--seeds", default=len(SEEDS), show_default=True, help="Number of cities, up to five.")
@click.option("--threads", default=2, show_default=True)
@click.option("--only", help="Only parts whose name contains this text.")
@click.option("--statistic", type=click.Choice(get_args(Statistic)), default="bayes", show_default=True)
def main(seeds: int, threads: int, only: str | None, statistic: Statistic) -> None:
    """Measure and print a table in Markdown; fails if the promise is not kept."""
    missed = []
    rows = []
    ratios = []
    chosen = [part for part in parts(SEEDS[:seeds]) if only is None or only in part[0]]
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("honest", total=sum(len(cases) for _, cases in chosen))
        for what, cases in chosen:
            results = []
            for case, budget in [(each._replace(statistic=statistic), budget) for each, budget in cases]:
                bar.update(task, description=f"{what}, seed {case.seed}")
                results.append(measure(case, budget, threads))
                if (case, budget) == SHOWN:
                    draw(calibrated(case, budget, threads)[2], IMAGES / "calibration.svg")
                bar.advance(task)
                bar.console.print(f"{what}, seed {case.seed}: {results[-1].ratio:.2f} ± {results[-1].error:.2f}")
            pooled = Result(np.concatenate([each.by_week for each in results]), results[0].budget)
            ratios.append(pooled.ratio)
            dispersion = float(pooled.by_week.var() / pooled.by_week.mean())
            if abs(pooled.ratio - 1) > LIMIT or not 0.5 <= dispersion <= 2.0:
                missed.append(what)
            each = ", ".join(f"{result.ratio:.2f} ± {result.error:.2f}" for result in results)
            rows.append(f"| {what} | {pooled.ratio:.2f} ± {pooled.error:.2f} | {dispersion:.2f} | {each} |")
        if only is None:
            mean = float(np.mean(ratios))
            rows.append(f"| mean of the rows | {mean:.2f} | | |")
            if abs(mean - 1) > LIMIT_OF_ALL:
                missed.append("mean of the rows")
            task, case = bar.add_task("without calibration", total=None), Case(SEEDS[0], statistic=statistic)
            site = Site.of(case.city(), statistic)
            a_week = monitored(case, site, None, WITHOUT_WEEKS, lambda: bar.advance(task)).mean()
            rows.append(
                f"| no calibration, nominal tiers, {WITHOUT_WEEKS} weeks | {a_week:.2f} a week where an interval of "
                f"{SETTINGS.tiers.alert:g} days promises {7 / SETTINGS.tiers.alert:.3f} | | |"
            )
    print(f"{description()}\n\nWanted: {1 - LIMIT:g} to {1 + LIMIT:g} in each row; in the mean of the rows ", end="")
    print(f"{1 - LIMIT_OF_ALL:g} to {1 + LIMIT_OF_ALL:g}.\n")
    print("| what | measured / promised | variance / mean | each seed |\n| --- | --- | --- | --- |")
    print("\n".join(rows))
    if missed:
        raise click.ClickException(f"the promise is not kept: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
