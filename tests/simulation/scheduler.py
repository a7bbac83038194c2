"""Simulated time: every thread of every process is a fiber, one runs at a time, and the seed decides which.

A fiber runs until it waits: for a time, for an event, for an answer of the broker. Then the fiber with the earliest
wake-up runs. So a day takes as long as its work, and the same seed gives the same day.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

FIRST_LOOK_S = 1.0
"""Shortest wait between two looks of a part that polls, in seconds."""
SLOWER = 8.0
"""Factor by which a part that has found nothing new waits longer before its next look."""
SLOWEST_S = 600.0
"""Longest wait between two looks, in seconds."""


class DeadlockError(Exception):
    """No fiber will ever run again."""


class Process:
    """A process of the simulated world: alive, frozen or gone, with a wall clock that can be wrong."""

    def __init__(self, name: str, skew_s: float = 0.0) -> None:
        self.name = name
        self.skew_s = skew_s
        self.is_alive = True
        self.frozen_until_s = 0.0
        self.exit_code: int | None = None
        self.loop: Any = None
        self.on_signal: Callable[..., object] | None = None
        self.fibers: list[Fiber] = []


class Fiber(greenlet):  # type: ignore[misc]  # the library is untyped
    """A thread of a process. ``turn`` grows with every wait, so that an old wake-up is known as such."""

    def __init__(self, process: Process, name: str, work: Callable[[], object], scheduler: Scheduler) -> None:
        super().__init__(self._run, scheduler.hub)
        self.scheduler = scheduler
        self.process = process
        self.name = name
        self.turn = 0
        self.looks = 0
        self.looked_at = 0
        self.look_s = 0.0
        self.is_patient = False
        self.is_done = False
        self._work = work

    def _run(self) -> None:
        try:
            self._work()
        except GreenletExit:
            pass
        except Exception as error:  # noqa: BLE001 (as in Python, the thread ends; the invariants see it)
            self.scheduler.died.append((self.name, error))
        finally:
            self.is_done = True


class Scheduler:
    """Runs the fibers in the order of their wake-ups. ``now_s``: the true time, in seconds since 1970."""

    def __init__(self, seed: int, begin_s: float) -> None:
        self.now_s = begin_s
        self.chance = random.Random(seed)
        self.hub = getcurrent()
        self.news = 0  # grows whenever a record arrives, or a fault begins or ends
        self.faults = 0  # grows whenever a fault begins or ends
        self.steps = 0
        self.last = ""  # name of the fiber that ran last
        self.died: list[tuple[str, Exception]] = []  # threads that an error ended
        self._queue: list[tuple[float, int, Fiber | None, int, Callable[[], object] | None]] = []
        self._number = itertools.count()
        self._looking: dict[Fiber, None] = {}  # in the order in which they began to wait
        self._until_s = begin_s
        self._after_step: Callable[[], object] = lambda: None
        self._failure: Exception | None = None  # of a check after a step that a fiber did on its own

    # For the world

    def at(self, time_s: float, action: Callable[[], object]) -> None:
        """Do something at a time, between the steps of the fibers."""
        heapq.heappush(self._queue, (time_s, next(self._number), None, 0, action))

    def spawn(self, process: Process, name: str, work: Callable[[], object]) -> Fiber:
        """Start a thread of a process."""
        fiber = Fiber(process, name, work, self)
        process.fibers.append(fiber)
        self._wake_at(fiber, self.now_s)
        return fiber

    def kill(self, process: Process, exit_code: int = -9) -> None:
        """End a process at once; nothing that it would still do has an effect."""
        if not process.is_alive:
            return
        process.is_alive, process.exit_code = False, exit_code
        current = getcurrent()
        for fiber in process.fibers:
            self._looking.pop(fiber, None)
            fiber.turn += 1
            if fiber is not current and not fiber.dead:
                if fiber:  # it has begun
                    fiber.parent = current
                    fiber.throw(GreenletExit)
        if isinstance(current, Fiber) and current.process is process:
            raise GreenletExit

    def freeze(self, process: Process, until_s: float) -> None:
        """Stop a process, as SIGSTOP does, until a time."""
        process.frozen_until_s = until_s

    def stir(self, *, is_fault: bool = True) -> None:
        """Something has happened: parts that poll look again soon, the patient ones only after a fault."""
        self.news += 1
        self.faults += is_fault
        for fiber in [each for each in self._looking if is_fault or not each.is_patient]:
            del self._looking[fiber]
            fiber.looks = 0
            self._wake_at(fiber, self.now_s + max(fiber.look_s, FIRST_LOOK_S))

    def run(self, until_s: float, after_step: Callable[[], object] = lambda: None) -> None:
        """Run everything that is due before a time; call ``after_step`` after each step."""
        queue = self._queue
        self._until_s, self._after_step = until_s, after_step
        while queue and queue[0][0] <= until_s:
            time_s, number, fiber, turn, action = heapq.heappop(queue)
            if fiber is None:
                self.now_s = max(self.now_s, time_s)
                assert action is not None
                action()
            else:
                if fiber.turn != turn or fiber.is_done or not fiber.process.is_alive:
                    continue
                if time_s < fiber.process.frozen_until_s:
                    heapq.heappush(queue, (fiber.process.frozen_until_s, number, fiber, turn, None))
                    continue
                self.now_s = max(self.now_s, time_s)
                fiber.turn += 1
                self._looking.pop(fiber, None)
                self.last = fiber.name
                fiber.switch()
                if self._failure is not None:
                    raise self._failure
            self.steps += 1
            after_step()
        self.now_s = max(self.now_s, until_s)

    # For fibers

    @property
    def fiber(self) -> Fiber:
        """The fiber that runs."""
        current = getcurrent()
        assert isinstance(current, Fiber)
        return current

    @property
    def process(self) -> Process | None:
        """The process of the fiber that runs; None between the steps."""
        current = getcurrent()
        return current.process if isinstance(current, Fiber) else None

    def sleep(self, seconds: float) -> None:
        """Let the running fiber sleep for exactly this time."""
        fiber = self.fiber
        wake_s = self.now_s + seconds
        if not self._is_next(fiber, wake_s):
            self._wake_at(fiber, wake_s)
            self._switch(fiber)
            return
        # Nothing else happens until then, so this fiber goes on: to switch to the hub and back takes far longer.
        self.steps += 1
        try:
            self._after_step()
        except Exception as error:  # noqa: BLE001 (the hub raises it, not the worker's code)
            self._failure = error
            self._switch(fiber)
        self.now_s = wake_s
        self.last = fiber.name

    def _is_next(self, fiber: Fiber, time_s: float) -> bool:
        """Whether a fiber that waits until a time is the next that runs."""
        is_first = not self._queue or time_s < self._queue[0][0]
        is_free = fiber.process.is_alive and time_s >= fiber.process.frozen_until_s
        return is_first and is_free and self.now_s <= time_s <= self._until_s

    def look_later(self, seconds: float | None, *, is_patient: bool = False) -> None:
        """Let the running fiber wait until it is woken, or a time has passed: longer each time if nothing is new."""
        fiber = self.fiber
        if seconds is None:
            fiber.turn += 1
        else:
            seen = self.faults if is_patient else self.news
            if fiber.looked_at != seen:
                fiber.looks, fiber.looked_at = 0, seen
            slow_s = max(seconds, min(SLOWEST_S, max(seconds, FIRST_LOOK_S) * SLOWER ** min(fiber.looks, 9)))
            fiber.looks += 1
            self._wake_at(fiber, self.now_s + slow_s)
            fiber.look_s, fiber.is_patient = seconds, is_patient
            self._looking[fiber] = None
        self._switch(fiber)

    def pause(self, seconds: float | None) -> None:
        """Let the running fiber wait until it is woken, or exactly this time has passed."""
        fiber = self.fiber
        fiber.turn += 1
        if seconds is not None:
            self._wake_at(fiber, self.now_s + seconds)
        self._switch(fiber)

    def wake(self, fiber: Fiber) -> None:
        """Let a waiting fiber run now."""
        if not fiber.is_done and fiber.process.is_alive:
            self._looking.pop(fiber, None)
            self._wake_at(fiber, self.now_s)

    def _wake_at(self, fiber: Fiber, time_s: float) -> None:
        fiber.turn += 1
        heapq.heappush(self._queue, (time_s, next(self._number), fiber, fiber.turn, None))

    def _switch(self, fiber: Fiber) -> None:
        if not fiber.process.is_alive:
            raise GreenletExit
        loop = asyncio._get_running_loop()
        if loop is None:
            fiber.parent.switch()
        else:
            asyncio._set_running_loop(None)
            try:
                fiber.parent.switch()
            finally:
                asyncio._set_running_loop(loop)
        if not fiber.process.is_alive:
            raise GreenletExit


def spread(chance: random.Random, choices: dict[Any, float]) -> Any:
    """Return one of the choices by its weight."""
    return chance.choices(list(choices), list(choices.values()))[0]
