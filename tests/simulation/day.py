"""A simulated day: three feeds, two workers, a broker, Redis, and the faults that the seed has drawn."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from kafka import TopicPartition

from streams.areas.area import Area
from streams.messages.scan import ScanRecord
from tests.simulation import town
from tests.simulation.broker import SimulatedBroker
from tests.simulation.clients import Network
from tests.simulation.invariants import Invariants
from tests.simulation.machine import Machine, machinery
from tests.simulation.oracle import Oracle, WrongError, kept
from tests.simulation.redis_server import Contents, RedisWorld
from tests.simulation.scheduler import Scheduler
from tests.simulation.threads import simulated

TOPICS = ("incidents", "responses", "alerts", "scans", "settings", "incidents.rejected", "alerts.undelivered")
LISTEN_S = 30.0
"""Interval between two looks at what is said, in seconds."""
CALM_S = 1500.0
"""Time at the end of the day without faults, in seconds."""
LINES = 400
"""Number of the last log lines that a failure shows."""

log = logging.getLogger("simulation")


class Failure(Exception):
    """An invariant does not hold: what, when, and the log until then."""

    def __init__(self, seed: int, what: str, time_s: float, lines: list[str]) -> None:
        super().__init__(f"seed {seed}, {_time(time_s)}: {what}")
        self.seed, self.what, self.lines = seed, what, lines


@dataclass
class Past:
    """The days before: the broker's and Redis' contents, the last scan records, and the Monitors after them."""

    server: SimulatedBroker
    redis: Contents
    last: dict[str, ScanRecord]
    monitors: dict[str, bytes]


@cache
def areas() -> dict[str, Area]:
    """Return the areas, which all days share."""
    return town.areas()


class World:
    """Everything of one day."""

    def __init__(self, seed: int, begin_s: float, past: Past | None) -> None:
        self.seed = seed
        self.begin_s = begin_s
        self.end_s = begin_s + town.DAY_S
        self.chance = random.Random(f"{seed} faults")
        self.scheduler = Scheduler(seed, begin_s)
        if past is None:
            self.server = SimulatedBroker(self.scheduler)
            for topic in TOPICS:
                self.server.create(topic, town.PARTITIONS)
        else:
            self.server = past.server.copy(self.scheduler)
        self.network = Network(self.scheduler, random.Random(f"{seed} network"))
        self.redis = RedisWorld(past.redis if past else None)
        url = "redis://127.0.0.1:6379/0"
        self.machines = {
            name: Machine(self.scheduler, name, town.configuration(name, url), areas()) for name in ("a", "b")
        }
        self.invariants = Invariants(
            self.scheduler,
            self.server,
            self.redis,
            areas(),
            list(self.machines.values()),
            past.last if past else {},
            past.monitors if past else {},
        )
        self.arrivals: list[float] = []
        self.lines: list[str] = []  # the log, at the end of the day

    def at(self, time_s: float, action: Callable[[], object], what: str = "") -> None:
        """Do something that parts which poll should soon see, at a time."""

        def act() -> None:
            if what:
                log.info("== %s", what)
            action()
            self.scheduler.stir()

        self.scheduler.at(time_s, act)

    def send(self, sending: town.Sending) -> None:
        """Send a record now, or when the broker is back."""
        scheduler, network = self.scheduler, self.network
        free_s = max(network.away_until_s, network.full_until_s)
        if free_s > scheduler.now_s:
            scheduler.at(free_s + 1.0, lambda: self.send(sending))
            return
        at = TopicPartition("incidents", town.home(sending.area))
        self.server.append(at, sending.key, sending.value, sending.headers)
        self.invariants.arrived(self.server.log(at).records[-1])
        scheduler.stir(is_fault=False)

    def feed(self, sendings: list[town.Sending]) -> None:
        """Have records sent at their times."""
        self.arrivals += [each.at_s for each in sendings]
        for each in sendings:
            self.scheduler.at(each.at_s, lambda each=each: self.send(each))  # type: ignore[misc]

    def keep_time(self, until_s: float) -> None:
        """Let parts that poll look after each hour, and listen to what is said."""
        for hour in range(int(self.begin_s) // 3600, int(until_s) // 3600 + 1):
            self.scheduler.at(hour * 3600 + 3.5, lambda: self.scheduler.stir(is_fault=False))

        def listen() -> None:
            self.server.expire_members()
            self.server.expire_transactions()
            self.invariants.listen()
            self.scheduler.at(self.scheduler.now_s + LISTEN_S, listen)

        self.scheduler.at(self.begin_s + LISTEN_S, listen)

    def run(self, until_s: float) -> None:
        """Run the world until a time; every step is checked."""
        self.scheduler.run(until_s, self.invariants.check)

    def heal(self) -> None:
        """End every fault; one worker at least runs."""
        network, redis = self.network, self.redis
        network.away_until_s = network.full_until_s = network.slow_until_s = 0.0
        network.cut.clear()
        network.lost_answers.clear()
        network.late_copies.clear()
        network.before.clear()
        redis.away_until_s = redis.full_until_s = 0.0
        redis.lost_answers = 0
        redis.cut.clear()
        redis.wrong_password.update(dict.fromkeys(redis.wrong_password, self.scheduler.now_s))
        self.server.skew_s = 0.0
        for machine in self.machines.values():
            machine.skew_s = 0.0
            machine.beat()
            if machine.process is not None:
                machine.process.skew_s = 0.0
                machine.process.frozen_until_s = 0.0
        self.machines["a"].start()
        self.server.expire_members()
        self.server.expire_transactions()


@cache
def past() -> Past:
    """Return the days before, by one worker that nothing disturbs."""
    world = World(0, town.BEGIN_S, None)
    with logged(world), played(world):
        world.machines["a"].start()
        for number in range(town.PAST_DAYS):
            for name in town.CLOCKS:
                chance = random.Random(f"{name} {number}")
                begin_s = town.BEGIN_S + number * town.DAY_S
                world.feed(town.day(chance, name, begin_s, town.DAILY[name] // 2, 1))
        end_s = town.BEGIN_S + town.PAST_DAYS * town.DAY_S
        world.keep_time(end_s)
        world.run(end_s - 30)
        world.machines["a"].is_wanted = False
        world.machines["a"].terminate()
        world.run(end_s)
        last = {name: each.last for name, each in world.invariants.oracles.items() if each.last is not None}
        server = world.server.copy(world.scheduler)
        monitors = {
            name: kept(Oracle(server, areas()[name], record).monitor, areas()[name]) for name, record in last.items()
        }
        return Past(server, world.redis.snapshot(), last, monitors)


@contextmanager
def played(world: World) -> Iterator[World]:
    """Let a world's processes live in it."""
    with (
        simulated(world.scheduler),
        machinery(world.scheduler, world.server, world.network, world.redis),
    ):
        try:
            yield world
        finally:
            for machine in world.machines.values():
                if machine.process is not None:
                    machine.is_wanted = False
                    world.scheduler.kill(machine.process)


