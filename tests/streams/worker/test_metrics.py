"""The metrics of every process as Prometheus reads them, and those of the worker as it counts."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from detectors.alerts.alert import Alert
from detectors.alerts.response import Response
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.monitor import Monitor
from detectors.results import ClosedTick, ResponseResult
from detectors.scan.significance import Tier
from detectors.window.admission import Refusal, TickMark
from detectors.window.further import FurtherShares
from detectors.window.intake import OUTCOMES, Accounts
from streams.areas.health import AreaHealth, Clocks, Promise
from streams.console.metrics import CONSOLE_METRICS, ConsoleMetrics
from streams.process.metric import Histogram, Metric
from streams.webhook.metrics import WEBHOOK_METRICS, WebhookMetrics
from streams.worker.declared_metrics import WORKER_METRICS
from streams.worker.metrics import Metrics
from tests.streams.messages.alert_events import ALERT

BOUNDED = {"area", "category", "tier", "state", "reason", "outcome", "estimate", "action", "kind", "topic", "clock"}
BOUNDED |= {"period"}

PROMISE = Promise(made_s=900.0, budget=2.0, mean=1.9, low=1.7, high=2.1)
CLOCKS = Clocks(area_ahead_s=0.0, worker_ahead_s=7200.0, broker_ahead_s=-1.5, is_wrong=True)
HEALTH = AreaHealth(
    last_record_s=1000.5,
    last_scan_s=1001.0,
    lag=7,
    feed="learning",
    missing_days=4.5,
    silent_parts=("no drugs since 1 January 00:10: 0 in 12 h, 9.3 usual",),
    further_shares=FurtherShares(0.12, 0.01, is_changed=True),
    promise=PROMISE,
    clocks=CLOCKS,
)


def closed_tick() -> ClosedTick:
    """Return a tick as the Monitor closes it, without a change."""
    places = Locations.from_places(["c"], [-1.5], [53.8], 100.0)
    (closed,) = Monitor("leeds", AreaSettings(clock="watermark"), places).put(TickMark(3600), 0, 0)
    return closed


def response_result(*changes: Alert, refusal: Refusal | None = None) -> ResponseResult:
    """The result of a response after that tick."""
    checkpoint = closed_tick().checkpoint
    return ResponseResult(
        changes=changes, is_silent=False, calibration="", checkpoint=checkpoint, offset=3, refusal=refusal
    )


def worker() -> CollectorRegistry:
    """Call every method once, so that every metric has a sample."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe(lambda: [ALERT], lambda: {"leeds": HEALTH})
    full = {
        "streams": (Stream.VIOLENCE, Stream.ALL),
        "changes": (ALERT,),
        "refusals": ((4, Refusal("future", "occurred too late")),),
    }
    metrics.tick_committed("leeds", Accounts(), msgspec.structs.replace(closed_tick(), **full), 0.003)
    metrics.response_committed("leeds", Response("a", "take", "ann", 61), response_result())
    metrics.rejected("malformed_json")
    metrics.tick_merged("leeds")
    metrics.stamp_corrected("leeds")
    metrics.rebuilt("leeds", 1.5)
    metrics.alert_committed("leeds", 1.2)
    metrics.transaction("committed")
    metrics.kafka_up(True)
    metrics.redis_up(True)
    metrics.feeder_lag("leeds", 3)
    metrics.feeder_rewound("leeds")
    metrics.recalibrated("leeds", "made")
    metrics.unreadable("incidents", 2)
    metrics.missed("incidents", 2)
    return registry


def webhook() -> CollectorRegistry:
    registry = CollectorRegistry()
    WebhookMetrics(registry).unreadable("alerts", 1)
    return registry


def console() -> CollectorRegistry:
    return ConsoleMetrics().registry


def scrape(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric's samples by their label values, in the declared order."""
    labels = next(each.labels for each in WORKER_METRICS if each.name == name)
    found = [sample for family in registry.collect() for sample in family.samples if sample.name == name]
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in found}


def test_declarations_keep_to_the_rules() -> None:
    declared: Sequence[Metric[Any]] = (*WORKER_METRICS, *WEBHOOK_METRICS, *CONSOLE_METRICS)
    assert len({each.name for each in declared}) == len(declared)
    for each in declared:
        assert each.name.startswith("hotspots_")
        assert (each.kind == "counter") == each.name.endswith("_total")
        assert set(each.labels) <= BOUNDED or each.name == "hotspots_build_info"
        assert not isinstance(each, Histogram) or each.buckets


