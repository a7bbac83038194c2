"""`hotspots demo`: the whole path on this machine, from a simulated or recorded city to alerts, in one command.

Kafka, Valkey, the worker, the console and the feed are child processes. They use loopback and free ports, and keep all
their files in one temporary folder. The area has a watermark clock: months of history are loaded at full speed, then
city time runs at the source's speed. The summary is checked against the log: each record that was sent must be
accounted for once.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from redis import Redis, RedisError
from rich.console import Console

from streams.brokers.connection import consumer_arguments
from streams.brokers.topics import create_topics
from streams.configuration.load import load
from streams.demo.children import Child, is_ok
from streams.demo.live_view import Figures, LiveView
from streams.demo.source import AREA, Source
from streams.demo.summary import DemoError, ScanLog, Summary, summary
from streams.local_services.kafka import LocalKafka
from streams.local_services.kafka_jars import LocalServiceError
from streams.local_services.service import HOST, LocalService, free_port, launch
from streams.local_services.valkey import LocalValkey
from streams.redis_copy.keys import area_key

START_S = 60.0
"""Time limit for each step of the start, in seconds."""
DRAIN_S = 60.0
"""Time limit for each step of the end, in seconds."""
SHOW_S = 0.5
"""Time between two updates of the view, in seconds."""
SETTLE_S = 0.5
"""Time limit for a failed child to end before the error is looked for in its log, in seconds."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    console: Console,
    source: Source,
    seconds: float | None,
    picture: Path | None = None,
    console_port: int | None = None,
) -> Summary:
    """Run the demo for ``seconds`` once it is ready, or until Ctrl-C. It leaves no process and no file.

    ``console_port``: port of the console, 0 for any free port, None for no console.

    Call it from the main thread. Once the demo is ready, Ctrl-C and SIGTERM end it in order, with a summary.

    Raises:
        DemoError: A part failed, or the accounts do not balance.
        KeyboardInterrupt: The demo was interrupted before it was ready, or a second time.
    """
    with ExitStack() as stack:
        for number in _ending():
            stack.callback(signal.signal, number, signal.signal(number, signal.default_int_handler))
        folder = Path(tempfile.mkdtemp(prefix="hotspots-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        view = stack.enter_context(LiveView(console, AREA, source.title))
        _set_environment(folder)
        demo = _Demo(folder, source, view, stack, console_port)
        try:
            demo.start()
            try:
                demo.watch(seconds)
            except KeyboardInterrupt:
                view.say("Stopping ...")
            result = demo.finish()
            if picture is not None:
                view.save_picture(picture)
        except (LocalServiceError, KafkaError, RedisError, OSError) as error:
            demo.check(SETTLE_S)  # if a part has ended, its own error explains more
            raise DemoError(" ".join(str(error).split())) from error
        finally:
            _undisturbed()  # while everything is stopped and removed
    return result


class _Demo:
    """The parts of the demo while they run."""

    def __init__(
        self, folder: Path, source: Source, view: LiveView, stack: ExitStack, console_port: int | None
    ) -> None:
        self._folder, self._source, self._view, self._stack = folder, source, view, stack
        self._console = None if console_port is None else f"{HOST}:{console_port or free_port('the console', 0)}"
        self._services: list[LocalService] = [LocalKafka(folder / "kafka"), LocalValkey(folder / "valkey")]
        self._children: list[Child] = []
        self._feeder: Child | None = None

    def start(self) -> None:
        """Start everything, and return when the worker has caught up with the history."""
        started_s = time.monotonic()
        kafka, valkey = self._services
        self._view.say("Starting Kafka and Valkey ...")
        for service in self._services:
            self._stack.callback(service.stop)
            service.start()
            self._children.append(Child(service.name, service.process, service.log))
        metrics = f"{HOST}:{free_port('the worker', 0)}"
        self._file = self._source.write_configuration(
            self._folder, kafka.address, f"redis://{valkey.address}/0", metrics
        )
        self._configuration = load(self._file, {})
        create_topics(self._configuration.kafka, self._configuration.longest_window_days)
        self._metrics = metrics
        self._view.connect(kafka.address, self._configuration.redis.url, metrics, self._console, self._file)
        self._scans = ScanLog(
            self._stack.enter_context(closing(KafkaConsumer(**consumer_arguments(self._configuration.kafka)))),
            self._configuration.kafka,
        )
        self._scans.consumer.assign([TopicPartition(self._configuration.kafka.topic("scans"), 0)])
        self._redis = self._stack.enter_context(Redis.from_url(self._configuration.redis.url, socket_timeout=5))
        self._view.say(f"Kafka {kafka.address}, Redis {valkey.address}. Starting the worker, sending the history ...")
        self._worker = self._launch("the worker", "worker", "--config", str(self._file))
        if self._console is not None:
            port = self._console.rpartition(":")[2]
            self._launch("the console", "console", "--config", str(self._file), "--port", port)
            self._view.say(f"The console: http://{self._console}/")
        self._view.say(f"The configuration, for `hotspots explain ALERT --config ...`: {self._file}")
        history = self._launch("the simulator of the history", *self._source.history(self._file))
        history.may_end = True
        self._wait(lambda: history.process.poll() == 0, "the history is sent", START_S)
        self._children.remove(history)
        sent = self._scans.sent()
        self._view.say(f"{sent:,} records of history sent, waiting for the worker ...")
        self._wait(lambda: self._scans.covers(sent) and self._is_ready(), "the worker catches up", START_S)
        page = [] if self._console is None else [f"http://{self._console}/ is the console"]
        if self._console is not None:
            self._wait(lambda: is_ok(f"{self._console}/healthz"), "the console answers", START_S)
        ready = f"Ready after {time.monotonic() - started_s:.1f} s"
        self._view.say(
            ", ".join([ready, *page, f"{metrics}/metrics", f"{self._source.speed:g} h of city time a second"])
        )

    def watch(self, seconds: float | None) -> None:
        """Feed at the source's speed and show the view, until the feed ends."""
        end_s = None if seconds is None else time.monotonic() + seconds
        self._feeder = self._launch("the simulator", *self._source.live(self._file))
        self._feeder.may_end = True
        shown_s = 0.0
        while self._feeder.process.poll() is None:
            self._scans.read()
            self.check()
            if time.monotonic() - shown_s >= SHOW_S:
                shown_s = time.monotonic()
                self._show(None if end_s is None else end_s - shown_s)
        self.check()

    def finish(self) -> Summary:
        """Stop the feed, wait until the worker has recorded everything, stop it, and return the summary."""
        if self._feeder is not None and self._feeder.process.poll() is None:
            self._children.remove(self._feeder)
            self._feeder.stop()
        sent = self._scans.sent()
        self._wait(lambda: self._scans.covers(sent), f"the worker has recorded all {sent:,} records", DRAIN_S)
        self._wait(lambda: self._counted() == sent, f"the metrics count {sent:,} records", DRAIN_S)
        self._wait(self._is_copied, f"Redis has all {len(self._scans.revisions)} revisions of alerts", DRAIN_S)
        self._show(0.0)
        self._worker.may_end = True
        self._worker.stop()
        self._worker.check()
        self._scans.read()
        return summary(self._scans, sent, self._changes(), self._source.clusters())

    def _launch(self, name: str, *arguments: str) -> Child:
        hotspots = [sys.executable, "-c", "from streams.cli.command import main; main()", *arguments]
        log = self._folder / f"{name.split()[-1]}.log"
        child = Child(name, launch(hotspots, log), log)
        self._stack.callback(child.stop)
        self._children.append(child)
        return child

    def check(self, settle_s: float = 0.0) -> None:
        """Raise DemoError if a child has ended unexpectedly, after waiting ``settle_s`` for it to end."""
        time.sleep(settle_s)
        for child in self._children:
            child.check()

    def _wait(self, done: Callable[[], bool], what: str, deadline_s: float) -> None:
        """Wait until ``done``. The deadline is extended whenever the worker has recorded something."""
        reached, deadline = self._scans.reached, time.monotonic() + deadline_s
        while not done():
            self.check()
            if self._scans.reached > reached:
                reached, deadline = self._scans.reached, time.monotonic() + deadline_s
            if time.monotonic() > deadline:
                raise DemoError(f"{what}: did not happen within {deadline_s:g} s")
            time.sleep(0.05)

    def _show(self, left_s: float | None) -> None:
        self._view.show(self._scans.newest.checkpoint.clock_s, left_s)

    def _is_ready(self) -> bool:
        return is_ok(f"{self._metrics}/readyz")

    def _counted(self) -> int:
        return Figures.scrape(self._metrics, AREA).read

    def _changes(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self._redis.xrange(area_key(AREA, "alerts"))]

    def _is_copied(self) -> bool:
        copied = {f"{each[b'id'].decode()}.{each[b'revision'].decode()}" for each in self._changes()}
        return copied == self._scans.revisions


def _set_environment(folder: Path) -> None:
    """Give the children a folder for temporary files, and no settings except the demo's."""
    os.environ["TMPDIR"] = str(folder)
    for name in [name for name in os.environ if name.startswith("HOTSPOTS_") and "__" in name]:
        del os.environ[name]


def _undisturbed() -> None:
    for number in _ending():
        signal.signal(number, signal.SIG_IGN)


def _ending() -> list[signal.Signals]:
    """Return the signals that end the demo, without those that are already ignored (`nohup`, background jobs)."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
