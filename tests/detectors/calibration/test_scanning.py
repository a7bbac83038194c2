"""The scans and alerts of a whole history equal those of a Monitor that gets the same incidents one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from detectors.area.incident import Incident
from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import EACH_RECORD, STREAMS, AreaSettings, RepeatSettings
from detectors.area.strata import BUCKET_S
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.margins import LOADS, Margins
from detectors.calibration.near_repeats import Repeats
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.calibration.scanning import Scanning
from detectors.restoring import Restoring
from detectors.results import ClosedTick
from detectors.scan.significance import Tier

FIRST = 482_136  # a Monday, 00:00 UTC
SETTINGS = AreaSettings(
    statistic="permutation",
    same_event=EACH_RECORD,
    window_days=15,
    min_baseline_days=0,
    max_radius_m=400.0,
    ease_below=0.7,
    end_after_h=5.0,
    cool_down_h=9.0,
    repeats=RepeatSettings(reminder_h=0.0),
)
WINDOW = SETTINGS.window_days * 24
BUCKETS = WINDOW + 10 * 24


def places(number: int, generator: np.random.Generator) -> Locations:
    """Return the places of a town one or two kilometres across."""
    east, north = generator.normal(0, 0.006, (2, number))
    return Locations.from_places([f"p{each:03d}" for each in range(number)], -1.5 + east * 1.6, 53.8 + north, 500.0)


def past(locations: Locations, incidents: int, generator: np.random.Generator) -> Past:
    """Return incidents at uneven places with bursts, never two in one second, none at the beginning of an hour."""
    second = generator.choice(BUCKETS * BUCKET_S - 1, incidents, replace=False)
    burst = generator.random(incidents) < 0.15
    second[burst] = generator.integers(WINDOW * BUCKET_S, BUCKETS * BUCKET_S, 12)[
        generator.integers(0, 12, burst.sum())
    ] + generator.integers(0, 12 * BUCKET_S, burst.sum())
    second = np.unique(second)
    second = second[second % BUCKET_S != 0]
    weight = generator.gamma(0.5, 1.0, len(locations))
    location = generator.choice(len(locations), len(second), p=weight / weight.sum())
    category = generator.choice(4, len(second), p=[0.4, 0.3, 0.1, 0.2])
    return Past.of(FIRST, BUCKETS, second, location.astype(np.int32), category.astype(np.int8))


def with_mixed_bursts(town: Past, locations: Locations, generator: np.random.Generator) -> Past:
    """Return a town with 15 bursts at the five locations around one: first of any category, then of a single one."""
    bursts = []
    for _ in range(15):
        away = np.linalg.norm(locations.points - locations.points[generator.integers(len(locations))], axis=1)
        begin_s, number = generator.integers(WINDOW * BUCKET_S, (BUCKETS - 24) * BUCKET_S), generator.integers(6, 12)
        second = begin_s + np.sort(generator.integers(0, 18 * BUCKET_S, number))
        category = np.where(np.arange(number) < 5, generator.choice(4, number), generator.choice(4))
        bursts.append((second, generator.choice(np.argsort(away)[:5], number), category))
    second, location, category = (np.concatenate(column) for column in zip(*bursts, strict=True))
    is_free = ~np.isin(second, town.second) & (second % BUCKET_S != 0)
    second, kept = np.unique(second[is_free], return_index=True)
    return Past.of(
        FIRST,
        BUCKETS,
        np.concatenate((town.second, second)),
        np.concatenate((town.location, location[is_free][kept])).astype(np.int32),
        np.concatenate((town.category, category[is_free][kept])).astype(np.int8),
    )


def calibration(watch: float) -> Calibration:
    """Return a calibration with arbitrary scores that depend on the load."""
    steps = np.linspace(0.0, 0.02, 2 * LOADS)
    margins = Margins((0.0,) * LOADS, (6.0,) * LOADS, (0.4, *steps.tolist()), (-0.3, *(steps / 20).tolist()))
    return Calibration.of(
        scores={Tier.WATCH: watch, Tier.ADVISORY: watch + 1.0, Tier.ALERT: watch + 1.5, Tier.URGENT: watch + 4.0},
        margins=[margins] * len(STREAMS),
        strongest=np.linspace(watch, watch + 6, 50),
        weeks=20,
        by_week=np.array([[1, 2, 0, 3]]),
        budget=1.5,
        repeats=Repeats.none(),
    )


def alerts_of_monitor(
    settings: AreaSettings, town: Past, locations: Locations, chance: Calibration
) -> tuple[set[tuple[str, int, int | None]], set[tuple[str, str]]]:
    """Return (last stream, opened, reached the tier alert) of each alert, and (stream, next stream) where it turned."""
    restoring = Restoring("town", settings, locations, calibration=chance)
    alerts: dict[str, tuple[str, int, int | None]] = {}
    turned: set[tuple[str, str]] = set()

    def incident(number: int) -> Incident:
        return Incident(
            id=f"i{number:06d}",
            occurred_at=datetime(1970, 1, 1, tzinfo=UTC)
            + timedelta(seconds=FIRST * BUCKET_S + int(town.second[number])),
            category=STREAMS[town.category[number]],
            location=locations.ids[int(town.location[number])],
        )

    def note(closed: list[ClosedTick]) -> None:
        for tick in closed:
            for change in tick.changes:
                before, *_ = alerts.get(change.id, (change.stream,))
                turned.update([(before, change.stream)] if before != change.stream else [])
                alerts[change.id] = (change.stream, change.opened_s, change.alerted_s)

    begin_s = (WINDOW - 1) * BUCKET_S
    offset = 0
    for number in np.flatnonzero(town.second < begin_s).tolist():
        restoring.refill(incident(number), offset, FIRST * BUCKET_S + int(town.second[number]))
        offset += 1
    monitor = restoring.monitor()
    # An incident of the category other brings the first scan, when the last hour of the first full window begins.
    beginning = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=FIRST * BUCKET_S + begin_s)
    other = Incident(id="first", occurred_at=beginning, category="other", location=locations.ids[0])
    note(monitor.put(other, offset, FIRST * BUCKET_S + begin_s))
    for number in np.flatnonzero(town.second >= begin_s).tolist():
        offset += 1
        note(monitor.put(incident(number), offset, FIRST * BUCKET_S + int(town.second[number])))
    note(monitor.advance((FIRST + BUCKETS) * BUCKET_S))
    first_s = FIRST * BUCKET_S
    made = {(name, opened - first_s, None if at is None else at - first_s) for name, opened, at in alerts.values()}
    return made, turned


def check(scanning: Scanning, town: Past, locations: Locations, chance: Calibration) -> set[tuple[str, str]]:
    """Check that both make the same alerts, and return the (stream, next stream) to which alerts turned."""
    stratum, lowest = scanning.stratum(FIRST, BUCKETS), chance.scores[Tier.WATCH] - SETTINGS.ease_below
    alerts = set()
    for clusters in scanning.clusters(town, stratum, chance.margins, lowest):
        lives = scanning.lives(clusters, chance.scores[Tier.WATCH], chance.scores[Tier.ALERT])
        reached = [None if at < 0 else at for at in lives.reached_s.tolist()]
        streams = [STREAMS[each] for each in lives.stream.tolist()]
        alerts |= set(zip(streams, lives.opened_s.tolist(), reached, strict=True))
    expected, turned = alerts_of_monitor(scanning.settings, town, locations, chance)
    assert alerts == expected
    assert len(alerts) > 10
    assert any(at is not None for _, _, at in alerts)
    return turned


@pytest.mark.parametrize("seed", range(6))
def test_a_history_is_scanned_and_tracked_as_by_the_monitor(seed: int):
    generator = np.random.default_rng(seed)
    locations = places(60 + 40 * seed, generator)
    town = past(locations, 600 + 150 * seed, generator)
    near = neighbours(locations.points, SETTINGS.max_radius_m)
    check(Scanning(SETTINGS, locations.points, near), town, locations, calibration(watch=1.0 + 0.4 * (seed % 3)))


@pytest.mark.parametrize("seed", range(6))
def test_a_history_is_scanned_by_bayes_factors_as_by_the_monitor(seed: int):
    generator = np.random.default_rng(seed)
    locations = places(60 + 40 * seed, generator)
    town = with_mixed_bursts(past(locations, 600 + 150 * seed, generator), locations, generator)
    settings = msgspec.structs.replace(SETTINGS, statistic="bayes")
    near = neighbours(locations.points, SETTINGS.max_radius_m)
    chance = calibration(watch=-2.0 + 0.4 * (seed % 3))
    turned = check(BayesScanning(settings, locations.points, near), town, locations, chance)
    # Alerts turned to *all*, and from it.
    assert any(after == "all" for _, after in turned)
    assert any(before == "all" for before, _ in turned)
