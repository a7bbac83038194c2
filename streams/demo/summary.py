"""The summary of a demo: the recorded accounts, the alerts, and which injected clusters were found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detectors.alerts.alert import Alert
from detectors.alerts.lifecycle import TERMINAL
from detectors.simulation import InjectedCluster, found
from detectors.window.intake import OUTCOMES, Accounts
from streams.configuration.kafka import KafkaSettings
from streams.demo.source import AREA
from streams.messages.scan import ScanRecord, decode_scan
from streams.redis_copy.keys import SPEAKING_TIERS


class DemoError(Exception):
    """The demo cannot go on, or its accounts do not balance. The message is one line."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the records, and which alerts and clusters there were.

    ``opened``, ``ended``: alerts that reached the tier ``alert``, and how many of these ended.
    ``watched``: alerts that stayed below the tier ``alert``.
    ``injected``, ``found``: injected clusters, and how many of these were found.
    ``delay_s``: median time from the third incident of a found cluster to its alert, in seconds of city time.
    ``budget_per_week``: alerts a week that chance may open, None if the last scan used no calibration.
    """

    read: int
    added: int
    replaced: int
    removed: int
    duplicate: int
    outside: int
    rejected: int
    ticks: int
    opened: int
    ended: int
    watched: int
    injected: int
    found: int
    delay_s: float | None
    budget_per_week: float | None


@dataclass
class ScanLog:
    """The topic ``scans`` as read so far.

    ``last``: the topic's last record.
    ``nominal``: the first offset of ``incidents`` that no scan record without a calibration covers.
    ``revisions``: names of all revisions: alert id, a full stop, the revision.
    ``alerts``: revisions of open alerts, by name.
    """

    consumer: KafkaConsumer
    kafka: KafkaSettings
    last: ScanRecord | None = None
    nominal: int = 0
    revisions: set[str] = field(default_factory=set)
    alerts: dict[str, Alert] = field(default_factory=dict)

    @property
    def newest(self) -> ScanRecord:
        """The last scan record; raises DemoError before the first."""
        if self.last is None:
            raise DemoError("the worker has written no scan record yet")
        return self.last

    @property
    def reached(self) -> int:
        """The offset of the first record of ``incidents`` that no scan record covers."""
        return 0 if self.last is None else self.last.next_offset

    def read(self) -> None:
        """Read the new records."""
        for records in self.consumer.poll(timeout_ms=100, max_records=5000).values():
            for record in records:
                if record.key == AREA.encode() and record.value is not None:
                    self.last = decode_scan(record.value)
                    if not self.last.calibration:
                        self.nominal = self.last.next_offset
                    self.revisions.update(self.last.revisions)
                    for followed in self.last.checkpoint.tracker.followed:
                        self.alerts[f"{followed.alert.id}.{followed.alert.revision}"] = followed.alert

    def sent(self) -> int:
        """Return how many records the topic ``incidents`` holds. Raises KafkaError."""
        incidents = TopicPartition(self.kafka.topic("incidents"), 0)
        return int(self.consumer.end_offsets([incidents])[incidents])

    def covers(self, sent: int) -> bool:
        """Whether scan records cover ``sent`` records."""
        self.read()
        return self.reached == sent


def summary(
    scans: ScanLog,
    sent: int,
    changes: Sequence[dict[bytes, bytes]],
    clusters: Sequence[InjectedCluster],
    budget: float,
) -> Summary:
    """Return the summary of a run.

    ``sent``: number of records sent.
    ``changes``: entries of the Redis stream of alerts.
    ``budget``: alerts a week that chance may open under a calibration.

    Raises:
        DemoError: The accounts do not balance.
    """
    accounts, clock_s = scans.newest.accounts, scans.newest.checkpoint.clock_s
    check_accounts(accounts, sent)
    ids = {each[b"id"] for each in changes}
    opened = {each[b"id"] for each in changes if each[b"tier"].decode() in SPEAKING_TIERS}
    ended = {each[b"id"] for each in changes if each[b"state"].decode() in TERMINAL}
    shown = [cluster for cluster in clusters if cluster.third_s <= clock_s]
    ticks = {cluster: found(cluster, scans.alerts.values()) for cluster in shown}
    delays = [tick_s - cluster.third_s for cluster, tick_s in ticks.items() if tick_s is not None]
    return Summary(
        read=accounts.read,
        **{outcome: getattr(accounts, outcome) for outcome in OUTCOMES},
        opened=len(opened),
        ended=len(ended & opened),
        watched=len(ids - opened),
        injected=len(shown),
        found=len(delays),
        delay_s=statistics.median(delays) if delays else None,
        budget_per_week=budget if scans.newest.calibration else None,
    )


def check_accounts(accounts: Accounts, sent: int) -> None:
    """Raise DemoError unless every record sent is accounted for exactly once."""
    parts = {outcome: getattr(accounts, outcome) for outcome in OUTCOMES}
    if accounts.read != sent or sum(parts.values()) != sent:
        text = ", ".join(f"{name} {number}" for name, number in parts.items())
        raise DemoError(f"the accounts do not balance: sent {sent}, read {accounts.read} = {text}")
