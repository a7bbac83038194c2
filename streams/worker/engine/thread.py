"""The one thread that owns every Monitor of a worker: it takes records, and makes one transaction per step.

Nothing else uses a Monitor. The worker decides what is read, which partitions are owned and how records are
acknowledged, and calls the methods of the engine.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from statistics import median_low

from detectors.alerts.alert import Alert
from streams.areas.area import Area
from streams.areas.health import AreaHealth, Clocks, FeedState
from streams.calibration.calibration_file import CalibrationFile
from streams.messages.response import ResponseRecord
from streams.messages.usual import Usual
from streams.process.clock import MACHINE, Clock
from streams.worker.engine.outgoing import DELAYED_AFTER_S
from streams.worker.engine.owned_area import QUIET_S, OwnedArea
from streams.worker.engine.partition import Partition, Position
from streams.worker.engine.publisher import AbortedError, FencedError
from streams.worker.inbox import Inbox
from streams.worker.metrics import Metrics

STEP_S = 0.2
"""Time after which a step takes no further record of its partition, in seconds."""
STEP_RECORDS = 5000
"""Largest number of records in a step."""
STEP_TICKS = 200
"""Number of waiting results (of ticks and responses) at which a step ends with a commit."""
IDLE_S = 0.1
"""Interval between two checks for records while idle, in seconds: a wake-up for each costs more than the record."""
ABORTS = 3
"""Number of aborted transactions of a partition at which the engine fails. A commit between them starts the count
again, and so does a rebuild that had to wait for Kafka. A transaction that Kafka could not write at the time does not
count."""

log = logging.getLogger(__name__)


@dataclass
class Running:
    """A partition that the engine works on, and its inbox."""

    partition: Partition
    inbox: Inbox
    is_caught_up: bool = False
    is_begun: bool = False


@dataclass
class Aborts:
    """The number of a partition's transactions that were aborted in a row, and how many of them count."""

    in_a_row: int = 0
    counting: int = 0


