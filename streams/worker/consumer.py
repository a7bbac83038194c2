"""The worker: a consumer group delivers records and acknowledges them, the engine scans and writes.

The group does not wait for the handler of an assignment. So the handler returns at once, and a task rebuilds each new
partition while records fill its inbox.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import tenacity
from kafka.errors import KafkaError

from streams.area_log.records import LogError
from streams.areas.area import Area
from streams.brokers.broker import KAFKA, Broker
from streams.brokers.connection import is_passing
from streams.brokers.reading import Cancelled
from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WorkerSettings
from streams.messages.incident import decode
from streams.process.clock import MACHINE, Clock
from streams.process.watchdog import end_within
from streams.worker.background.response_reader import ResponseReader
from streams.worker.engine.gaps import Gaps
from streams.worker.engine.outgoing import Outgoing
from streams.worker.engine.partition import Partition
from streams.worker.engine.publisher import AbortedError, FencedError, Publisher, RefusedError
from streams.worker.engine.rebuild import rebuild, start_offsets
from streams.worker.engine.standing_checks import RebuildError
from streams.worker.engine.thread import Engine
from streams.worker.faust_group import FaustGroup, GroupError
from streams.worker.group import Group, Message
from streams.worker.inbox import Inbox, Record
from streams.worker.metrics import Metrics

DONE, FAILED, FENCED = 0, 1, 3
"""Exit codes: drained; something failed; another worker has the partition or the instance id."""
OBSERVE_S = 0.5
"""Interval between two checks how far each partition is read, in seconds."""
DRAIN_S = 20.0
"""Time limit for the engine to put the last ticks on record, in seconds."""
LEAVE_S = 20.0
"""Time limit for the final shutdown steps, in seconds: acknowledge, leave the group, end. Without Kafka they hang."""
SUSPEND_S = 3.0
"""Time limit for a rebalance to wait for the engine's transaction, in seconds; below every session time-out."""
REBUILDS = 4
"""Largest number of partitions that are rebuilt at a time."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
"""First and longest wait between two attempts to rebuild a partition while Kafka is away, in seconds."""
SAME_GENERATION = 3
"""Largest number of assignments within one generation of the group. With more, another worker keeps joining under our
instance id."""

log = logging.getLogger(__name__)


class LeaveError(Exception):
    """The worker must stop. The text gives the reason in one line."""


class UnassignedError(Exception):
    """The group has not assigned a partition to this worker, or is moving partitions."""


class SharedIdError(LeaveError):
    """Another worker has joined the group under our instance id."""


EXPECTED = (
    FencedError,
    AbortedError,
    RefusedError,
    RebuildError,
    LogError,
    LeaveError,
    GroupError,
    KafkaError,
)
"""Failures that need no traceback."""

WAITED_OUT = (AbortedError, UnassignedError)
"""Failures of a rebuild after which it is tried again, besides temporary failures of Kafka."""


class Owned:
    """A partition that this worker owns: its inbox, and the event that stops its rebuild."""

    def __init__(self, number: int, inbox: Inbox, moved_s: float) -> None:
        self.number = number
        self.inbox = inbox
        self.lost = threading.Event()
        self.position = 0
        self.moved_s = moved_s


class Worker:
    """One worker of the group. Create it and await :meth:`run` in the same event loop."""

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: WorkerSettings,
        instance: str,
        areas: Mapping[str, Area],
        metrics: Metrics,
        clock: Clock = MACHINE,
        broker: Broker = KAFKA,
    ) -> None:
        self._kafka = kafka
        self._broker = broker
        self._clock = clock
        self._settings = settings
        self._instance = instance
        self._areas = areas
        self._metrics = metrics
        self._owned: dict[int, Owned] = {}
        self._rebuilds = ThreadPoolExecutor(REBUILDS, thread_name_prefix="rebuild")
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._is_draining = False
        self._failure: BaseException | None = None
        self._generation = (0, 0)
        self._beat_s = clock.monotonic_s()
        self._away_s = float("-inf")  # when Kafka was last seen to be away
        self.gaps = Gaps()
        self.engine = Engine(metrics, clock, covered=self._cover, aborted=self._rebuild_soon, failed=self._fail_soon)
        self.responses = ResponseReader(kafka, areas, self.engine.respond, broker)

    # State for health checks; other threads call these

    def owned(self) -> list[int]:
        """Return the partitions that are assigned to this worker."""
        return sorted(self._owned)

    def not_ready(self) -> str | None:
        """Return why the worker is not ready; None if every partition that it owns has caught up."""
        owned, caught_up = set(self._owned), self.engine.caught_up()
        if not owned:
            return "no partition is assigned yet"
        waiting = sorted(owned - caught_up)
        return f"partitions {waiting} have not caught up yet" if waiting else None

    def stalled(self, is_kafka_away: bool) -> str | None:
        """Return which part has made no progress for too long; None if all have. A wait for Kafka does not count."""
        limit_s, now_s = self._settings.watchdog_s, self._clock.monotonic_s()
        if is_kafka_away:
            self._away_s = now_s
        if now_s - max(self.engine.beat_s, self._away_s) > limit_s:
            return f"the engine has made no progress for {limit_s} s"
        if now_s - self._beat_s > limit_s:
            return f"the event loop has made no progress for {limit_s} s"
        for owned in list(self._owned.values()):
            moved_s = max(owned.moved_s, self._away_s)
            if owned.position < owned.inbox.end_offset and now_s - moved_s > limit_s:
                return f"nothing was read for {limit_s} s of partition {owned.number}, which has more"
        return None

    def leave(self, reason: str) -> None:
        """Leave, because the worker must stop."""
        self._fail_soon(LeaveError(reason))

    # From start to end

    async def run(self, group: Group | None = None) -> int:
        """Work in the group, by default Faust's, until SIGTERM, SIGINT or a failure; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._group = group = group or FaustGroup(self._kafka, self._settings, self._instance)
        self.engine.start()
        try:
            tasks = [asyncio.create_task(each) for each in (group.run(self), self._observe(group), self._stop.wait())]
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                if task.exception() is not None:
                    self._fail(task.exception())
            code = await self._leave(group)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            group.discard()
        return code

    async def _leave(self, group: Group) -> int:
        """Stop reading. Unless there was a failure, close the open ticks and put them on record. Leave the group."""
        self._is_draining = True
        for owned in self._owned.values():
            owned.lost.set()
        code = DONE
        if self._failure is None:
            log.info("leaving: what was read is put on record")
            if not await self._loop.run_in_executor(None, self.engine.drain, DRAIN_S):
                log.error("leaving before the last tick is on record, which takes over %s s; it is read again", DRAIN_S)
        if self._failure is not None:
            code = FENCED if isinstance(self._failure, FencedError | SharedIdError) else FAILED
        end_within(LEAVE_S, code, group.discard)
        await group.leave(acknowledged=self._failure is None)
        self._rebuilds.shutdown(wait=False, cancel_futures=True)
        return code

    def _fail(self, failure: BaseException | None) -> None:
        """Remember the first failure, report it, and leave."""
        if self._failure is not None or failure is None:
            return
        self._failure = failure
        expected = isinstance(failure, EXPECTED)
        log.critical("leaving: %s", failure, exc_info=None if expected else failure)
        self._stop.set()

    def _fail_soon(self, failure: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, failure)

    # Records

    async def read(self, message: Message) -> None:
        """Decode a record and pass it on to the engine."""
        owned = self._owned.get(message.partition)
        if owned is None or self._is_draining:
            return  # not acknowledged, so it is delivered again
        area, entry = decode(
            message.key,
            message.value,
            message.headers,
            message.partition,
            self._kafka.partitions,
            self._areas,
            self._settings.max_record_bytes,
        )
        record = Record(message.offset, message.timestamp, area, entry, message.key, message.value, message.headers)
        await owned.inbox.take(record)

    def _cover(self, inbox: Inbox, covered: Mapping[str | None, int]) -> None:
        self._loop.call_soon_threadsafe(inbox.cover, covered)

    async def _observe(self, group: Group) -> None:
        """Note how far each partition is read."""
        while True:
            self._beat_s = self._clock.monotonic_s()
            # One full inbox blocks the group, and so every partition.
            is_held = any(owned.inbox.is_full for owned in self._owned.values())
            for owned in list(self._owned.values()):
                await self._observe_one(group, owned, is_held)
            await asyncio.sleep(OBSERVE_S)

    async def _observe_one(self, group: Group, owned: Owned, is_held: bool) -> None:
        reached = await group.reached(owned.number)
        if reached is None:
            return
        position, end_offset = reached
        if position != owned.position or is_held:
            owned.position, owned.moved_s = position, self._clock.monotonic_s()
        owned.inbox.observe(position, end_offset, is_held)

    # Partitions

    async def begin(self, committed: Mapping[int, int | None]) -> Mapping[int, int]:
        """Return the offset from which each partition is read, by the scan records."""
        known = {number: offset for number, offset in committed.items() if number < self._kafka.partitions}
        if not known:
            return {}
        stopping = threading.Event()
        try:
            return await self._loop.run_in_executor(
                None, start_offsets, self._kafka, self._areas, known, stopping, self._broker
            )
        except EXPECTED as error:
            self._fail(error)  # as the rebuild fails; Faust would hide it
            return {}
        finally:
            stopping.set()

    async def revoked(self) -> None:
        """Start of a rebalance: let the engine finish its transaction before another worker takes over."""
        await self._loop.run_in_executor(None, self.engine.suspend, SUSPEND_S)

    async def assigned(self, numbers: Collection[int], generation: int) -> None:
        """End of a rebalance: give up the lost partitions, and rebuild the new ones."""
        self._expect_new_generation(generation)
        numbers = {number for number in numbers if number < self._kafka.partitions}  # others were added by somebody
        for number in self._owned.keys() - numbers:
            owned = self._owned.pop(number)
            owned.lost.set()
            owned.inbox.close()
            self.engine.forget(number)
            self.responses.leave(number)
        for number in sorted(set(numbers) - self._owned.keys()):
            acknowledge = partial(self._group.acknowledge, number)
            inbox = Inbox(self._settings.inbox_records, self._loop, acknowledge, clock=self._clock)
            owned = Owned(number, inbox, self._clock.monotonic_s())
            self._owned[number] = owned
            self._rebuild(owned)
        self.engine.resume()
        log.info("assigned partitions %s", sorted(numbers))

    def _expect_new_generation(self, generation: int) -> None:
        known, times = self._generation
        self._generation = (generation, times + 1 if generation == known else 1)
        if self._generation[1] > SAME_GENERATION:
            problem = f"another worker uses the instance id {self._instance!r}; set worker.instance_id"
            self._fail(SharedIdError(problem))

    def _rebuild_soon(self, inbox: Inbox, aborts: int) -> None:
        self._loop.call_soon_threadsafe(self._rebuild_again, inbox, aborts)

    def _rebuild_again(self, inbox: Inbox, aborts: int) -> None:
        """After an aborted transaction: go back to what is on record, and take the later records again.

        After the first aborted transaction in a row, this happens at once; after others it waits, because Kafka cannot
        write.
        """
        owned = next((each for each in self._owned.values() if each.inbox is inbox), None)
        if owned is not None:
            inbox.put_back()
            self._rebuild(owned, LONGEST_WAIT_S if aborts > 1 else 0.0)

    def _rebuild(self, owned: Owned, after_s: float = 0.0) -> None:
        task = asyncio.create_task(self._rebuild_and_hand_over(owned, after_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rebuild_and_hand_over(self, owned: Owned, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            partition, has_waited = await self._loop.run_in_executor(self._rebuilds, self._rebuilt_in_the_end, owned)
        except Cancelled:
            return
        except asyncio.CancelledError:
            # Of a library within the rebuild; that of this task comes when the partition is lost.
            if not owned.lost.is_set():
                self._fail(RebuildError(f"partition {owned.number}: its rebuild was cancelled"))
            return
        except Exception as error:  # noqa: BLE001 (the worker cannot go on)
            if not owned.lost.is_set():
                self._fail(error)
            return
        self.engine.adopt(partition, owned.inbox, has_waited)
        if not owned.lost.is_set():
            self.responses.follow(partition)

    def _rebuilt_in_the_end(self, owned: Owned) -> tuple[Partition, bool]:
        """Rebuild a partition, and try again while Kafka is away; return whether it had to be tried again."""

        def say(failed: tenacity.RetryCallState) -> None:
            if failed.attempt_number == 1:
                error = failed.outcome and failed.outcome.exception()
                log.warning("partition %d cannot be rebuilt at the moment, will try again: %s", owned.number, error)

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, WAITED_OUT) or is_passing(error)),
            wait=tenacity.wait_exponential_jitter(FIRST_WAIT_S, LONGEST_WAIT_S),
            sleep=tenacity.sleep_using_event(owned.lost),
            before_sleep=say,
            reraise=True,
        )
        partition = attempts(self._rebuilt, owned)
        return partition, attempts.statistics["attempt_number"] > 1

    def _rebuilt(self, owned: Owned) -> Partition:
        """Take over a partition, and rebuild its areas as their scan records left them.

        After a cut connection or a pause of this process, another worker can have the partition, and Faust may not know
        yet. To open the partition would end that worker, so the group is asked first.
        """
        if owned.lost.is_set():
            raise Cancelled
        topic = self._kafka.topic("incidents")
        if why := self._broker.unassigned(self._kafka, self._instance, topic, owned.number):
            raise UnassignedError(why)
        publisher = Publisher(self._kafka, owned.number, self._broker)
        try:
            max_bytes = self._settings.max_record_bytes
            restored = rebuild(self._kafka, self._areas, owned.number, owned.lost, max_bytes, self._broker)
            messages = Outgoing(self._kafka, self._settings, owned.number)
            settings = [each for area in restored.unwritten for each in messages.settings(area)]
            if settings:
                publisher.commit(settings)
        except BaseException:
            publisher.close()
            raise
        self._metrics.missed(self._kafka.topic("incidents"), restored.missed)
        for name in restored.monitors:
            self._metrics.rebuilt(name, restored.seconds)
        for name in restored.changed:
            self._metrics.configuration_changed(name)
        log.info("partition %d rebuilt in %.2f s", owned.number, restored.seconds)
        return Partition(owned.number, restored, publisher, messages, self._metrics, self.gaps, self._clock)
