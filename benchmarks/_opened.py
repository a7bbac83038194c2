"""The alerts that a calibration opens in a stream: schedule, zones and tracker are those of the Monitor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.area.strata import BUCKET_S
from detectors.calibration.calibrate import WEEK, opened_by_week
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.calibration.scanning import Scanning
from detectors.scan.significance import Tier


def part_of(past: Past, first: int, buckets: int) -> Past:
    """Return ``buckets`` buckets of a past, from its bucket ``first`` on."""
    return Past.of(past.first_bucket + first, buckets, past.second - first * BUCKET_S, past.location, past.category)


def opened(scanning: Scanning, past: Past, made: Calibration, first_week: int, weeks: int) -> NDArray[np.int64]:
    """Return how many alerts reach the tier ``alert`` in each week from ``first_week`` of a past on, (weeks,).

    What comes before fills the window.
    """
    kept = scanning.window - 1
    whole = part_of(past, first_week * WEEK - kept, weeks * WEEK + kept)
    watch = made.scores[Tier.WATCH]
    stratum = scanning.stratum(whole.first_bucket, whole.buckets)
    clusters = scanning.clusters(whole, stratum, made.margins, watch - scanning.settings.ease_below)
    lives = [scanning.lives(each, watch, made.scores[Tier.ALERT]) for each in clusters]
    return np.asarray(np.sum([opened_by_week(each, scanning, weeks) for each in lives], axis=0))