@pytest.mark.parametrize(
    ("driven", "declared"),
    [(worker, WORKER_METRICS), (webhook, WEBHOOK_METRICS), (console, CONSOLE_METRICS)],
    ids=["worker", "webhook", "console"],
)
def test_what_is_served_is_what_is_declared(
    driven: Callable[[], CollectorRegistry], declared: Sequence[Metric[Any]]
) -> None:
    served = {
        family.name: family
        for family in text_string_to_metric_families(scrape(driven()))
        if family.name.startswith("hotspots_")
    }
    assert served.keys() == {each.name.removesuffix("_total") for each in declared}
    for each in declared:
        family = served[each.name.removesuffix("_total")]
        assert family.documentation == each.meaning
        assert family.type == ("gauge" if each.kind == "info" else each.kind)
        assert family.samples
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(each.labels)


def test_the_process_and_python_are_measured_too() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    names = {family.name for family in text_string_to_metric_families(scrape(registry))}
    assert {"process_start_time_seconds", "python_info", "python_gc_collections"} <= names


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=len(OUTCOMES), max_size=len(OUTCOMES)), max_size=5),
    st.lists(st.integers(0, 9), min_size=len(OUTCOMES), max_size=len(OUTCOMES)),
)
def test_outcomes_add_up_to_the_records_read(steps: list[list[int]], earlier: list[int]) -> None:
    """What was read before this process took the area over is not counted again."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    tick = closed_tick()
    first = before = Accounts(sum(earlier), *earlier)
    for step in steps:
        grown = [getattr(before, outcome) + more for outcome, more in zip(OUTCOMES, step, strict=True)]
        after = Accounts(sum(grown), *grown)
        checkpoint = msgspec.structs.replace(tick.checkpoint, accounts=after)
        metrics.tick_committed("leeds", before, msgspec.structs.replace(tick, checkpoint=checkpoint), 0.0)
        before = after
    counted = samples(registry, "hotspots_records_total")
    assert sum(counted.values()) == before.read - first.read
    for outcome in OUTCOMES:
        assert counted.get(("leeds", outcome), 0) == getattr(before, outcome) - getattr(first, outcome)
    assert samples(registry, "hotspots_ticks_total") == ({("leeds",): len(steps)} if steps else {})


def test_a_tick_without_a_scan_leaves_the_scan_times_alone() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.tick_committed("leeds", Accounts(), msgspec.structs.replace(closed_tick(), streams=()), 9.0)
    assert not samples(registry, "hotspots_scans_total")
    assert registry.get_sample_value("hotspots_scan_seconds_count", {"area": "leeds"}) is None


def test_an_alert_counts_once_when_it_first_reaches_the_tier_alert() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    watch = msgspec.structs.replace(ALERT, tick_s=60)
    alerted = msgspec.structs.replace(watch, revision=2, tick_s=120, tier="alert", alerted_s=120, reason="tier_rose")
    urgent = msgspec.structs.replace(alerted, revision=3, tick_s=180, tier="urgent")
    at_once = msgspec.structs.replace(watch, id="b", tier="urgent", alerted_s=60)
    for changes in ((watch, at_once), (alerted,), (urgent,)):
        metrics.tick_committed("leeds", Accounts(), msgspec.structs.replace(closed_tick(), changes=changes), 0.0)
    assert samples(registry, "hotspots_alerts_total") == {("leeds", "violence"): 2}
    assert sum(samples(registry, "hotspots_alert_revisions_total").values()) == 4


def test_a_response_counts_by_its_action_and_as_no_tick_and_its_alert_no_second_time() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    alerted = msgspec.structs.replace(ALERT, tick_s=60, tier=Tier.ALERT, alerted_s=60)
    answered = msgspec.structs.replace(alerted, revision=2, reason="acknowledged")
    metrics.tick_committed("leeds", Accounts(), msgspec.structs.replace(closed_tick(), changes=(alerted,)), 0.0)
    response = Response("a", "acknowledge", "ann", 61)
    metrics.response_committed("leeds", response, response_result(answered))
    metrics.response_committed("leeds", response, response_result())
    refusal = Refusal("no_such_alert", "alert: there is none")
    metrics.response_committed("leeds", response, response_result(refusal=refusal))
    assert samples(registry, "hotspots_responses_total") == {("leeds", "acknowledge"): 2}
    assert samples(registry, "hotspots_rejected_total") == {("leeds", "no_such_alert"): 1}
    assert samples(registry, "hotspots_alerts_total") == {("leeds", "violence"): 1}
    assert samples(registry, "hotspots_ticks_total") == {("leeds",): 1}
    assert sum(samples(registry, "hotspots_alert_revisions_total").values()) == 2


def test_what_is_counted_of_an_area_begins_at_0() -> None:
    """Otherwise Prometheus would not see the first event as an increase."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.rebuilt("leeds", 0.5)
    metrics.feeder_lag("leeds", 0)
    metrics.unreadable("incidents", 0)
    metrics.missed("incidents", 0)
    begun = {each.name for each in WORKER_METRICS if each.kind == "counter" and samples(registry, each.name)}
    assert {each.name for each in WORKER_METRICS if each.kind == "counter"} - begun == {
        "hotspots_rejected_total",
        "hotspots_alert_revisions_total",
    }
    assert not any(sum(samples(registry, name).values()) for name in begun)
    assert samples(registry, "hotspots_alerts_total").keys() == {("leeds", stream) for stream in STREAMS}
    assert registry.get_sample_value("hotspots_detection_latency_seconds_count", {"area": "leeds"}) == 0


