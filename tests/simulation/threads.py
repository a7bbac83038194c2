"""The threads, events, locks and timers of Python, as the shell uses them, on fibers of a scheduler."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.scheduler import Fiber, Scheduler

PATIENT_S = 1.0
"""Time-out of a wait from which on its part looks for nothing that arrives, in seconds."""
_present: list[Scheduler] = []


def scheduler() -> Scheduler:
    """Return the scheduler of the simulated world that runs."""
    return _present[-1]


class Event:
    """``threading.Event``."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[Fiber] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        if not _present:
            return  # the world is gone
        for fiber in waiting:
            scheduler().wake(fiber)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set and timeout != 0:
            fiber = scheduler().fiber
            self._waiting.append(fiber)
            scheduler().look_later(timeout, is_patient=timeout is not None and timeout >= PATIENT_S)
            if fiber in self._waiting:
                self._waiting.remove(fiber)
        return self._is_set


class Lock:
    """``threading.Lock``."""

    def __init__(self) -> None:
        self._owner: Fiber | None = None
        self._waiting: deque[Fiber] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._owner is None:
            self._owner = scheduler().fiber
            return True
        if not blocking:
            return False
        fiber = scheduler().fiber
        self._waiting.append(fiber)
        scheduler().pause(None if timeout < 0 else timeout)
        if self._owner is fiber:
            return True
        self._waiting.remove(fiber)
        return False

    def release(self) -> None:
        self._owner = self._waiting.popleft() if self._waiting else None
        if self._owner is not None:
            scheduler().wake(self._owner)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Thread:
    """``threading.Thread``."""

    def __init__(
        self,
        target: Callable[..., object],
        name: str = "thread",
        args: tuple[Any, ...] = (),
        daemon: bool | None = None,
    ) -> None:
        self._target, self._name, self._args = target, name, args
        self._fiber: Fiber | None = None
        self._ended = Event()

    def start(self) -> None:
        process = scheduler().fiber.process
        self._fiber = scheduler().spawn(process, f"{process.name}/{self._name}", self._run)

    def _run(self) -> None:
        self._target(*self._args)
        self._ended.set()

    def is_alive(self) -> bool:
        return self._fiber is not None and not self._fiber.is_done

    def join(self, timeout: float | None = None) -> None:
        if self.is_alive():
            self._ended.wait(timeout)


class Timer(Thread):
    """``threading.Timer``."""

    def __init__(self, interval: float, function: Callable[[], object]) -> None:
        super().__init__(self._later, "timer")
        self._interval, self._function = interval, function
        self._is_cancelled = False

    def _later(self) -> None:
        scheduler().sleep(self._interval)
        if not self._is_cancelled:
            self._function()

    def cancel(self) -> None:
        self._is_cancelled = True


class SimulatedThreading:
    """The module ``threading``."""

    Event, Lock, Thread, Timer = Event, Lock, Thread, Timer


class SimulatedTime:
    """The module ``time``; a process that has a wrong clock sees a wrong time."""

    perf_counter = staticmethod(time.perf_counter)

    @staticmethod
    def time() -> float:
        process = scheduler().process
        return scheduler().now_s + (process.skew_s if process else 0.0)

    @staticmethod
    def monotonic() -> float:
        return scheduler().now_s

    @staticmethod
    def sleep(seconds: float) -> None:
        scheduler().sleep(seconds)


class Loop(asyncio.BaseEventLoop):
    """An event loop of asyncio in a fiber; other threads of its process are fibers, too."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._clock_resolution = 1e-3  # finer than a float shows of the seconds since 1970
        self._woken = False
        self._fiber: Fiber | None = None

    def time(self) -> float:
        return scheduler().now_s

    def select(self, timeout: float | None) -> list[Any]:
        """Stand in for a selector: wait until a callback is due or comes from another thread."""
        if not self._woken and timeout != 0:
            self._fiber = scheduler().fiber
            try:
                scheduler().look_later(timeout)
            finally:
                self._fiber = None
        self._woken = False
        return []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report nothing of tasks that die with their process."""

    def __del__(self) -> None:
        """Go without a warning, when the process was killed."""

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._woken = True
        if self._fiber is not None:
            scheduler().wake(self._fiber)

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        scheduler().fiber.process.on_signal = callback

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future: asyncio.Future[Any] = self.create_future()
        process = scheduler().fiber.process

        def finish(set_: Callable[[Any], None], value: Any) -> None:
            if not future.cancelled():
                set_(value)

        def run() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 (the future has it)
                self.call_soon_threadsafe(finish, future.set_exception, error)
            else:
                self.call_soon_threadsafe(finish, future.set_result, result)

        scheduler().spawn(process, f"{process.name}/executor", run)
        return future


@contextmanager
def simulated(world: Scheduler, packages: tuple[str, ...] = ("streams.",)) -> Iterator[None]:
    """Let the modules of the packages see simulated threads and time."""
    stand_ins: dict[Any, Any] = {threading: SimulatedThreading, time: SimulatedTime}
    changed = []
    for name, module in list(sys.modules.items()):
        if name.startswith(packages):
            for attribute in ("threading", "time"):
                real = getattr(module, attribute, None)
                if real in (threading, time):
                    changed.append((module, attribute, real))
                    setattr(module, attribute, stand_ins[real])
    _present.append(world)
    try:
        yield
    finally:
        _present.pop()
        for module, attribute, real in changed:
            setattr(module, attribute, real)
