"""A thread that runs beside the worker, from its start to its end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class BackgroundThread(ABC):
    """Starts and stops its thread, in which :meth:`_run` goes on until ``_stopping`` is set."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; what it needs need not be there yet."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when what is under way is finished or given up."""
        self._stopping.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """The thread's work."""
