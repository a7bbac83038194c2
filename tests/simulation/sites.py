"""The real servers and the simulated ones, as the contract tests use them."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from kafka.admin import KafkaAdminClient

from streams.brokers.broker import KAFKA, Broker
from streams.brokers.connection import admin_arguments
from streams.configuration.kafka import KafkaSettings
from tests.simulation.broker import SimulatedBroker
from tests.simulation.clients import Network, SimulatedKafka
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.threads import simulated

T = TypeVar("T")


class KafkaSite:
    """Kafka."""

    broker: Broker = KAFKA

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings

    def create(self, topic: str) -> None:
        """Create a topic with one partition."""
        wanted = {topic: {"num_partitions": 1, "replication_factor": 1, "configs": {}}}
        with closing(KafkaAdminClient(**admin_arguments(self.settings))) as admin:
            admin.create_topics(wanted, wait_for_metadata=True)

    def run(self, work: Callable[[], T]) -> T:
        """Do the work."""
        return work()


class SimulatedSite:
    """The simulated broker."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.scheduler = Scheduler(0, 1_700_000_000.0)
        self.server = SimulatedBroker(self.scheduler)
        self.network = Network(self.scheduler, random.Random(0))
        self.broker: Broker = SimulatedKafka(self.server, self.network)

    def create(self, topic: str) -> None:
        """Create a topic with one partition."""
        self.server.create(topic, 1)

    def run(self, work: Callable[[], T]) -> T:
        """Do the work in a fiber."""
        results: list[T] = []
        with simulated(self.scheduler):
            self.scheduler.spawn(Process("test"), "test", lambda: results.append(work()))
            self.scheduler.run(self.scheduler.now_s + 3600)
        if self.scheduler.died:
            raise self.scheduler.died[0][1]
        return results[0]


Site = KafkaSite | SimulatedSite
