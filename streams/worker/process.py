"""The process of ``hotspots worker``: its parts, threads and exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing

import msgspec
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from detectors.warm_up import compile_kernels
from streams.areas.area import Area
from streams.areas.configured import configured_areas
from streams.areas.health import AreaHealth
from streams.brokers.batches import report_to
from streams.brokers.connection import error_text
from streams.brokers.topics import check_topics
from streams.configuration.load import Configuration
from streams.configuration.reader import ConfigurationError
from streams.process.background_thread import BackgroundThread
from streams.process.clock import BelievedClock
from streams.process.logs import LogFormat, set_up_logging
from streams.process.metrics_server import MetricsServer
from streams.process.watchdog import Watchdog
from streams.redis_copy.contents import RedisCopy
from streams.worker.background.kafka_watch import KafkaWatch
from streams.worker.background.recalibration import Recalibrator
from streams.worker.background.redis_feeder import RedisFeeder
from streams.worker.background.topic_watch import TopicWatch
from streams.worker.consumer import FAILED, LeaveError, Worker
from streams.worker.engine.outgoing import VERSION
from streams.worker.metrics import Metrics

GARBAGE_AFTER = 50_000
"""Number of new objects after which garbage is collected. Thousands of records wait at a time and are not garbage."""
SWITCH_S = 0.0005
"""Time for which one thread can keep the interpreter from another, in seconds. The engine returns from every kernel and
socket to a busy event loop; with Python's default of 5 ms each time, a scan takes twice as long as its work."""

log = logging.getLogger(__name__)


def run_worker(configuration: Configuration, log_format: LogFormat = "text") -> int:
    """Run a worker in this process until it leaves; returns the exit code."""
    set_up_logging(log_format)
    log.info("starting version %s", VERSION)
    try:
        areas = configured_areas(configuration.areas)
        faults = check_topics(configuration.kafka, configuration.longest_window_days)
        for fault in faults:
            log.critical("%s", fault)
        if faults or not _is_taken_by_redis(configuration, areas):
            return FAILED
        for name, area in areas.items():
            if area.calibration is None:
                log.warning("area %s has no calibration: its tiers are nominal and promise no rate of alerts", name)
        compile_kernels()
        gc.collect()
        gc.freeze()  # objects of the start stay; no later collection needs to look at them
        gc.set_threshold(GARBAGE_AFTER)
        sys.setswitchinterval(SWITCH_S)
        return asyncio.run(_run(configuration, areas))
    except KafkaError as error:
        log.critical("%s", error_text(error, configuration.kafka))
        return FAILED
    except (ConfigurationError, LeaveError) as error:
        log.critical("%s", error)
        return FAILED


def _is_taken_by_redis(configuration: Configuration, areas: Mapping[str, Area]) -> bool:
    """Return whether Redis takes the areas' alerts or is only away. If it does not take them, log the reason.

    A worker that Redis refuses must not join the group. It would take areas from workers that Redis accepts.
    """
    url = configuration.redis.url
    with closing(RedisCopy(configuration.redis, expiry_s=1)) as copy:
        refusal = copy.refusal(areas)
    if refusal is None:
        return True
    if refusal.is_final:
        log.critical("Redis at %s refuses this worker: %s; correct [redis], or its user's rights", url, refusal.text)
    else:
        log.warning(
            "Redis at %s takes no alerts now, so they wait in Kafka; starting without Redis: %s", url, refusal.text
        )
    return not refusal.is_final


async def _run(configuration: Configuration, areas: Mapping[str, Area]) -> int:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    kafka, limits = configuration.kafka, configuration.worker
    for topic in ("incidents", "responses", "alerts", "scans", "settings"):
        metrics.unreadable(kafka.topic(topic), 0)
    metrics.missed(kafka.topic("incidents"), 0)
    report_to(metrics.unreadable)
    worker = Worker(kafka, limits, configuration.instance, areas, metrics)
    host, port = configuration.metrics.host, configuration.metrics.port
    watch = KafkaWatch(kafka, metrics, worker.owned)
    topics = TopicWatch(
        kafka,
        configuration.longest_window_days,
        metrics,
        gaps=worker.gaps,
        positions=worker.engine.positions,
        leave=worker.leave,
    )

    def health() -> Mapping[str, AreaHealth]:
        known = worker.engine.health()
        if watch.away() is None:
            return known
        return {area: msgspec.structs.replace(each, feed="kafka_away") for area, each in known.items()}

    metrics.observe(worker.engine.open_alerts, health)
    clock = BelievedClock(worker.engine.time_s)
    feeder = RedisFeeder(
        kafka,
        configuration.redis,
        areas,
        configuration.longest_window_days,
        health=health,
        usual=worker.engine.usual,
        metrics=metrics,
        clock=clock,
        leave=worker.leave,
    )

    def not_ready() -> str | None:
        return watch.away() or topics.fault() or worker.not_ready()

    def stalled() -> str | None:
        threads = (
            ("feeds Redis", feeder),
            ("watches Kafka", watch),
            ("checks the topics", topics),
            ("recalibrates areas", recalibrator),
            ("reads responses", worker.responses),
        )
        ended = [name for name, each in threads if not each.is_alive]
        return worker.stalled(watch.away() is not None) or (f"the thread that {ended[0]} has ended" if ended else None)

    recalibrator = Recalibrator(
        kafka,
        limits.max_record_bytes,
        metrics,
        watched=worker.engine.watched,
        made=worker.engine.recalibrate,
        clock=clock,
    )
    companions: Sequence[BackgroundThread | MetricsServer] = (
        feeder,
        watch,
        topics,
        recalibrator,
        worker.responses,
        MetricsServer(registry, host=host, port=port, dead=stalled, not_ready=not_ready),
        Watchdog(stalled),
    )
    with ExitStack() as running:
        for companion in companions:
            try:
                companion.start()
            except OSError as error:
                raise LeaveError(
                    f"metrics.port = {port}: cannot listen there on {host} ({error.strerror}); a second worker on one "
                    "machine needs a different metrics.port"
                ) from None
            running.callback(companion.stop)
        return await worker.run()
