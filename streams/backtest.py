"""The Monitor over a file, with no broker: what would it have said?

The rows take the same way as records from Kafka, decoded from the same bytes, so that replaying the
file into a worker gives the same alerts byte for byte.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from detectors.locations import Locations
from detectors.monitor import ClosedTick, Monitor
from detectors.settings import AreaSettings
from detectors.tracking import Alert
from streams.configuration import Area, Configuration, ConfigurationError, load, locations
from streams.decode import decode
from streams.messages import AlertFeature, alert_event, read_alert
from streams.metrics import OUTCOMES
from streams.tables import Row, Table


class AlertSummary(msgspec.Struct, frozen=True):
    """One alert of a backtest: its last state, and the figures of its strongest revision.

    ``opened_at`` is when it first reached the tier ``alert``.
    """

    id: str
    category: str
    state: str
    tier: str
    opened_at: datetime
    ended_at: datetime | None
    revisions: int
    longitude: float
    latitude: float
    radius_m: float
    observed: int
    expected: float
    recurrence_interval_days: float


class Summary(msgspec.Struct, frozen=True):
    """What a backtest reports: the accounts that balance, the scans, the alerts that reached the tier ``alert``."""

    incidents: dict[str, int]
    scans: int
    alerts: list[AlertSummary]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to run: an area with its settings on the watermark clock, and its frozen locations."""

    area: str
    settings: AreaSettings
    locations: Locations


@dataclasses.dataclass(frozen=True)
class Backtest:
    """The finished run: its summary, incidents of an unknown category, every published event in order.

    ``refused``: by reason the number of rows, and what was wrong with the first of them. ``missing_days``: how much
    history the window lacks before it is scanned at all, 0 if it was.
    """

    summary: Summary
    unmapped: int
    events: list[bytes]
    refused: dict[str, tuple[int, str]]
    missing_days: float

    def remarks(self) -> list[str]:
        """What a reader of the result should know, one line each."""
        lines = [f"{rows} rows rejected, {reason}: {first}" for reason, (rows, first) in sorted(self.refused.items())]
        if self.missing_days > 0:
            lines.append(
                f"no scan was made: the window lacks {self.missing_days:.1f} days of history (min_baseline_days)"
            )
        return lines

    def features(self) -> list[AlertFeature]:
        """The last revision of every alert that reached the tier ``alert``, as GeoJSON."""
        listed = {alert.id for alert in self.summary.alerts}
        last = {event.subject: event.data for event in map(read_alert, self.events) if event.subject in listed}
        return list(last.values())


def plan(
    table: Table,
    configuration: Path | None,
    environ: Mapping[str, str],
    area: str | None,
    timezone: str | None,
    seed: int | None,
) -> Plan:
    """The area to run: from the configuration file, else the occupied cells of the file itself.

    Raises:
        ConfigurationError: the configuration is wrong, or does not say which of its areas is meant.
    """
    loaded = load(configuration, environ)
    name = area or _only_area(loaded)
    if name not in loaded.areas:
        raise ConfigurationError(f"area {name!r}: not configured; there is {', '.join(sorted(loaded.areas))}")
    chosen = loaded.areas[name]
    changes: dict[str, object] = {"clock": "watermark"}
    if timezone is not None:
        changes["timezone"] = timezone
    if seed is not None:
        changes["seed"] = seed
    try:
        settings = msgspec.structs.replace(chosen.settings, **changes)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return Plan(name, settings, _locations(chosen, table))


def _only_area(configuration: Configuration) -> str:
    if len(configuration.areas) > 1:
        raise ConfigurationError(f"area: say which, one of {', '.join(sorted(configuration.areas))}")
    return next(iter(configuration.areas))


def _locations(area: Area, table: Table) -> Locations:
    if area.cells_file or area.boundary_file or area.places_file:
        return locations(area)
    cells = table.cells(area.resolution)
    if not cells:
        raise ConfigurationError("locations: missing; no row has coordinates, so give an area with places or cells")
    return Locations.from_cells(cells)


