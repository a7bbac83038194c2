"""The repair after a topic was lost or its partitions were changed: copy the inputs (``docs/how-to/recover.md``)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import stamina
from kafka.consumer.fetcher import ConsumerRecord

from benchmarks.faults.stage import START_S, Stage
from tests.integration.worker_process import HOTSPOTS, until

PREFIX = "v2-"
COPIED_S = 120.0
"""Time limit for the copy, in seconds; a worker that was stopped is a member of its group for a few seconds more."""


def copy_inputs(stage: Stage, partitions: int = 2, lost: Sequence[ConsumerRecord] = ()) -> None:
    """Derive everything from the inputs again, in topics of another prefix; the feed sends ``lost`` incidents again."""
    console, webhook, workers = stage.console, stage.webhook, stage.workers
    with stage.feed.paused():
        for each in stage.processes:
            each.halt()
        copy(stage, partitions)
        stage.move(PREFIX, partitions)
        stage.redis.flushall()
        webhook.resume()
        until(webhook.is_ready, "the webhook reads alerts", START_S)
        for each in (console, *workers):
            each.resume()
        stage.feed.repeat(lost)


@stamina.retry(on=subprocess.CalledProcessError, attempts=None, timeout=COPIED_S, wait_max=2.0)
def copy(stage: Stage, partitions: int) -> None:
    """Run the command, again while the group has members."""
    command: list[str | Path] = [HOTSPOTS, "copy-inputs", "--config", stage.site.file, "--to-prefix", PREFIX]
    subprocess.run([*command, "--partitions", str(partitions)], cwd=stage.folder, check=True, capture_output=True)
