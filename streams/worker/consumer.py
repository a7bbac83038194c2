"""The worker: Faust reads and acknowledges records, the engine scans and writes.

Faust does not wait for the handler of an assignment. So the handler returns at once, and each new partition is rebuilt
in a task while the agent fills its inbox. Records are acknowledged by hand.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import faust
from faust.streams import Stream
from faust.types import TP, Message, StreamT
from kafka.errors import KafkaError

from streams.area_log.records import LogError
from streams.areas.area import Area
from streams.brokers.reading import Cancelled, StalledError
from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WorkerSettings
from streams.messages.incident import decode
from streams.process.clock import MACHINE, Clock
from streams.process.watchdog import end_within
from streams.worker.background.response_reader import ResponseReader
from streams.worker.engine.outgoing import Outgoing
from streams.worker.engine.partition import Partition
from streams.worker.engine.publisher import AbortedError, FencedError, Publisher
from streams.worker.engine.rebuild import RebuildError, rebuild
from streams.worker.engine.thread import Engine
from streams.worker.faust_transport import faust_app
from streams.worker.inbox import Inbox, Record
from streams.worker.metrics import Metrics

DONE, FAILED, FENCED = 0, 1, 3
"""Exit codes: drained; something failed; another worker has the partition or the instance id."""
OBSERVE_S = 0.5
"""Time between two looks at how far each partition is read, in seconds."""
DRAIN_S = 20.0
"""Time limit for the engine to put the last ticks on record, in seconds."""
LEAVE_S = 20.0
"""Time limit for the final shutdown steps, in seconds: acknowledge, leave the group, end. Without Kafka they hang."""
SUSPEND_S = 3.0
"""Time limit for a rebalance to wait for the engine's transaction, in seconds; below every session time-out."""
REBUILDS = 4
"""Largest number of partitions that are rebuilt at a time."""
SAME_GENERATION = 3
"""Largest number of assignments within one generation of the group. With more, another worker keeps joining under our
instance id."""

log = logging.getLogger(__name__)


class LeaveError(Exception):
    """The worker must not go on; the text gives the reason in one line."""


class SharedIdError(LeaveError):
    """Another worker has joined the group under our instance id."""


EXPECTED = (FencedError, AbortedError, RebuildError, LogError, StalledError, LeaveError, KafkaError)
"""Failures that need no traceback."""


