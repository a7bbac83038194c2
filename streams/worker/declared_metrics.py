"""Every metric of the worker."""

from __future__ import annotations

from typing import Any

from streams.process.metric import Counter, Gauge, Histogram, Info, Metric

BUILD_INFO = Info("hotspots_build_info", "The running version of hotspot-monitor; always 1.", ("version",))
RECORDS = Counter(
    "hotspots_records_total",
    "Records of an area, by what became of them; the outcomes add up to the records read.",
    ("area", "outcome"),
)
REJECTED = Counter(
    "hotspots_rejected_total",
    "Records written to incidents.rejected, by reason; the area is empty for a record that belongs to none.",
    ("area", "reason"),
)
UNREADABLE = Counter(
    "hotspots_unreadable_records_total",
    "Offsets that a reader of this worker passed over, because the batch there cannot be decoded, by topic.",
    ("topic",),
)
MISSED = Counter(
    "hotspots_missed_records_total",
    "Offsets that were never read: retention removed them before, or a client passed over them, by topic.",
    ("topic",),
)
TOPIC_FAULTS = Gauge(
    "hotspots_topic_faults",
    "Faults of the topics, as `hotspots topics --check` prints them; checked every 10 s.",
    (),
)
UNMAPPED_CATEGORIES = Counter(
    "hotspots_unmapped_categories_total",
    "Incidents whose category is missing from the area's map, and which count as other.",
)
TICKS = Counter("hotspots_ticks_total", "Closed ticks that are on record in the topic scans.")
MERGED_TICKS = Counter(
    "hotspots_merged_ticks_total", "Ticks that were extended and not closed on time, because the engine was behind."
)
CORRECTED = Counter(
    "hotspots_corrected_stamps_total",
    "Records of an area whose arrival was stamped by a wrong clock, and was corrected to the believed time.",
)
SCANS = Counter("hotspots_scans_total", "Scans, by the stream scanned.", ("area", "category"))
SCAN_SECONDS = Histogram(
    "hotspots_scan_seconds",
    "Time to apply and scan one closed tick, all its streams together.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
REBUILD_SECONDS = Histogram(
    "hotspots_rebuild_seconds",
    "Time to rebuild an area's window from the log after its partition was assigned.",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
DETECTION_LATENCY = Histogram(
    "hotspots_detection_latency_seconds",
    "Time from the arrival of the record that changed an alert to the commit of the alert's revision.",
    buckets=(0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)
ALERT_REVISIONS = Counter(
    "hotspots_alert_revisions_total",
    "Revisions of alerts committed to the topic alerts, by the stream, tier and reason of the revision.",
    ("area", "category", "tier", "reason"),
)
RESPONSES = Counter(
    "hotspots_responses_total",
    "Responses to open alerts that are on record, by action; a repeated response makes no revision.",
    ("area", "action"),
)
ALERTS = Counter(
    "hotspots_alerts_total",
    "Alerts that reached the tier alert for the first time, by stream; these are what the budget counts.",
    ("area", "category"),
)
TRANSACTIONS = Counter(
    "hotspots_transactions_total", "Kafka transactions, by outcome: committed or aborted.", ("outcome",)
)
KAFKA_UP = Gauge(
    "hotspots_kafka_up",
    "1 if Kafka answered the last check, made every 2 s, else 0; nothing is read or put on record meanwhile.",
    (),
)
REDIS_UP = Gauge(
    "hotspots_redis_up",
    "1 if the Redis feeder's last heartbeat reached Redis, else 0; alerts wait in Kafka meanwhile.",
    (),
)
FEEDER_LAG = Gauge(
    "hotspots_redis_feeder_lag_records",
    "Records of the topic alerts, in the area's partition, that are not yet in Redis.",
)
FEEDER_REWINDS = Counter(
    "hotspots_redis_feeder_rewinds_total",
    "Losses of an area's alerts in Redis, after each of which it was fed again from the topic.",
)
FEEDER_LEFT_OUT = Counter(
    "hotspots_redis_feeder_left_out_total",
    "Records of the topic alerts, with the area's key, that are not alerts and were left out of Redis.",
)
REDIS_EVICTS = Gauge(
    "hotspots_redis_evicts",
    "1 if Redis can evict alerts (its maxmemory-policy is not noeviction), 0 if not, NaN if it does not say.",
    (),
)
CONFIGURATIONS = Counter(
    "hotspots_configuration_changes_total",
    "Take-overs of the area with another configuration or calibration file than its last scan record names.",
)
RECALIBRATIONS = Counter(
    "hotspots_recalibrations_total", "Nightly calibrations of an area, by outcome: made or failed.", ("area", "outcome")
)
DRIVEN: tuple[Metric[Any], ...] = (
    BUILD_INFO,
    RECORDS,
    REJECTED,
    UNREADABLE,
    MISSED,
    TOPIC_FAULTS,
    UNMAPPED_CATEGORIES,
    TICKS,
    MERGED_TICKS,
    CORRECTED,
    SCANS,
    SCAN_SECONDS,
    REBUILD_SECONDS,
    DETECTION_LATENCY,
    ALERT_REVISIONS,
    RESPONSES,
    ALERTS,
    TRANSACTIONS,
    KAFKA_UP,
    REDIS_UP,
    FEEDER_LAG,
    FEEDER_REWINDS,
    FEEDER_LEFT_OUT,
    REDIS_EVICTS,
    CONFIGURATIONS,
    RECALIBRATIONS,
)
"""Metrics that the worker's parts count and set."""

OPEN_ALERTS = Gauge("hotspots_open_alerts", "Alerts that have not ended.", ("area", "category", "tier", "state"))
LAG = Gauge(
    "hotspots_lag_records",
    "Records of the topic incidents that are not yet applied: those of the area's partition that are not yet read, and "
    "those of the area that wait for their tick.",
)
LAST_RECORD = Gauge(
    "hotspots_last_record_timestamp_seconds", "Arrival of the area's last record; absent before the first."
)
LAST_SCAN = Gauge(
    "hotspots_last_scan_timestamp_seconds",
    "Time of the area's last scan, by the wall clock; absent before the first scan.",
)
FEED_STATE = Gauge(
    "hotspots_feed_state",
    "1 for the state of the area's feed (healthy, learning, silent, catching_up, kafka_away or clock), 0 for the "
    "others.",
    ("area", "state"),
)
CLOCK_AHEAD = Gauge(
    "hotspots_clock_ahead_seconds",
    "How far the clock of the worker, the broker or the area is ahead of the time that is believed (negative: behind); "
    "an area's is at least 0, and absent on a watermark clock.",
    ("area", "clock"),
)
MISSING_BASELINE = Gauge(
    "hotspots_missing_baseline_seconds",
    "History that the area's window still lacks before alerts can open; 0 once it has enough.",
)
SILENT_PARTS = Gauge(
    "hotspots_silent_parts",
    "Parts of the area (a district, a category, or a category in a district) that have stopped reporting.",
)
FURTHER_SHARE = Gauge(
    "hotspots_further_records_share",
    "Share of the incidents that are of an event already counted, in the last week and before, within the window; "
    "absent before the first incident.",
    ("area", "period"),
)
FURTHER_CHANGED = Gauge(
    "hotspots_further_records_changed",
    "1 if the share of further records of the last week differs from that before by more than chance; absent before "
    "the first record.",
)
CALIBRATION_MADE = Gauge(
    "hotspots_calibration_timestamp_seconds", "Time at which the area's calibration was made; absent without one."
)
PROMISED_ALERTS = Gauge(
    "hotspots_promised_alerts_per_week",
    "The budget: how often chance may bring an alert of the area to the tier alert; absent without a calibration.",
)
CHANCE_ALERTS = Gauge(
    "hotspots_chance_alerts_per_week",
    "How often chance did so in null histories not used for tuning: mean, 95 % interval from low to high.",
    ("area", "estimate"),
)
ESTIMATES = ("mean", "low", "high")
AT_SCRAPE = (
    OPEN_ALERTS,
    LAG,
    LAST_RECORD,
    LAST_SCAN,
    FEED_STATE,
    CLOCK_AHEAD,
    MISSING_BASELINE,
    SILENT_PARTS,
    FURTHER_SHARE,
    FURTHER_CHANGED,
    CALIBRATION_MADE,
    PROMISED_ALERTS,
    CHANCE_ALERTS,
)
"""Metrics that are computed from the engine's state at each scrape."""

WORKER_METRICS = (*DRIVEN, *AT_SCRAPE)
