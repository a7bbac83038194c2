"""The worker's metrics for Prometheus.

The worker's parts drive counters and histograms through :class:`Metrics`. State (open alerts, lag, last record) is
computed at each scrape from the engine's snapshot. So an alert that has ended disappears, and does not stay at its last
value.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from detectors.alerts.alert import Alert
from detectors.alerts.response import Action, Response
from detectors.area.settings import STREAMS
from detectors.results import ClosedTick, ResponseResult, Result
from detectors.window.admission import Refusal
from detectors.window.intake import OUTCOMES, Accounts
from streams.areas.health import FeedState, HealthSource
from streams.process.metric import ProcessMetrics
from streams.worker import declared_metrics as declared

TransactionOutcome = Literal["committed", "aborted"]
RecalibrationOutcome = Literal["made", "failed"]


class Metrics(ProcessMetrics):
    """The metrics of one worker in ``registry``, with the standard ones of its process and of Python.

    :meth:`tick_committed` counts everything that a tick leads to, after its transaction, so that a tick that is aborted
    and repeated counts once. The counters of an area begin at 0, not at the first event: Prometheus sees no increase
    in a series that begins at 1.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, declared.DRIVEN)
        self._registry = registry
        self.of(declared.BUILD_INFO).info({"version": version("hotspot-monitor")})
        for outcome in get_args(TransactionOutcome):
            self.of(declared.TRANSACTIONS).labels(outcome)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe(self, open_alerts: Callable[[], Iterable[Alert]], health: HealthSource) -> None:
        """Have the state computed from these two functions at every scrape, in the thread that serves."""
        self._registry.register(_StateCollector(open_alerts, health))

    def tick_committed(self, area: str, before: Accounts, closed: ClosedTick, scan_s: float) -> None:
        """Count a closed tick that is on record; ``before``: the accounts at the end of the area's previous tick."""
        for outcome in OUTCOMES:
            if grown := getattr(closed.accounts, outcome) - getattr(before, outcome):
                self.of(declared.RECORDS).labels(area, outcome).inc(grown)
        if unmapped := closed.accounts.unmapped - before.unmapped:
            self.of(declared.UNMAPPED_CATEGORIES).labels(area).inc(unmapped)
        self.of(declared.TICKS).labels(area).inc()
        for stream in closed.streams:
            self.of(declared.SCANS).labels(area, stream).inc()
        if closed.streams:
            self.of(declared.SCAN_SECONDS).labels(area).observe(scan_s)
        for alert in closed.changes:
            if alert.alerted_s == alert.tick_s:
                self.of(declared.ALERTS).labels(area, alert.stream).inc()
        self._count_changes(area, closed)
        for _offset, refusal in closed.refusals:
            self.rejected(refusal.reason, area)

    def response_committed(self, area: str, response: Response | Refusal, result: ResponseResult) -> None:
        """Count a response that is on record."""
        if result.refusal:
            self.rejected(result.refusal.reason, area)
        elif isinstance(response, Response):
            self.of(declared.RESPONSES).labels(area, response.action).inc()
        self._count_changes(area, result)

    def _count_changes(self, area: str, result: Result) -> None:
        for alert in result.changes:
            self.of(declared.ALERT_REVISIONS).labels(area, alert.stream, alert.tier, alert.reason).inc()

    def rejected(self, reason: str, area: str = "") -> None:
        """Count a rejected record; ``area`` is empty if the record belongs to no configured area."""
        self.of(declared.REJECTED).labels(area, reason).inc()

    def unreadable(self, topic: str, offsets: int) -> None:
        """Count offsets of a topic that were passed over; with 0, only show the counter."""
        self.of(declared.UNREADABLE).labels(topic).inc(offsets)

    def missed(self, topic: str, offsets: int) -> None:
        """Count offsets of a topic that were never read; with 0, only show the counter."""
        self.of(declared.MISSED).labels(topic).inc(offsets)

    def topic_faults(self, number: int) -> None:
        """Show how many faults the topics have."""
        self.of(declared.TOPIC_FAULTS).set(number)

    def tick_merged(self, area: str) -> None:
        """Count a tick that was extended because the engine was behind."""
        self.of(declared.MERGED_TICKS).labels(area).inc()

    def stamp_corrected(self, area: str) -> None:
        """Count a record whose arrival was stamped by a wrong clock."""
        self.of(declared.CORRECTED).labels(area).inc()

    def rebuilt(self, area: str, seconds: float) -> None:
        """Show an area, which this worker owns from now on, and the time that its rebuilding took."""
        self._begin(area)
        self.of(declared.REBUILD_SECONDS).labels(area).observe(seconds)

    def alert_committed(self, area: str, latency_s: float) -> None:
        """Observe the seconds from a record's arrival to the commit of the revision that it caused."""
        self.of(declared.DETECTION_LATENCY).labels(area).observe(latency_s)

    def transaction(self, outcome: TransactionOutcome) -> None:
        """Count a Kafka transaction that has ended."""
        self.of(declared.TRANSACTIONS).labels(outcome).inc()

    def kafka_up(self, up: bool) -> None:
        """Show whether Kafka answered the last check."""
        self.of(declared.KAFKA_UP).set(up)

    def redis_up(self, up: bool) -> None:
        """Show whether Redis took the feeder's last heartbeat."""
        self.of(declared.REDIS_UP).set(up)

    def feeder_lag(self, area: str, records: int) -> None:
        """Show how many records Redis is behind the topic ``alerts``."""
        self.of(declared.FEEDER_LAG).labels(area).set(records)
        self.of(declared.FEEDER_REWINDS).labels(area)
        self.of(declared.FEEDER_LEFT_OUT).labels(area)

    def feeder_rewound(self, area: str) -> None:
        """Count a loss of the area's alerts in Redis."""
        self.of(declared.FEEDER_REWINDS).labels(area).inc()

    def feeder_left_out(self, area: str) -> None:
        """Count a record of the topic ``alerts`` that is not an alert."""
        self.of(declared.FEEDER_LEFT_OUT).labels(area).inc()

    def redis_evicts(self, evicts: float) -> None:
        """Show whether Redis can evict alerts: 1 or 0, NaN if unknown."""
        self.of(declared.REDIS_EVICTS).set(evicts)

    def configuration_changed(self, area: str) -> None:
        """Count a take-over of the area with another configuration than the recorded one."""
        self.of(declared.CONFIGURATIONS).labels(area).inc()

    def recalibrated(self, area: str, outcome: RecalibrationOutcome) -> None:
        """Count a nightly calibration of the area."""
        self.of(declared.RECALIBRATIONS).labels(area, outcome).inc()

    def _begin(self, area: str) -> None:
        """Show the counters of an area; counters of rejections and revisions appear with their first event."""
        for counter in (
            declared.UNMAPPED_CATEGORIES,
            declared.TICKS,
            declared.MERGED_TICKS,
            declared.CONFIGURATIONS,
            declared.CORRECTED,
        ):
            self.of(counter).labels(area)
        for outcome in OUTCOMES:
            self.of(declared.RECORDS).labels(area, outcome)
        for stream in STREAMS:
            self.of(declared.SCANS).labels(area, stream)
            self.of(declared.ALERTS).labels(area, stream)
        for action in get_args(Action):
            self.of(declared.RESPONSES).labels(area, action)
        for made in get_args(RecalibrationOutcome):
            self.of(declared.RECALIBRATIONS).labels(area, made)
        for histogram in (declared.SCAN_SECONDS, declared.REBUILD_SECONDS, declared.DETECTION_LATENCY):
            self.of(histogram).labels(area)


