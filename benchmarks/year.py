"""A year of real incidents, with and without near repeats in the null: the promise, and what a control room received.

Chicago's aggravated assaults: calibrated on the first half year, then backtested by the Monitor itself over the year
that follows. Over the rest of the file, the scans of the calibration give the alerts opened a week.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import Progress

from benchmarks._machine import description
from benchmarks._opened import opened
from detectors.alerts.lifecycle import TERMINAL
from detectors.alerts.notices import Notice
from detectors.area.settings import RepeatSettings
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.calibrate import blocks_of
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.calibration.scanning import Scanning
from detectors.scan.significance import Tier
from streams.analyst.backtest import backtest
from streams.analyst.chosen_area import chosen_area, chosen_table
from streams.analyst.incident_file import IncidentFile
from streams.areas.area import Area
from streams.calibration.calibration_file import CalibrationFile
from streams.calibration.make import NullHistories, make, past_of
from streams.configuration.load import Configuration
from streams.messages.alert import AlertProperties, read_alert

FILE = Path(__file__).parents[2] / "shared/data/chicago_aggravated_assaults_2010_2013.csv.gz"
ZONE = ZoneInfo("America/Chicago")
BEGIN = datetime(2010, 1, 1, tzinfo=ZONE)
HISTORY, YEAR, REST = timedelta(weeks=26), timedelta(weeks=52), timedelta(weeks=182)
BUDGETS = (1.0, 2.0, 7.0)
SHOWN_BUDGET = 2.0
NULL_WEEKS = 624
SHIFTS = 52 * 21
LOWEST, HIGHEST = 0.6, 1.6
"""Bounds for the alerts opened a week over the rest of the file, over the promise."""
ROUNDING = 1e-5
"""Published figures have six digits."""


class Year(NamedTuple):
    """What a control room received: alerts that reached the tier ``alert``, and notices from that tier on.

    ``twice``: number of pairs of alerts that were open at once for one hot spot.
    """

    alerts: int
    twice: int
    notices: collections.Counter[Notice]

    @property
    def messages(self) -> int:
        """The number of all notices."""
        return self.notices.total()


def rest_of(past: Past, scanning: Scanning, made: Calibration) -> float:
    """Return the alerts opened a week over the rest of the file."""
    history, rest = HISTORY.days // 7, REST.days // 7
    return float(opened(scanning, past, made, history, rest).mean())


def year_of(table: IncidentFile, chosen: Area, made: CalibrationFile, bar: Progress) -> Year:
    """Backtest the year after the history with the Monitor."""
    calibrated = dataclasses.replace(chosen, calibration_file=made)
    begin = BEGIN + HISTORY
    rows = list(table.rows(chosen.name, chosen.settings, to=begin + YEAR))
    task = bar.add_task("backtest", total=len(rows))
    result = backtest(rows, calibrated, begin.timestamp(), 65_536, lambda: bar.advance(task))
    revisions = [read_alert(event).data.properties for event in result.events]
    notices = [each for each in revisions if each.tier in (Tier.ALERT, Tier.URGENT) and each.notice]
    check(notices, chosen.settings.repeats)
    kinds = collections.Counter(each.notice for each in notices)
    return Year(len(result.summary.alerts), open_twice(revisions), kinds)


def open_twice(revisions: Sequence[AlertProperties]) -> int:
    """Return how many pairs of alerts were open at once and shared half or more of the members of one of them."""
    members: dict[str, frozenset[str]] = {}
    pairs = set()
    for each in revisions:
        mine = frozenset(each.members)
        members.pop(each.id, None)
        if each.state in TERMINAL:
            continue
        for other, others in members.items():
            if 2 * len(mine & others) >= min(len(mine), len(others)):
                pairs.add(frozenset((each.id, other)))
        members[each.id] = mine
    return len(pairs)


def check(notices: Sequence[AlertProperties], settings: RepeatSettings) -> None:
    """Fail if an alert sends another notice without a material change since its last one."""
    last: dict[str, AlertProperties] = {}
    members: dict[str, set[str]] = collections.defaultdict(set)
    for each in notices:
        before = last.get(each.id)
        if before is not None and not _is_material(before, each, members[each.id], settings):
            raise click.ClickException(f"{each.id}.{each.revision}: notice {each.notice} without a material change")
        last[each.id] = each
        members[each.id] |= {*each.members}


def _is_material(before: AlertProperties, now: AlertProperties, known: set[str], settings: RepeatSettings) -> bool:
    if now.tier != before.tier or now.state in TERMINAL:
        return True
    if now.tick_s - before.tick_s >= settings.reminder_h * 3600:
        return True
    in_common = len({*now.cells} & {*before.cells}) / len({*now.cells, *before.cells})
    ratio = (now.observed / max(now.expected, 1e-9)) / (before.observed / max(before.expected, 1e-9))
    is_other_risk = not 1 / settings.same_risk * (1 - ROUNDING) <= ratio <= settings.same_risk * (1 + ROUNDING)
    is_other_tier = _tier_of_notice(now) or _tier_of_notice(before)
    return not known >= {*now.members} and (in_common < settings.same_area or is_other_risk or is_other_tier)


def _tier_of_notice(each: AlertProperties) -> bool:
    """Whether the notice reports another tier of the cluster, which the highest tier so far does not show."""
    return each.notice is Notice.TIER


@click.command()
@click.option("--threads", default=os.cpu_count() or 1, show_default=True)
def main(threads: int) -> None:
    """Measure and print two tables in Markdown; fails if the promise is not kept over the rest of the file."""
    table = IncidentFile.read(FILE)
    chosen = chosen_area(*chosen_table(Configuration().areas, None, timezone=ZONE.key), table)
    scanning = BayesScanning(chosen.settings, chosen.locations.points, chosen.neighbours)
    history = past_of(table.incidents(), chosen, BEGIN, BEGIN + HISTORY)
    whole = past_of(table.incidents(), chosen, BEGIN, BEGIN + HISTORY + REST)
    rows, years, missed = [], [], []
    with Progress(console=Console(stderr=True)) as bar:
        for budget in BUDGETS:
            for with_repeats in (True, False):
                null = "with" if with_repeats else "without"
                task = bar.add_task(f"{budget:g} a week, {null} near repeats", total=blocks_of(NULL_WEEKS))
                step = lambda task=task: bar.advance(task)  # noqa: E731
                nulls = NullHistories(NULL_WEEKS, with_near_repeats=with_repeats, threads=threads)
                file = make(history, chosen, budget, nulls, step)
                made = file.calibration
                opened = rest_of(whole, scanning, made)
                scores = " | ".join(f"{made.scores[tier]:.2f}" for tier in (Tier.WATCH, Tier.ALERT, Tier.URGENT))
                measured = f"{made.rate:.2f} ({made.rate_low:.2f} to {made.rate_high:.2f})"
                rows.append(f"| {budget:g} | {null} | {measured} | {scores} | {opened:.2f} | {opened / budget:.2f} |")
                bar.console.print(rows[-1])
                if with_repeats and not LOWEST <= opened / budget <= HIGHEST:
                    missed.append(f"{budget:g} a week")
                if budget == SHOWN_BUDGET:
                    year = year_of(table, chosen, file, bar)
                    notices = ", ".join(f"{kind} {number}" for kind, number in year.notices.most_common())
                    years.append(
                        f"| {null} | {year.alerts} | {year.alerts / 52:.2f} | {year.twice} | "
                        f"{year.messages / year.alerts:.1f} | "
                        f"{year.messages / SHIFTS:.2f} | {notices} |"
                    )
                    bar.console.print(years[-1])
    print(f"{description()}\n")
    print(
        "| promised a week | near repeats in the null | measured on null histories | watch | alert | urgent | ", end=""
    )
    print("opened a week, rest of the file | opened / promised |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))
    print(f"\nThe year after the history, by the Monitor, {SHOWN_BUDGET:g} a week promised:\n")
    print("| near repeats in the null | alerts | a week | pairs open for one hot spot | messages an alert | ", end="")
    print("messages a shift of 8 h | which |\n| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(years))
    if missed:
        raise click.ClickException(f"not within {LOWEST} to {HIGHEST} times the promise: {', '.join(missed)}")


if __name__ == "__main__":
    main()
