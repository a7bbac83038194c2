"""What to expect in all: the alerts that the last weeks of a past would have opened."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.in_all import in_all
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.scan.significance import Tier
from tests.detectors.calibration.test_calibrate import calibrated, town

DAY_S = 86_400
SETTINGS = AreaSettings(window_days=28)


def with_bursts(past: Past, bursts: int) -> Past:
    """The past with six more incidents, half an hour apart, at another location in each of its last weeks."""
    last_s = past.buckets * 3600
    location = np.repeat(np.arange(bursts) * 7, 6)
    moments = [last_s - (7 * week + 3) * DAY_S + 1800 * each for week in range(bursts) for each in range(6)]
    return Past.of(
        past.first_bucket,
        past.buckets,
        np.concatenate((past.second, moments)).astype(np.int64),
        np.concatenate((past.location, location)).astype(np.int32),
        np.concatenate((past.category, np.full(len(moments), 2))).astype(np.int8),
    )


@pytest.fixture(scope="module")
def scanning() -> BayesScanning:
    locations, _ = town()
    return BayesScanning(SETTINGS, locations.points, neighbours(locations.points, SETTINGS.max_radius_m))


@pytest.fixture(scope="module")
def made() -> Calibration:
    """A calibration whose tier alert begins far above what chance shows."""
    scores = {Tier.WATCH: 3.0, Tier.ADVISORY: 4.0, Tier.ALERT: 5.0, Tier.URGENT: 8.0}
    return msgspec.structs.replace(calibrated(2)[2], scores=scores, margins=())


def test_real_hot_spots_count(scanning: BayesScanning, made: Calibration) -> None:
    _, past = town()
    quiet, busy = in_all(past, scanning, made), in_all(with_bursts(past, 6), scanning, made)
    assert quiet is not None
    assert busy is not None
    assert busy.weeks == quiet.weeks == min(26, (past.buckets - scanning.window + 1) // 168)
    assert busy.rate * busy.weeks == pytest.approx(quiet.rate * quiet.weeks + 6, abs=1.01)


def test_a_past_without_enough_weeks_shows_nothing(scanning: BayesScanning, made: Calibration) -> None:
    _, past = town()
    short = dataclasses.replace(past, buckets=scanning.window - 1 + 3 * 168)
    assert in_all(short, scanning, made) is None
