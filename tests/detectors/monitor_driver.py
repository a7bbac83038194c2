"""A small area, records and responses for it, and a driver that hands them to its Monitor."""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from typing import Any

import h3
import msgspec
from hypothesis import strategies as st

from detectors.alerts.response import Response
from detectors.area.incident import Incident, Status
from detectors.area.locations import Locations
from detectors.area.settings import EACH_RECORD, AreaSettings, SameEventSettings, TierSettings
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from detectors.results import Checkpoint, ClosedTick, ResponseResult, Result
from detectors.window.admission import Entry, Refusal, TickMark

BEGIN = datetime(2024, 3, 1, 21, 30, tzinfo=UTC)
CENTRE = h3.latlng_to_cell(53.8, -1.55, 10)
CELLS = h3.grid_disk(CENTRE, 4)
LOCATIONS = Locations.from_cells(CELLS)
BUSY = [h3.cell_to_latlng(cell) for cell in h3.grid_disk(CENTRE, 1)[:3]]
AWAY = (10.0, 10.0)
KINDS = ["incident"] * 8 + ["cancelled", "refusal", "mark", "future", "jump", "away", "lost"]


def area(clock: str, statistic: str = "permutation") -> AreaSettings:
    """A tiny window and low tiers, so that a few records open, ease and end alerts."""
    return AreaSettings(
        same_event=EACH_RECORD if statistic == "permutation" else SameEventSettings(),
        clock=clock,  # type: ignore[arg-type]
        statistic=statistic,  # type: ignore[arg-type]
        window_days=2,
        min_baseline_days=0,
        durations_h=(1, 2, 6, 12),
        max_radius_m=300,
        replications=99,
        min_cases=2,
        tiers=TierSettings(watch=0.05, advisory=0.06, alert=0.08, urgent=0.5),
        end_after_h=1,
        cool_down_h=2,
    )


def incident(number: int, at: datetime, place: int = 0) -> Incident:
    latitude, longitude = BUSY[place]
    return Incident(id=f"i{number}", occurred_at=at, category="violence", longitude=longitude, latitude=latitude)


@dataclasses.dataclass(frozen=True)
class Record:
    """What a driver hands to the Monitor: the entry, when it arrived, and how far ahead its stamp is of that.

    ``is_closed_early``: its tick closes at once, as where an area's clock is ahead of the time.
    """

    entry: Entry
    arrival_s: int
    ahead_s: int = 0
    is_closed_early: bool = False

    @property
    def stamp_s(self) -> int:
        return self.arrival_s + self.ahead_s


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    now = BEGIN
    made = []
    for _ in range(draw(st.integers(1, 40))):
        now += timedelta(seconds=draw(st.sampled_from([0, 0, 1, 20, 600, 1800, 3600, 5 * 3600, 60 * 3600])))
        kind = draw(st.sampled_from(KINDS))
        occurred = now - timedelta(minutes=draw(st.sampled_from([0, 0, 1, 30, 120, 900, 3 * 1440])))
        latitude, longitude = AWAY if kind == "away" else draw(st.sampled_from(BUSY))
        incident = Incident(
            id=draw(st.sampled_from("abcdefghijklmnopqrst")),
            occurred_at=occurred,
            reported_at=now if draw(st.booleans()) else None,
            category=draw(st.sampled_from(["violence", "violence", "property", "burglary", "other", "unheard-of"])),
            longitude=longitude,
            latitude=latitude,
            revision=draw(st.sampled_from([None, None, 0, 1, 2])),
        )
        entry: Entry = incident
        if kind == "lost":
            entry = msgspec.structs.replace(incident, longitude=None, latitude=None)
        elif kind == "refusal":
            entry = Refusal("malformed_json", "value: must be JSON")
        elif kind == "mark":
            # Full hours are boundaries, where a tick and the time after it lie in different buckets.
            hour = int(now.timestamp()) // 3600 * 3600 + 3600
            entry = TickMark(draw(st.sampled_from([hour, hour + 7200]) | st.integers(hour - 7200, hour + 7200)))
        elif kind == "cancelled":
            timed = draw(st.booleans())
            entry = Incident(id=incident.id, status=Status.CANCELLED, occurred_at=occurred if timed else None)
        elif kind == "future":
            entry = msgspec.structs.replace(incident, occurred_at=now + timedelta(hours=2), reported_at=now)
        elif kind == "jump":
            entry = msgspec.structs.replace(incident, occurred_at=now + timedelta(days=900), reported_at=None)
        ahead_s = draw(st.sampled_from([0, 0, 0, 58 * 60, 3 * 86_400, -7200]))
        made.append(Record(entry, int(now.timestamp()), ahead_s, draw(st.integers(0, 9)) == 0))
    return made


