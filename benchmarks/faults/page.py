"""The page ``docs/reliability.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks._machine import description
from benchmarks.faults.fault import FAMILIES, FAULTS, FULL, Fault
from benchmarks.faults.observe import Channel
from benchmarks.faults.row import Row

REPORTED_S = 60.0
"""Time limit for the report of a fault, in seconds."""
SPEAKING: tuple[Channel, ...] = ("metric", "health", "page")
"""The channels of which one must report a fault in time. People read a log only once they know of a fault."""
TITLES = {
    "worker": "Workers",
    "broker": "Brokers",
    "network": "Network",
    "redis": "Redis",
    "clocks": "Clocks",
    "records": "Records",
    "topics": "Topics and positions",
    "configuration": "Configuration",
    "transactions": "Transactions",
}
HEAD = """\
# Reliability

What happens to incidents and alerts when something fails, measured on real Kafka and Valkey by `make faults`. Each row
has its own servers and processes: a broker (three where leaders move), Redis, a worker, the console, the webhook and an
on-call tool. Two areas are fed before, during and after the fault. Then everything that was written is checked. For the
area on a watermark clock, it must equal, byte for byte, what a Monitor makes of the same records without any fault. For
the area on a wall clock, it must equal what is derived again from the log. The chain of digests and the accounts of
every record are verified, and Redis and the on-call tool are compared with the topic `alerts`.

- *lost*, *doubled*: number of incidents and revisions of alerts that are missing, or that are there twice. An incident
  is lost if no scan record accounts for it.
- *well again*: time from the end of the fault until every incident is on record, every process is ready, and Redis is
  complete.
- *reported*: the first report by a metric, by a health check, by the console's page and by the log, each with the time
  since the beginning of the fault. A supervisor starts a process again one second after that process ends.

How to read the tables:

- While Redis is away, `/readyz` of a worker stays 200: the worker reads and scans as usual, and its alerts wait in
  Kafka. A restart would not help. The metric, the page and the rule HotspotsRedisAway report it.
- Half-open connections to Redis cost 2 s: then the worker opens new ones. No alert waits, so the worker's metric does
  not fall. The page loses its connection for the same 2 s.
- While leaders move, Kafka still answers, but a transaction can wait. The worker reports this after 25 s. The time in
  the table counts from the first kill, not from the moment when a transaction begins to wait.
- Where the topic `incidents`, `scans`, `responses` or `alerts` is lost, or partitions are added, the row includes the
  [documented repair](how-to/recover.md#copy-the-inputs) with `hotspots copy-inputs`. The feed then sends the lost
  incidents again.
- A log of an earlier version has no row here: `tests/integration/worker/test_take_over.py` takes one over.

"""


def page(rows: Sequence[Row]) -> str:
    """Return the page in Markdown."""
    by_name = {row.name: row for row in rows}
    known = [(fault, row) for fault in FAULTS.values() if (row := by_name.get(fault.name))]
    short = [(fault, row, why) for fault, row in known if (why := shortcomings(fault, row))]
    text = HEAD + f"{len(known)} faults, {len(known) - len(short)} survived: nothing lost, doubled or unreported."
    text += " Those that fall short:\n\n" if short else "\n"
    text += "".join(f"- {row.title}: {'; '.join(why)}\n" for _, row, why in short)
    missing = [each.name.format(**FULL._asdict()) for each in FAULTS.values() if each.name not in by_name]
    text += f"\nNot measured yet: {'; '.join(missing)}.\n" if missing else ""
    text += "\n![Each fault, the time until all is well again, and when it is reported](images/reliability.svg)\n"
    for family in FAMILIES:
        mine = [(fault, row) for fault, row in known if row.family == family]
        if mine:
            text += f"\n## {TITLES[family]}\n\n| fault | lost | doubled | well again | reported | alert rule |\n"
            text += "| --- | ---: | ---: | ---: | --- | --- |\n"
            text += "".join(line(fault, row) for fault, row in mine)
    times = sorted(row.measured_at for row in rows)
    span = f"{times[0]:%Y-%m-%d %H:%M} to {times[-1]:%H:%M} UTC"
    return text + f"\nMeasured {span} on {description()}. Written by `make faults`.\n"


def line(fault: Fault, row: Row) -> str:
    """Return a line of the table."""
    if row.failure:
        return f"| {row.title} | | | | not run: {escaped(row.failure)} | |\n"
    again = "not within 4 min" if row.recovered_s is None else f"{row.recovered_s:.0f} s"
    reported = "<br>".join(f"{each.channel}: {escaped(each.text)}, {each.after_s:.0f} s" for each in row.firsts())
    rule = f"[{fault.rule}](runbooks/{fault.rule}.md)" if fault.rule else "none"
    found = row.verdict
    return f"| {row.title} | {found.lost} | {found.doubled} | {again} | {reported or 'nothing'} | {rule} |\n"


def shortcomings(fault: Fault, row: Row) -> list[str]:
    """Return what a fault cost, and whether it was reported too late."""
    if row.failure:
        return [f"not run: {escaped(row.failure)}"]
    found = row.verdict
    counts = (
        (found.lost, "lost"),
        (found.doubled, "doubled"),
        (found.wrong, "not as in an undisturbed run"),
        (found.underivable, "alerts that cannot be derived again"),
        (found.not_shown, "not in Redis as in Kafka"),
        (found.undetected, "bursts without an alert"),
        (found.not_notified, "alerts of which the on-call tool was not notified"),
    )
    why = [f"{number} {what}" for number, what in counts if number]
    why += [f"costs {fault.costs}"] if why and fault.costs else []
    why += ["not well again within 4 minutes"] if row.recovered_s is None else []
    is_due = bool(fault.rule) and row.lasted_s > REPORTED_S / 2
    is_reported = any(word.channel in SPEAKING and word.after_s <= REPORTED_S for word in row.words)
    why += [f"not reported within {REPORTED_S:.0f} s"] if is_due and not is_reported else []
    return why + [escaped(each) for each in found.notes[:2]]


def escaped(text: str) -> str:
    """Return a text that stays in its table cell and that Markdown does not format."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'").split())


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Write the page into ``docs``."""
    (folder / "reliability.md").write_text(page(rows))
