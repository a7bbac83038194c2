"""One row: set the stage, inflict the fault, wait until all is well again, judge."""

from __future__ import annotations

import errno
import json
import tempfile
import time
from pathlib import Path

import stamina
from kafka.errors import KafkaError
from redis import RedisError

from benchmarks.faults.fault import Fault, Form
from benchmarks.faults.feed import LIVE, STEADY
from benchmarks.faults.observe import Observer, problems_on_page
from benchmarks.faults.row import Row
from benchmarks.faults.stage import Stage
from benchmarks.faults.verdict import by_area, is_open, judge, missing_in_redis, revision, unnotified
from streams.local_services.kafka_jars import LocalServiceError
from streams.messages.scan import decode_scan
from tests.integration.worker_process import until

READY_S = 120.0
RECOVERY_S = 240.0
"""Time limit for everything to be well again after a fault has ended, in seconds."""
CHECK_S = 0.5


def is_port_taken(error: Exception) -> bool:
    """Return whether a server or a proxy did not start: another process can take a port that was free."""
    return isinstance(error, LocalServiceError) or (isinstance(error, OSError) and error.errno == errno.EADDRINUSE)


@stamina.retry(on=is_port_taken, attempts=3)
def run(fault: Fault, form: Form) -> Row:
    """Inflict a fault on a stage of its own and return what became of it.

    It begins again if a port was taken, also that of a server which was away at the moment.
    """
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
        recovered_s, waiting = settled_after(stage)
        ends = [code for each in stage.processes for code in each.ends]
        words = observer.words()
        inputs = stage.records("incidents")
        verdict = judge(
            stage.site, inputs, stage.records("alerts"), stage.redis, stage.desk.fired, is_exact=fault.is_exact
        )
        verdict.notes += [waiting] if waiting else []
        if len(inputs) < stage.feed.sent:
            verdict.notes.append(f"{stage.feed.sent} records sent, {len(inputs)} in the topic")
    return Row(
        name=fault.name,
        title=fault.name.format(**form._asdict()),
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
    until(lambda: all(at >= last for at in _read(stage).values()), "the first share is on record", READY_S)
    until(lambda: is_copied(stage), "Redis is complete", READY_S)
    until(lambda: not problems_on_page(stage.console), "the page shows that all is well", READY_S)


def _read(stage: Stage) -> dict[str, int]:
    scans = stage.site.scans()
    return {area: decode_scan(scans[area][-1]).accounts.read if area in scans else 0 for area in (STEADY, LIVE)}


def settled_after(stage: Stage) -> tuple[float | None, str]:
    """Return the seconds until everything is well again; None if it is not within the limit, and what is not."""
    began_s, waiting = time.monotonic(), ""
    while time.monotonic() - began_s < RECOVERY_S:
        try:
            waiting = unsettled(stage)
        except (KafkaError, RedisError, OSError) as error:
            waiting = f"{type(error).__name__}: {error}"
            stage.site.close()
        if not waiting:
            return time.monotonic() - began_s, ""
        time.sleep(CHECK_S)
    return None, waiting


def unsettled(stage: Stage) -> str:
    """Return what is not well, in a few words; empty if all is."""
    if not stage.site.is_covered():
        return f"incidents wait to be scanned: {stage.site.covered()}"
    waiting = [each.instance for each in stage.processes if not each.is_ready()]
    if waiting:
        return f"not ready: {', '.join(waiting)}"
    if not is_copied(stage):
        return "Redis is not as Kafka"
    if not is_on_page(stage):
        return "the console does not show the open alerts of Kafka"
    waiting_calls = sum(unnotified(area, values, stage.desk.fired) for area, values in written(stage).items())
    return f"{waiting_calls} alerts have not rung" if waiting_calls else ""


def written(stage: Stage) -> dict[str, list[bytes]]:
    """Return the revisions of the topic ``alerts`` by area, those included that a fault removed."""
    return by_area(stage.records("alerts"))


def is_copied(stage: Stage) -> bool:
    """Return whether Redis holds what the topic ``alerts`` holds."""
    present = by_area(stage.site.read("alerts"))
    return not any(
        missing_in_redis(stage.redis, area, values, present[area]) for area, values in written(stage).items()
    )


def is_on_page(stage: Stage) -> bool:
    """Return whether the console shows the alerts that are open by the topic ``alerts``, in their last revisions."""
    last = {revision(value)[0]: value for values in written(stage).values() for value in values}
    still_open = {revision(value) for value in last.values() if is_open(value)}
    status, text = stage.console.asked("/api/alerts?limit=1000")
    features = json.loads(text)["features"] if status == 200 else []
    return status == 200 and {(each["id"], each["properties"]["revision"]) for each in features} == still_open
