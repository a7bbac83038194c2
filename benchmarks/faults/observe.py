"""Which reports an operator gets during a fault, and when: from metrics, health checks, the console's page, the log."""

from __future__ import annotations

import json
import re
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import Literal, Self

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.stage import Stage
from benchmarks.faults.supervisor import Supervised

Channel = Literal["metric", "health", "page", "log"]
CHANNELS: tuple[Channel, ...] = ("metric", "health", "page", "log")
LONGEST = 110
"""Length limit for a report, in characters."""
LOOK_S = 0.5
"""Time between two looks, in seconds."""
LOUD = ("warning", "error", "critical")
"""Levels of log lines that count, of the monitor's own loggers: those of the client libraries are hints."""
USUAL_FEEDS = ("healthy", "learning", "silent")
"""States of a feed that do not report a fault: the feed of a row pauses."""
DOWN_METRIC, NO_ANSWER = "up = 0", "no answer"
"""What Prometheus and a health check report for any process that does not answer."""
DOWN = frozenset({"hotspots_kafka_up", "hotspots_redis_up", "hotspots_console_redis_up"})
"""Gauges that report a fault when they are 0."""
RAISED = frozenset({"hotspots_topic_faults", "hotspots_redis_evicts"})
"""Gauges that report a fault when they are above 0."""
QUIET = frozenset(
    {
        "hotspots_records_total",
        "hotspots_ticks_total",
        "hotspots_scans_total",
        "hotspots_alerts_total",
        "hotspots_alert_revisions_total",
        "hotspots_responses_total",
        "hotspots_merged_ticks_total",
        "hotspots_unmapped_categories_total",
        "hotspots_recalibrations_total",
        "hotspots_webhook_delivered_total",
        "hotspots_console_answers_total",
    }
)
"""Counters that always grow. Every other counter of the monitor reports a fault when it grows."""


class Word(msgspec.Struct, frozen=True):
    """The first thing that a channel said during a fault, in seconds after the fault began."""

    channel: Channel
    text: str
    after_s: float


class Observer:
    """Looks at every process of a stage, from :meth:`begin` on, until it is closed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._words: dict[tuple[Channel, str], float] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._began_s = 0.0
        self._lines: dict[str, int] = {}
        self._usual: set[str] = set()  # what logs said before the fault
        self._present: set[int] = set()
        self._seen: list[Supervised] = []
        self._before: dict[int, dict[str, float]] = {}
        self._up: dict[int, set[str]] = {}

    def begin(self) -> None:
        """Note that the fault begins now. Reports count from here on."""
        self._began_s = time.monotonic()
        for process in self._stage.processes:
            text = process.log
            self._lines[process.instance] = len(text)
            self._usual.update(loud(process, text))
            self._present.add(process.process.process.pid)
        for look in (self._look_at_newcomers, self._look_at_page, self._look_at_logs):
            self._start(look)

    def words(self) -> list[Word]:
        """Return everything that was said, in order of time."""
        with self._lock:
            found = [Word(channel, text, round(after_s, 1)) for (channel, text), after_s in self._words.items()]
        return sorted(found, key=lambda each: each.after_s)

    def elapsed_s(self) -> float:
        """Return the seconds since the fault began."""
        return time.monotonic() - self._began_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _start(self, look: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._keep, args=(look,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep(self, look: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            look()
            self._stopping.wait(LOOK_S)

    def _say(self, channel: Channel, text: str) -> None:
        with self._lock:
            self._words.setdefault((channel, plain(text)), self.elapsed_s())

    def _look_at_newcomers(self) -> None:
        """Begin to look at the processes that have come since, as Prometheus does."""
        for process in (*self._stage.workers, self._stage.webhook):
            if process not in self._seen:
                self._seen.append(process)
                self._start(partial(self._look_at, process))

    def _look_at(self, process: Supervised) -> None:
        if process not in self._stage.processes:  # it was stopped for good
            return
        pid = process.process.process.pid
        status, text = process.asked("/metrics")
        if status != 200:
            self._say("metric", DOWN_METRIC)
        else:
            for name in speaking(text, self._baseline(pid, text), self._was_up(pid, text)):
                self._say("metric", name)
        for path in ("/readyz", "/healthz"):
            status, text = process.asked(path)
            if status != 200:
                self._say("health", f"{path}: {text.strip()}" if text else NO_ANSWER)

    def _baseline(self, pid: int, text: str) -> dict[str, float]:
        """Return the counters of a process when it was first seen; those of a new one begin at 0."""
        if pid not in self._before:
            self._before[pid] = counters(text) if pid in self._present else {}
        return self._before[pid]

    def _was_up(self, pid: int, text: str) -> set[str]:
        """Return the gauges of a process that have been 1; they are 0 until its first check."""
        up = self._up.setdefault(pid, set(DOWN) if pid in self._present else set())
        up.update(name for name in DOWN if f"\n{name} 1.0" in text)
        return up

    def _look_at_page(self) -> None:
        for problem in problems_on_page(self._stage.console):
            self._say("page", problem)

    def _look_at_logs(self) -> None:
        for process in self._stage.processes:
            text = process.log
            read = self._lines.get(process.instance, 0)
            whole = text.rfind("\n") + 1
            self._lines[process.instance] = max(read, whole)
            for line in loud(process, text[read:whole]):
                if line not in self._usual:
                    self._say("log", line)


def loud(process: Supervised, text: str) -> list[str]:
    """Return the messages of the loud lines of a log."""
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    return [
        plain(f"{process.command}: {entry['message']}")
        for entry in entries
        if entry["level"] in LOUD and entry["logger"].startswith("streams.")
    ]


def problems_on_page(console: Supervised) -> list[str]:
    """Return what an open page says is wrong."""
    status, text = console.asked("/api/health")
    if status != 200:
        return ["connection lost"]
    health = json.loads(text)
    problems = [] if health["redis"] else ["no Redis"]
    for area in health["areas"]:
        if area["worker"] != "alive":
            problems.append("worker dead")
        elif area.get("feed") not in USUAL_FEEDS:
            problems.append(f"feed {area.get('feed')}")
    return problems


def counters(text: str) -> dict[str, float]:
    """Return the samples of the counters that report a fault when they grow."""
    return {
        name: value
        for name, value in _samples(text)
        if name.partition("[")[0] not in QUIET and "'committed'" not in name
    }


def speaking(text: str, before: dict[str, float], was_up: Set[str] = DOWN) -> Iterator[str]:
    """Yield what metrics say is wrong: gauges that are 0 again, a feed's unusual state, counters that have grown."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            state = sample.labels.get("state", "")
            if sample.name in was_up and sample.value == 0:
                yield f"{sample.name} = 0"
            elif sample.name in RAISED and sample.value > 0:
                yield f"{sample.name} > 0"
            elif sample.name == "hotspots_feed_state" and sample.value == 1 and state not in USUAL_FEEDS:
                yield f"hotspots_feed_state {state}"
    for name, value in counters(text).items():
        if value > before.get(name, 0.0):
            yield f"{name.partition('[')[0]} grows"


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        if family.type == "counter" and family.name.startswith("hotspots_"):
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    yield f"{sample.name}{sorted(sample.labels.items())}", sample.value


def plain(text: str) -> str:
    """Return a text without ports, folders and the numbers that differ from run to run."""
    text = re.sub(r"127\.0\.0\.1[:,]? ?(port )?\d+", "127.0.0.1", text)
    return textwrap.shorten(re.sub(r"\d{4,}", "N", text), LONGEST, placeholder=" ...")
