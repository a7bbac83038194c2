"""`hotspots demo`: the whole path on this machine, from a simulated or recorded city to alerts, in one command.

Kafka, Valkey, the worker, the console and the feed are child processes. They use loopback and free ports, and keep all
their files in one temporary folder. The area has a watermark clock: months of history are loaded at full speed, then
city time runs at the source's speed. In the background the area is calibrated on that history, and the worker starts
again with the calibration. The summary is checked against the log: each record that was sent must be
accounted for once.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from redis import Redis, RedisError
from rich.console import Console

from streams.brokers.connection import consumer_arguments
from streams.brokers.topics import create_topics
from streams.configuration.area import alerts_per_week
from streams.configuration.load import load
from streams.demo.calibration import BackgroundCalibration
from streams.demo.children import Child, Children, Figures, is_ok
from streams.demo.live_view import LiveView
from streams.demo.source import AREA, Source, use_calibration
from streams.demo.summary import DemoError, ScanLog, Summary, summary
from streams.local_services.kafka import LocalKafka
from streams.local_services.kafka_jars import LocalServiceError
from streams.local_services.service import HOST, LocalService, free_port
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
CALIBRATION = "calibration.json"
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
            time.sleep(SETTLE_S)
            demo.children.check()  # if a part has ended, its own error explains more
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
        self.children = Children(folder, stack)
        self._console = None if console_port is None else f"{HOST}:{console_port or free_port('the console', 0)}"
        self._services: list[LocalService] = [LocalKafka(folder / "kafka"), LocalValkey(folder / "valkey")]
        self._feeder: Child | None = None
        self._is_restarted = False

    def start(self) -> None:
        """Start everything, and return when the worker has caught up with the history."""
        started_s = time.monotonic()
        kafka, valkey = self._services
        self._view.say("Starting Kafka and Valkey ...")
        for service in self._services:
            self.children.start(service)
        metrics = f"{HOST}:{free_port('the worker', 0)}"
        self._file = self._source.write_configuration(
            self._folder, kafka.address, f"redis://{valkey.address}/0", metrics
        )
        self._configuration = load(self._file, {})
        self._budget = alerts_per_week(self._configuration.areas[AREA].budget)
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
        self._worker = self._start_worker()
        if self._console is not None:
            port = self._console.rpartition(":")[2]
            self.children.launch("the console", "console", "--config", str(self._file), "--port", port)
            self._view.say(f"The console: http://{self._console}/")
        self._view.say(f"The configuration, for `hotspots explain ALERT --config ...`: {self._file}")
        calibration = self._source.calibration(self._file, self._folder / CALIBRATION)
        self._calibration = BackgroundCalibration(self.children, calibration)
        self._view.promise("Calibrating on the history in the background; until then the tiers are nominal.")
        history = self.children.launch("the simulator of the history", *self._source.history(self._file))
        history.may_end = True
        self._wait(lambda: history.process.poll() == 0, "the history is sent", START_S)
        self.children.stop(history)
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
        self._feeder = self.children.launch("the simulator", *self._source.live(self._file))
        self._feeder.may_end = True
        promise = self._keep_promise()
        shown_s = 0.0
        while self._feeder.is_running:
            self._scans.read()
            self.children.check()
            next(promise, None)
            if time.monotonic() - shown_s >= SHOW_S:
                shown_s = time.monotonic()
                self._show(None if end_s is None else end_s - shown_s)
        self.children.check()

    def _keep_promise(self) -> Iterator[None]:
        """Start the worker again with the calibration once that is made; yields while it waits."""
        while not self._calibration.advance():
            yield
        if self._calibration.failure:
            self._view.promise(f"Not calibrated, the tiers stay nominal: {self._calibration.failure}")
            return
        use_calibration(self._file, self._folder / CALIBRATION)
        self._view.promise("The area is calibrated, the worker starts again with the calibration.")
        self._worker.may_end = True
        self._worker.process.terminate()
        while self._worker.is_running:
            yield
        self._restart_worker()
        yield from self._until(self._is_ready, "the worker catches up again", START_S)
        while not self._scans.newest.calibration:
            yield
        chance = Figures.scrape(self._metrics, AREA).chance
        self._view.promise(
            f"Calibrated: by chance alone {self._budget:g} alerts a week reach the tier alert "
            f"({chance:.1f} in simulated weeks without clusters)."
        )

    def finish(self) -> Summary:
        """Stop calibration and feed, wait until the worker has recorded everything, stop it, and return the summary."""
        self._calibration.stop()
        if self._feeder is not None:
            self.children.stop(self._feeder)
        if self._worker.may_end:  # the end came while it was to start again
            self._restart_worker()
        sent = self._scans.sent()
        self._wait(lambda: self._scans.covers(sent), f"the worker has recorded all {sent:,} records", DRAIN_S)
        self._wait(self._is_ready, "the worker has caught up", DRAIN_S)
        self._wait(lambda: self._is_counted(sent), f"the metrics count {sent:,} records", DRAIN_S)
        self._wait(self._is_copied, f"Redis has all {len(self._scans.revisions)} revisions of alerts", DRAIN_S)
        self._show(0.0)
        self._worker.may_end = True
        self._worker.stop()
        self._worker.check()
        self._scans.read()
        return summary(self._scans, sent, self._changes(), self._source.clusters(), self._budget)

    def _start_worker(self) -> Child:
        return self.children.launch("the worker", "worker", "--config", str(self._file))

    def _restart_worker(self) -> None:
        """Start the worker again, after its end; raises DemoError if it did not end in order."""
        self.children.stop(self._worker)
        self._worker.check()
        self._worker = self._start_worker()
        self._is_restarted = True

    def _wait(self, done: Callable[[], bool], what: str, deadline_s: float) -> None:
        for _ in self._until(done, what, deadline_s):
            self._calibration.advance()
            time.sleep(0.05)

    def _until(self, done: Callable[[], bool], what: str, deadline_s: float) -> Iterator[None]:
        """Yield until ``done``. The deadline is extended whenever the worker has recorded something."""
        reached, deadline = self._scans.reached, time.monotonic() + deadline_s
        while not done():
            self.children.check()
            if self._scans.reached > reached:
                reached, deadline = self._scans.reached, time.monotonic() + deadline_s
            if time.monotonic() > deadline:
                raise DemoError(f"{what}: did not happen within {deadline_s:g} s")
            yield

    def _show(self, left_s: float | None) -> None:
        self._view.show(self._scans.newest, self._scans.sent() - self._scans.reached, left_s)

    def _is_ready(self) -> bool:
        return is_ok(f"{self._metrics}/readyz")

    def _is_counted(self, sent: int) -> bool:
        """Whether the metrics count all records, or those since the worker started again."""
        before = self._scans.nominal if self._is_restarted else 0
        return Figures.scrape(self._metrics, AREA).read == sent - before

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
