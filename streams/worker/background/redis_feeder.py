"""Copies the topic ``alerts`` to Redis, where control rooms and other programs read it.

Kafka is the truth and Redis a copy, so the feeder stores nothing elsewhere. Redis holds an area's offset beside the
area's data; one script writes both in one step (``apply_change.lua``). The feeder starts a partition at the smallest
stored offset of its configured areas: to read a record twice changes nothing, to skip one loses it. An area that Redis
does not know has offset 0. The feeder starts again in this way whenever Redis was away or holds less than before. After
a flush, a restored backup or a failover it reads the same records again, and the contents are the same as before.
Single keys that were evicted, deleted or altered come back as well: at every heartbeat the feeder compares an area with
its ledger (``compare.lua``), and the offset goes back to the first record of the alerts that differ.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing

import msgspec
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from redis import RedisError

from streams.area_log.coverage import Coverage
from streams.areas.health import HealthSource
from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.retrying_consumer import TIMEOUT_MS, RetryingConsumer
from streams.brokers.topics import retention_ms
from streams.configuration.kafka import KafkaSettings
from streams.configuration.services import RedisSettings
from streams.messages.records import partition_of
from streams.messages.usual import Usual
from streams.process.background_thread import BackgroundThread
from streams.process.clock import MACHINE, Clock
from streams.redis_copy.contents import RedisCopy, RedisLost
from streams.worker.metrics import Metrics

EXPIRY_MARGIN_S = 7 * 86_400
"""Time for which a key of Redis outlives the records from which it was made, in seconds."""
POLL_MS = 500
"""Longest wait for records, in milliseconds."""
PAUSE_S = 1.0
"""Wait before Redis is tried again, in seconds."""
UNCOVERED_S = 0.05
"""Wait before a revision that no scan record covers is checked again, in seconds."""
ROUND = 6
"""Number of heartbeats in which every alert of an area is compared once, and the area is repaired at most once.
Otherwise, if Redis evicts all the time, the feeder would only read again."""
SLICE = 100
"""Number of alerts that one call of Redis compares; it takes about 1 ms."""

LOSSES = {
    "lost": "Redis has lost alerts",
    "replaced": "the topic alerts was created again or cut off; what is open in Redis stays until its next revision",
}

log = logging.getLogger(__name__)


class RedisFeeder(BackgroundThread):
    """A thread that copies the alerts of the configured areas to Redis.

    Several feeders can run at once: the first one applies a change. The worker that owns an area also writes the area's
    heartbeat, from ``health``, and the ``usual`` figures when they have changed. If Redis was away when the worker
    started, and refuses the areas for good at its first answer, ``leave`` is called with one line.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        redis: RedisSettings,
        areas: Iterable[str],
        window_days: int,
        *,
        health: HealthSource,
        usual: Callable[[], Mapping[str, Usual]],
        metrics: Metrics,
        heartbeat_s: float = 10.0,
        clock: Clock = MACHINE,
        broker: Broker = KAFKA,
        leave: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__("redis-feeder")
        self._url = redis.url
        self._leave = leave
        self._is_proven = False  # whether Redis has taken the areas once
        self._kafka = kafka
        self._topic = kafka.topic("alerts")
        self._broker = broker
        self._topic_id = ""  # as Kafka knows it
        self._ahead: dict[str, int] = {}  # where the topic ends of which Redis holds more of an area
        self._areas = tuple(areas)
        self._coverage = Coverage(kafka, broker)
        self._consumer = RetryingConsumer(
            kafka, log, fault="alerts cannot be read", recovery="alerts are read again", broker=broker
        )
        self._health = health
        self._usual = usual
        self._metrics = metrics
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._copy = RedisCopy(redis, retention_ms(window_days) // 1000 + EXPIRY_MARGIN_S, clock)
        self._partition: dict[str, TopicPartition] = {}  # of each area
        self._stored: dict[str, int] = {}  # offset of each area, as last seen in Redis
        self._first: dict[TopicPartition, int] = {}  # offset of the oldest record in the topic
        self._usual_written: dict[str, tuple[Usual, int]] = {}  # of each area, the last, and its number of bytes
        self._cursor: dict[str, int] = {}  # in each area's ledger, where the next comparison goes on
        self._mended_s: dict[str, float] = {}  # when each area was last mended, by the monotonic clock
        self._policy = ""  # of Redis when its memory is full
        self._fault = ""  # why Redis takes nothing
        self._is_uncertain = False  # whether Kafka does not say which revisions count
        self._is_placed = False  # whether the consumer is at the offsets that Redis holds
        self._beat_at = 0.0  # when the next heartbeat is due, by the monotonic clock

    def _run(self) -> None:
        """Feed, and wait for Kafka and Redis whenever they are away."""
        with closing(self._copy), closing(self._coverage):
            self._consumer.run(self._stopping, self._assign, self._feed)

    def _assign(self, consumer: Reader) -> None:
        self._is_placed = False
        self._beat_at = 0.0
        topic = self._topic
        partitions = len(consumer.partitions_for_topic(topic) or ())
        if not partitions:
            raise UnknownTopicOrPartitionError(f"topic {topic} is missing; 'hotspots topics' creates it")
        self._partition = {area: TopicPartition(topic, partition_of(area.encode(), partitions)) for area in self._areas}
        consumer.assign(sorted(set(self._partition.values())))

    def _feed(self, consumer: Reader) -> None:
        is_due = self._clock.monotonic_s() >= self._beat_at
        if is_due:
            self._beat_at = self._clock.monotonic_s() + self._heartbeat_s
            self._measure(consumer)
        try:
            if not self._is_proven:
                self._prove()
            if not self._is_placed:
                self._place(consumer)
                self._is_placed = True
            if is_due:
                self._beat(consumer)
            if not self._is_placed:  # what was lost is read first
                return
            for partition, records in consumer.poll(timeout_ms=POLL_MS).items():
                for record in records:
                    if not self._apply(record):
                        consumer.seek(partition, record.offset)
                        self._stopping.wait(UNCOVERED_S)
                        break
        except RedisLost:
            self._is_placed = False
            self._mended_s.clear()
            self._beat_at = 0.0
        except RedisError as error:
            if self._fault != str(error):
                log.warning("Redis does not take alerts, which wait in Kafka; will try again: %s", error)
            self._fault = str(error)
            self._metrics.redis_up(False)
            self._is_placed = False
            self._stopping.wait(PAUSE_S)

    def _prove(self) -> None:
        """Leave if Redis refuses the areas for good. A later change of the password does not end a running worker."""
        refusal = self._copy.refusal(self._areas)
        self._is_proven = refusal is None
        if refusal is not None and refusal.is_final:
            advice = "correct [redis], or its user's rights"
            self._leave(f"Redis at {self._url} refuses this worker: {refusal.text}; {advice}")

    def _place(self, consumer: Reader) -> None:
        """Seek to the offsets that Redis holds."""
        self._usual_written.clear()
        for area in self._areas:
            stored = self._copy.offset(area)
            if stored < self._stored.get(area, 0):
                log.warning("Redis has lost alerts of area %s, reading again from offset %d", area, stored)
                self._metrics.feeder_rewound(area)
            self._stored[area] = stored
        for partition in consumer.assignment():
            start = min(self._stored[area] for area, at in self._partition.items() if at == partition)
            log.info("partition %d of %s is read from offset %d", partition.partition, partition.topic, start)
            consumer.seek(partition, start)

    def _apply(self, record: ConsumerRecord) -> bool:
        """Apply a record to Redis; return False if it must wait until a scan record covers it."""
        area = (record.key or b"").decode(errors="replace")
        is_at_home = self._partition.get(area) == (record.topic, record.partition)
        if not is_at_home or record.offset < self._stored[area]:
            return True
        try:
            covers = self._coverage.covers(record.partition, record.offset)
        except KafkaError as error:  # the consumer stays open, and heartbeats go on while Kafka is away
            if not self._is_uncertain:
                log.warning("the scan records of the topic alerts cannot be read, will try again: %s", error)
            self._is_uncertain = True
            self._stopping.wait(PAUSE_S)
            return False
        self._is_uncertain = False
        if covers is None:
            return False
        try:
            if not covers:
                raise msgspec.DecodeError("no scan record covers it")
            self._advance(area, record.offset + 1, record)
        except msgspec.DecodeError as error:
            where = record.topic, record.partition, record.offset
            log.warning("%s, partition %d, offset %d: not an alert, left out: %s", *where, error)
            self._metrics.feeder_left_out(area)
        return True

    def _advance(self, area: str, reached: int, record: ConsumerRecord | None = None) -> None:
        first = self._first.get(self._partition[area], 0)
        self._stored[area] = self._copy.advance(area, self._stored[area], reached, first, record, self._topic_id)

    def _beat(self, consumer: Reader) -> None:
        """Write the heartbeats, and check whether Redis still holds everything.

        An area without new records advances to the partition's position. Otherwise the next start would read from
        further back.
        """
        written_at, now = self._copy.time(), self._clock.now()
        for area, health in self._health().items():
            self._copy.beat(area, health, written_at)
        for area, usual in self._usual().items():
            written, size = self._usual_written.get(area, (None, 0))
            if written is not usual or not self._copy.has_usual(area, size):
                self._usual_written[area] = usual, self._copy.write_usual(area, usual, now)
        for area in self._areas:
            self._compare(area)
        for area, partition in self._partition.items():
            position = consumer.position(partition, timeout_ms=TIMEOUT_MS)
            if position is not None and self._is_placed:
                self._advance(area, position)
        self._look_at_policy()
        if self._fault:
            log.info("Redis takes alerts again")
        self._fault = ""
        self._metrics.redis_up(True)

    def _compare(self, area: str) -> None:
        """Compare the figures of an area, and its next few alerts, with its ledger, and repair what differs."""
        now_s, first = self._clock.monotonic_s(), self._first.get(self._partition[area], 0)
        if now_s < self._mended_s.get(area, float("-inf")) + ROUND * self._heartbeat_s:
            return
        compared = 0
        while True:
            cursor = self._cursor.get(area, 0)
            found = self._copy.compare(area, first, self._ahead.get(area), self._topic_id, cursor, SLICE)
            self._cursor[area] = found.cursor
            compared += SLICE
            if found.outcome != "kept":
                break
            if not found.cursor or compared * ROUND >= found.alerts:
                return
        what = f"{found.lost} alerts differ in Redis" if found.outcome == "mended" else LOSSES[found.outcome]
        log.warning("area %s: %s, reading again from offset %d", area, what, found.stored)
        self._metrics.feeder_rewound(area)
        self._mended_s[area] = now_s
        self._stored[area] = found.stored
        self._is_placed = False

    def _look_at_policy(self) -> None:
        """Show what Redis does when its memory is full, and warn if alerts can be evicted."""
        policy = self._copy.eviction_policy()
        if policy != self._policy:
            self._metrics.redis_evicts({"noeviction": 0.0, "unknown": float("nan")}.get(policy, 1.0))
            if policy == "unknown":
                log.warning("the maxmemory-policy of Redis cannot be read; it must be noeviction, or alerts can vanish")
            elif policy != "noeviction":
                log.error("Redis has maxmemory-policy %s and can evict alerts: it must be noeviction", policy)
        self._policy = policy

    def _measure(self, consumer: Reader) -> None:
        """Measure how many records the topic holds, and how many of them are not in Redis."""
        partitions = consumer.assignment()
        try:
            self._first = consumer.beginning_offsets(partitions, timeout_ms=TIMEOUT_MS)
            ends = consumer.end_offsets(partitions, timeout_ms=TIMEOUT_MS)
            self._topic_id = self._broker.topic_id(self._kafka, self._topic)
        except KafkaError as error:
            log.warning("the offsets of the topic alerts cannot be read at the moment: %s", error)
            return
        self._ahead.clear()
        for area, partition in self._partition.items():
            known, end = self._stored.get(area, 0), ends[partition]
            self._metrics.feeder_lag(area, max(0, end - max(known, self._first[partition])))
            if known > end:
                self._ahead[area] = end
