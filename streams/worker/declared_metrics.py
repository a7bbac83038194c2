"""Every metric of the worker."""

from __future__ import annotations

from streams.process.metric import Declared

DECLARED = (
    Declared("hotspots_build_info", "info", "The running version of hotspot-monitor; always 1.", ("version",)),
    Declared(
        "hotspots_records_total",
        "counter",
        "Records of an area by what became of them; over all outcomes they add up to the records read.",
        ("area", "outcome"),
    ),
    Declared(
        "hotspots_rejected_total",
        "counter",
        "Records written to incidents.rejected, by reason; the area is empty for those that belong to none.",
        ("area", "reason"),
    ),
    Declared(
        "hotspots_unmapped_categories_total",
        "counter",
        "Incidents whose category is not in the area's map and was counted as other.",
    ),
    Declared("hotspots_ticks_total", "counter", "Closed ticks that are on record in the topic scans."),
    Declared(
        "hotspots_merged_ticks_total",
        "counter",
        "Ticks that were not closed on time but extended, because the engine was behind.",
    ),
    Declared("hotspots_scans_total", "counter", "Scans, by the stream scanned.", ("area", "category")),
    Declared(
        "hotspots_scan_seconds",
        "histogram",
        "Time to apply and scan one closed tick, all its streams together.",
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    ),
    Declared(
        "hotspots_rebuild_seconds",
        "histogram",
        "Time to rebuild an area's window from the log after it was assigned.",
        buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
    ),
    Declared(
        "hotspots_detection_latency_seconds",
        "histogram",
        "From the arrival of the record that changed an alert to the commit of the alert's revision.",
        buckets=(0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0),
    ),
    Declared(
        "hotspots_alert_revisions_total",
        "counter",
        "Revisions of alerts committed to the topic alerts, by the stream, tier and reason of the revision.",
        ("area", "category", "tier", "reason"),
    ),
    Declared(
        "hotspots_responses_total",
        "counter",
        "Responses to open alerts that are on record, by action; one that says nothing new makes no revision.",
        ("area", "action"),
    ),
    Declared(
        "hotspots_alerts_total",
        "counter",
        "Alerts that reached the tier alert for the first time, which is what the budget counts, by their stream.",
        ("area", "category"),
    ),
    Declared(
        "hotspots_transactions_total",
        "counter",
        "Kafka transactions by outcome: committed or aborted.",
        ("outcome",),
    ),
    Declared(
        "hotspots_kafka_up",
        "gauge",
        "1 if Kafka answered when it was last asked, every 2 s, else 0; nothing is read or put on record meanwhile.",
        (),
    ),
    Declared(
        "hotspots_redis_up",
        "gauge",
        "1 if the Redis feeder's last heartbeat reached Redis, else 0; alerts wait in Kafka meanwhile.",
        (),
    ),
    Declared(
        "hotspots_redis_feeder_lag_records",
        "gauge",
        "Records of the topic alerts, in the area's partition, that are not yet in Redis.",
    ),
    Declared(
        "hotspots_redis_feeder_rewinds_total",
        "counter",
        "Times that Redis had lost an area's alerts and was fed again from the topic.",
    ),
    Declared(
        "hotspots_recalibrations_total",
        "counter",
        "Times that an area was to be calibrated anew, by what became of it.",
        ("area", "outcome"),
    ),
    Declared(
        "hotspots_open_alerts",
        "gauge",
        "Alerts that have not ended.",
        ("area", "category", "tier", "state"),
        at_scrape=True,
    ),
    Declared(
        "hotspots_lag_records",
        "gauge",
        "Records of the topic incidents, in the area's partition, that are not yet applied.",
        at_scrape=True,
    ),
    Declared(
        "hotspots_last_record_timestamp_seconds",
        "gauge",
        "Arrival of the area's last record; absent before the first.",
        at_scrape=True,
    ),
    Declared(
        "hotspots_last_scan_timestamp_seconds",
        "gauge",
        "When the area was last scanned, by the wall clock; absent before the first scan.",
        at_scrape=True,
    ),
    Declared(
        "hotspots_feed_state",
        "gauge",
        "1 for the state of the area's feed (healthy, learning, silent, catching_up or kafka_away), 0 for the others.",
        ("area", "state"),
        at_scrape=True,
    ),
    Declared(
        "hotspots_missing_baseline_seconds",
        "gauge",
        "History that the area's window lacks until alerts can open; 0 once it has enough.",
        at_scrape=True,
    ),
    Declared(
        "hotspots_calibration_timestamp_seconds",
        "gauge",
        "When the area's calibration was made; absent without one.",
        at_scrape=True,
    ),
    Declared(
        "hotspots_promised_alerts_per_week",
        "gauge",
        "The budget: how often chance may bring an alert of the area to the tier alert; absent without a calibration.",
        at_scrape=True,
    ),
    Declared(
        "hotspots_chance_alerts_per_week",
        "gauge",
        "How often chance did so in null histories on which nothing was tuned: mean, 95 % interval low to high.",
        ("area", "estimate"),
        at_scrape=True,
    ),
)


ESTIMATES = ("mean", "low", "high")