def test_an_alert_that_has_ended_vanishes_and_a_changed_one_moves() -> None:
    registry = CollectorRegistry()
    still_open = [ALERT, msgspec.structs.replace(ALERT, id="b"), msgspec.structs.replace(ALERT, id="c", stream="all")]
    Metrics(registry).observe(lambda: tuple(still_open), dict)
    assert samples(registry, "hotspots_open_alerts") == {
        ("leeds", "violence", "watch", "open"): 2,
        ("leeds", "all", "watch", "open"): 1,
    }
    still_open[1] = msgspec.structs.replace(still_open[1], tier="urgent", state="escalated")
    del still_open[2]
    assert samples(registry, "hotspots_open_alerts") == {
        ("leeds", "violence", "watch", "open"): 1,
        ("leeds", "violence", "urgent", "escalated"): 1,
    }


def test_an_area_is_shown_while_this_worker_owns_it() -> None:
    registry = CollectorRegistry()
    owned = {"leeds": HEALTH, "york": AreaHealth(last_record_s=None, last_scan_s=None, lag=0, feed="catching_up")}
    Metrics(registry).observe(list, lambda: dict(owned))
    assert samples(registry, "hotspots_lag_records") == {("leeds",): 7, ("york",): 0}
    assert samples(registry, "hotspots_missing_baseline_seconds") == {("leeds",): 4.5 * 86_400, ("york",): 0.0}
    assert samples(registry, "hotspots_last_record_timestamp_seconds") == {("leeds",): 1000.5}
    assert samples(registry, "hotspots_last_scan_timestamp_seconds") == {("leeds",): 1001.0}
    assert samples(registry, "hotspots_calibration_timestamp_seconds") == {("leeds",): 900.0}
    assert samples(registry, "hotspots_promised_alerts_per_week") == {("leeds",): 2.0}
    chance = samples(registry, "hotspots_chance_alerts_per_week")
    assert chance == {("leeds", "mean"): 1.9, ("leeds", "low"): 1.7, ("leeds", "high"): 2.1}
    ahead = samples(registry, "hotspots_clock_ahead_seconds")
    assert ahead == {("leeds", "area"): 0.0, ("leeds", "worker"): 7200.0, ("leeds", "broker"): -1.5}
    assert samples(registry, "hotspots_silent_parts") == {("leeds",): 1, ("york",): 0}
    shares = samples(registry, "hotspots_further_records_share")
    assert shares == {("leeds", "last_week"): 0.12, ("leeds", "before"): 0.01}
    assert samples(registry, "hotspots_further_records_changed") == {("leeds",): 1}
    states = samples(registry, "hotspots_feed_state")
    assert Counter(area for (area, _), value in states.items() if value) == {"leeds": 1, "york": 1}
    assert states["leeds", "learning"] == states["york", "catching_up"] == 1
    del owned["leeds"]
    assert samples(registry, "hotspots_lag_records") == {("york",): 0}


@pytest.mark.debian
@pytest.mark.parametrize("driven", [worker, webhook, console])
def test_promtool_has_no_complaint(driven: Callable[[], CollectorRegistry]) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install --no-install-recommends prometheus"
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrape(driven()), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
