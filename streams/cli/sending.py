"""Sends rows to an area with a progress bar, until the last row or Ctrl-C, and shows what became of them."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime

import click
import msgspec
from rich.box import SIMPLE
from rich.table import Table

from streams.analyst.forecast import Forecast, forecast
from streams.analyst.incident_file import Row, tick_row
from streams.analyst.replay import feed
from streams.area_log.sent_records import Fate, SentRecords
from streams.areas.location_files import locations_of
from streams.cli.terminal import print_json, print_table, progress
from streams.configuration.load import Configuration

OUTCOMES = {
    "added": "new in the window",
    "replaced": "a later version of an incident",
    "removed": "a cancellation, or a version that left the window",
    "duplicate": "known already",
    "outside": "older than the window",
    "rejected": "in the topic incidents.rejected",
    "ticks": "tick records",
}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast for the rows, the number of records sent, and what became of them (None: not waited for)."""

    expected: Forecast
    sent: int
    fate: Fate | None

    @property
    def is_good(self) -> bool:
        """Whether every record is accounted for, and the area took at least one (if it could take any)."""
        return self.fate is None or (not self.fate.waiting and (self.fate.taken > 0 or not self.expected.rows))


def deliver(
    rows: Sequence[Row],
    configuration: Configuration,
    area: str,
    *,
    wait_s: float,
    speed: float = 0.0,
    live_from_s: float | None = None,
) -> Delivery:
    """Send rows of one area (as :func:`~streams.analyst.replay.feed`) until their end, Ctrl-C or SIGTERM.

    Prints the forecast on standard error. At the end, a tick record closes the last tick, even if the rows were
    interrupted or the area's clock is past them. Then waits for the area's accounts until nothing changes for
    ``wait_s`` seconds (0: does not wait). Call it from the main thread.

    Raises:
        ConfigurationError: The area has no locations, or their file cannot be used.
        FeedError: A record could not be delivered, or the topic does not exist.
        KafkaError: The scan records cannot be read.
        LogError: The scan records were written by another version.
    """
    table, kafka = configuration.areas[area], configuration.kafka
    with closing(SentRecords(kafka, area)) as records:
        checkpoint = records.before.checkpoint if records.before else None
        expected = forecast(
            rows,
            area,
            table.settings,
            locations_of(table),
            checkpoint,
            datetime.now(UTC),
            configuration.worker.max_record_bytes,
        )
        click.echo(f"area {area}: {expected}", err=True)
        written: defaultdict[int, set[int]] = defaultdict(set)
        first_s = 0 if checkpoint is None else checkpoint.clock_s
        closed = _closed(rows, table.tick_s, first_s)
        sent = _send(closed, configuration, table.tick_s, first_s, speed, live_from_s, written)
        fate = None
        if wait_s:
            with suppress(KeyboardInterrupt):
                fate = records.wait(written, wait_s)
            fate = fate or records.fate(written)
    return Delivery(expected=expected, sent=sent, fate=fate)


def _send(
    rows: Sequence[Row],
    configuration: Configuration,
    tick_s: int,
    first_s: int,
    speed: float,
    live_from_s: float | None,
    written: defaultdict[int, set[int]],
) -> int:
    kafka = configuration.kafka
    sent: list[Row] = []

    def on_written(partition: int, offset: int) -> None:
        written[partition].add(offset)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with progress("sent", len(rows)) as step:

        def on_sent(row: Row) -> None:
            sent.append(row)
            step()

        try:
            return feed(rows, kafka, speed=speed, live_from_s=live_from_s, on_sent=on_sent, on_written=on_written)
        except KeyboardInterrupt:
            if not sent:
                return 0
            return len(sent) + feed([_closing_tick(sent[-1], tick_s, first_s)], kafka, on_written=on_written)


def _closed(rows: Sequence[Row], tick_s: int, first_s: int) -> Sequence[Row]:
    """Return the rows with the last one, a tick record, late enough for an area whose clock shows ``first_s``."""
    return [*rows[:-1], _closing_tick(rows[-1], tick_s, first_s)] if rows and rows[-1].time_s <= first_s else rows


def _closing_tick(last: Row, tick_s: int, first_s: int) -> Row:
    return tick_row(last.key, (int(max(last.time_s, first_s) // tick_s) + 1) * tick_s)


def print_delivery(delivery: Delivery, output: str) -> None:
    """Print what became of the records, as a ``table`` or as ``json``."""
    if output == "json":
        print_json(delivery)
        return
    click.echo(f"{delivery.sent} records sent")
    fate = delivery.fate
    if fate is None:
        return
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("what became of them")
    table.add_column("records", justify="right")
    table.add_column("")
    for outcome, meaning in OUTCOMES.items():
        if number := getattr(fate, outcome):
            reasons = ", ".join(f"{reason} {each}" for reason, each in fate.reasons.items())
            table.add_row(
                outcome, str(number), f"{meaning}: {reasons}" if outcome == "rejected" and reasons else meaning
            )
    if fate.others:
        table.add_row("of others", f"-{fate.others}", "counted above, and sent by somebody else meanwhile")
    if fate.waiting:
        table.add_row("waiting", str(fate.waiting), f"not on record yet, from offset {fate.waits_from} on")
    table.add_section()
    table.add_row("sent", str(fate.sent), "")
    print_table(table)
    if fate.waiting == fate.sent:
        click.echo("nothing is on record yet: is a worker running that has this area?", err=True)
    elif fate.waiting:
        click.echo(
            "the last tick is still open: a record of a later time closes it, if the worker is running", err=True
        )
    elif not delivery.is_good:
        click.echo("the area took none of them", err=True)
