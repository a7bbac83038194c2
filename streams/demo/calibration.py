"""The calibration of the demo's area in the background."""

from __future__ import annotations

from collections.abc import Sequence

from streams.demo.children import Child, Children


class BackgroundCalibration:
    """The `hotspots` commands that calibrate the area on its history, one after the other, at the lowest priority."""

    def __init__(self, children: Children, commands: Sequence[list[str]]) -> None:
        self._children = children
        self._waiting = list(commands)
        self._child: Child | None = None
        self.failure = ""
        """Why there is no calibration, one line; empty as long as none of the commands has failed."""

    def advance(self) -> bool:
        """Start the next command if none is running; return whether all have ended, or one has failed."""
        if self._child is not None:
            if self._child.is_running:
                return False
            if self._child.process.returncode != 0:
                self.failure = self._child.last_lines
                return True
        if not self._waiting:
            return True
        self._child = self._children.launch("the calibration", *self._waiting.pop(0), is_background=True)
        return False

    def stop(self) -> None:
        """Stop the command that is running, and start no other."""
        self._waiting.clear()
        if self._child is not None:
            self._children.stop(self._child)
