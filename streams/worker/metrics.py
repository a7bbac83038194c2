"""Figures for Prometheus: every metric declared once, and what is a state read at scrape time.

Counters and histograms are driven by the worker's parts through :class:`Metrics`; what is a state (open
alerts, lag, last record) is computed at each scrape from the engine's own snapshot, so that what has
ended vanishes instead of lingering at its last value. ``docs/metrics.md`` is generated.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from detectors.alerts.response import Action, Response
from detectors.alerts.tracking import Alert
from detectors.area.settings import STREAMS
from detectors.monitor import OUTCOMES, Accounts, ClosedTick
from detectors.window.admission import Refusal
from streams.areas.health import FeedState, HealthSource
from streams.worker.declared_metrics import DECLARED, ESTIMATES

TransactionOutcome = Literal["committed", "aborted"]
RecalibrationOutcome = Literal["made", "failed"]


class Metrics:
    """The figures of one worker, registered in ``registry`` together with those of the process and of Python.

    Everything that follows a tick is counted by :meth:`tick_committed` after its transaction, so that a tick
    that is aborted and repeated counts once. What is counted of an area begins at 0 and not at the first event:
    Prometheus sees no increase in a series that begins at 1.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter
        self._registry = registry
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for each in DECLARED:
            if each.at_scrape:
                continue
            if each.kind == "counter":
                self._counters[each.name] = Counter(each.name, each.meaning, each.labels, registry=registry)
            elif each.kind == "gauge":
                self._gauges[each.name] = Gauge(each.name, each.meaning, each.labels, registry=registry)
            elif each.kind == "histogram":
                made = Histogram(each.name, each.meaning, each.labels, registry=registry, buckets=each.buckets)
                self._histograms[each.name] = made
            else:
                build = Info(each.name.removesuffix("_info"), each.meaning, registry=registry)
                build.info({"version": version("hotspot-monitor")})
        for outcome in get_args(TransactionOutcome):
            self._counters["hotspots_transactions_total"].labels(outcome)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe(self, open_alerts: Callable[[], Iterable[Alert]], health: HealthSource) -> None:
        """Take the state from these two at every scrape; they are called from the serving thread."""
        self._registry.register(_StateCollector(open_alerts, health))

    def tick_committed(self, area: str, before: Accounts, closed: ClosedTick, scan_s: float) -> None:
        """A closed tick is on record. ``before`` are the accounts at the end of the area's previous tick."""
        for outcome in OUTCOMES:
            grown = getattr(closed.accounts, outcome) - getattr(before, outcome)
            self._counters["hotspots_records_total"].labels(area, outcome).inc(grown)
        unmapped = closed.accounts.unmapped - before.unmapped
        self._counters["hotspots_unmapped_categories_total"].labels(area).inc(unmapped)
        self._counters["hotspots_ticks_total"].labels(area).inc()
        for stream in closed.streams:
            self._counters["hotspots_scans_total"].labels(area, stream).inc()
        if closed.streams:
            self._histograms["hotspots_scan_seconds"].labels(area).observe(scan_s)
        for alert in closed.changes:
            if alert.alerted_s == alert.tick_s:
                self._counters["hotspots_alerts_total"].labels(area, alert.stream).inc()
        self._told(area, closed)

    def response_committed(self, area: str, said: Response | Refusal, closed: ClosedTick) -> None:
        """A response is on record; ``closed``: what came of it."""
        if isinstance(said, Response) and not closed.refusals:
            self._counters["hotspots_responses_total"].labels(area, said.action).inc()
        self._told(area, closed)

    def _told(self, area: str, closed: ClosedTick) -> None:
        for alert in closed.changes:
            self._counters["hotspots_alert_revisions_total"].labels(area, alert.stream, alert.tier, alert.reason).inc()
        for _offset, reason, _detail in closed.refusals:
            self.rejected(reason, area)

    def rejected(self, reason: str, area: str = "") -> None:
        """A record went to the rejected ones; without an area if it belongs to none that is configured."""
        self._counters["hotspots_rejected_total"].labels(area, reason).inc()

    def tick_merged(self, area: str) -> None:
        """A tick was extended because the engine was behind."""
        self._counters["hotspots_merged_ticks_total"].labels(area).inc()

    def rebuilt(self, area: str, seconds: float) -> None:
        """The window of an area was rebuilt from the log, so it is ours from now on."""
        self._begin(area)
        self._histograms["hotspots_rebuild_seconds"].labels(area).observe(seconds)

    def alert_committed(self, area: str, latency_s: float) -> None:
        """A revision was committed, so many seconds after the record behind it had arrived."""
        self._histograms["hotspots_detection_latency_seconds"].labels(area).observe(latency_s)

    def transaction(self, outcome: TransactionOutcome) -> None:
        """A Kafka transaction ended."""
        self._counters["hotspots_transactions_total"].labels(outcome).inc()

    def kafka_up(self, up: bool) -> None:
        """Whether Kafka answered when it was last asked."""
        self._gauges["hotspots_kafka_up"].set(up)

    def redis_up(self, up: bool) -> None:
        """Whether Redis answered the feeder's last heartbeat."""
        self._gauges["hotspots_redis_up"].set(up)

    def feeder_lag(self, area: str, records: int) -> None:
        """How far Redis is behind the topic ``alerts``."""
        self._gauges["hotspots_redis_feeder_lag_records"].labels(area).set(records)
        self._counters["hotspots_redis_feeder_rewinds_total"].labels(area)

    def feeder_rewound(self, area: str) -> None:
        """Redis had lost alerts of the area."""
        self._counters["hotspots_redis_feeder_rewinds_total"].labels(area).inc()

    def recalibrated(self, area: str, outcome: RecalibrationOutcome) -> None:
        """The area was to be calibrated anew."""
        self._counters["hotspots_recalibrations_total"].labels(area, outcome).inc()

    def _begin(self, area: str) -> None:
        """Show everything that is counted of an area, but for what is named as it comes: rejections and revisions."""
        for name in ("unmapped_categories", "ticks", "merged_ticks"):
            self._counters[f"hotspots_{name}_total"].labels(area)
        for outcome in OUTCOMES:
            self._counters["hotspots_records_total"].labels(area, outcome)
        for stream in STREAMS:
            self._counters["hotspots_scans_total"].labels(area, stream)
            self._counters["hotspots_alerts_total"].labels(area, stream)
        for action in get_args(Action):
            self._counters["hotspots_responses_total"].labels(area, action)
        for made in get_args(RecalibrationOutcome):
            self._counters["hotspots_recalibrations_total"].labels(area, made)
        for histogram in self._histograms.values():
            histogram.labels(area)


