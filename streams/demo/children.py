"""Child processes of the demo, and a probe over HTTP."""

from __future__ import annotations

import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from streams.demo.summary import DemoError

STOP_S = 10.0
"""Time limit for a child to end after SIGTERM, in seconds."""
LOG_LINES = 3
"""Number of last lines of a child's log that an error quotes."""


@dataclass
class Child:
    """A child process. ``may_end``: whether it may end now, normally or because it was stopped."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    may_end: bool = False

    def check(self) -> None:
        """Raise DemoError if the child has ended unexpectedly."""
        code = self.process.poll()
        if code is not None and (code != 0 or not self.may_end):
            lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
            last = " | ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])
            raise DemoError(f"{self.name} ended unexpectedly (exit code {code}): {last or 'nothing was logged'}")

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the child has not ended after ``STOP_S``."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def is_ok(address: str) -> bool:
    """Whether a GET of ``http://<address>`` succeeds."""
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5):
            return True
    except OSError:
        return False
