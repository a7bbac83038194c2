"""Compiles every kernel in advance. Otherwise a worker would compile while a broker waits for its heartbeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from detectors.area.districts import Districts
from detectors.area.incident import Incident, Origin
from detectors.area.locations import Locations, cell_of
from detectors.area.neighbours import neighbours
from detectors.area.settings import STREAMS, AreaSettings, DeniedPlace, TierSettings
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.margins import LOADS, Margins, load
from detectors.calibration.past import Past
from detectors.calibration.scanning import Scanning
from detectors.models.permutation import PermutationModel
from detectors.models.poisson import PoissonModel
from detectors.monitor import Monitor
from detectors.study import Model, Question, StudyCases, scan_study
from detectors.window.completeness import Delays
from detectors.window.silent_parts import silent_parts
from detectors.window.sliding import SlidingWindow, Version

LONGITUDE, LATITUDE = -1.55, 53.8


def compile_kernels() -> int:
    """Run small Monitors through every step and return the number of revisions that they made (more than 0)."""
    _compile_silent_parts()
    return min(_compile_monitor("permutation"), _compile_monitor("bayes"))


def _compile_silent_parts() -> None:
    window = SlidingWindow(1, 1000, 1, SCHEMES["operational"], ZoneInfo("UTC"))
    window.advance(2000)
    for number, bucket in enumerate((1001, 1999)):
        at_s = bucket * BUCKET_S
        window.put(Version(str(number), at_s, 0, Origin.REPORTED, 0, 0.0, 0.0, None, number, at_s, False))
    silent_parts(window, Districts(np.zeros(1, np.int32)), 1.0)


def _compile_monitor(statistic: Literal["permutation", "bayes"]) -> int:
    near_by = DeniedPlace(name="here", longitude=LONGITUDE, latitude=LATITUDE)
    tiers = TierSettings(watch=0.05)
    settings = AreaSettings(
        clock="watermark",
        statistic=statistic,
        min_baseline_days=0,
        replications=99,
        tiers=tiers,
        deny_list=(near_by,),
    )
    load(np.zeros(settings.window_days * 24, np.int32))
    Margins.flat().gumbel(np.zeros(LOADS))
    longitudes = LONGITUDE, LONGITUDE + 0.1  # few incidents at the second, later many at the first
    cells = [cell_of(longitude, LATITUDE, 10) for longitude in longitudes]
    monitor = Monitor("compile", settings, Locations.from_cells(cells))
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    revisions = 0
    for number in range(18):
        incident = Incident(
            id=str(number),
            occurred_at=begin + timedelta(hours=min(number, 12), minutes=11 * max(0, number - 12)),
            category="violence",
            longitude=longitudes[number < 12],
            latitude=LATITUDE,
        )
        revisions += sum(len(tick.changes) for tick in monitor.put(incident, number, 0))
    now_s = (monitor.window.now + 1) * BUCKET_S
    Delays.of(monitor.window, monitor.window.first, now_s).completeness(0, now_s - BUCKET_S, now_s)
    return revisions


def compile_calibration() -> int:
    """Scan and track a small history as calibrations do, and return the number of alerts (more than 0)."""
    points = np.array([[0.0, 0.0], [200.0, 0.0], [3000.0, 0.0]])
    hours, burst = 20 * 24, 15 * 24 * BUCKET_S
    second = np.concatenate((np.arange(hours) * BUCKET_S + 1, burst + np.arange(12) * 600))
    location = np.concatenate((1 + np.arange(hours) % 2, np.zeros(12)))
    past = Past.of(0, hours, second, location.astype(np.int32), np.zeros(len(second), np.int8))
    settings = AreaSettings(window_days=14)
    near = neighbours(points, settings.max_radius_m)
    scanning = Scanning(settings, points, near)
    stratum = scanning.stratum(0, hours)
    scanning.maxima(past, stratum, hours)
    opened = []
    for one, margins, score in (
        (scanning, [Margins.flat()] * len(STREAMS), 1.0),
        (BayesScanning(settings, points, near), [], -9.0),
    ):
        clusters = one.clusters(past, stratum, margins, score)
        opened.append(sum(len(one.lives(each, score + 1.0, score + 2.0).opened_s) for each in clusters))
    return min(opened)


def compile_scan() -> int:
    """Scan small studies of each kind and return the number of clusters found (more than 0)."""
    location, interval = np.zeros(6, np.int32), np.array([0, 1, 3, 3, 3, 3], np.int32)
    location[:2] = 1
    near = neighbours(np.array([[0.0, 0.0], [1.0, 0.0]]), 2.0, np.array([4.0, 2.0]), 6.0)
    models: list[Model] = [
        PermutationModel(location, interval, np.zeros(6, np.int32), 2, 4),
        PoissonModel(np.full((2, 4), 0.75), np.bincount(interval, minlength=4)),
    ]
    found = 0
    for model in models:
        for is_retrospective in (False, True):
            question = Question(max_duration=2, is_retrospective=is_retrospective, replications=99)
            found += len(scan_study(model, StudyCases(location, interval, 4), near, question).clusters)
    return found