class Engine:
    """The thread. It calls ``covered`` after each transaction, ``aborted`` when a partition must be rebuilt, with the
    number of its transactions that were aborted in a row, and ``failed`` once, when an error ends it.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock = MACHINE,
        *,
        covered: Callable[[Inbox, Mapping[str | None, int]], None],
        aborted: Callable[[Inbox, int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._covered = covered
        self._aborted = aborted
        self._failed = failed
        self._running: dict[int, Running] = {}
        self._halted: dict[int, Running] = {}  # aborted, until they are rebuilt: they do no work, and are still shown
        self._aborts: dict[int, Aborts] = {}
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake = threading.Event()
        self._stepping = threading.Lock()
        self._is_suspended = False
        self._is_stopping = False
        self.beat_s = self._clock.monotonic_s()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    # For the worker, from any thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Wake the thread, because there is something to do at once."""
        if not self._wake.is_set():
            self._wake.set()

    def adopt(self, partition: Partition, inbox: Inbox, has_waited: bool = False) -> None:
        """Work on a rebuilt partition. ``has_waited``: the rebuild waited for Kafka, so earlier aborts do not count."""
        self._command(lambda: self._adopt(partition, inbox, has_waited))

    def forget(self, number: int) -> None:
        """Stop work on a partition that has another owner."""
        self._command(lambda: self._forget(number))

    def recalibrate(self, area: str, calibration: CalibrationFile) -> None:
        """Use another calibration in an owned area from its next boundary on."""
        self._command(lambda: self._recalibrate(area, calibration))

    def respond(self, partition: Partition, responses: Sequence[ResponseRecord], taken: Callable[[], None]) -> None:
        """Apply responses and then call ``taken``, unless the partition was lost or rebuilt since then."""
        self._command(lambda: self._respond(partition, responses, taken))

    def suspend(self, deadline_s: float) -> None:
        """Begin no step while partitions move. Return when the current step is finished, or at the deadline."""
        self._is_suspended = True
        if self._stepping.acquire(timeout=deadline_s):
            self._stepping.release()

    def resume(self) -> None:
        """Go on after partitions have moved."""
        self._is_suspended = False
        self.wake()

    def drain(self, deadline_s: float) -> bool:
        """Close the open ticks of wall clocks, commit and end; return whether the thread ended by the deadline."""
        self._is_stopping = True
        self.wake()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _command(self, command: Callable[[], None]) -> None:
        self._commands.put(command)
        self.wake()

    # What others can see of it, at any time

    def open_alerts(self) -> list[Alert]:
        """Return the alerts on record that have not ended."""
        return [alert for each in self._shown() for area in each.partition.areas.values() for alert in area.alerts]

    def watched(self) -> dict[str, Area]:
        """Return the owned areas, each with the settings and calibration in use."""
        return {name: area.watched for each in self._shown() for name, area in each.partition.areas.items()}

    def health(self) -> dict[str, AreaHealth]:
        """Return the health of each owned and rebuilt area."""
        shown = self._shown()
        return {name: self._health(each, area) for each in shown for name, area in each.partition.areas.items()}

    def _health(self, each: Running, area: OwnedArea) -> AreaHealth:
        worker_s = self._clock.now_s()
        clocks = each.partition.clocks(area, worker_s)
        return AreaHealth(
            last_record_s=area.last_record_s,
            last_scan_s=area.last_scan_s,
            lag=max(0, each.inbox.end_offset - each.partition.next_offset) + area.waiting,
            feed=_feed(area, clocks, worker_s) if each.is_caught_up else "catching_up",
            clock_s=area.monitor.clock_s,
            missing_days=area.missing_days,
            silent_parts=area.silent_parts,
            further_shares=area.further_shares,
            promise=area.watched.promise,
            clocks=clocks,
        )

    def time_s(self) -> float:
        """Return the believed time of the partitions; without a partition, the time of the worker's clock."""
        ahead_s = [each.partition.time.worker_ahead_s for each in self._now()]
        return self._clock.now_s() - (median_low(ahead_s) if ahead_s else 0.0)

    def usual(self) -> dict[str, Usual]:
        """Return the usual figures of each owned area, as last counted; only for areas that have caught up."""
        areas = [area for each in self._shown() for area in each.partition.areas.items()]
        return {name: area.usual for name, area in areas if area.usual is not None}

    def positions(self) -> list[Position]:
        """Return how far the input topics are read."""
        return [position for each in self._now() for position in each.partition.positions()]

    def caught_up(self) -> set[int]:
        """Return the partitions that are rebuilt and read to their end, or nearly."""
        return {each.partition.number for each in self._now() if each.is_caught_up}

    def _now(self) -> list[Running]:
        return list(self._running.values())

    def _shown(self) -> list[Running]:
        return list((self._halted | self._running).values())

    # The thread

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self._wake.wait(IDLE_S)
                self._wake.clear()
                while not self._commands.empty():
                    self._commands.get()()
                if self._round():
                    self._wake.set()
                self.beat_s = self._clock.monotonic_s()
            self._finish()
        except BaseException as error:  # noqa: BLE001 (the worker reports it and leaves)
            self._failed(error)

    def _round(self) -> bool:
        """Do one step of each partition; return whether there is more to do at once."""
        is_busy = False
        for each in self._now():
            with self._stepping:
                if self._is_suspended:
                    return False
                is_busy |= self._step(each) if each.is_begun else self._begin(each)
            self.beat_s = self._clock.monotonic_s()  # each can wait for Kafka as long as a transaction may take
        return is_busy

    def _begin(self, each: Running) -> bool:
        """Read the broker's clock before a record arrives, or before a wrong clock closes an hour."""
        each.is_begun = True
        each.partition.ask()
        self._commit(each)
        return True

    def _step(self, each: Running) -> bool:
        """Take records of one partition for a short while, then commit."""
        partition, inbox = each.partition, each.inbox
        clock, deadline_s = self._clock, self._clock.monotonic_s() + STEP_S
        was_at_end = inbox.is_at_end
        taken = 0
        while inbox.waiting and taken < STEP_RECORDS and partition.waiting < STEP_TICKS:
            if clock.monotonic_s() >= deadline_s:
                break
            partition.put(inbox.next(), clock.now_s())
            taken += 1
        inbox.drained()
        behind_s = partition.look(clock.now_s()) - partition.last_arrival_s if taken else QUIET_S
        if behind_s > DELAYED_AFTER_S:
            each.is_caught_up = False
        elif (was_at_end and not inbox.waiting) or behind_s < QUIET_S:
            each.is_caught_up = True
        if was_at_end and not taken:
            partition.quiet(clock.now_s())
        partition.close_early(clock.now_s())
        self._commit(each)
        if each.is_caught_up:
            for area in partition.areas.values():
                area.look_around(clock.monotonic_s())
        return bool(inbox.waiting)

    def _commit(self, each: Running) -> None:
        partition = each.partition
        if not partition.is_due(self._clock.now_s()):
            return
        try:
            partition.commit(self._clock.now_s())
        except FencedError:
            if not self._is_suspended and not each.inbox.is_closed:
                raise
            log.info("partition %d moved to another worker during a transaction", partition.number)
        except AbortedError as error:
            self._abort(each, error)
        else:
            self._aborts.pop(partition.number, None)
            self._covered(each.inbox, dict(partition.covered))

    def _abort(self, each: Running, error: AbortedError) -> None:
        number = each.partition.number
        self._metrics.transaction("aborted")
        aborts = self._aborts.setdefault(number, Aborts())
        aborts.in_a_row += 1
        aborts.counting += not error.is_passing
        if aborts.counting >= ABORTS:
            raise error
        log.warning("transaction aborted, rebuilding: %s", error)
        each.is_caught_up = False
        self._halted[number] = each
        del self._running[number]
        each.partition.close()
        self._aborted(each.inbox, aborts.in_a_row)

    def _adopt(self, partition: Partition, inbox: Inbox, has_waited: bool) -> None:
        if inbox.is_closed:
            partition.close()
            return
        if has_waited:
            self._aborts.pop(partition.number, None)
        self._halted.pop(partition.number, None)
        self._running[partition.number] = Running(partition, inbox)
        self._covered(inbox, dict(partition.covered))

    def _recalibrate(self, area: str, calibration: CalibrationFile) -> None:
        owning = [each for each in self._now() if area in each.partition.areas]
        for each in owning:
            each.partition.recalibrate(area, calibration)
        if not owning:
            log.warning("area %s is not ready; its new calibration is dropped, and another will be made", area)

    def _respond(self, partition: Partition, responses: Sequence[ResponseRecord], taken: Callable[[], None]) -> None:
        running = self._running.get(partition.number)
        if running is not None and running.partition is partition:
            for response in responses:
                partition.respond(response)
        taken()

    def _forget(self, number: int) -> None:
        self._halted.pop(number, None)
        each = self._running.pop(number, None)
        if each is not None:
            each.partition.close()

    def _finish(self) -> None:
        for each in self._now():
            with self._stepping:
                if not self._is_suspended and not each.inbox.is_closed:
                    each.partition.flush()
                    self._commit(each)
        for each in self._now():
            each.partition.close()


def _feed(area: OwnedArea, clocks: Clocks | None, worker_s: float) -> FeedState:
    """Return the feed's state of an area that has caught up. On a wall clock, a silence shows before the next tick."""
    if clocks is not None and clocks.is_wrong:
        return "clock"
    silent_from_s = area.monitor.silent_from_s
    is_past = clocks is not None and silent_from_s is not None and worker_s - clocks.worker_ahead_s >= silent_from_s
    if is_past or area.is_silent:
        return "silent"
    return "learning" if area.missing_days else "healthy"