class Lines(logging.Handler):
    """Keeps the last lines of the log, with the simulated time and the process."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world
        self._kept: deque[tuple[float, str, logging.LogRecord]] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        process = self._world.scheduler.process
        self._kept.append((self._world.scheduler.now_s, process.name if process else "-", record))

    def lines(self) -> list[str]:
        """Return the lines as a person reads them."""
        formatter = logging.Formatter("%(message)s")
        return [
            f"{_time(time_s)}  {name}  {formatter.format(record).splitlines()[0]}"
            for time_s, name, record in self._kept
        ]


@contextmanager
def logged(world: World) -> Iterator[Lines]:
    """Keep the log of a world."""
    lines = Lines(world)
    loggers = [logging.getLogger(name) for name in ("streams", "simulation")]
    before = [(each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.addHandler(lines)
        each.setLevel(logging.INFO)
        each.propagate = False
    try:
        yield lines
    finally:
        for each, (level, propagate) in zip(loggers, before, strict=True):
            each.removeHandler(lines)
            each.setLevel(level)
            each.propagate = propagate


def simulate(seed: int, plan: Callable[[World], None]) -> World:
    """Simulate the day of a seed, with the faults of a plan; return the world after it.

    Raises:
        Failure: An invariant does not hold.
    """
    known = past()
    random.seed(f"{seed} jitter")  # libraries that wait before they try again draw from here
    world = World(seed, town.BEGIN_S + town.PAST_DAYS * town.DAY_S, known)
    with logged(world) as lines, played(world):
        try:
            world.machines["a"].start()
            for name in town.CLOCKS:
                chance = random.Random(f"{seed} {name}")
                world.feed(town.day(chance, name, world.begin_s, town.DAILY[name], chance.choice([0, 1, 1])))
            world.keep_time(world.end_s)
            plan(world)
            world.at(world.end_s - CALM_S, world.heal, "every fault ends")
            world.run(world.end_s + 60)
            world.invariants.settle()
        except WrongError as error:
            raise Failure(seed, str(error), world.scheduler.now_s, lines.lines()) from error
        world.lines = lines.lines()
    return world


def _time(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M:%S.%f")[:-3]
