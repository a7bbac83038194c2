"""Child processes of the demo, and what they answer over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from streams.demo.summary import DemoError
from streams.local_services.service import LocalService, launch

STOP_S = 10.0
"""Time limit for a child to end after SIGTERM, in seconds."""
LOG_LINES = 3
"""Number of last lines of a child's log that an error quotes."""
NICENESS = 19
"""Niceness of a child in the background: the monitor goes first."""


@dataclass
class Child:
    """A child process. ``may_end``: whether it may end now, normally or because it was stopped."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    may_end: bool = False

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    @property
    def last_lines(self) -> str:
        """The last lines of the log, in one line."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return " | ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:]) or "nothing was logged"

    def check(self) -> None:
        """Raise DemoError if the child has ended unexpectedly."""
        code = self.process.poll()
        if code is not None and (code != 0 or not self.may_end):
            raise DemoError(f"{self.name} ended unexpectedly (exit code {code}): {self.last_lines}")

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the child has not ended after ``STOP_S``."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Children:
    """The child processes that must run now. All are stopped when ``stack`` closes; their logs are in ``folder``."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._watched: list[Child] = []

    def launch(self, name: str, *arguments: str, is_background: bool = False) -> Child:
        """Start a `hotspots` command; returns its process.

        ``is_background``: whether it has the lowest priority, and may fail.
        """
        hotspots = [sys.executable, "-c", "from streams.cli.command import main; main()", *arguments]
        log = self._folder / f"{name.split()[-1]}.log"
        child = Child(name, launch(hotspots, log), log)
        self._stack.callback(child.stop)
        if is_background:
            os.setpriority(os.PRIO_PROCESS, child.process.pid, NICENESS)
        else:
            self._watched.append(child)
        return child

    def start(self, service: LocalService) -> None:
        """Start a server."""
        self._stack.callback(service.stop)
        service.start()
        self._watched.append(Child(service.name, service.process, service.log))

    def stop(self, child: Child) -> None:
        """Stop a child if it still runs. From now on it may have ended."""
        if child in self._watched:
            self._watched.remove(child)
        if child.is_running:
            child.stop()

    def check(self) -> None:
        """Raise DemoError if a child has ended unexpectedly."""
        for child in self._watched:
            child.check()


class Figures(msgspec.Struct, frozen=True):
    """Figures of one area from the metrics endpoint of a worker, which counts from its own start.

    ``chance``: alerts a week that chance opened on null histories, 0 without a calibration.
    """

    read: int = 0
    chance: float = 0.0

    @classmethod
    def scrape(cls, address: str, area: str) -> Figures:
        """Read the figures from ``http://<address>/metrics``. Raises OSError if it does not answer."""
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as response:
            text = response.read().decode()
        number = {"hotspots_records_total": 0.0, "hotspots_chance_alerts_per_week": 0.0}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                estimate = sample.labels.get("estimate", "mean")
                if sample.labels.get("area") == area and sample.name in number and estimate == "mean":
                    number[sample.name] += sample.value
        read, chance = number.values()
        return cls(int(read), chance)


def is_ok(address: str) -> bool:
    """Whether a GET of ``http://<address>`` succeeds."""
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5):
            return True
    except OSError:
        return False
