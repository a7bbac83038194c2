"""One row: set the stage, inflict the fault, wait until all is well again, judge."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
from kafka.errors import KafkaError
from redis import RedisError

from benchmarks.faults.fault import Fault, Form
from benchmarks.faults.feed import LIVE, STEADY
from benchmarks.faults.observe import CHANNELS, Observer, Word
from benchmarks.faults.stage import Stage
from benchmarks.faults.verdict import Verdict, judge, missing_in_redis
from streams.messages.scan import decode_scan
from tests.integration.worker_process import until

READY_S = 120.0
RECOVERY_S = 240.0
"""Time limit for everything to be well again after a fault has ended, in seconds."""


class Row(msgspec.Struct, kw_only=True):
    """What was measured: ``lasted_s`` from the begin of the fault to its end, ``recovered_s`` from there until every
    incident is on record, every worker ready and Redis complete (None: not within the limit). ``ends``: exit codes.
    """

    name: str
    family: str
    lasted_s: float
    recovered_s: float | None
    verdict: Verdict
    words: list[Word]
    ends: list[int]
    failure: str = ""

    @classmethod
    def failed(cls, fault: Fault, failure: str) -> Row:
        """Return the row of a fault that could not be inflicted."""
        return cls(
            name=fault.name,
            family=fault.family,
            lasted_s=0.0,
            recovered_s=None,
            verdict=Verdict(),
            words=[],
            ends=[],
            failure=failure,
        )

    def firsts(self) -> list[Word]:
        """Return the first word of each channel that spoke."""
        found = (next((each for each in self.words if each.channel == channel), None) for channel in CHANNELS)
        return [each for each in found if each is not None]


def run(fault: Fault, form: Form) -> Row:
    """Inflict a fault on a stage of its own and return what became of it."""
    with (
        tempfile.TemporaryDirectory(prefix="hotspots-fault-", ignore_cleanup_errors=True) as folder,
        Stage(Path(folder), fault, form) as stage,
        Observer(stage) as observer,
    ):
        prepare(stage)
        stage.site.close()
        observer.begin()
        stage.feed.pace(form.away_s)
        fault.inflict(stage)
        lasted_s = observer.elapsed_s()
        stage.feed.finish()
        recovered_s = settled_after(stage)
        ends = [code for each in stage.processes for code in each.ends]
        words = observer.words()
        inputs = stage.inputs if stage.inputs is not None else stage.site.read("incidents")
        verdict = judge(stage.site, inputs, stage.redis, stage.desk.fired, is_exact=fault.is_exact)
        if len(inputs) < stage.feed.sent:
            verdict.notes.append(f"{stage.feed.sent} records sent, {len(inputs)} in the topic")
    return Row(
        name=fault.name,
        family=fault.family,
        lasted_s=round(lasted_s, 1),
        recovered_s=None if recovered_s is None else round(recovered_s, 1),
        verdict=verdict,
        words=words,
        ends=ends,
    )


def prepare(stage: Stage) -> None:
    """Send the first share of the feed and wait until it is on record, in Redis and on the page."""
    for each in stage.processes:
        until(each.is_ready, f"{each.instance} is ready", READY_S)
    stage.feed.start()
    last = stage.feed.sent // 2 - 2  # the steady area's last tick is still open
    until(lambda: len(stage.site.read("incidents")) == stage.feed.sent, "the feed is in Kafka", READY_S)
    until(lambda: sum(stage.site.covered().values()) > 0, "scans are on record", READY_S)
    until(lambda: all(at >= last for at in _read(stage).values()), "the first share is on record", READY_S)
    until(lambda: is_copied(stage), "Redis is complete", READY_S)


def _read(stage: Stage) -> dict[str, int]:
    scans = stage.site.scans()
    return {area: decode_scan(scans[area][-1]).accounts.read if area in scans else 0 for area in (STEADY, LIVE)}


def settled_after(stage: Stage) -> float | None:
    """Return the seconds until everything is well again; None if it is not within the limit."""
    began_s = time.monotonic()
    checks: tuple[Callable[[], bool], ...] = (
        stage.site.is_covered,
        lambda: all(each.is_ready() for each in stage.processes),
        lambda: is_copied(stage),
    )
    while time.monotonic() - began_s < RECOVERY_S:
        try:
            if all(check() for check in checks):
                return time.monotonic() - began_s
        except (KafkaError, RedisError, OSError):
            stage.site.close()
        time.sleep(0.2)
    return None


def is_copied(stage: Stage) -> bool:
    """Return whether Redis holds what the topic ``alerts`` holds."""
    written: dict[str, list[bytes]] = defaultdict(list)
    for record in stage.site.read("alerts"):
        written[(record.key or b"").decode()].append(record.value)
    return not any(missing_in_redis(stage.redis, area, written[area]) for area in (STEADY, LIVE))
