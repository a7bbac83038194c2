"""What commands show: progress on standard error, results on standard output."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Callable, Iterator

import click
import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from streams.analyst.backtest import Backtest
from streams.analyst.study.scan import Report, Study, features
from streams.area_log.audit import Audit
from streams.area_log.reproduce import Reproduction
from streams.calibration.calibration_file import CalibrationFile
from streams.demo.summary import Summary
from streams.messages.alert import AlertFeature
from streams.messages.explanation import figures, paragraph
from streams.messages.wording import interval_words
from streams.worker.metrics import OUTCOMES

WHOLE = 160
"""Characters that every table has room in."""
MANY_FOLLOWERS = 0.15
"""From so many near repeats on a calibration warns: it has been seen to miss its promise by more."""


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[..., object]]:
    """A progress bar while the block runs; the function it gives is called for each step, or with a number of them."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps=1: bar.advance(task, steps)


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[], object]]:
    """How many steps were made so far, where their number is not known beforehand."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda: bar.advance(task)


def print_explanation(feature: AlertFeature, output: str) -> None:
    """An alert in one paragraph and the figures behind it."""
    text = paragraph(feature)
    if output == "json":
        print_json({"text": text, "alert": feature})
        return
    click.echo(f"{textwrap.fill(text, 100)}\n")
    for name, figure in figures(feature).items():
        click.echo(f"{name:<25}{figure if isinstance(figure, str) else msgspec.json.encode(figure).decode()}")


def print_reproduction(result: Reproduction, output: str) -> None:
    """What was derived once more, and each figure that is another."""
    if output == "json":
        print_json(result)
        return
    for each in result.differences:
        click.echo(f"{each.where}: {each.field}: {each.on_record}" + (f", but {each.derived}" if each.derived else ""))
    outcome = f"{len(result.differences)} differences" if result.differences else "every figure is what the log says"
    click.echo(f"alerts {len(result.alerts)}, revisions {result.revisions}, scan records {result.scans}: {outcome}")


def print_audit(result: Audit, output: str) -> None:
    """How far an area's chain of digests reaches, and where it breaks."""
    if output == "json":
        print_json(result)
        return
    for each in result.breaks:
        click.echo(f"scan record at offset {each.offset}, {each.tick.isoformat()}: {each.fault}")
    begins = f"{result.given:,} taken as given, what they rest on is gone" if result.given else "from the first on"
    outcome = f"broken in {len(result.breaks)} places" if result.breaks else "unbroken"
    click.echo(f"{result.area}: {result.scans:,} scan records ({begins}), {result.inputs:,} input records: {outcome}")


def print_backtest(result: Backtest, output: str) -> None:
    """The result of a backtest as ``json``, ``geojson`` (last revision of each alert) or ``table``."""
    if output == "json":
        print_json(result.summary)
    elif output == "geojson":
        print_json({"type": "FeatureCollection", "features": result.features()})
    else:
        _print_table(_alert_table(result))
        accounts = ", ".join(f"{name} {number}" for name, number in result.summary.incidents.items())
        unmapped = f" ({result.unmapped} of an unknown category)" if result.unmapped else ""
        Console(soft_wrap=True).print(
            f"{accounts}{unmapped}; scans {result.summary.scans}, alerts {len(result.summary.alerts)}"
        )


def print_calibration(file: CalibrationFile) -> None:
    """What a calibration promises, in words and as a table of tiers."""
    made, history = file.calibration, file.history
    table = Table(title=f"Calibration of {file.area}", box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("tier", "score from", "by chance, a week"):
        table.add_column(heading, justify="left" if heading == "tier" else "right")
    for tier, score in made.scores.items():
        table.add_row(tier, f"{score:.2f}", f"{made.rate_of(score):.2f}")
    console = Console(soft_wrap=True)
    console.print(table)
    days = (history.ends_at - history.begins_at).days
    console.print(f"history: {history.incidents:,} incidents in {days} days, {history.begins_at:%Y-%m-%d} on")
    followed = ", ".join(f"{category} {rate:.2f}" for category, rate in made.near_repeats.followers.items())
    included = f"includes ordinary near repeats, followers an incident: {followed}"
    console.print(f"chance {included if file.with_near_repeats else 'leaves near repeats out, as asked'}")
    if max(made.near_repeats.followers.values()) > MANY_FOLLOWERS:
        console.print("many near repeats: the promise may be missed by 40 % rather than by 25 %")
    console.print(
        f"promised: {made.budget:g} alerts a week by chance; {file.weeks // 3} other weeks had {made.rate:.2f} "
        f"(95 %: {made.rate_low:.2f} to {made.rate_high:.2f}); it took {file.seconds:.0f} s"
    )


def print_study(study: Study, report: Report, output: str) -> None:
    """The clusters of a one-shot scan as ``json``, ``geojson`` (a point for each) or ``table``."""
    if output == "json":
        print_json(report)
    elif output == "geojson":
        print_json({"type": "FeatureCollection", "features": features(study, report)})
    else:
        _print_table(_cluster_table(report))


def print_demo(summary: Summary) -> None:
    """What a demo came to, in words; the last line is the same as JSON."""
    facts = msgspec.to_builtins(summary)
    found = f"{summary.found} of {summary.injected} injected clusters found"
    if summary.delay_s is not None:
        found += f", {summary.delay_s / 3600:.1f} h after their third incident (median, city time)"
    outcomes = ", ".join(f"{name} {facts[name]}" for name in OUTCOMES)
    console = Console(soft_wrap=True)
    console.print(f"accounts: read {summary.read} = {outcomes}")
    console.print(
        f"alerts: {summary.opened} reached the tier alert, {summary.ended} of them ended; "
        f"{summary.watched} stayed below it"
    )
    if summary.injected:
        console.print(found)
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")


def print_json(content: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")


def _print_table(table: Table) -> None:
    """Fitted to the terminal; whole where there is none."""
    is_terminal = Console().is_terminal
    Console(width=None if is_terminal else WHOLE).print(table)


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


def _alert_table(result: Backtest) -> Table:
    title = f"Alerts that reached the tier 'alert'; {result.interval_kind} intervals; times of {result.timezone}"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    for heading in ("alerted", "category", "tier", "state", "where", "radius"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seen", "usual", "once in"):
        table.add_column(heading, justify="right", no_wrap=True)
    for alert in result.summary.alerts:
        table.add_row(
            f"{alert.alerted_at:%Y-%m-%d %H:%M}",
            alert.category,
            alert.tier,
            alert.state,
            f"{alert.latitude:.4f}, {alert.longitude:.4f}",
            f"{alert.radius_m:.0f} m",
            str(alert.observed),
            f"{alert.expected:.2f}",
            interval_words(alert.recurrence_interval_days),
        )
    return table
