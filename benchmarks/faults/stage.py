"""The servers and processes of one row: Kafka and Redis behind proxies, workers, console, webhook, on-call tool."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import h3
from kafka.consumer.fetcher import ConsumerRecord
from redis import Redis

from benchmarks.faults.cluster import three
from benchmarks.faults.desk import Desk
from benchmarks.faults.fault import Fault, Form
from benchmarks.faults.feed import LIVE, STEADY, Feed
from benchmarks.faults.proxy import Proxy
from benchmarks.faults.supervisor import Supervised
from streams.configuration.kafka import Topic
from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey
from tests.integration.wire_proxy import ProxiedKafka, WireProxy, pass_on
from tests.integration.worker_process import CENTRE, Deployment, toml

START_S, LOOK_S = 60.0, 0.25
"""Time limit for the start of a worker, and time between two looks at it, in seconds."""
SESSION_S = 6
"""Session time-out of the workers, in seconds."""
TIERS = {"watch": 1.0, "advisory": 5.0, "alert": 30.0, "urgent": 365.0}
AREA = {
    "cells_file": "cells.txt",
    "timezone": "UTC",
    "window_days": 7,
    "min_baseline_days": 3,
    "durations_h": [2, 4, 8, 24],
    "replications": 99,
}


class Stage:
    """Everything that takes part in a row. Enter it in a thread that outlives it.

    The processes of the monitor reach Kafka and Redis through the proxies; ``site`` and ``redis`` reach them directly.
    ``kept``: records by topic, as they were before a fault that removes them.
    """

    def __init__(self, folder: Path, fault: Fault, form: Form) -> None:
        self.folder = folder
        self.form = form
        self.kept: dict[Topic, list[ConsumerRecord]] = {}
        self._topics: dict[str, Any] = {"partitions": 2}
        self._setting = fault.setting
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.valkey = stack.enter_context(LocalValkey(self.folder / "valkey"))
            self.redis_link = stack.enter_context(Proxy(self.valkey.port))
            self.desk = stack.enter_context(Desk())
            self.brokers = self._started_brokers(stack)
            self.redis = stack.enter_context(Redis.from_url(self.valkey.url))
            self.write_configuration()
            self.site = Deployment(self.folder, self.text)
            stack.callback(lambda: self.site.close())
            self.feed = Feed(self.site)
            self.workers = [self._supervised(stack, f"w{number + 1}") for number in range(self._setting.workers)]
            self.console = self._supervised(stack, "console", "console")
            self.webhook = self._supervised(stack, "webhook", "webhook")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        for link in (self.kafka_link, self.redis_link):
            link.mend()
        stopping = [threading.Thread(target=each.stop) for each in (*self.workers, self.console, self.webhook)]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._stack.close()

    @property
    def kafka(self) -> LocalKafka:
        """The only broker, or the first."""
        return self.brokers[0]

    @property
    def worker(self) -> Supervised:
        """The only worker, or the first."""
        return self.workers[0]

    @property
    def processes(self) -> list[Supervised]:
        """The processes of the monitor."""
        return [*self.workers, self.console, self.webhook]

    def keep(self, topic: Topic) -> None:
        """Keep a copy of a topic's records."""
        self.kept[topic] = self.site.read(topic)
        self.site.close()

    def records(self, topic: Topic) -> list[ConsumerRecord]:
        """Return the records of a topic, and those that were there before a fault removed them."""
        found = {(each.partition, each.offset, each.timestamp): each for each in self.kept.get(topic, ())}
        found |= {(each.partition, each.offset, each.timestamp): each for each in self.site.read(topic)}
        return list(found.values())

    def move(self, prefix: str, partitions: int) -> None:
        """Go on with the topics of another prefix, as they are; processes read of it when they start."""
        self._topics = {"topic_prefix": prefix, "partitions": partitions}
        self.kept.clear()
        self.write_configuration()
        self.site.close()
        self.site = Deployment(self.folder, self.text)
        self.feed.site = self.site

    def hold(self, seconds: float) -> None:
        """Let the fault last."""
        time.sleep(seconds)

    def restart(self, seconds: float) -> None:
        """Restart the worker, wait until it serves, and then let the fault last."""
        self.worker.restart()
        self.hold_served(seconds)

    def hold_served(self, seconds: float) -> None:
        """Wait until the worker serves its metrics, or does not come up, and then let the fault last."""
        deadline_s = time.monotonic() + START_S
        while self.worker.asked("/healthz")[0] != 200 and time.monotonic() < deadline_s:
            time.sleep(LOOK_S)
        self.hold(seconds)

    def another(self, instance: str) -> Supervised:
        """Start one more worker."""
        self.workers.append(Supervised(self.site, instance, self._environ()))
        return self.workers[-1]

    def leave(self, worker: Supervised) -> None:
        """Stop a worker for good."""
        self.workers.remove(worker)
        worker.stop()

    def write_configuration(self, **changed: Any) -> None:
        """Write the configuration; ``changed`` are settings of both areas. Processes read it when they start."""
        cells = self.folder / "cells.txt"
        if not cells.exists():
            cells.write_text("\n".join(h3.grid_disk(h3.latlng_to_cell(*CENTRE, 10), 4)))
        replication = len(self.brokers)
        tables: dict[str, dict[str, Any]] = {
            "kafka": {
                "bootstrap": ",".join(each.bootstrap for each in self.brokers),
                "replication": replication,
                **self._topics,
            },
            "redis": {"url": self.valkey.url},
            "metrics": {"port": 0},
            "console": {"port": 0},
            "worker": {"session_timeout_s": SESSION_S},
            "webhook": {"url": f"http://127.0.0.1:{self.desk.server_port}/", "metrics_port": 0},
        }
        for area, clock in ((STEADY, "watermark"), (LIVE, "wall")):
            tables[f"areas.{area}"] = AREA | {"clock": clock, "cells_file": str(cells)} | changed
            tables[f"areas.{area}.tiers"] = TIERS
        self.text = toml(tables)
        (self.folder / "monitor.toml").write_text(self.text)

    def _started_brokers(self, stack: ExitStack) -> list[LocalKafka]:
        kafka = ProxiedKafka(self.folder / "kafka")
        self.kafka_link = Proxy(kafka.behind, kafka.proxied)
        self._through = kafka.through if self._setting.brokers == 1 else ""
        link = self.kafka_link if self._setting.fate is pass_on else WireProxy(kafka, self._setting.fate)
        stack.enter_context(link)
        brokers: list[LocalKafka] = [kafka] if self._through else [*three(self.folder)]
        if self._setting.disk_mb:
            if os.geteuid() != 0:
                raise PermissionError("only root can mount the small file system that this fault fills")
            disk = self.folder / "kafka" / "data"
            disk.mkdir(parents=True)
            size = f"size={self._setting.disk_mb}m"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=True)
            stack.callback(lambda: subprocess.run(["umount", "--lazy", disk], check=True))
        for broker in brokers:
            stack.enter_context(broker)
        return brokers

    def _environ(self) -> dict[str, str]:
        links = {"HOTSPOTS_REDIS__URL": f"redis://127.0.0.1:{self.redis_link.port}/0"}
        return links | ({"HOTSPOTS_KAFKA__BOOTSTRAP": self._through} if self._through else {})

    def _supervised(self, stack: ExitStack, instance: str, command: str = "worker") -> Supervised:
        process = Supervised(self.site, instance, self._environ(), command)
        stack.callback(process.stop)
        return process
