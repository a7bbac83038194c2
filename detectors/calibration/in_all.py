"""How many alerts open in all: by chance, and because something happened."""

from __future__ import annotations

from typing import NamedTuple

from detectors.area.strata import BUCKET_S
from detectors.calibration.calibrate import BLOCK_WEEKS, WEEK, lives_of, opened_by_week
from detectors.calibration.past import Past
from detectors.calibration.result import Calibration
from detectors.calibration.scanning import Scanning
from detectors.scan.significance import Tier

FEWEST_WEEKS = 4
"""Smallest number of weeks that show a rate."""


class InAll(NamedTuple):
    """Alerts a week that reached the tier alert in a past, and the number of its weeks that were scanned."""

    rate: float
    weeks: int


def in_all(past: Past, scanning: Scanning, made: Calibration) -> InAll | None:
    """Return how many alerts a past would have opened in its last weeks, up to 26; None if it is too short.

    The scans begin when the first window is full. The past also gave the scores, so the rate is a little too low if
    hot spots were many.
    """
    first_window = scanning.window - 1
    weeks = min(BLOCK_WEEKS, (past.buckets - first_window) // WEEK)
    if weeks < FEWEST_WEEKS:
        return None
    before = past.buckets - first_window - weeks * WEEK
    last = Past.of(
        past.first_bucket + before, past.buckets - before, past.second - before * BUCKET_S, past.location, past.category
    )
    watch, alert = made.scores[Tier.WATCH], made.scores[Tier.ALERT]
    stratum = scanning.stratum(last.first_bucket, last.buckets)
    clusters = scanning.clusters(last, stratum, made.margins, watch - scanning.settings.ease_below)
    opened = opened_by_week(lives_of(scanning, clusters, watch, alert), scanning, weeks)
    return InAll(float(opened.mean()), weeks)
