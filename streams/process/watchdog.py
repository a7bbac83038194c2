"""Ends a process if a part of it has stalled without an error, so that its supervisor starts it again."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from streams.process.background_thread import BackgroundThread

STALLED = 4
"""Exit code of a process that the watchdog ended."""
CHECK_S = 1.0
"""Interval between two checks, in seconds."""

log = logging.getLogger(__name__)


def end_within(seconds: float, code: int, tidy: Callable[[], object]) -> None:
    """Let the process end on its own. After ``seconds``, call ``tidy`` and end it at once with exit code ``code``."""

    def end() -> None:
        log.warning("did not end within %g s and is killed; everything on record is kept", seconds)
        tidy()
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


class Watchdog(BackgroundThread):
    """A thread that calls ``stalled`` every second. If that gives a reason, it logs the reason and ends the process.

    A reason is one line. The process ends at once, because a part that has stalled cannot be stopped in order.
    """

    def __init__(self, stalled: Callable[[], str | None]) -> None:
        self._stalled = stalled
        super().__init__("watchdog")

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_S):
            reason = self._stalled()
            if reason is not None:
                log.critical("%s; exiting, to be restarted", reason)
                logging.shutdown()
                os._exit(STALLED)
