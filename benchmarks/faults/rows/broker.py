"""Faults of brokers: killed, frozen, without room, and leaders that move."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from benchmarks.faults.fault import Setting, fault
from benchmarks.faults.stage import Stage

DISK_MB = 160


@fault("broker killed (SIGKILL), back after 10 s", rule="HotspotsKafkaAway")
def killed(stage: Stage) -> None:
    """The broker loses what is not on its disk yet, its clients their connections."""
    stage.kafka.kill()
    stage.hold(10.0)
    stage.kafka.start()


@fault("broker killed and away for {away_s:.0f} s", rule="HotspotsKafkaAway")
def away(stage: Stage) -> None:
    """Every connection is refused."""
    stage.kafka.kill()
    stage.hold(stage.form.away_s)
    stage.kafka.start()


@fault("broker frozen for {away_s:.0f} s (SIGSTOP)", rule="HotspotsKafkaAway")
def frozen(stage: Stage) -> None:
    """Connections stay, and nothing answers."""
    os.kill(stage.kafka.process.pid, signal.SIGSTOP)
    stage.hold(stage.form.away_s)
    os.kill(stage.kafka.process.pid, signal.SIGCONT)


@fault("broker's disk full for {away_s:.0f} s", rule="HotspotsKafkaAway", setting=Setting(disk_mb=DISK_MB))
def disk_full(stage: Stage) -> None:
    """A broker that cannot write ends; it comes back once there is room."""
    ballast = stage.kafka.directory / "data" / "ballast"
    fill(ballast)
    stage.hold(stage.form.away_s)
    ballast.unlink()
    stage.kafka.kill()
    stage.kafka.start()


def fill(ballast: Path) -> None:
    """Fill the file system that the file lies on."""
    with ballast.open("wb", buffering=0) as file:
        size = 2**20
        while size >= 512:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


@fault("leaders move: two of three brokers killed in turn", setting=Setting(brokers=3))
def leaders_move(stage: Stage) -> None:
    """Two copies are left at any time, so Kafka goes on with other leaders."""
    for broker in stage.brokers[1:]:
        broker.kill()
        stage.hold(stage.form.away_s / 4)
        broker.start()
        stage.hold(stage.form.away_s / 4)