class _StateCollector(Collector):
    """Computes the metrics of the worker's state."""

    def __init__(self, open_alerts: Callable[[], Iterable[Alert]], health: HealthSource) -> None:
        self._open_alerts = open_alerts
        self._health = health

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the families without asking the engine, which may not have started."""
        return (gauge.family() for gauge in declared.AT_SCRAPE)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = {gauge: gauge.family() for gauge in declared.AT_SCRAPE}
        alerts = Tally((each.area, each.stream, each.tier, each.state) for each in self._open_alerts())
        for labels, number in alerts.items():
            families[declared.OPEN_ALERTS].add_metric(labels, number)
        for area, health in self._health().items():
            families[declared.LAG].add_metric([area], health.lag)
            for state in get_args(FeedState):
                families[declared.FEED_STATE].add_metric([area, state], health.feed == state)
            for clock in ("area", "worker", "broker") if health.clocks else ():
                ahead_s: float = getattr(health.clocks, f"{clock}_ahead_s")
                families[declared.CLOCK_AHEAD].add_metric([area, clock], ahead_s)
            families[declared.MISSING_BASELINE].add_metric([area], health.missing_days * 86_400)
            families[declared.SILENT_PARTS].add_metric([area], len(health.silent_parts))
            if health.further_shares is not None:
                shares = health.further_shares
                for period, share in (("last_week", shares.last_week), ("before", shares.before)):
                    families[declared.FURTHER_SHARE].add_metric([area, period], share)
                families[declared.FURTHER_CHANGED].add_metric([area], shares.is_changed)
            if health.last_record_s is not None:
                families[declared.LAST_RECORD].add_metric([area], health.last_record_s)
            if health.last_scan_s is not None:
                families[declared.LAST_SCAN].add_metric([area], health.last_scan_s)
            if health.promise is not None:
                families[declared.CALIBRATION_MADE].add_metric([area], health.promise.made_s)
                families[declared.PROMISED_ALERTS].add_metric([area], health.promise.budget)
                for estimate in declared.ESTIMATES:
                    chance: float = getattr(health.promise, estimate)
                    families[declared.CHANCE_ALERTS].add_metric([area, estimate], chance)
        yield from families.values()
