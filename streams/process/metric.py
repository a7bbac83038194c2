"""Metrics: their declarations, and the registered metrics that a process counts and sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily

Driven = TypeVar("Driven")


@dataclass(frozen=True)
class Metric(ABC, Generic[Driven]):
    """One metric as it is declared. ``Driven`` is the client library's type for it."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ("area",)
    kind: ClassVar[str]

    @abstractmethod
    def registered(self, registry: CollectorRegistry) -> Driven:
        """Register the metric and return it, as the process counts or sets it."""


class Counter(Metric[prometheus_client.Counter]):
    """A count that only grows."""

    kind = "counter"

    def registered(self, registry: CollectorRegistry) -> prometheus_client.Counter:
        """Register and return the counter."""
        return prometheus_client.Counter(self.name, self.meaning, self.labels, registry=registry)


class Gauge(Metric[prometheus_client.Gauge]):
    """A value that rises and falls. The process sets it, or computes it as a ``family`` at each scrape."""

    kind = "gauge"

    def registered(self, registry: CollectorRegistry) -> prometheus_client.Gauge:
        """Register and return the gauge."""
        return prometheus_client.Gauge(self.name, self.meaning, self.labels, registry=registry)

    def family(self) -> GaugeMetricFamily:
        """Return the gauge without samples, for one scrape."""
        return GaugeMetricFamily(self.name, self.meaning, labels=self.labels)


@dataclass(frozen=True)
class Histogram(Metric[prometheus_client.Histogram]):
    """A distribution over ``buckets``, given by their upper bounds."""

    kind = "histogram"
    buckets: tuple[float, ...] = ()

    def registered(self, registry: CollectorRegistry) -> prometheus_client.Histogram:
        """Register and return the histogram."""
        return prometheus_client.Histogram(
            self.name, self.meaning, self.labels, registry=registry, buckets=self.buckets
        )


class Info(Metric[prometheus_client.Info]):
    """Texts about the process. They are the labels of a metric that has the value 1."""

    kind = "info"

    def registered(self, registry: CollectorRegistry) -> prometheus_client.Info:
        """Register and return the info."""
        return prometheus_client.Info(self.name.removesuffix("_info"), self.meaning, registry=registry)


class ProcessMetrics:
    """The metrics of one process, in ``registry``: those ``declared``, and the standard ones of any process."""

    def __init__(self, registry: CollectorRegistry, declared: Iterable[Metric[Any]]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter
        self._driven = {each: each.registered(registry) for each in declared}
        ProcessCollector(registry=registry)

    def of(self, metric: Metric[Driven]) -> Driven:
        """Return the registered metric for a declared one."""
        driven: Driven = self._driven[metric]
        return driven
