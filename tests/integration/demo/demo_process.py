"""A demo as a process of a test."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from pathlib import Path

import psutil

from tests.integration.worker_process import HOTSPOTS, until


class Demo:
    """A running demo, its output so far, and every process that it has started."""

    def __init__(self, folder: Path, *arguments: str | Path, terminal: bool = False) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._output = folder / "output.txt"
        self._errors = folder / "errors.txt"
        self._terminal: int | None = None
        if terminal:
            self._terminal, output = pty.openpty()
        else:
            output = os.open(self._output, os.O_CREAT | os.O_WRONLY)
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [HOTSPOTS, "demo", *arguments],
                stdout=output,
                stderr=errors,
                env=os.environ | {"TMPDIR": str(self.temporary), "COLUMNS": "120", "TERM": "xterm"},
            )
        os.close(output)
        self._shown = ""
        self._children: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        if self._terminal is None:
            return self._output.read_text()
        with contextlib.suppress(OSError):  # raised once the process at the other end has ended
            self._shown += os.read(self._terminal, 65_536).decode(errors="replace")
        return self._shown

    def wait_for(self, text: str, deadline_s: float = 90) -> None:
        """Wait until it has printed a text; notes its children meanwhile."""

        def shown() -> bool:
            self._note_children()
            assert text in self.output or self.process.poll() is None, self._errors.read_text()
            return text in self.output

        until(shown, f"{text!r} in the output", deadline_s)

    def child(self, word: str) -> psutil.Process:
        """The child with a word in its command line."""
        self._note_children()
        return next(child for child in self._children if child.is_running() and word in child.cmdline())

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, output, errors."""

        def ended() -> bool:
            self._note_children()
            return bool(self.output) and self.process.poll() is not None

        until(ended, "the end", 120)
        return self.process.returncode, self.output, self._errors.read_text()

    def left_behind(self) -> list[object]:
        """Processes and files that are still there."""
        _, alive = psutil.wait_procs(self._children, timeout=5)
        return [*alive, *self.temporary.rglob("*")]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        if self._terminal is not None:
            os.close(self._terminal)

    def _note_children(self) -> None:
        if self.process.poll() is None:
            self._children.update(psutil.Process(self.process.pid).children(recursive=True))
