"""A machine that runs a worker under a supervisor: the real process with its threads, on a simulated network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, get_args
from unittest.mock import patch

from greenlet import GreenletExit

from streams.areas.area import Area
from streams.areas.health import HealthSource
from streams.brokers.broker import KAFKA
from streams.configuration.kafka import KafkaSettings, Topic
from streams.configuration.load import Configuration
from streams.process.background_thread import BackgroundThread
from streams.worker import consumer, process
from streams.worker.background.redis_feeder import RedisFeeder
from streams.worker.consumer import Worker
from tests.simulation.broker import SimulatedBroker
from tests.simulation.clients import REQUEST_S, Network, SimulatedKafka
from tests.simulation.group import SimulatedGroup
from tests.simulation.redis_client import clients_of
from tests.simulation.redis_server import RedisWorld
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.threads import Loop

HEARTBEAT_S = 3600.0
"""Interval between two heartbeats in Redis, in seconds: real ones would take most of the simulation's time. Each of
them compares all alerts, and so does one at the end of all faults."""
REFUSED = "refuses this worker"
TOPICS: tuple[Topic, ...] = get_args(Topic)
RESTART_S, LONGEST_RESTART_S = 3.0, 600.0
"""Times after which a supervisor starts a process again, in seconds: the first, and the longest if it fails at once."""

REAL_CLIENTS = (
    "streams.brokers.broker.KafkaConsumer",
    "streams.brokers.broker.TransactionalProducer",
    "streams.brokers.broker.read_log",
    "streams.brokers.groups.KafkaAdminClient",
    "streams.brokers.topics.KafkaAdminClient",
)

log = logging.getLogger("simulation")


def past_the_ports(*_: object, **__: object) -> None:
    """Stands in for the clients of a real Kafka: they would stop the whole world."""
    raise AssertionError("the worker asks Kafka past the ports")


class Probes:
    """Stands in for the metrics server: what it would answer."""

    def __init__(self, registry: Any, *, host: str, port: int, dead: Any, not_ready: Any, **_: Any) -> None:
        self.registry, self.dead, self.not_ready = registry, dead, not_ready

    def start(self) -> None:
        here().probes = self

    def stop(self) -> None: ...


class Unwatched(BackgroundThread):
    """Stands in for the parts that need no simulation: the watchdog, whose question the world asks; calibrations."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__("unwatched")

    def _run(self) -> None:
        self._stopping.wait()


_machines: dict[str, Machine] = {}
_scheduler: list[Scheduler] = []


def here() -> Machine:
    """Return the machine of the running fiber."""
    present = _scheduler[-1].process
    assert present is not None
    return _machines[present.name]


class Exit(NamedTuple):
    """The end of a process by itself: its code, its reason, and when."""

    code: int
    reason: str
    at_s: float


class Machine:
    """One worker's machine; its supervisor starts the worker again after it has ended."""

    def __init__(self, scheduler: Scheduler, name: str, configuration: Configuration, areas: dict[str, Area]) -> None:
        self.scheduler, self.name = scheduler, name
        self.configuration, self.areas = configuration, areas
        self.process: Process | None = None
        self.probes: Probes | None = None
        self.health: HealthSource = dict
        self.worker: Worker | None = None
        self.feeder: RedisFeeder | None = None
        self.skew_s = 0.0
        self.is_wanted = False
        self.exits: list[Exit] = []
        self._restart_s, self._started_s = RESTART_S, 0.0
        _machines[name] = self

    @property
    def is_running(self) -> bool:
        """Whether the worker's process is alive."""
        return self.process is not None and self.process.is_alive

    @property
    def is_frozen(self) -> bool:
        """Whether the process stands still."""
        return self.process is not None and self.scheduler.now_s < self.process.frozen_until_s

    @property
    def reason(self) -> str:
        """The last thing that the worker reports as the reason of its end."""
        if self.worker is None:
            return REFUSED
        failure = self.worker._failure
        return f"{type(failure).__name__}: {failure}" if failure else "no reason given"

    def start(self) -> None:
        """Start the worker, and have the supervisor see to it from now on."""
        self.is_wanted = True
        if self.is_running:
            return
        self._started_s = self.scheduler.now_s
        started = self.process = Process(self.name, self.skew_s)
        self.probes, self.worker, self.feeder, self.health = None, None, None, dict
        self.scheduler.spawn(started, f"{self.name}/main", lambda: self._main(started))

    def _main(self, started: Process) -> None:
        loop = started.loop = Loop()
        code = 1
        try:
            log.info("%s: starting", self.name)
            if process._is_taken_by_redis(self.configuration, self.areas):
                code = loop.run_until_complete(process._run(self.configuration, self.areas))
        except GreenletExit:
            raise
        except Exception:
            log.exception("%s: the process fails", self.name)
        self.scheduler.at(self.scheduler.now_s, lambda: self._ended(started, code))

    def _ended(self, ended: Process, code: int) -> None:
        if not ended.is_alive:
            return
        log.info("%s: exit code %d", self.name, code)
        self.exits.append(Exit(code, self.reason, self.scheduler.now_s))
        self.scheduler.kill(ended, code)
        self._restart()

    def _restart(self) -> None:
        has_run = self.scheduler.now_s - self._started_s > LONGEST_RESTART_S
        self._restart_s = RESTART_S if has_run else min(LONGEST_RESTART_S, 2 * self._restart_s)
        if self.is_wanted:
            self.scheduler.at(self.scheduler.now_s + self._restart_s, lambda: self.start() if self.is_wanted else None)

    def beat(self) -> None:
        """Let the feeder compare all alerts soon."""
        if self.feeder is not None:
            self.feeder._beat_at = 0.0
            self.feeder._mended_s.clear()

    def kill(self, is_wanted: bool = True) -> None:
        """Kill the process; the supervisor starts it again if it is wanted."""
        self.is_wanted = is_wanted
        if self.is_running:
            assert self.process is not None
            log.info("%s: killed", self.name)
            self._restart()
            self.scheduler.kill(self.process)

    def terminate(self) -> None:
        """Ask the worker to leave, and let the supervisor start it again."""
        if self.is_running:
            assert self.process is not None
            log.info("%s: SIGTERM", self.name)
            stop, loop = self.process.on_signal, self.process.loop
            if stop is not None and loop is not None:
                loop.call_soon_threadsafe(stop)
            else:
                self.kill()


