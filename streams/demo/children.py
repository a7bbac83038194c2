"""Child processes of the demo."""

from __future__ import annotations

import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from streams.demo.summary import DemoError
from streams.local_services.service import HOST


@dataclass
class Child:
    """A process of our own; ``may_end`` once its work is done or it was told to stop."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    may_end: bool = False

    def check(self) -> None:
        """Raises `DemoError` if it has ended and should not have."""
        code = self.process.poll()
        if code is not None and (code != 0 or not self.may_end):
            lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
            last = " | ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])
            raise DemoError(f"{self.name} ended by itself (exit code {code}): {last or 'nothing was logged'}")

    def stop(self) -> None:
        """SIGTERM; SIGKILL if that does not end it."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=5):
            return True
    except OSError:
        return False


STOP_S = 10.0


LOG_LINES = 3