class _StateCollector(Collector):
    """Computes the metrics that are declared ``at_scrape``."""

    def __init__(self, open_alerts: Callable[[], Iterable[Alert]], health: HealthSource) -> None:
        self._open_alerts = open_alerts
        self._health = health

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the families without asking the engine, which may not have started."""
        return iter(_families().values())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = _families()
        alerts = Tally((each.area, each.stream, each.tier, each.state) for each in self._open_alerts())
        for labels, number in alerts.items():
            families["hotspots_open_alerts"].add_metric(labels, number)
        for area, health in self._health().items():
            families["hotspots_lag_records"].add_metric([area], health.lag)
            for state in get_args(FeedState):
                families["hotspots_feed_state"].add_metric([area, state], health.feed == state)
            families["hotspots_missing_baseline_seconds"].add_metric([area], health.missing_days * 86_400)
            if health.last_record_s is not None:
                families["hotspots_last_record_timestamp_seconds"].add_metric([area], health.last_record_s)
            if health.last_scan_s is not None:
                families["hotspots_last_scan_timestamp_seconds"].add_metric([area], health.last_scan_s)
            if health.promise is not None:
                families["hotspots_calibration_timestamp_seconds"].add_metric([area], health.promise.made_s)
                families["hotspots_promised_alerts_per_week"].add_metric([area], health.promise.budget)
                for estimate in ESTIMATES:
                    chance: float = getattr(health.promise, estimate)
                    families["hotspots_chance_alerts_per_week"].add_metric([area, estimate], chance)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        each.name: GaugeMetricFamily(each.name, each.meaning, labels=each.labels) for each in DECLARED if each.at_scrape
    }
