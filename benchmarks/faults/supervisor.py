"""A process of the monitor under a supervisor that starts it again, as compose and systemd do."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping

import httpx
import psutil

from tests.integration.worker_process import Deployment, WorkerProcess

RESTART_S = 1.0
"""Time between the end of a process and its next start, in seconds."""
CHECK_S = 0.1
LEAVE_S = 45.0
"""Time limit for a process to end in order, in seconds."""
ANSWER_S = 5.0
"""Time limit for an answer over HTTP, in seconds."""


class Supervised:
    """A process that runs until :meth:`stop`, whatever ends it. ``ends``: the exit codes so far.

    ``environ`` and ``fault`` (of the worker for tests) hold from the next start on.
    """

    def __init__(
        self, site: Deployment, instance: str, environ: Mapping[str, str], command: str = "worker", fault: str = ""
    ) -> None:
        self._site = site
        self.instance = instance
        self.environ = dict(environ)
        self.command = command
        self.fault = fault
        self.ends: list[int] = []
        self._stopping = threading.Event()
        self._may_run = threading.Event()
        self._may_run.set()
        self._port = 0
        self._client = httpx.Client(timeout=ANSWER_S, verify=False, trust_env=False)
        self.process = self._started()
        self._thread = threading.Thread(target=self._supervise, name=f"supervisor of {instance}", daemon=True)
        self._thread.start()

    @property
    def log(self) -> str:
        """What the process has logged, in all its lives."""
        return self.process.log.read_text(errors="replace")

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.process.kill()

    def freeze(self) -> None:
        """Send SIGSTOP."""
        os.kill(self.process.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Send SIGCONT."""
        os.kill(self.process.process.pid, signal.SIGCONT)

    def restart(self) -> None:
        """End the process in order; the supervisor starts it again."""
        ends = len(self.ends)
        self.process.process.terminate()
        while len(self.ends) == ends:
            time.sleep(CHECK_S)
        self.ends.pop()  # it was wanted

    def halt(self) -> None:
        """End the process in order and leave it ended until :meth:`resume`."""
        self._may_run.clear()
        ends = len(self.ends)
        while self.process.process.poll() is None:  # unless it has just ended by itself
            self.process.process.terminate()
            time.sleep(2 * CHECK_S)
        del self.ends[ends:]  # it was wanted

    def resume(self) -> None:
        """Let the process run again."""
        self._may_run.set()

    def stop(self) -> int:
        """End the process for good; returns its exit code."""
        self._stopping.set()
        self._thread.join()
        self._client.close()
        child = self.process.process
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                child.kill()
        return child.wait()

    def asked(self, path: str) -> tuple[int, str]:
        """Status and body of an answer over HTTP; status 0 if there is none."""
        try:
            self._port = self._port or next(iter(self.process.ports()), 0)
            if self._port:
                answer = self._client.get(f"http://127.0.0.1:{self._port}{path}")
                return answer.status_code, answer.text
        except (psutil.Error, httpx.HTTPError):
            self._port = 0
        return 0, ""

    def is_ready(self) -> bool:
        """Whether ``/readyz`` says so; the console has ``/healthz`` alone."""
        return self.asked("/healthz" if self.command == "console" else "/readyz")[0] == 200

    def _started(self) -> WorkerProcess:
        self._port = 0
        return WorkerProcess(self._site, self.fault, self.instance, self.environ, self.command)

    def _supervise(self) -> None:
        while not self._stopping.wait(CHECK_S):
            code = self.process.process.poll()
            if code is None:
                continue
            self.ends.append(code)
            self._stopping.wait(RESTART_S)
            while not self._may_run.wait(CHECK_S) and not self._stopping.is_set():
                pass
            if not self._stopping.is_set():
                self.process = self._started()
