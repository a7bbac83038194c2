"""What became of the incidents of a row: the log against an undisturbed run, and the copies against the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from kafka.consumer.fetcher import ConsumerRecord
from redis import Redis

from benchmarks.faults.feed import LIVE, STEADY
from detectors.alerts.lifecycle import TERMINAL
from streams.area_log.audit import audit
from streams.area_log.records import LogError
from streams.area_log.reproduce import Reproduction, reproduce
from streams.area_log.sources import KafkaLog
from streams.areas.configured import configured_areas
from streams.messages.alert import read_alert
from streams.messages.incident import decode
from streams.messages.scan import decode_scan
from streams.redis_copy.keys import SPEAKING_TIERS, area_key
from tests.integration.worker_process import Deployment

MAX_RECORD_BYTES = 65_536


class Verdict(msgspec.Struct, kw_only=True):
    """What became of the incidents of a row.

    ``lost`` and ``doubled``: revisions of alerts, and incidents that no scan record accounts for, or that two do.
    ``wrong``: revisions that are not those of an undisturbed run, or that the log does not give again, and breaks in
    the chain of digests. ``underivable``: alerts of which the log lacks the evidence. ``not_shown``: revisions that
    Redis lacks, has twice or does not have in order. ``not_notified``: alerts of which the on-call tool was never
    notified. ``undetected``: bursts that opened no alert. ``revisions``: how many revisions there are.
    """

    revisions: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    underivable: int = 0
    not_shown: int = 0
    not_notified: int = 0
    undetected: int = 0
    notes: list[str] = []

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, doubled, wrong or missing in a copy."""
        is_right = not (self.lost or self.doubled or self.wrong or self.underivable or self.undetected)
        return is_right and not (self.not_shown or self.not_notified)


def judge(
    site: Deployment,
    inputs: Sequence[ConsumerRecord],
    alerts: Sequence[ConsumerRecord],
    redis: Redis,
    fired: Counter[str],
    *,
    is_exact: bool,
) -> Verdict:
    """Compare ``alerts`` and everything else that was written with ``inputs``, the records of ``incidents``."""
    verdict = Verdict()
    written, present = by_area(alerts), by_area(site.read("alerts"))
    verdict.revisions = sum(map(len, written.values()))
    for area in (STEADY, LIVE):
        try:
            _account(verdict, site, area, inputs)
            if is_exact and area == STEADY:
                compare(verdict, written[area], undisturbed(site, inputs))
            else:
                _derive(verdict, site, area, written[area])
        except LogError as error:
            verdict.wrong += 1
            verdict.notes.append(f"{area}: {error}")
        verdict.not_shown += missing_in_redis(redis, area, written[area], present[area])
        verdict.not_notified += unnotified(area, written[area], fired)
        verdict.undetected += not any(speaks(value) for value in written[area])
    return verdict


def by_area(alerts: Iterable[ConsumerRecord]) -> dict[str, list[bytes]]:
    """Return the values of records of the topic ``alerts`` by area."""
    found: dict[str, list[bytes]] = {STEADY: [], LIVE: []}
    for record in alerts:
        found[(record.key or b"").decode()].append(record.value)
    return found


