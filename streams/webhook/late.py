"""Alerts found while the worker catches up. They wait until it has caught up, and are sent once if still open."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.brokers.connection import news_reader_arguments
from streams.configuration.kafka import KafkaSettings
from streams.messages.alert import PROVENANCE_HEADER, AlertFeature, is_delayed
from streams.process.strict_json import StrictDecoder

LONGEST_S = 3600.0
"""Longest wait for an area to catch up, in seconds. Its worker may be gone while the alert is open."""


class Late:
    """A late alert: its last delayed record, and the offset of its first one. The group's offset stays at ``first``.

    ``upto``: the end of the topic when the area had caught up; None before. The topic is read up to there before the
        alert is sent, because the alert may have ended.
    """

    def __init__(self, record: ConsumerRecord, feature: AlertFeature, first: int) -> None:
        self.record = record
        self.feature = feature
        self.first = first
        self.upto: int | None = None
        self._since_s = time.monotonic()

    @property
    def at(self) -> TopicPartition:
        """The partition of its records."""
        return TopicPartition(self.record.topic, self.record.partition)

    def is_due(self, current: Mapping[str, int]) -> bool:
        """Return whether its area has caught up, or has taken too long. ``current``: see :class:`ScanReader`."""
        alert = self.feature.properties
        is_current = current.get(alert.area, alert.tick_s - 1) >= alert.tick_s
        return is_current or time.monotonic() - self._since_s > LONGEST_S


class _Tick(msgspec.Struct):
    area: str
    tick_s: int


_tick = StrictDecoder[_Tick](_Tick)


class ScanReader:
    """A reader of the newest scan records.

    ``current``: by area, the last tick whose scan record was written in time, as its provenance says. Ticks are
    compared with ticks, never one clock with another. A worker of an earlier version writes no provenance.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self.current: dict[str, int] = {}
        self._topic = kafka.topic("scans")
        self._consumer = AIOKafkaConsumer(**news_reader_arguments(kafka))

    async def start(self) -> None:
        """Connect to Kafka."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def read(self, partitions: set[int]) -> None:
        """Read the new records of these partitions. A partition that was not read before begins at its end."""
        wanted = {TopicPartition(self._topic, number) for number in partitions}
        if wanted != self._consumer.assignment():
            self._consumer.unsubscribe()
            if wanted:
                self._consumer.assign(list(wanted))
        if not wanted:
            return
        for records in (await self._consumer.getmany(timeout_ms=0)).values():
            for record in records:
                self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        try:
            tick = _tick.decode(record.value)
            is_late = is_delayed(provenance := dict(record.headers).get(PROVENANCE_HEADER))
        except msgspec.DecodeError:  # the partition record
            return
        if provenance and not is_late:
            self.current[tick.area] = tick.tick_s
