"""Faults of workers: killed, frozen, two of one name, coming and going."""

from __future__ import annotations

import random

from benchmarks.faults.fault import Setting, fault
from benchmarks.faults.stage import SESSION_S, Stage

STARTING_S, AT_WORK_S = (0.5, 5.0), (0.0, 3.0)
"""Shortest and longest life of a worker that is killed, in seconds: every other one counts from its start, the others
from the moment at which it serves its metrics, so that kills fall into start, rebuild, scan and transaction."""


@fault("no fault")
def nothing(stage: Stage) -> None:
    """Nothing happens: the row that shows what the others are compared with."""
    stage.hold(stage.form.away_s / 4)


@fault("worker killed at {kills} moments (SIGKILL)", rule="HotspotsWorkerRestarts")
def killed(stage: Stage) -> None:
    """Each life is of another length."""
    chance = random.Random(23)
    for life in range(stage.form.kills):
        former = stage.worker.process
        if life % 2:
            stage.hold_served(chance.uniform(*AT_WORK_S))
        else:
            stage.hold(chance.uniform(*STARTING_S))
        stage.worker.kill()
        while stage.worker.process is former:
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
