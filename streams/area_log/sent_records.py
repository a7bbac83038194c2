"""What became of the records sent to an area, by the accounts in its scan records and by the dead letters."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detectors.window.intake import Accounts
from streams.area_log.last_records import last_records
from streams.brokers.connection import consumer_arguments
from streams.brokers.reading import records_between
from streams.configuration.kafka import KafkaSettings
from streams.messages.records import Rejection, partition_of
from streams.messages.scan import ScanRecord
from streams.process.strict_json import StrictDecoder

POLL_S = 0.5
"""Interval between two reads of the scan records, in seconds."""

Offsets = Mapping[int, set[int]]
"""Offsets in the topic ``incidents``, by partition."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of ``sent`` records, and of ``others``: records that other senders sent meanwhile.

    The fields from ``added`` to ``ticks`` count both, so they add up to ``sent - waiting + others``. ``reasons``:
    number of rejected ones among ``sent``, by reason. ``waiting``: number of records that no scan record covers yet,
    from the offset ``waits_from`` on.
    """

    sent: int
    added: int = 0
    replaced: int = 0
    removed: int = 0
    duplicate: int = 0
    outside: int = 0
    rejected: int = 0
    ticks: int = 0
    others: int = 0
    reasons: dict[str, int] = {}
    waiting: int = 0
    waits_from: int | None = None

    @property
    def taken(self) -> int:
        """Number of records that changed the window or were already in it."""
        return self.added + self.replaced + self.removed + self.duplicate


class SentRecords:
    """Follows an area's accounts from now on. Close it at the end.

    Raises:
        KafkaError: Kafka cannot be reached, or a topic is missing.
        LogError: A scan record was written by another version.
    """

    def __init__(self, kafka: KafkaSettings, area: str) -> None:
        self._kafka, self._area = kafka, area
        self._home = partition_of(area.encode(), kafka.partitions)
        self._incidents = kafka.topic("incidents")
        self._decoder = StrictDecoder[Rejection](Rejection)
        self._never = threading.Event()
        self._consumer = KafkaConsumer(**consumer_arguments(kafka))
        self.before = self._last()
        topic = kafka.topic("rejected")
        dead_letters = [TopicPartition(topic, each) for each in self._consumer.partitions_for_topic(topic) or ()]
        self._read_to: dict[TopicPartition, int] = self._consumer.end_offsets(dead_letters)
        self._rejected: dict[tuple[int, int], Rejection] = {}

    def close(self) -> None:
        """Close the connection to Kafka."""
        self._consumer.close()

    def fate(self, sent: Offsets) -> Fate:
        """Return what has become of these records so far."""
        last = self._last()
        self._read_dead_letters()
        return counted(sent, self._home, self.before, last, self._rejected)

    def wait(self, sent: Offsets, quiet_s: float) -> Fate:
        """Return what became of them once all are accounted for, or nothing has changed for ``quiet_s`` seconds."""
        known = self.fate(sent)
        changed_s = time.monotonic()
        while known.waiting and time.monotonic() - changed_s < quiet_s:
            time.sleep(POLL_S)
            now = self.fate(sent)
            if now.waiting != known.waiting:
                changed_s = time.monotonic()
            known = now
        return known

    def _last(self) -> ScanRecord | None:
        standing = last_records(self._consumer, self._kafka, self._home, (self._area,), self._never)
        return standing.scans.get(self._area)

    def _read_dead_letters(self) -> None:
        self._consumer.assign(list(self._read_to))
        for log, end in self._consumer.end_offsets(list(self._read_to)).items():
            for record in records_between(self._consumer, log, self._read_to[log], end, self._never):
                with suppress(msgspec.DecodeError):  # a stranger's record
                    rejection = self._decoder.decode(record.value)
                    if rejection.topic == self._incidents:
                        self._rejected[rejection.partition, rejection.offset] = rejection
            self._read_to[log] = end


def counted(
    sent: Offsets,
    home: int,
    before: ScanRecord | None,
    last: ScanRecord | None,
    rejected: Mapping[tuple[int, int], Rejection],
) -> Fate:
    """Return the fate of the records by two scan records of the area, and the dead letters by partition and offset.

    ``home``: the area's partition. ``before``: its last scan record when the first was sent; ``last``: the present one.
    """
    all_sent = {(partition, offset) for partition, offsets in sent.items() for offset in offsets}
    own = {where: rejected[where] for where in all_sent & rejected.keys()}
    reasons = Counter(each.reason for each in own.values())
    of_no_area = {where for where, each in own.items() if each.area is msgspec.UNSET}
    end = last.next_offset if last else 0
    covered = {(home, offset) for offset in sent.get(home, ()) if offset < end} - of_no_area
    waiting = all_sent - covered - of_no_area
    was, now = (each.accounts if each else Accounts() for each in (before, last))
    outcomes = {
        name: getattr(now, name) - getattr(was, name)
        for name in ("added", "replaced", "removed", "duplicate", "outside", "rejected", "ticks")
    }
    outcomes["rejected"] += len(of_no_area)
    return Fate(
        sent=len(all_sent),
        **outcomes,
        others=now.read - was.read - len(covered),
        reasons=dict(reasons.most_common()),
        waiting=len(waiting),
        waits_from=min((offset for _, offset in waiting), default=None),
    )
