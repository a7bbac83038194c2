"""A thread that runs beside the worker, from its start to its end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class BackgroundThread(ABC):
    """A thread that runs :meth:`_run`, which must return once ``_stopping`` is set."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread. The services that it needs can still be unavailable."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and return once its work is finished or given up."""
        self._stopping.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Do the thread's work."""
