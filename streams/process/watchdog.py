"""Ends a process whose parts have died quietly, so that its supervisor starts it anew."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from streams.process.background_thread import BackgroundThread

STALLED = 4
"""Exit code of a process that the watchdog has ended."""

CHECK_S = 1.0

log = logging.getLogger(__name__)


def end_within(seconds: float, code: int, tidy: Callable[[], object]) -> None:
    """Let the process end by itself; after so long it is ended hard, tidied, with the code that it would have had."""

    def end() -> None:
        log.warning(
            "not everything has ended within %g s of leaving; it is ended, and what is on record stays", seconds
        )
        tidy()
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


class Watchdog(BackgroundThread):
    """A thread that asks ``stalled`` every second; an answer other than None, one line, is logged and ends the process.

    The process is ended hard: whatever has stalled could not be stopped in order.
    """

    def __init__(self, stalled: Callable[[], str | None]) -> None:
        self._stalled = stalled
        super().__init__("watchdog")

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_S):
            reason = self._stalled()
            if reason is not None:
                log.critical("%s; leaving, to be started anew", reason)
                logging.shutdown()
                os._exit(STALLED)