Responses = list[tuple[int, Response | Refusal]]
"""Responses in order, each after the record at an offset."""


@st.composite
def responses(draw: st.DrawFn, feed: list[Record], clock: str) -> Responses:
    """Responses to the alerts that a feed opens, while they are open and at any other time, and one that is none."""
    opened = {alert.id for tick in drive(Monitor("leeds", area(clock), LOCATIONS), feed, 0) for alert in tick.changes}
    made: Responses = []
    for after in sorted(draw(st.lists(st.integers(0, len(feed) - 1), max_size=8))):
        action = draw(st.sampled_from(["acknowledge", "take", "outcome", "broken"]))
        if action == "broken":
            made.append((after, Refusal("bad_response", "value: must be JSON")))
            continue
        alert = draw(st.sampled_from([*sorted(opened), "unheard-of"]))
        outcome = draw(st.sampled_from(["venue", "unknown"])) if action == "outcome" else ""
        fields: Any = (alert, action, draw(st.sampled_from(["ann", "bob"])), after, outcome)
        made.append((after, Response(*fields)))
    return made


def drive(
    monitor: Monitor, feed: list[Record], first: int, responses: Responses | None = None, done: Container[int] = ()
) -> list[Result]:
    """Put records from an offset on; a wall clock closes what ended before each arrival.

    Each response follows its record, or comes first where that was put before; those that are ``done`` are left out.
    """
    closed: list[Result] = []
    left = [(after, number, response) for number, (after, response) in enumerate(responses or []) if number not in done]

    def respond(until: int) -> None:
        while left and left[0][0] < until:
            _, number, response = left.pop(0)
            result = monitor.respond(response, number)
            closed.extend([result] if result else [])

    respond(first)
    for offset, record in enumerate(feed[first:], first):
        is_wall = monitor.settings.clock == "wall"
        if is_wall and first < offset:
            closed += monitor.advance(feed[offset - 1].arrival_s)
        closed += monitor.put(record.entry, offset, record.stamp_s, ahead_s=record.ahead_s if is_wall else 0)
        if is_wall and record.is_closed_early:
            closed += monitor.flush()
        respond(offset + 1)
    return closed


def ticks_of(results: list[Result]) -> list[ClosedTick]:
    """The closed ticks among some results."""
    return [result for result in results if isinstance(result, ClosedTick)]


def repeated(
    monitor: Monitor, feed: list[Record], ticks: list[Result], responses: Responses | None = None
) -> list[Result]:
    """Ticks made once more from what is on record of each: its time, and which records or which response is in it."""
    again: list[Result] = []
    for tick in ticks:
        if isinstance(tick, ResponseResult):
            assert responses
            result = monitor.respond(responses[tick.offset][1], tick.offset)
            again += [result] if result else []
            continue
        offsets = range(monitor.expected_next, tick.next_offset)
        records = [(feed[offset].entry, offset, feed[offset].stamp_s) for offset in offsets]
        again.append(monitor.repeat(records, tick.tick_s, tick.checkpoint.corrections or ()))
    return again


def resumed(ticks: list[Result], feed: list[Record], clock: str, statistic: str = "permutation") -> Monitor:
    """A Monitor rebuilt from the last of some ticks, the checkpoint having been written and read."""
    checkpoint = msgspec.json.decode(msgspec.json.encode(ticks[-1].checkpoint), type=Checkpoint)
    restoring = Restoring("leeds", area(clock, statistic), LOCATIONS, checkpoint=checkpoint)
    for offset in range(checkpoint.lowest_offset, checkpoint.next_offset):
        restoring.refill(feed[offset].entry, offset, feed[offset].stamp_s)
    return restoring.monitor()