def undisturbed(site: Deployment, inputs: Sequence[ConsumerRecord]) -> list[bytes]:
    """Return the alerts of the steady area that a Monitor in this process makes of these records."""
    areas = configured_areas(site.configuration.areas)
    monitor, area = areas[STEADY].monitor(), areas[STEADY]
    alerts: list[bytes] = []
    for record in inputs:
        name, entry = decode(
            record.key, record.value, record.headers, record.partition, site.kafka.partitions, areas, MAX_RECORD_BYTES
        )
        if name == STEADY:
            for closed in monitor.put(entry, record.offset, record.timestamp // 1000):
                alerts += map(area.event, closed.changes)
    return alerts


def compare(verdict: Verdict, written: Iterable[bytes], expected: Iterable[bytes]) -> None:
    """Count the revisions that are missing, that exist twice, or that differ from the expected ones."""
    right = {revision(value): value for value in expected}
    found = Counter(map(revision, written))
    values = {revision(value): value for value in written}
    verdict.lost += len(right.keys() - found.keys())
    verdict.doubled += sum(number - 1 for number in found.values())
    verdict.wrong += sum(values[each] != right.get(each) for each in found)


def revision(value: bytes) -> tuple[str, int]:
    """Return the id and the revision of an alert's event."""
    alert = read_alert(value).data.properties
    return alert.id, alert.revision


def _account(verdict: Verdict, site: Deployment, area: str, inputs: Sequence[ConsumerRecord]) -> None:
    """Compare the area's last accounts with its records, and verify its chain of digests."""
    log = KafkaLog(site.kafka, area, MAX_RECORD_BYTES)
    found = audit(log, lambda: None)
    verdict.wrong += len(found.breaks)
    verdict.notes += [f"{area}: {each.fault}" for each in found.breaks[:1]]
    mine = sum(record.key == area.encode() for record in inputs)
    read = _accounts(site, area)
    verdict.lost += max(0, mine - read)
    verdict.doubled += max(0, read - mine)
    if mine != read:
        verdict.notes.append(f"{area}: {mine} records, {read} accounted for")


def _accounts(site: Deployment, area: str) -> int:
    records = site.scans().get(area, [])
    return decode_scan(records[-1]).accounts.read if records else 0


def _derive(verdict: Verdict, site: Deployment, area: str, written: Sequence[bytes]) -> None:
    """Derive every revision of the area again; each alert must have each of its revisions once."""
    found = Counter(map(revision, written))
    verdict.doubled += sum(number - 1 for number in found.values())
    last: dict[str, int] = {}
    for name, number in found:
        last[name] = max(number, last.get(name, 0))
    verdict.lost += sum(last.values()) - len(found)
    log = KafkaLog(site.kafka, area, MAX_RECORD_BYTES)
    try:
        derived = [reproduce(log, None, lambda: None)]
    except LogError as error:
        if not last:
            raise
        verdict.notes.append(f"{area}: {error}")
        derived = list(_derived_singly(verdict, log, last))
    differences = [difference for each in derived for difference in each.differences]
    verdict.wrong += len(differences)
    verdict.notes += [f"{each.where}: {each.field}" for each in differences[:1]]


def _derived_singly(verdict: Verdict, log: KafkaLog, alerts: Iterable[str]) -> Iterator[Reproduction]:
    """Derive each alert again of which the log has the evidence, and count the others."""
    for alert in alerts:
        try:
            yield reproduce(log, alert, lambda: None)
        except LogError:
            verdict.underivable += 1


def missing_in_redis(redis: Redis, area: str, written: Sequence[bytes], present: Sequence[bytes]) -> int:
    """Return how many revisions of the area Redis lacks or has twice, plus the alerts whose revision there is old.

    ``present``: the revisions that are still in the topic. The Redis stream keeps what the topic keeps.
    """
    entries: Any = redis.xrange(area_key(area, "alerts"))
    stream = [fields[b"event"] for _, fields in entries]
    last = {revision(value)[0]: value for value in written}
    missing = (Counter(present) - Counter(stream)).total() + (Counter(stream) - Counter(present)).total()
    for name, value in last.items():
        missing += redis.hget(area_key(area, f"alert:{name}"), "event") != value
        missing += redis.xlen(area_key(area, f"alert:{name}:revisions")) != revision(value)[1]
    still_open = {name.encode() for name, value in last.items() if is_open(value)}
    for key in ("open", "where"):
        missing += len(set(redis.zrange(area_key(area, key), 0, -1)) ^ still_open)
    return missing


def speaks(value: bytes) -> bool:
    """Return whether a revision is news for a control room."""
    alert = read_alert(value).data.properties
    return alert.tier in SPEAKING_TIERS and bool(alert.notice)


def is_open(value: bytes) -> bool:
    """Return whether a revision leaves its alert open."""
    return read_alert(value).data.properties.state not in TERMINAL


def unnotified(area: str, written: Sequence[bytes], fired: Counter[str]) -> int:
    """Return the number of alerts that should have rung and did not. Ended alerts count in the steady area only."""
    last = {revision(value)[0]: value for value in written}
    speaking = {revision(value)[0] for value in written if speaks(value)}
    return len({name for name in speaking if area == STEADY or is_open(last[name])} - fired.keys())
