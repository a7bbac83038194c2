"""From the topic ``alerts`` to an on-call tool: every change that matters, at least once, in order for each alert.

The sink reads Kafka and not Redis: Kafka is the truth, and a consumer group keeps the position. While the tool or this
process is away, alerts wait in Kafka for as long as the topic and the group's offsets are kept (7 days by default;
after that, the group begins at the end). The group's offset is committed when everything below it was delivered, passed
over, or written to ``alerts.undelivered``. After a crash between delivery and commit, a record is delivered again. An
alert that is tried again delays only its own later changes.

The alert of a delayed revision waits until the worker has caught up, and is then delivered once, if it is still open.
Its first delayed record holds the offset back. The offset's metadata names the open alerts that the tool knows
(:class:`~streams.webhook.known_alerts.KnownAlerts`). The end of any other alert is not delivered. A restart loses
neither the waiting alerts nor this list.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import AsyncExitStack, suppress
from functools import partial

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from kafka.errors import KafkaError as CoverageError

from detectors.alerts.lifecycle import TERMINAL
from detectors.alerts.notices import Notice
from streams.area_log.coverage import Coverage
from streams.brokers.connection import group_reader_arguments, undelivered_writer_arguments
from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import WebhookSettings
from streams.messages.alert import PROVENANCE_HEADER, is_delayed, read_alert
from streams.webhook.client import WebhookClient
from streams.webhook.deliveries import InFlight
from streams.webhook.delivery import Delivery
from streams.webhook.group_position import begun
from streams.webhook.known_alerts import KnownAlerts
from streams.webhook.late import Late, ScanReader
from streams.webhook.metrics import WebhookMetrics
from streams.webhook.notification import is_notified

DONE, FAILED = 0, 1
POLL_MS = 500
"""Longest wait for records, in milliseconds."""
PAUSE_S = 1.0
"""Wait before a failed session begins again, in seconds."""
SETTLE_S = 0.1
"""Interval between two checks whether partitions are assigned, or a revision is covered, in seconds."""
STALLED_S = 120.0
"""Time limit without progress, in seconds."""
UNSETTLED_S = 60.0
"""Time limit for the assignment of partitions, in seconds."""
ASK_S = 5.0
"""Interval between two requests to Kafka, and time limit for each and for a commit, in seconds."""
LEAVE_S = 5.0
"""Time limit for each of the three steps of leaving, in seconds, in case Kafka is away."""
MAX_IN_FLIGHT = 1000
"""Largest number of notifications that wait in memory; the others wait in Kafka."""

NO_PARTITION = "no partition is assigned yet, or another process has them all"

log = logging.getLogger(__name__)


class WebhookSink:
    """A reader that has the alerts posted until it is cancelled."""

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        settings: WebhookSettings,
        client: WebhookClient,
        metrics: WebhookMetrics,
    ) -> None:
        self._kafka = kafka
        self._group = group
        self._settings = settings
        self._client = client
        self._metrics = metrics
        self._coverage = Coverage(kafka)
        self._in_flight = InFlight()
        self._late: dict[str, Late] = {}
        self._known: dict[TopicPartition, KnownAlerts] = {}
        self._committed: dict[TopicPartition, tuple[int, str]] = {}
        self._untaken: dict[TopicPartition, int] = {}  # offset of the first record that was read and not yet taken
        self._consumer: AIOKafkaConsumer | None = None  # of this session: an earlier one may still be stopping
        self._unsettle()
        self._failure: KafkaError | None = None
        self._away: str | None = "not connected to Kafka yet"
        self._moved_s = time.monotonic()
        self._asked_s = 0.0

    def not_ready(self) -> str | None:
        """Return why no alerts are read at the moment; None while they are read."""
        return self._away

    def stalled(self) -> str | None:
        """Return how long the loop has made no progress, if that is too long; else None."""
        seconds = time.monotonic() - self._moved_s
        return f"no progress for {seconds:.0f} s" if seconds > STALLED_S else None

    async def run(self) -> None:
        """Run for ever, and wait for Kafka whenever it is away."""
        while True:
            try:
                await self._session()
            except KafkaError as error:
                self._away = f"Kafka at {self._kafka.bootstrap} does not answer"
                log.warning("alerts cannot be read, will try again: %s", error)
            self._moved_s = time.monotonic()
            await asyncio.sleep(PAUSE_S)

    async def _session(self) -> None:
        self._unsettle()
        self._failure = None
        consumer = self._consumer = AIOKafkaConsumer(**group_reader_arguments(self._kafka, self._group))
        producer = AIOKafkaProducer(**undelivered_writer_arguments(self._kafka))
        self._delivery = self._delivery_by(producer)
        self._scans = ScanReader(self._kafka)
        consumer.subscribe([self._kafka.topic("alerts")], listener=_Rebalance(self, consumer))
        async with AsyncExitStack() as closing:
            closing.callback(self._coverage.close)
            closing.push_async_callback(_stop, producer.stop)
            await producer.start()
            closing.push_async_callback(_stop, self._scans.stop)
            await self._scans.start()
            closing.push_async_callback(_stop, consumer.stop)
            await consumer.start()
            closing.push_async_callback(self.let_go, consumer)
            while True:
                await self._round(consumer)

    async def _round(self, consumer: AIOKafkaConsumer) -> None:
        self._moved_s = time.monotonic()
        if self._failure is not None:
            raise self._failure
        if not self._is_settled:  # neither what is read nor a position counts while partitions are moved
            self._away = NO_PARTITION
            if self._moved_s - self._unsettled_s > UNSETTLED_S:
                # The library reports that Kafka refuses the group only to those who read.
                raise KafkaError(f"no partition was assigned within {UNSETTLED_S:.0f} s")
            await asyncio.sleep(SETTLE_S)
            return
        owned = consumer.assignment()
        if len(self._in_flight) < MAX_IN_FLIGHT:
            consumer.resume(*owned)
        else:
            consumer.pause(*owned)
        unsettled_s = self._unsettled_s
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_IN_FLIGHT)
        self._untaken = {partition: records[0].offset for partition, records in batches.items() if records}
        for partition, records in batches.items():
            await self._take_covered(consumer, partition, records, unsettled_s)
        if self._unsettled_s == unsettled_s:  # otherwise they are still needed: see let_go
            self._untaken.clear()
        self._in_flight.check()
        self._moved_s = time.monotonic()
        if not self._is_settled:
            return
        try:
            async with asyncio.timeout(ASK_S):
                await self._deliver_late(consumer)
                await self._commit(consumer)
        except TimeoutError:
            self._away = self._missed()
            return
        if not owned:
            self._away = NO_PARTITION
        elif self._moved_s - self._asked_s > ASK_S:
            self._away = await self._ask(consumer)
            self._asked_s = time.monotonic()

    async def _take_covered(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        records: Iterable[ConsumerRecord],
        unsettled_s: float,
    ) -> None:
        """Take records up to the first that no scan record covers yet; it is read again.

        ``unsettled_s``: when partitions had last begun to move before the records came. If any have moved since, the
        records are read again, by whoever owns the partition then.
        """
        for record in records:
            try:
                covers = await asyncio.to_thread(self._coverage.covers, partition.partition, record.offset)
            except CoverageError as error:
                raise KafkaError(str(error)) from error
            if not self._is_settled or self._unsettled_s != unsettled_s:
                return
            if covers is None:
                consumer.seek(partition, record.offset)
                await asyncio.sleep(SETTLE_S)
                return
            if covers:
                self._take(record)
            else:
                log.warning("%s, offset %d: no scan record covers it, left out", partition, record.offset)
            self._untaken[partition] = record.offset + 1

    async def _ask(self, consumer: AIOKafkaConsumer) -> str | None:
        """Return what is wrong with Kafka, if anything. A consumer does not report that Kafka is away: it waits."""
        try:
            async with asyncio.timeout(ASK_S):
                await consumer.end_offsets(consumer.assignment())
        except (KafkaError, TimeoutError):
            return self._missed()
        return None

    def _missed(self) -> str:
        away = f"Kafka at {self._kafka.bootstrap} does not answer"
        log.warning("%s: alerts wait there until it does", away)
        return away

    def _take(self, record: ConsumerRecord) -> None:
        """Begin the delivery of a record, or pass it over. This does not wait, so no rebalance can come between."""
        partition = TopicPartition(record.topic, record.partition)
        try:
            feature = read_alert(record.value).data
            is_late = is_delayed(dict(record.headers).get(PROVENANCE_HEADER))
        except msgspec.DecodeError as error:
            give_up = partial(self._delivery.give_up, record, str(error))
            self._in_flight.begin(partition, record.offset, "", give_up)
            return
        alert = feature.properties
        if not is_notified(alert, self._settings.from_tier):
            return
        late = self._late.pop(alert.id, None)
        if alert.state in TERMINAL or not is_late:
            deliver = partial(self._delivery.deliver, record, feature, self._known[partition])
            self._in_flight.begin(partition, record.offset, alert.id, deliver)
        elif alert.notice is not Notice.REMINDER or not self._known[partition].has(alert):
            self._late[alert.id] = Late(record, feature, record.offset if late is None else late.first)

    async def _deliver_late(self, consumer: AIOKafkaConsumer) -> None:
        """Begin the delivery of late alerts whose area has caught up, once the topic is read up to that moment."""
        await self._scans.read({late.record.partition for late in self._late.values()})
        new = {late.at for late in self._late.values() if late.upto is None and late.is_due(self._scans.current)}
        ends = await consumer.end_offsets(new) if new else {}
        for alert, late in list(self._late.items()):
            if late.upto is None and late.is_due(self._scans.current):
                late.upto = ends.get(late.at)
            if late.upto is not None and await consumer.position(late.at) >= late.upto:
                if not self._is_settled or self._late.pop(alert, None) is not late:
                    return  # the partitions have been moved meanwhile
                known = self._known[late.at]
                deliver = partial(self._delivery.deliver, late.record, late.feature, known, found_late=True)
                self._in_flight.begin(late.at, late.first, alert, deliver)
        self._metrics.late(len(self._late))

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit each offset below which everything is done, if it has changed."""
        done, lag = {}, 0
        for partition in consumer.assignment() & self._known.keys():
            held = [late.first for late in self._late.values() if late.at == partition]
            position = await consumer.position(partition)
            position = min((position, self._untaken.get(partition, position), *held))
            offset = self._in_flight.position(partition, position)
            done[partition] = offset, self._known[partition].metadata
            lag += max((consumer.last_stable_offset(partition) or 0) - offset, 0)
        news = {partition: mark for partition, mark in done.items() if self._committed.get(partition) != mark}
        if news:
            await consumer.commit(news)
            self._committed |= news
        self._metrics.lag(lag)

    async def begin(self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        """Begin to read partitions, once their offsets are known. Until then nothing is read.

        A refusal by Kafka ends the session: the library would only log it and go on.
        """
        consumer.pause(*partitions)  # a read that already waits must not bring their records
        try:
            known = await begun(self._kafka, self._group, consumer, partitions)
        except KafkaError as error:
            if self._consumer is consumer:
                self._failure = error
        else:
            if self._consumer is consumer:
                self._known, self._is_settled = known, True

    def _delivery_by(self, producer: AIOKafkaProducer) -> Delivery:
        undelivered = self._kafka.topic("undelivered")
        return Delivery(self._settings, self._client, producer, undelivered, self._metrics)

    def _unsettle(self) -> None:
        self._is_settled, self._unsettled_s = False, time.monotonic()

    async def let_go(self, consumer: AIOKafkaConsumer) -> None:
        """Commit what is done and drop the rest: the partitions' next owner delivers it."""
        if self._consumer is not consumer:
            return
        self._unsettle()
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._commit(consumer)
        await self._in_flight.cancel()
        self._untaken.clear()
        self._late.clear()
        self._known.clear()
        self._committed.clear()


_stopping: set[asyncio.Task[None]] = set()


async def _stop(stop: Callable[[], Coroutine[None, None, None]]) -> None:
    """Stop a client, and wait for it no longer than ``LEAVE_S``.

    The client then stops in the background. If it were cancelled, it would go on reporting to its group.
    """
    task = asyncio.create_task(stop())
    _stopping.add(task)
    task.add_done_callback(_stopping.discard)
    await asyncio.wait({task}, timeout=LEAVE_S)
    if task.done() and not task.cancelled():
        task.result()


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]  # the library is untyped
    def __init__(self, sink: WebhookSink, consumer: AIOKafkaConsumer) -> None:
        self._sink, self._consumer = sink, consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        if revoked:
            await self._sink.let_go(self._consumer)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._sink.begin(self._consumer, assigned)
