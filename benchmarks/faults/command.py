"""The command line: which faults, how long, how many at a time."""

from __future__ import annotations

import fnmatch
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click
import msgspec
import stamina
from rich.console import Console

from benchmarks.faults import page, picture
from benchmarks.faults.fault import FAMILIES, FULL, SHORT, Fault, Form
from benchmarks.faults.register import FAULTS
from benchmarks.faults.row import Row
from benchmarks.faults.run import run

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".cache" / "faults"
"""The measured rows, one file each, so that one of them can be measured again."""
COUNTS = ("lost", "doubled", "wrong", "underivable", "not_shown", "not_notified", "undetected")


@click.command()
@click.option("--only", multiple=True, metavar="PATTERN", help="Names or families of faults, as in a shell.")
@click.option("--short", is_flag=True, help="Let faults last for seconds; change no page.")
@click.option("--at-once", default=2, show_default=True, help="Number of faults at a time.")
def main(only: tuple[str, ...], short: bool, at_once: int) -> None:
    """Inflict the faults and write the page."""
    stamina.instrumentation.set_on_retry_hooks([])
    form = SHORT if short else FULL
    console = Console(stderr=True)
    chosen = [each for each in FAULTS.values() if is_chosen(each, only)]
    if not chosen:
        raise click.ClickException(f"no fault of that name; there are: {', '.join(FAULTS)}")
    fallen_short: list[str] = []
    lanes = ThreadPoolExecutor(at_once)
    running = [lanes.submit(measured, each, form) for each in chosen]
    try:
        for number, future in enumerate(as_completed(running), 1):
            row = future.result()
            console.print(f"{number}/{len(chosen)} {summary(row)}", markup=False, highlight=False)
            fallen_short += [row.title] if page.shortcomings(FAULTS[row.name], row) else []
            if not short:
                keep(row)
    finally:
        lanes.shutdown(cancel_futures=True)  # at Ctrl-C the present rows end in order, and no other begins
    if not short:
        write_documents()
    if fallen_short:
        raise click.ClickException(f"fell short: {'; '.join(fallen_short)}")


def is_chosen(fault: Fault, only: tuple[str, ...]) -> bool:
    """Return whether a fault is one of those that are asked for; without a pattern all are."""
    return not only or any(fnmatch.fnmatch(name, each) for each in only for name in (fault.name, fault.family))


def measured(fault: Fault, form: Form) -> Row:
    """Run one row. A row that cannot be run at all gives the reason."""
    try:
        return run(fault, form)
    except Exception as error:  # noqa: BLE001 (the other rows go on)
        return Row.failed(fault, form, f"{type(error).__name__}: {error}")


def keep(row: Row) -> None:
    """Keep a row for the page."""
    KEPT.mkdir(parents=True, exist_ok=True)
    name = "".join(each if each.isalnum() else "-" for each in row.name)
    (KEPT / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(row)))


def write_documents() -> None:
    """Write page and picture from every row that is kept."""
    kept = {row.name: row for row in (msgspec.json.decode(each.read_bytes(), type=Row) for each in KEPT.glob("*.json"))}
    names = [each.name for family in FAMILIES for each in FAULTS.values() if each.family == family]
    rows = [kept[name] for name in names if name in kept]
    page.write(ROOT / "docs", rows)
    picture.draw(ROOT / "docs" / "images" / "reliability.svg", rows)


def summary(row: Row) -> str:
    """Return a row in one line."""
    found = row.verdict
    said = "; ".join(f"{each.channel} {each.text!r} {each.after_s:.0f} s" for each in row.firsts())
    recovered = "not recovered" if row.recovered_s is None else f"well after {row.recovered_s:.0f} s"
    counts = ", ".join(f"{name.replace('_', ' ')} {getattr(found, name)}" for name in COUNTS)
    outcome = f"{counts} of {found.revisions}; lasted {row.lasted_s:.0f} s, {recovered}"
    return f"{row.title}: {row.failure} {outcome}; ends {row.ends}; {said}; {found.notes}"
