"""What must hold after every step, and what must hold at the end of the day."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import Any

import msgspec
from kafka import TopicPartition

from streams.areas.area import Area
from streams.messages.records import Rejection
from streams.messages.scan import ScanRecord
from streams.redis_copy.keys import area_key
from streams.worker.inbox import Inbox
from tests.integration.redis_copy.fed_redis import model
from tests.simulation import town
from tests.simulation.broker import SimulatedBroker, Stored
from tests.simulation.machine import REFUSED, Machine
from tests.simulation.oracle import Oracle, WrongError
from tests.simulation.redis_server import RedisWorld, Sorted, Stream
from tests.simulation.scheduler import Scheduler

SAID_S = 60.0
"""Time within which it is said that an area is not watched, in seconds."""
SCANNED_S = 60.0
"""Time within which a record is on record while nothing is wrong, in seconds."""
KEPT_RECORDS = 300
"""Largest number of records on record that an inbox may keep in memory."""
STEPS = 300_000
"""Largest number of steps in a day; without a part that asks again and again there are some 10,000."""
EXITS = {0, 3}
"""Exit codes that a worker may have: it was asked to leave; another has its partition."""
LOST = "lost, it holds no scan record"
"""What a worker says that refuses to start without the scan records that there were."""
SPEAKING = {"catching_up", "kafka_away", "clock", "silent"}
"""States of a feed that say that the newest incidents are not, or may not be, in the alerts."""

log = logging.getLogger("simulation")


class Invariants:
    """Watches the broker, the workers and Redis."""

    def __init__(
        self,
        scheduler: Scheduler,
        server: SimulatedBroker,
        redis: RedisWorld,
        areas: dict[str, Area],
        machines: list[Machine],
        last: dict[str, ScanRecord],
        monitors: dict[str, bytes],
    ) -> None:
        self._scheduler, self._server, self._redis, self._machines = scheduler, server, redis, machines
        self._areas = areas
        self.oracles = {
            name: Oracle(server, area, last.get(name), monitors.get(name, b"")) for name, area in areas.items()
        }
        self._scans = [TopicPartition("scans", number) for number in range(town.PARTITIONS)]
        self._alerts = [TopicPartition("alerts", number) for number in range(town.PARTITIONS)]
        self._seen = {at: server.log(at).end for at in (*self._scans, *self._alerts)}
        self._uncovered: dict[str, deque[tuple[int, float, bool]]] = {name: deque() for name in areas}
        self._unsaid_since_s: dict[str, float] = {}
        self._changes = -1
        self._astray_s = float("inf")
        self._known_exits: Counter[str] = Counter()
        self.revisions = 0

    # After every step

    def check(self) -> None:
        """Check what has come since the last call.

        Raises:
            WrongError: An invariant does not hold.
        """
        if self._scheduler.steps > STEPS:
            raise WrongError(f"{self._scheduler.last}: runs without rest")
        if self._scheduler.died:
            name, error = self._scheduler.died[0]
            raise WrongError(f"{name}: an error ends the thread: {type(error).__name__}: {error}") from error
        if self._server.changes == self._changes:
            return
        self._changes = self._server.changes
        has_news = False
        for at in self._scans:
            if at in self._server.put_aside:
                if self._server.log(at).records:
                    raise WrongError(f"{at.topic}: a worker writes there, although its records are lost")
            elif self._server.log(at).stable != self._seen[at]:
                self._see_scans(at)
                has_news = True
        for at in self._alerts:
            if has_news or self._server.log(at).stable != self._seen[at]:
                self._see_alerts(at)

    def _see_scans(self, at: TopicPartition) -> None:
        for record in self._new(at):
            if (record.key or b"").startswith(b"#"):
                continue
            name = (record.key or b"").decode()
            oracle = self.oracles[name]
            oracle.see(record.value or b"", record.offset)
            assert oracle.last is not None
            waiting = self._uncovered[name]
            while waiting and waiting[0][0] < oracle.last.next_offset:
                waiting.popleft()

    def _see_alerts(self, at: TopicPartition) -> None:
        for record in self._new(at):
            name = (record.key or b"").decode()
            expected = self.oracles[name].revisions
            where = f"{name}: revision at offset {record.offset} of alerts"
            found = msgspec.json.decode(record.value or b"{}")["data"]
            if not expected:
                raise WrongError(f"{where}, {found['id']}.{found['properties']['revision']}: no scan record names it")
            revision, event = expected.popleft()
            if event != record.value:
                raise WrongError(f"{where}: {found['id']}.{found['properties']['revision']}, but {revision} is next")
            self.revisions += 1
        for name in self._areas:
            if town.home(name) == at.partition and (missing := self.oracles[name].revisions):
                raise WrongError(f"{name}: {missing[0][0]} has a scan record and is not in alerts")

    def _new(self, at: TopicPartition) -> list[Stored]:
        records, self._seen[at] = self._server.log(at).visible(self._seen[at], True, 10**9)
        return records

    # What is said, every now and then

    def arrived(self, record: Stored) -> None:
        """Note that a record of an area has arrived."""
        name = (record.key or b"").decode()
        if name in self._uncovered:
            self._uncovered[name].append((record.offset, self._scheduler.now_s, not record.value))

    def astray(self, time_s: float) -> None:
        """Note that a record has come into a partition that is not configured: it must be said."""
        self._astray_s = time_s

    def listen(self) -> None:
        """Check that what is not on record in time is said, and that no process has ended for nothing.

        Raises:
            WrongError: An area is not watched, and nobody says so; or a process has ended.
        """
        now_s = self._scheduler.now_s
        for name, waiting in self._uncovered.items():
            behind_s = self._behind_s(name, now_s) if waiting else 0.0
            if behind_s <= SCANNED_S or self._is_said(name):
                self._unsaid_since_s.pop(name, None)
                continue
            since_s = self._unsaid_since_s.setdefault(name, now_s)
            if now_s - since_s > SAID_S:
                raise WrongError(
                    f"{name}: a record waits for {behind_s:.0f} s, and nobody says so: {self._words(name)}"
                )
        if now_s - self._astray_s > 2 * SAID_S and not self._is_said(""):
            raise WrongError("a record in a new partition is not read, and nobody says so")
        for machine in self._machines:
            is_refused = self._redis.refuses(machine.name, now_s) and self._redis.is_reachable(machine.name)
            owned = machine.worker.owned() if is_refused and machine.is_running and machine.worker else []
            if owned:
                since_s = self._unsaid_since_s.setdefault(machine.name, now_s)
                if now_s - since_s > 2 * SAID_S:
                    raise WrongError(f"{machine.name} owns partitions {owned}, and Redis refuses it")
            else:
                self._unsaid_since_s.pop(machine.name, None)
            while len(machine.exits) > self._known_exits[machine.name]:
                code, reason, at_s = machine.exits[self._known_exits[machine.name]]
                self._known_exits[machine.name] += 1
                is_right = REFUSED in reason and self._redis.refuses(machine.name, at_s)
                is_right |= LOST in reason and at_s <= self._server.lost_until_s + SAID_S
                if code not in EXITS and not is_right:
                    raise WrongError(f"{machine.name} has ended with exit code {code}: {reason}")
            if machine.is_running and machine.worker is not None:
                for number, each in machine.worker._owned.items():
                    held = sum(map(len, each.inbox._uncovered.values()))
                    if held > KEPT_RECORDS and (kept := _kept(each.inbox)) > KEPT_RECORDS:
                        where = f"{machine.name}: partition {number}"
                        raise WrongError(f"{where} keeps {kept} records in memory that are on record")

    def _behind_s(self, name: str, now_s: float) -> float:
        """For how long a record has waited that something should have put on record."""
        waiting = self._uncovered[name]
        if self._areas[name].settings.clock == "wall":
            return now_s - waiting[0][1]
        # The open tick of a watermark clock waits; a tick record closes it.
        return next((now_s - at_s for _, at_s, is_mark in waiting if is_mark), 0.0)

    def _is_said(self, name: str) -> bool:
        running = [each for each in self._machines if each.is_running and not each.is_frozen]
        if not running:
            return True  # a supervisor and Prometheus see that the process is gone
        for machine in running:
            if machine.probes is None or machine.probes.not_ready() or machine.probes.dead():
                return True
            health = machine.health().get(name)
            if health is not None and (health.feed in SPEAKING or health.lag):
                return True
        return False

    def _words(self, name: str) -> str:
        said = []
        for machine in self._machines:
            if machine.is_running and machine.probes is not None:
                health = machine.health().get(name)
                state = f"{health.feed}, lag {health.lag}" if health else "not owned"
                said.append(f"{machine.name}: {machine.probes.not_ready() or 'ready'}, {state}")
        return "; ".join(said)

    # At the end of the day

    def settle(self) -> None:
        """Check that everything is on record, and that Redis holds what it should.

        Raises:
            WrongError: Something is missing, doubled or different.
        """
        self.check()
        self.listen()
        for name, waiting in self._uncovered.items():
            if waiting and self._areas[name].settings.clock == "wall":
                raise WrongError(f"{name}: the record at offset {waiting[0][0]} is not on record at the end of the day")
        for name, oracle in self.oracles.items():
            self._balance(name, oracle)
        self._dead_letters()
        self._compare_redis()

    def _balance(self, name: str, oracle: Oracle) -> None:
        if oracle.last is None:
            return
        log_ = self._server.log(TopicPartition("incidents", town.home(name)))
        read = sum(
            record.key == name.encode() and record.offset not in log_.undecodable
            for record in log_.records[: oracle.last.next_offset - log_.base]
        )
        accounts = msgspec.structs.asdict(oracle.last.accounts)
        accounts.pop("unmapped", None)
        taken = accounts.pop("read")
        counted = sum(accounts.values())
        if not counted == taken == read:
            raise WrongError(f"{name}: {read} records were read, but its accounts add up to {counted}: {accounts}")

    def _dead_letters(self) -> None:
        letters: Counter[tuple[str, int, int]] = Counter()
        for number in range(town.PARTITIONS):
            at = TopicPartition("incidents.rejected", number)
            for record in self._server.log(at).visible(0, True, 10**9)[0]:
                letter = msgspec.json.decode(record.value or b"", type=Rejection)
                letters[letter.topic, letter.partition, letter.offset] += 1
        doubled = [each for each, number in letters.items() if number > 1]
        if doubled:
            raise WrongError(f"rejected: {doubled[0]} has {letters[doubled[0]]} dead letters")
        for name, oracle in self.oracles.items():
            missing = [each for each in oracle.refused if (each[0], town.home(name), each[1]) not in letters]
            if missing:
                raise WrongError(f"{name}: {missing[0]} was refused and has no dead letter")

    def _compare_redis(self) -> None:
        revisions: list[tuple[str, bytes]] = []
        offsets: dict[str, list[int]] = {}
        provenances: dict[tuple[str, int], bytes] = {}
        for at in self._alerts:
            for record in self._server.log(at).visible(0, True, 10**9)[0]:
                name = (record.key or b"").decode()
                revisions.append((name, record.value or b""))
                offsets.setdefault(name, []).append(record.offset)
                provenances[name, record.offset + 1] = dict(record.headers).get("provenance", b"")
        right = _plain(model(revisions, offsets))
        held = {
            key.decode(): _readable(value)
            for key, value in self._redis.keys.items()
            if not key.endswith((b":health", b":offset", b":usual", b":where", b":ledger", b":ledger:alerts"))
        }
        held = _plain(held)
        for key in sorted(right.keys() | held.keys()):
            if right.get(key) != held.get(key):
                raise WrongError(f"Redis: {key}: {_summary(held.get(key))}, must be {_summary(right.get(key))}")
        for name in self._areas:
            places = self._redis.keys.get(area_key(name, "where").encode(), {})
            opened = self._redis.keys.get(area_key(name, "open").encode(), {})
            if places.keys() != opened.keys():
                raise WrongError(f"Redis: {name}: where and open hold different alerts")


def _kept(inbox: Inbox) -> int:
    """The records that an inbox keeps in memory although they are on record."""
    covered = inbox._covered
    return sum(covered.get(each.area, 0) > each.offset for records in inbox._uncovered.values() for each in records)


def _readable(value: Any) -> Any:
    if isinstance(value, Sorted):
        return sorted(value.items(), key=lambda each: (each[1], each[0]))
    if isinstance(value, Stream):
        return [(f"{id_[0]}-{id_[1]}".encode(), entry) for id_, entry in value.entries]
    return value


def _plain(contents: dict[str, Any]) -> dict[str, Any]:
    """Without provenance, which says who wrote a revision and when."""

    def without(entry: Any) -> Any:
        return {field: value for field, value in entry.items() if field != b"provenance"}

    plain: dict[str, Any] = {}
    for key, value in contents.items():
        if isinstance(value, dict):
            plain[key] = without(value)
        elif value and isinstance(value[0][1], dict):
            plain[key] = [(id_, without(entry)) for id_, entry in value]
        elif value:
            plain[key] = value
    return plain


def _summary(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{len(value)} entries" if isinstance(value, list) else str(value)[:80]
