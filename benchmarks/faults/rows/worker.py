"""Faults of workers: killed, frozen, two of one name, coming and going."""

from __future__ import annotations

import random

from benchmarks.faults.fault import Setting, fault
from benchmarks.faults.stage import SESSION_S, Stage

LIFE_S = (0.5, 6.0)
"""Shortest and longest life of a worker that is killed, in seconds: from its start through rebuild and scans."""


@fault("no fault")
def nothing(stage: Stage) -> None:
    """Nothing happens: the row that shows what the others are compared with."""
    stage.hold(stage.form.away_s / 4)


@fault("worker killed at {kills} moments (SIGKILL)", rule="HotspotsWorkerRestarts")
def killed(stage: Stage) -> None:
    """Each life is of another length, so that the kills fall into start, rebuild, scan and transaction."""
    chance = random.Random(23)
    lives = 0
    while lives < stage.form.kills:
        pid = stage.worker.process.process.pid
        stage.hold(chance.uniform(*LIFE_S))
        if stage.worker.process.process.pid == pid:
            stage.worker.kill()
            lives += 1
        while stage.worker.process.process.pid == pid:
            stage.hold(0.05)


@fault("worker frozen and woken, no other (SIGSTOP)", rule="HotspotsNoWorker")
def frozen_alone(stage: Stage) -> None:
    """The group gives its partitions to nobody."""
    stage.worker.freeze()
    stage.hold(stage.form.away_s)
    stage.worker.wake()


@fault("worker frozen and woken, another takes over (SIGSTOP)", rule="HotspotsWorkerDown", setting=Setting(workers=2))
def frozen(stage: Stage) -> None:
    """The woken worker believes that it still owns its partitions."""
    stage.worker.freeze()
    stage.hold(stage.form.away_s)
    stage.worker.wake()


@fault("two workers with the same id", rule="HotspotsWorkerRestarts")
def same_id(stage: Stage) -> None:
    """One of the two has to leave, and says why."""
    twin = stage.another(stage.worker.instance)
    stage.hold(stage.form.away_s)
    stage.leave(twin)


@fault("workers join and leave, four times")
def coming_and_going(stage: Stage) -> None:
    """The partitions move to and fro."""
    for number in range(4):
        other = stage.another(f"w{number + 2}")
        stage.hold(max(SESSION_S, stage.form.away_s / 8))
        stage.leave(other)