def backtest(
    rows: Iterable[Row], plan: Plan, from_s: float | None, max_bytes: int, step: Callable[[], object]
) -> Backtest:
    """Run the Monitor over rows; those before ``from_s`` only fill its window. ``step`` is called once a row."""
    monitor = Monitor(plan.area, plan.settings, plan.locations)
    events: list[bytes] = []
    last: dict[str, Alert] = {}
    strongest: dict[str, Alert] = {}

    refused: dict[str, tuple[int, str]] = {}

    def publish(closed: list[ClosedTick]) -> None:
        for _, reason, detail in (refusal for tick in closed for refusal in tick.refusals):
            rows_so_far, first = refused.get(reason, (0, detail))
            refused[reason] = (rows_so_far + 1, first)
        for change in (change for tick in closed for change in tick.changes):
            events.append(alert_event(change, plan.settings, monitor.configuration_id))
            last[change.id] = change
            if change.id not in strongest or change.score > strongest[change.id].score:
                strongest[change.id] = change

    for offset, row in enumerate(rows):
        _, entry = decode(row.key, row.value, row.headers, 0, 1, {plan.area}, max_bytes)
        if from_s is not None and row.time_s < from_s:
            monitor.refill(entry, offset, int(row.time_s))
        else:
            publish(monitor.put(entry, offset, int(row.time_s)))
        step()
    publish(monitor.flush())
    alerts = [_summary(alert, strongest[alert.id]) for alert in last.values() if alert.alerted_s is not None]
    alerts.sort(key=lambda alert: (alert.opened_at, alert.id))
    accounts = {name: getattr(monitor.accounts, name) for name in ("read", *OUTCOMES)}
    begins = monitor.window.baseline_begins() if monitor.window.has_time else None
    held_days = 0.0 if begins is None else (monitor.window.now - begins) / 24
    missing_days = 0.0 if monitor.scans else plan.settings.min_baseline_days - held_days
    return Backtest(Summary(accounts, monitor.scans, alerts), monitor.accounts.unmapped, events, refused, missing_days)


def _summary(alert: Alert, strongest: Alert) -> AlertSummary:
    return AlertSummary(
        id=alert.id,
        category=alert.stream,
        state=alert.state,
        tier=alert.tier,
        opened_at=datetime.fromtimestamp(alert.alerted_s or 0, UTC),
        ended_at=None if alert.ended_s is None else datetime.fromtimestamp(alert.ended_s, UTC),
        revisions=alert.revision,
        longitude=strongest.longitude,
        latitude=strongest.latitude,
        radius_m=strongest.radius_m,
        observed=strongest.observed,
        expected=strongest.expected,
        recurrence_interval_days=strongest.recurrence_interval_days,
    )


def write_configuration(path: Path, plan: Plan) -> None:
    """Write the area as a configuration file, and its locations beside it, for a worker to run.

    Raises:
        OSError: a file cannot be written.
    """
    defaults = msgspec.to_builtins(AreaSettings())
    chosen = {name: value for name, value in msgspec.to_builtins(plan.settings).items() if value != defaults[name]}
    beside = path.with_suffix(".cells.txt" if plan.locations.resolution is not None else ".places.csv")
    if plan.locations.resolution is not None:
        beside.write_text("".join(f"{cell}\n" for cell in plan.locations.ids), encoding="utf-8")
        chosen["cells_file"] = beside.name
    else:
        degrees = (plan.locations.longitude.tolist(), plan.locations.latitude.tolist())
        places = zip(plan.locations.ids, *degrees, strict=True)
        with beside.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("id", "longitude", "latitude"), *places])
        chosen |= {"places_file": beside.name, "max_place_distance_m": plan.locations.max_distance_m}
    chosen["timezone"] = plan.settings.timezone
    note = '# The clock "watermark" is for recorded incidents; a live feed wants "wall".\n'
    path.write_bytes(note.encode() + msgspec.toml.encode({"areas": {plan.area: chosen}}))
