"""Versions that arrive in any order end in the same window, the same expected counts and the same scan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import h3
import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.area.incident import Incident, Origin, Status
from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import STREAMS
from detectors.clusters.cluster import Cluster
from detectors.clusters.recent_cases import RecentCases
from detectors.clusters.scorer import Scorer
from detectors.models.permutation import permutation, share_of_duration
from detectors.monitor import Monitor
from detectors.results import ClosedTick
from detectors.scan.rescan import NO_PLACE
from detectors.window.admission import TickMark
from detectors.window.sliding import ALL, NOWHERE, SlidingWindow
from tests.detectors.monitor_driver import area

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "24"))
BEGIN = datetime(2024, 3, 1, 21, tzinfo=UTC)
CENTRE = h3.latlng_to_cell(53.8, -1.55, 10)
LOCATIONS = Locations.from_cells(h3.grid_disk(CENTRE, 8))
NEAR = neighbours(LOCATIONS.points, 300)
PLACES = [h3.cell_to_latlng(cell) for cell in (*h3.grid_disk(CENTRE, 1)[:3], *h3.grid_ring(CENTRE, 8)[::8])]
"""Three beside each other, and six far from them and from each other."""
QUIET_H = 1
SETTINGS = msgspec.structs.replace(area("watermark"), window_days=1, end_after_h=QUIET_H)
SPAN_H = 40
"""Longer than the window, and no longer than a clock may jump."""


def version_of(id_: str, number: int) -> Incident:
    """Any version of an incident, out of one number."""

    def pick(*options: Any) -> Any:
        nonlocal number
        number, which = divmod(number, len(options))
        return options[which]

    status = pick(Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.CANCELLED)
    latitude, longitude = pick(PLACES[0], *PLACES)
    reported = BEGIN + timedelta(minutes=pick(*range(0, SPAN_H * 60, 10)))
    is_timed = status is Status.ACTIVE or pick(True, False)
    return Incident(
        id=id_,
        status=status,
        reported_at=reported,
        # Up to five minutes ahead of its report, and back to before the window.
        occurred_at=reported - timedelta(minutes=pick(-5, 0, 0, 100, 1_000, 2_000)) if is_timed else None,
        category=pick("violence", "violence", "property", "other", "unheard-of"),
        origin=pick(Origin.REPORTED, Origin.REPORTED, Origin.DISCOVERED),
        longitude=longitude,
        latitude=latitude,
    )


def in_order(*incidents: Sequence[Incident]) -> list[Incident]:
    """Versions of some incidents in the order of their reports, which is that of the revisions of each."""
    history: list[Incident] = []
    for versions in incidents:
        history += [
            msgspec.structs.replace(version, revision=revision)
            for revision, version in enumerate(sorted(versions, key=reported))
        ]
    return sorted(history, key=reported)


NUMBER = st.integers(0, 2**31 - 1)
HISTORIES = st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=4, max_size=9).map(
    lambda numbers: in_order(*([version_of(f"i{name}", each) for each in some] for name, some in enumerate(numbers)))
)


def reported(incident: Incident) -> datetime:
    assert incident.reported_at is not None
    return incident.reported_at


END = BEGIN + timedelta(hours=SPAN_H)


def played(versions: Sequence[Incident], end: datetime = END, **more: Any) -> tuple[Monitor, list[ClosedTick]]:
    """A Monitor after versions in this order, its last tick the one at ``end``, and all that it closed."""
    monitor = Monitor("leeds", msgspec.structs.replace(SETTINGS, **more), LOCATIONS, NEAR)
    closed: list[ClosedTick] = []
    arrival_s = 0
    for offset, version in enumerate(versions):
        arrival_s = max(arrival_s, int(reported(version).timestamp()))
        closed += monitor.put(version, offset, arrival_s)
    closed += until(monitor, end)
    assert sum(len(tick.refusals) for tick in closed) == 0
    assert monitor.window.now * 3600 == end.timestamp()
    return monitor, closed


def until(monitor: Monitor, moment: datetime) -> list[ClosedTick]:
    """Let time reach a full hour, so that its boundary is scanned."""
    after_s = int(moment.timestamp()) + 1
    return monitor.put(TickMark(after_s), monitor.expected_next, after_s) + monitor.flush()


def standing(window: SlidingWindow) -> dict[str, tuple[Any, ...]]:
    """All that the window says of each incident that stands in it."""
    columns = window.columns
    names = ("occurred_s", "bucket", "location", "category", "discovered", "interval", "revision", "longitude_e7")
    return {
        window.ids([row])[0]: tuple(getattr(columns, name)[row].item() for name in names)
        for row in window.rows(window.first, window.now + 1).tolist()
        if columns.location[row] != NOWHERE
    }


def usual(window: SlidingWindow, stream: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Observed and expected of the permutation model."""
    durations = np.array(SETTINGS.durations_h, np.int32)
    by_stratum, in_bucket = window.by_stratum[stream], window.totals(stream, window.first, window.now)
    cases = RecentCases.of(window, SETTINGS.durations_h[-1]).of_stream(stream)
    share = share_of_duration(in_bucket, window.strata(window.first, window.now), by_stratum.shape[1], durations)
    model = permutation(by_stratum, share, int(in_bucket.sum()), cases.location, cases.age, durations)
    return by_stratum, in_bucket, model.counts, model.expected, model.totals


def scan(monitor: Monitor, weakest_score: float) -> dict[str, list[Cluster]]:
    """The clusters of each stream, by a scan that knows of none before."""
    window = monitor.window
    scorer = Scorer(LOCATIONS, NEAR, monitor.settings, {})
    scorer.begin(window, window.now * 3600)
    return {STREAMS[each]: scorer.clusters(window, each, weakest_score, NO_PLACE) for each in range(ALL + 1)}


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(history=HISTORIES, data=st.data(), clock=st.sampled_from(["watermark", "wall"]))
def test_any_order_of_arrival_ends_in_the_same_window_and_scan(
    history: list[Incident], data: st.DataObject, clock: str
) -> None:
    silent: dict[str, Any] = {"clock": clock, "min_baseline_days": 100}
    straight, _ = played(history, **silent)
    shuffled, _ = played(data.draw(st.permutations(history)), **silent)
    assert standing(shuffled.window) == standing(straight.window)
    for stream in range(ALL + 1):
        for one, other in zip(usual(shuffled.window, stream), usual(straight.window, stream), strict=True):
            np.testing.assert_array_equal(one, other)
    assert scan(shuffled, -1e9) == scan(straight, -1e9)