class Owned:
    """A partition that is ours: its inbox, and the event that stops its rebuild."""

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
    ) -> None:
        self._kafka = kafka
        self._clock = clock
        self._settings = settings
        self._instance = instance
        self._areas = areas
        self._metrics = metrics
        self._topic = kafka.topic("incidents")
        self._owned: dict[int, Owned] = {}
        self._rebuilds = ThreadPoolExecutor(REBUILDS, thread_name_prefix="rebuild")
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._is_draining = False
        self._failure: BaseException | None = None
        self._generation = (0, 0)
        self._beat_s = clock.monotonic_s()
        self.engine = Engine(metrics, clock, covered=self._cover, aborted=self._rebuild_soon, failed=self._fail_soon)
        self.responses = ResponseReader(kafka, areas, self.engine.respond)

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

    def stalled(self) -> str | None:
        """Return what has made no progress for too long; None if everything has."""
        limit_s, now_s = self._settings.watchdog_s, self._clock.monotonic_s()
        if now_s - self.engine.beat_s > limit_s:
            return f"the engine has made no progress for {limit_s} s"
        if now_s - self._beat_s > limit_s:
            return f"the event loop has made no progress for {limit_s} s"
        for owned in list(self._owned.values()):
            if owned.position < owned.inbox.end_offset and now_s - owned.moved_s > limit_s:
                return f"nothing was read for {limit_s} s of partition {owned.number}, which has more"
        return None

    # From start to end

    async def run(self) -> int:
        """Work until SIGTERM, SIGINT or a failure; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        with tempfile.TemporaryDirectory(prefix="hotspots-", ignore_cleanup_errors=True) as folder:
            app = faust_app(self._kafka, self._settings, self._instance, folder)
            incidents = app.topic(
                self._topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
            )
            app.agent(incidents, name="incidents")(self._read)
            app.on_partitions_revoked.connect(self._revoked)
            app.on_partitions_assigned.connect(self._assigned)  # type: ignore[arg-type]
            self.engine.start()
            tasks = [asyncio.create_task(each) for each in (self._consume(app), self._observe(app), self._stop.wait())]
            finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                if task.exception() is not None:
                    self._fail(task.exception())
            code = await self._leave(app, folder)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return code

    async def _consume(self, app: faust.App) -> None:
        await app.start()
        log.info("the worker has joined group %s", self._kafka.group)
        await app.wait_until_stopped()
        raise LeaveError(f"Faust has stopped: {app.crash_reason!r}")

    async def _leave(self, app: faust.App, folder: str) -> int:
        """Stop reading; unless something failed, close the open ticks and put them on record; leave the group."""
        self._is_draining = True
        for owned in self._owned.values():
            owned.lost.set()
        code = DONE
        if self._failure is None:
            log.info("leaving: putting on record what is read")
            if not await self._loop.run_in_executor(None, self.engine.drain, DRAIN_S):
                log.error("leaving before the last tick is on record: it takes over %s s; it is read again", DRAIN_S)
        if self._failure is not None:
            code = FENCED if isinstance(self._failure, FencedError | SharedIdError) else FAILED
        end_within(LEAVE_S, code, lambda: shutil.rmtree(folder, ignore_errors=True))
        if self._failure is None:
            await app.commit({self._topic})
        await app.stop()
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

    async def _read(self, stream: StreamT[Any]) -> None:
        """The agent: decode records and pass them on to the engine."""
        partitions, areas, max_bytes = self._kafka.partitions, self._areas, self._settings.max_record_bytes
        async for event in cast(Stream[bytes], stream).noack().events():
            message = event.message
            owned = self._owned.get(message.partition)
            if owned is None or self._is_draining:
                continue  # not acknowledged, so it is delivered again
            area, entry = decode(
                message.key, message.value, message.headers, message.partition, partitions, areas, max_bytes
            )
            record = Record(message.offset, message.timestamp, area, entry, message.key, message.value, message.headers)
            await owned.inbox.take(record)

    def _cover(self, inbox: Inbox, covered: Mapping[str | None, int]) -> None:
        self._loop.call_soon_threadsafe(inbox.cover, covered)

    async def _observe(self, app: faust.App) -> None:
        """Observe how far each partition is read."""
        while True:
            self._beat_s = self._clock.monotonic_s()
            # One full inbox blocks the agent, and so every partition.
            is_held = any(owned.inbox.is_full for owned in self._owned.values())
            for owned in list(self._owned.values()):
                await self._observe_one(app, owned, is_held)
            await asyncio.sleep(OBSERVE_S)

    async def _observe_one(self, app: faust.App, owned: Owned, is_held: bool) -> None:
        tp = TP(self._topic, owned.number)
        if app.rebalancing or tp not in app.consumer.assignment():
            return
        end_offset = app.consumer.highwater(tp)
        try:
            position = await asyncio.wait_for(app.consumer.position(tp), OBSERVE_S)
        except TimeoutError:
            return
        if position is None or end_offset is None:
            return
        if position != owned.position or is_held:
            owned.position, owned.moved_s = position, self._clock.monotonic_s()
        owned.inbox.observe(position, end_offset, is_held)

    # Partitions

    async def _revoked(self, *_args: Any, **_: Any) -> None:
        """At the start of a rebalance: let the engine finish its transaction before another worker takes over."""
        await self._loop.run_in_executor(None, self.engine.suspend, SUSPEND_S)

    async def _assigned(self, app: Any, assigned: Any, *_args: Any, **_: Any) -> None:
        numbers = {tp.partition for tp in assigned if tp.topic == self._topic}
        self._expect_new_generation(app.consumer_generation_id)
        for number in set(self._owned) - numbers:
            owned = self._owned.pop(number)
            owned.lost.set()
            owned.inbox.close()
            self.engine.forget(number)
            self.responses.leave(number)
        for number in sorted(numbers - set(self._owned)):
            acknowledge = partial(_acknowledge, app.consumer, TP(self._topic, number))
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

    def _rebuild_soon(self, _number: int, inbox: Inbox) -> None:
        self._loop.call_soon_threadsafe(self._rebuild_again, inbox)

    def _rebuild_again(self, inbox: Inbox) -> None:
        """After an aborted transaction: go back to what is on record, and take the later records again."""
        owned = next((each for each in self._owned.values() if each.inbox is inbox), None)
        if owned is not None:
            inbox.put_back()
            self._rebuild(owned)

    def _rebuild(self, owned: Owned) -> None:
        task = asyncio.create_task(self._rebuild_and_hand_over(owned))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rebuild_and_hand_over(self, owned: Owned) -> None:
        try:
            partition = await self._loop.run_in_executor(self._rebuilds, self._rebuilt, owned)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 (the worker cannot go on)
            if not owned.lost.is_set():
                self._fail(error)
            return
        self.engine.adopt(partition, owned.inbox)
        if not owned.lost.is_set():
            self.responses.follow(partition)

    def _rebuilt(self, owned: Owned) -> Partition:
        """Take over a partition, and rebuild its areas as their scan records left them."""
        if owned.lost.is_set():
            raise Cancelled
        publisher = Publisher(self._kafka, owned.number)
        try:
            max_bytes = self._settings.max_record_bytes
            restored = rebuild(self._kafka, self._areas, owned.number, owned.lost, max_bytes)
            messages = Outgoing(self._kafka, self._settings, owned.number)
            settings = [each for area in restored.unwritten for each in messages.settings(area)]
            if settings:
                publisher.commit(settings)
        except BaseException:
            publisher.close()
            raise
        for name in restored.monitors:
            self._metrics.rebuilt(name, restored.seconds)
        log.info("partition %d rebuilt in %.2f s", owned.number, restored.seconds)
        return Partition(owned.number, restored, publisher, messages, self._metrics, self._clock)


def _acknowledge(consumer: Any, tp: TP, offset: int) -> None:
    """Acknowledge an offset; Faust's message of it, which holds the record, need not be kept for this."""
    consumer.ack(
        Message(
            tp.topic,
            tp.partition,
            offset,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=None,
            checksum=None,
            tp=tp,
        )
    )