@contextmanager
def machinery(
    scheduler: Scheduler, server: SimulatedBroker, network: Network, redis: RedisWorld
) -> Iterator[SimulatedKafka]:
    """Let workers that start here live in the simulated world."""
    kafka = SimulatedKafka(server, network)

    def group(settings: Any, _worker: Any, instance: str) -> SimulatedGroup:
        return SimulatedGroup(server, network, settings.group, instance)

    def check_topics(settings: KafkaSettings, window_days: int, needed: Any = TOPICS) -> list[str]:
        network.travel("metadata", scheduler.now_s + REQUEST_S)
        numbers = {settings.topic(topic): len(server.partitions(settings.topic(topic))) for topic in needed}
        return [
            f"{topic}: has {number} partitions: must be {settings.partitions} (kafka.partitions)"
            for topic, number in numbers.items()
            if number != settings.partitions
        ]

    def new_worker(*arguments: Any, **more: Any) -> Worker:
        worker = Worker(*arguments, **more)
        here().worker = worker
        return worker

    def new_feeder(*arguments: Any, **more: Any) -> RedisFeeder:
        machine = here()
        machine.health = more["health"]
        machine.feeder = RedisFeeder(*arguments, **more | {"heartbeat_s": HEARTBEAT_S})
        return machine.feeder

    def end(seconds: float, code: int, tidy: Callable[[], object]) -> None:
        machine, ending = here(), here().process
        assert ending is not None
        scheduler.at(scheduler.now_s + seconds, lambda: machine._ended(ending, code))

    with ExitStack() as patches:
        for name in ("reader", "writer", "topic_id", "read", "unassigned"):
            patches.enter_context(patch.object(KAFKA, name, getattr(kafka, name)))
        patches.enter_context(patch.object(consumer, "FaustGroup", group))
        patches.enter_context(patch.object(consumer, "end_within", end))
        patches.enter_context(patch.object(process, "Worker", new_worker))
        patches.enter_context(patch.object(process, "MetricsServer", Probes))
        patches.enter_context(patch.object(process, "Watchdog", Unwatched))
        patches.enter_context(patch.object(process, "Recalibrator", Unwatched))
        patches.enter_context(patch.object(process, "report_to", lambda _: None))
        patches.enter_context(patch.object(process, "RedisFeeder", new_feeder))
        patches.enter_context(patch("streams.worker.background.topic_watch.check_topics", check_topics))
        patches.enter_context(patch("streams.worker.background.topic_watch.topic_ids", kafka.topic_ids))
        for name in REAL_CLIENTS:
            patches.enter_context(patch(name, past_the_ports))
        patches.enter_context(patch("streams.worker.background.redis_feeder.ROUND", 1))
        patches.enter_context(patch("streams.redis_copy.contents.Redis", clients_of(redis)))
        _scheduler.append(scheduler)
        try:
            yield kafka
        finally:
            _scheduler.pop()
            _machines.clear()
            asyncio._set_running_loop(None)
