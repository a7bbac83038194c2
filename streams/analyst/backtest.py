"""The Monitor over a file, without a broker: which alerts would it have opened?

Rows take the same path as records from Kafka and are decoded from the same bytes. So a replay of the file into a worker
gives the same alerts, byte for byte.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from detectors.alerts.alert import Alert
from detectors.monitor import Monitor
from detectors.results import ClosedTick
from detectors.window.intake import OUTCOMES
from streams.analyst.incident_file import Row
from streams.areas.area import Area
from streams.messages.alert import AlertFeature, read_alert
from streams.messages.incident import decode


class AlertSummary(msgspec.Struct, frozen=True):
    """One alert of a backtest: its last state and the figures of its strongest revision. Times are in the area's zone.

    ``alerted_at``: when it first reached the tier ``alert``.
    ``interval_is_lower_bound``: see :class:`~streams.messages.alert.AlertProperties`.
    """

    id: str
    category: str
    state: str
    tier: str
    alerted_at: datetime
    ended_at: datetime | None
    revisions: int
    longitude: float
    latitude: float
    radius_m: float
    observed: int
    expected: float
    recurrence_interval_days: float
    interval_is_lower_bound: bool


class Summary(msgspec.Struct, frozen=True):
    """The result of a backtest: the accounts, the number of scans, the alerts that reached the tier ``alert``."""

    incidents: dict[str, int]
    scans: int
    alerts: list[AlertSummary]


@dataclasses.dataclass(frozen=True)
class Backtest:
    """A finished run: its summary, its incidents of an unknown category, and every published event in order.

    ``refused``: by reason, the number of rows and the fault of the first one. ``missing_days``: days of history
    that the window lacks before its first scan, 0 after it. ``begins_late``: no row is as late as ``from_s``.
    """

    summary: Summary
    unmapped: int
    events: list[bytes]
    refused: dict[str, tuple[int, str]]
    missing_days: float
    interval_kind: str
    timezone: str
    begins_late: bool

    def remarks(self) -> list[str]:
        """Return remarks for a reader of the result, one line each."""
        lines = [f"{rows} rows rejected, {reason}: {first}" for reason, (rows, first) in sorted(self.refused.items())]
        if self.unmapped:
            lines.append(
                f"{self.unmapped} incidents are of a category that the settings do not know, which is not scanned; "
                "areas.NAME.categories maps a source's words"
            )
        if self.begins_late:
            lines.append("nothing was scanned: no row is dated --from or later")
        elif self.missing_days > 0:
            lines.append(
                f"no scan was made: the window lacks {self.missing_days:.1f} days of history (min_baseline_days)"
            )
        return lines

    def features(self) -> list[AlertFeature]:
        """Return the last revision of every alert that reached the tier ``alert``, as GeoJSON."""
        listed = {alert.id for alert in self.summary.alerts}
        last = {event.subject: event.data for event in map(read_alert, self.events) if event.subject in listed}
        return list(last.values())


def backtest(
    rows: Iterable[Row], area: Area, from_s: float | None, max_bytes: int, step: Callable[[], object]
) -> Backtest:
    """Run the Monitor over rows; those before ``from_s`` only fill its window. ``step`` is called once a row."""
    restoring = area.restoring(None)
    monitor: Monitor | None = None
    events: list[bytes] = []
    last: dict[str, Alert] = {}
    strongest: dict[str, Alert] = {}
    refused: dict[str, tuple[int, str]] = {}
    begins_late = from_s is not None

    def publish(closed: list[ClosedTick]) -> None:
        for _, refusal in itertools.chain.from_iterable(tick.refusals for tick in closed):
            rows_so_far, first = refused.get(refusal.reason, (0, refusal.detail))
            refused[refusal.reason] = (rows_so_far + 1, first)
        for change in (change for tick in closed for change in tick.changes):
            events.append(area.event(change))
            last[change.id] = change
            if change.id not in strongest or change.figures.score > strongest[change.id].figures.score:
                strongest[change.id] = change

    for offset, row in enumerate(rows):
        _, entry = decode(row.key, row.value, row.headers, 0, 1, {area.name}, max_bytes)
        if monitor is None and from_s is not None and row.time_s < from_s:
            restoring.refill(entry, offset, int(row.time_s))
        else:
            begins_late &= row.is_tick
            monitor = monitor or restoring.monitor()
            publish(monitor.put(entry, offset, int(row.time_s)))
        step()
    monitor = monitor or restoring.monitor()
    publish(monitor.flush())
    zone = ZoneInfo(area.settings.timezone)
    alerted = sorted((alert.alerted_s, alert.id) for alert in last.values() if alert.alerted_s is not None)
    alerts = [_summary(last[alert], strongest[alert], zone) for _, alert in alerted]
    accounts = {name: getattr(monitor.accounts, name) for name in ("read", *OUTCOMES)}
    return Backtest(
        Summary(accounts, monitor.scans, alerts),
        monitor.accounts.unmapped,
        events,
        refused,
        0.0 if monitor.scans else monitor.missing_days,
        "calibrated" if area.calibration else "nominal",
        area.settings.timezone,
        begins_late,
    )


def _summary(alert: Alert, strongest: Alert, zone: ZoneInfo) -> AlertSummary:
    return AlertSummary(
        id=alert.id,
        category=alert.stream,
        state=alert.state,
        tier=alert.tier,
        alerted_at=datetime.fromtimestamp(alert.alerted_s or 0, zone),
        ended_at=None if alert.ended_s is None else datetime.fromtimestamp(alert.ended_s, zone),
        revisions=alert.revision,
        longitude=strongest.figures.longitude,
        latitude=strongest.figures.latitude,
        radius_m=strongest.figures.radius_m,
        observed=strongest.figures.observed,
        expected=strongest.figures.expected,
        recurrence_interval_days=strongest.figures.recurrence_interval_days,
        interval_is_lower_bound=strongest.figures.interval_is_lower_bound is True,
    )
