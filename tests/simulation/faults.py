"""What can go wrong in a day. Each fault takes the world and a moment, and arranges the rest itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
from kafka import TopicPartition

from streams.messages.response import ResponseMessage
from tests.simulation import town
from tests.simulation.broker import SESSION_S, TRANSACTION_S
from tests.simulation.day import CALM_S, World, log
from tests.simulation.machine import Machine
from tests.simulation.scheduler import Process

WRITES = ("add", "produce", "end", "init")
"""The requests of a transactional writer."""


class Fault(NamedTuple):
    """A fault, and how often it is drawn in relation to the others."""

    begin: Callable[[World, random.Random, float], None]
    weight: float


FAULTS: dict[str, Fault] = {}


def fault(weight: float = 1.0) -> Callable[[Callable[[World, random.Random, float], None]], None]:
    """Register a fault under the name of its function."""

    def register(begin: Callable[[World, random.Random, float], None]) -> None:
        FAULTS[begin.__name__] = Fault(begin, weight)

    return register


def plan(world: World, names: tuple[str, ...] | None = None) -> None:
    """Draw the faults of a day."""
    chance = world.chance
    if chance.random() < 0.5:
        world.at(world.begin_s + chance.uniform(0, 8) * 3600, world.machines["b"].start, "worker b joins")
    known = {name: each for name, each in FAULTS.items() if names is None or name in names}
    weights = [each.weight for each in known.values()]
    for _ in range(chance.randint(2, 7)):
        name = chance.choices(list(known), weights)[0]
        known[name].begin(world, chance, moment(world, chance))


def moment(world: World, chance: random.Random) -> float:
    """Return a moment of the day, mostly soon after a record has arrived, while something is going on."""
    last_s = world.end_s - CALM_S - 300
    if chance.random() < 0.3:
        return chance.uniform(world.begin_s + 60, last_s)
    arrivals = [each for each in world.arrivals if each < last_s - 60] or [world.begin_s + 3600]
    return chance.choice(arrivals) + chance.choice([0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 9.0])


def machine_of(world: World, chance: random.Random) -> Machine:
    """Return a machine, mostly the one that always runs."""
    return world.machines["b" if chance.random() < 0.3 else "a"]


def members_expire(world: World) -> None:
    """Let the broker notice, in time, who is gone."""
    for after_s in (SESSION_S + 0.5, SESSION_S + 15):
        world.scheduler.at(world.scheduler.now_s + after_s, world.server.expire_members)
    world.scheduler.at(world.scheduler.now_s + TRANSACTION_S + 2, world.server.expire_transactions)


def during(world: World, chance: random.Random, at_s: float, act: Callable[[Process], None], what: str) -> None:
    """Do something to a process in the middle of one of its requests, soon after a moment."""
    name, left = chance.choice([*WRITES, "fetch", "offsets"]), [chance.randint(1, 4)]

    def before(process: Process, request: str) -> None:
        if request == name:
            left[0] -= 1
            if not left[0]:
                world.network.before.remove(before)
                log.info("== %s: %s, in the middle of the request %s", what, process.name, name)
                act(process)

    world.at(at_s, lambda: world.network.before.append(before))


@fault(3)
def kill(world: World, chance: random.Random, at_s: float) -> None:
    """A worker is killed, at any moment or in the middle of a request."""
    if chance.random() < 0.5:
        machine = machine_of(world, chance)

        def end() -> None:
            members_expire(world)
            machine.kill()

        world.at(at_s, end, f"{machine.name} is killed")
        return

    def act(process: Process) -> None:
        members_expire(world)
        world.machines[process.name].kill()

    during(world, chance, at_s, act, "killed")


@fault()
def terminate(world: World, chance: random.Random, at_s: float) -> None:
    """A worker is asked to leave, and started again."""
    machine = machine_of(world, chance)
    world.at(at_s, machine.terminate, f"{machine.name} is asked to leave")


@fault()
def leave_and_join(world: World, chance: random.Random, at_s: float) -> None:
    """The second worker leaves for good, or joins."""
    machine = world.machines["b"]

    def act() -> None:
        if machine.is_running:
            machine.is_wanted = False
            machine.terminate()
        else:
            machine.start()

    world.at(at_s, act, "worker b leaves, or joins")


@fault(2)
def freeze(world: World, chance: random.Random, at_s: float) -> None:
    """A worker stands still and wakes, perhaps after another has its partitions."""
    seconds = chance.choice([3.0, 9.0, 15.0, 40.0, 90.0])

    def act(process: Process) -> None:
        world.scheduler.freeze(process, world.scheduler.now_s + seconds)
        members_expire(world)
        world.at(world.scheduler.now_s + seconds, lambda: None, f"{process.name} wakes")

    if chance.random() < 0.5:
        machine = machine_of(world, chance)
        world.at(at_s, lambda: act(machine.process) if machine.process else None, f"{machine.name} freezes")
    else:
        during(world, chance, at_s, act, f"frozen for {seconds:g} s")


@fault(2)
def broker_away(world: World, chance: random.Random, at_s: float) -> None:
    """The broker gives no answer for a while."""
    seconds = chance.choice([2.0, 8.0, 20.0, 45.0, 90.0, 300.0])

    def begin() -> None:
        world.network.away_until_s = max(world.network.away_until_s, world.scheduler.now_s + seconds)
        for each in world.server.groups.values():  # sessions do not expire while the broker is away
            for member in each.members.values():
                member.seen_s = max(member.seen_s, world.network.away_until_s)
        world.at(world.scheduler.now_s + seconds + 0.1, lambda: members_expire(world), "the broker is back")

    world.at(at_s, begin, f"the broker is away for {seconds:g} s")


@fault()
def disk_full(world: World, chance: random.Random, at_s: float) -> None:
    """The broker takes no records for a while."""
    seconds = chance.choice([5.0, 20.0, 70.0, 200.0])

    def begin() -> None:
        world.network.full_until_s = world.scheduler.now_s + seconds
        members_expire(world)
        world.at(world.scheduler.now_s + seconds + 0.1, lambda: members_expire(world), "the disk has room")

    world.at(at_s, begin, f"the broker's disk is full for {seconds:g} s")


@fault()
def slow(world: World, chance: random.Random, at_s: float) -> None:
    """Every request takes long."""
    seconds = chance.choice([0.3, 1.0, 3.0])

    def begin() -> None:
        world.network.slow_s, world.network.slow_until_s = seconds, world.scheduler.now_s + 200

    world.at(at_s, begin, f"every request takes {seconds:g} s longer")


@fault()
def cut(world: World, chance: random.Random, at_s: float) -> None:
    """A worker cannot reach the broker, while another can."""
    machine, seconds = machine_of(world, chance), chance.choice([5.0, 15.0, 40.0, 90.0])

    def begin() -> None:
        world.network.cut[machine.name] = world.scheduler.now_s + seconds
        members_expire(world)
        world.at(world.scheduler.now_s + seconds + 0.1, lambda: None, f"{machine.name} reaches the broker again")

    world.at(at_s, begin, f"{machine.name} cannot reach the broker for {seconds:g} s")


@fault(2)
def answer_lost(world: World, chance: random.Random, at_s: float) -> None:
    """A request takes effect, and its answer is lost."""
    name, number = chance.choice(WRITES), chance.randint(1, 2)
    world.at(at_s, lambda: world.network.lost_answers.update({name: number}), f"{number} answers to {name} are lost")


@fault(2)
def late_copy(world: World, chance: random.Random, at_s: float) -> None:
    """A request comes a second time, after some later ones."""
    name, after = chance.choice(["end", "end", "produce", "add"]), chance.randint(1, 7)
    world.at(at_s, lambda: world.network.late_copies.append((name, after)), f"a copy of {name} comes late")


@fault()
def redis_away(world: World, chance: random.Random, at_s: float) -> None:
    """Redis cannot be reached for a while, by one worker or by all."""
    seconds, only = chance.choice([5.0, 60.0, 900.0]), chance.choice(["", "a", "b"])

    def begin() -> None:
        if only:
            world.redis.cut[only] = world.scheduler.now_s + seconds
        else:
            world.redis.away_until_s = world.scheduler.now_s + seconds
        world.at(world.scheduler.now_s + seconds + 0.1, lambda: None, "Redis is back")

    world.at(at_s, begin, f"Redis is away for {seconds:g} s {only}")


@fault()
def redis_full(world: World, chance: random.Random, at_s: float) -> None:
    """Redis takes nothing for a while."""

    def begin() -> None:
        world.redis.full_until_s = world.scheduler.now_s + 120
        world.at(world.scheduler.now_s + 120.1, lambda: None, "Redis has room")

    world.at(at_s, begin, "Redis is full for 120 s")


@fault()
def redis_loses(world: World, chance: random.Random, at_s: float) -> None:
    """Redis is flushed, or an old snapshot is restored."""
    if chance.random() < 0.5:
        world.at(at_s, world.redis.keys.clear, "Redis is flushed")
        return
    kept: list[dict[bytes, object]] = []
    world.at(at_s, lambda: kept.append(world.redis.snapshot()), "Redis is copied")

    def restore() -> None:
        world.redis.keys.clear()
        world.redis.keys.update(kept[0])

    later_s = min(at_s + chance.uniform(60, 6 * 3600), world.end_s - CALM_S - 60)
    world.at(max(later_s, at_s + 1), restore, "the old copy of Redis is restored")


@fault()
def redis_answer_lost(world: World, chance: random.Random, at_s: float) -> None:
    """A change is applied in Redis, and its answer is lost."""
    world.at(at_s, lambda: setattr(world.redis, "lost_answers", 2), "answers of Redis are lost")


@fault()
def keys_evicted(world: World, chance: random.Random, at_s: float) -> None:
    """Redis evicts some keys."""

    def act() -> None:
        keys = sorted(world.redis.keys)
        for key in chance.sample(keys, min(len(keys), chance.randint(1, 3))):
            log.info("== evicted: %s", key.decode())
            del world.redis.keys[key]

    world.at(at_s, act, "Redis evicts keys")


@fault()
def retention(world: World, chance: random.Random, at_s: float) -> None:
    """Retention removes old records that nobody needs."""

    def act() -> None:
        for number in range(town.PARTITIONS):
            needed = [
                each.last.lowest_offset
                for name, each in world.invariants.oracles.items()
                if each.last and town.home(name) == number
            ]
            world.server.truncate(TopicPartition("incidents", number), min(needed))

    world.at(at_s, act, "retention removes what no window needs")


@fault(2)
def respond(world: World, chance: random.Random, at_s: float) -> None:
    """People respond to open alerts, and to one that does not exist."""

    def act() -> None:
        opened = [(name, alert.id) for name, each in world.invariants.oracles.items() for alert in each.monitor.alerts]
        name, alert = chance.choice([*opened, ("leeds", "0" * 32)])
        action = chance.choice(["acknowledge", "take", "outcome"])
        message = ResponseMessage(
            id=f"00000000-0000-4000-8000-{chance.randrange(10**12):012}",
            alert=alert,
            action=action,  # type: ignore[arg-type]
            user="ann",
            at=msgspec.convert(town.time(world.scheduler.now_s), type=datetime),
            outcome="venue" if action == "outcome" else msgspec.UNSET,
        )
        at = TopicPartition("responses", town.home(name))
        value = b"{" if chance.random() < 0.1 else message.encode()
        world.server.append(at, name.encode(), value)

    for _ in range(chance.randint(1, 3)):
        world.at(at_s, act, "someone responds")
        at_s += chance.uniform(0, 3)


@fault()
def undecodable(world: World, chance: random.Random, at_s: float) -> None:
    """A producer writes a batch that the clients cannot read by themselves."""

    def act() -> None:
        at = TopicPartition("incidents", chance.randrange(town.PARTITIONS))
        world.server.log(at).undecodable.add(world.server.append(at, b"leeds", b"?"))

    world.at(at_s, act, "a batch comes that cannot be decoded")


@fault()
def burst(world: World, chance: random.Random, at_s: float) -> None:
    """A feed sends what it has gathered at once."""
    name = chance.choice(list(town.CLOCKS))
    number = chance.randint(5, 30)

    def act() -> None:
        now_s = world.scheduler.now_s
        for each in range(number):
            id_ = f"burst-{int(now_s)}-{each}"
            place, category = chance.randrange(len(town.CELLS)), chance.choice(town.CATEGORIES)
            value = town.incident(id_, now_s - chance.uniform(1, 3600), place, category)
            world.send(town.Sending(now_s, name, name.encode(), value))

    world.at(at_s, act, f"{name} sends {number} records at once")


@fault()
def clock_wrong(world: World, chance: random.Random, at_s: float) -> None:
    """The clock of a worker is wrong for a while, or the broker stamps one record wrongly."""
    off_s = chance.choice([3500.0, 7200.0, 3 * 86_400.0, -7200.0])
    if chance.random() < 0.5:
        machine, seconds = machine_of(world, chance), chance.choice([5.0, 300.0])

        def turn(by_s: float) -> None:
            machine.skew_s = by_s
            if machine.process is not None:
                machine.process.skew_s = by_s

        world.at(at_s, lambda: turn(off_s), f"the clock of {machine.name} goes wrong by {off_s:g} s")
        world.at(at_s + seconds, lambda: turn(0.0), f"the clock of {machine.name} is right again")
        return

    def stamp() -> None:
        name = chance.choice(list(town.CLOCKS))
        world.server.skew_s = min(off_s, 3500.0)  # Kafka refuses more
        now_s = world.scheduler.now_s
        value = town.incident(f"stamped-{int(now_s)}", now_s - 60, chance.randrange(len(town.CELLS)), "drugs")
        world.send(town.Sending(now_s, name, name.encode(), value))
        world.server.skew_s = 0.0

    world.at(at_s, stamp, f"the broker stamps a record wrongly by {min(off_s, 3500.0):g} s")


@fault(0.3)
def partitions_added(world: World, chance: random.Random, at_s: float) -> None:
    """Somebody adds a partition; a feed that counts them by itself sends a record there."""

    def act() -> None:
        world.server.create("incidents", town.PARTITIONS + 1)
        at = TopicPartition("incidents", town.PARTITIONS)
        now_s = world.scheduler.now_s
        world.server.append(at, b"leeds", town.incident(f"astray-{int(now_s)}", now_s, 0, "drugs"))
        world.invariants.astray(now_s)

    world.at(at_s, act, "a partition is added")


@fault()
def scans_lost(world: World, chance: random.Random, at_s: float) -> None:
    """The topic ``scans`` is created again while no worker runs, and later put back; meanwhile workers must refuse."""
    seconds = chance.choice([60.0, 1200.0])

    def lose() -> None:
        if world.server.put_aside:
            return
        wanted = [machine for machine in world.machines.values() if machine.is_wanted]
        for machine in world.machines.values():
            machine.kill(is_wanted=False)
        members_expire(world)
        world.server.lose("scans")
        for machine in wanted:
            machine.start()
        back_s = min(world.scheduler.now_s + seconds, world.end_s - CALM_S - 1)
        world.at(back_s, world.server.put_back, "the topic scans is put back")

    world.at(at_s, lose, "the topic scans is created again while no worker runs")


@fault()
def flood(world: World, chance: random.Random, at_s: float) -> None:
    """A busy area sends many records while its neighbour is idle: none is in the area, so they cost little."""

    def act() -> None:
        now_s = world.scheduler.now_s
        value = msgspec.json.encode(
            {"id": "far", "occurred_at": town.time(now_s), "category": "drugs", "longitude": 10.0, "latitude": 10.0}
        )
        for _ in range(400):
            world.send(town.Sending(now_s, "leeds", b"leeds", value))

    world.at(at_s, act, "leeds sends 400 records at once")


@fault()
def wrong_password(world: World, chance: random.Random, at_s: float) -> None:
    """The second worker has a wrong password for Redis, and joins."""

    def act() -> None:
        world.redis.wrong_password["b"] = world.end_s
        world.machines["b"].kill(is_wanted=False)
        world.machines["b"].start()

    world.at(at_s, act, "worker b joins, and Redis refuses its password")


@fault()
def offsets_reset(world: World, chance: random.Random, at_s: float) -> None:
    """The group's offsets are set while no worker runs."""
    where = chance.choice(["earliest", "latest", "middle", "nothing"])
    down_s = chance.choice([15.0, 1800.0])
    wanted: list[Machine] = []

    def stop() -> None:
        for machine in world.machines.values():
            if machine.is_wanted:
                wanted.append(machine)
            machine.kill(is_wanted=False)
        members_expire(world)

    def reset() -> None:
        for number in range(town.PARTITIONS):
            at = TopicPartition("incidents", number)
            log_, offsets = world.server.log(at), world.server.groups["hotspots"].offsets
            if where == "nothing":
                offsets.pop(at, None)
            else:
                middle = (log_.begin + log_.end) // 2
                offsets[at] = ({"earliest": log_.begin, "latest": log_.end, "middle": middle}[where], "")
        for machine in wanted:
            machine.start()

    world.at(at_s, stop, "all workers are stopped")
    world.at(at_s + down_s, reset, f"the group's offsets are set to {where}, and the workers started")
