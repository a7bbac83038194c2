"""Makes the calibration of an area from its incidents."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from detectors.area.incident import Category, Incident, Origin, Status
from detectors.area.moment import Position, moment_s
from detectors.area.settings import STREAMS, SameEventSettings, word_of
from detectors.area.strata import BUCKET_S, SCHEMES
from detectors.calibration.bayes_scanning import BayesScanning
from detectors.calibration.calibrate import BLOCK_WEEKS, Nulls, blocks_of, calibrate
from detectors.calibration.dense_span import dense_span
from detectors.calibration.in_all import in_all
from detectors.calibration.past import LeftOut, Past
from detectors.calibration.scanning import Scanning
from detectors.kernels.events import Records, Same, further_records
from detectors.kernels.ratio import LANES
from streams.calibration.calibration_file import CalibratedArea, CalibrationError, CalibrationFile, places_hash
from streams.calibration.history import History

LONGEST_TICK_S = 60
"""Longest tick of an area that can be calibrated, in seconds. Null histories are scanned after every incident."""
STRATA_OF_NONE = "operational"
"""Strata of the null histories if the scan has none, because incidents still follow the hours of the week."""


class NullHistories(NamedTuple):
    """The null histories of a calibration: number of weeks, seed, kind, and number of threads."""

    weeks: int
    seed: int = 0
    with_near_repeats: bool = True
    threads: int = 1


def past_of(
    incidents: Iterable[Incident],
    area: CalibratedArea,
    begin: datetime | None,
    end: datetime | None,
    within: tuple[datetime, datetime] | None = None,
) -> Past:
    """Return the events that occurred from ``begin`` to before ``end``, whole hours.

    Each incident counts in its last version, and records of the same event count once, as in the window. A version
    without a location of the area keeps the place of the version before it. Without ``begin`` or ``end`` the dense span
    of the events begins or ends it, and other events are left out. Events that did not occur ``within`` two times are
    not looked at.

    Raises:
        CalibrationError: No incident of the four categories lies within the area, or within the two times.
    """
    last: dict[str, tuple[Incident, Position | None]] = {}
    for incident in incidents:
        known, held = last.get(incident.id, (None, None))
        if known is None or _is_later(incident, known):
            is_active = incident.status is Status.ACTIVE
            own = _position(incident, area) if is_active else None
            last[incident.id] = incident, held if is_active and own is None else own
    known_words = area.settings.category_map
    found: list[tuple[int, ...]] = []
    for incident, place in last.values():
        category = known_words.get(word_of(incident.category), Category.OTHER)
        if place is not None and category is not Category.OTHER and incident.occurred is not None:
            is_discovered = incident.origin is Origin.DISCOVERED
            occurred_s = moment_s(incident, area.settings.interval_times, place)
            found.append((occurred_s or 0, *place, STREAMS.index(category), is_discovered, incident.is_interval))
    if not found:
        raise CalibrationError(
            "history: no incident of the four categories (see areas.NAME.categories) lies within the area"
        )
    second, location_, category_ = _events(np.array(found, np.int64), area.settings.same_event)
    if within is not None:
        earliest, latest = within
        is_within = (second >= earliest.timestamp()) & (second < latest.timestamp())
        second, location_, category_ = second[is_within], location_[is_within], category_[is_within]
        if not len(second):
            raise CalibrationError(
                f"history: no incident of the four categories from {earliest:%Y-%m-%d} to {latest:%Y-%m-%d} lies "
                "within the area"
            )
    first, last_s, left_out = _span(second, begin, end)
    first_bucket, end_bucket = -(-first // BUCKET_S), last_s // BUCKET_S
    past = Past.of(
        first_bucket,
        max(0, end_bucket - first_bucket),
        second - first_bucket * BUCKET_S,
        location_.astype(np.int32),
        category_.astype(np.int8),
    )
    return dataclasses.replace(past, left_out=left_out)


def _span(
    second: NDArray[np.int64], begin: datetime | None, end: datetime | None
) -> tuple[int, int, tuple[LeftOut, ...]]:
    """Return the beginning and the end of the history of some incidents, and the incidents that it leaves out."""
    from_s = int(second.min()) if begin is None else int(begin.timestamp())
    to_s = int(second.max()) + 1 if end is None else int(end.timestamp())
    asked = second[(second >= from_s) & (second < to_s)]
    if not len(asked):
        return from_s, to_s, ()
    dense_from_s, dense_to_s = dense_span(asked)
    first_s, end_s = dense_from_s if begin is None else from_s, dense_to_s if end is None else to_s
    outside = (asked[asked < first_s], asked[asked >= end_s])
    return first_s, end_s, tuple(LeftOut(len(each), int(each.min()), int(each.max())) for each in outside if len(each))


def _position(incident: Incident, area: CalibratedArea) -> Position | None:
    location = area.locations.locate(incident)
    return None if location is None else Position.of(location, incident)


def _events(records: NDArray[np.int64], same: SameEventSettings) -> tuple[NDArray[np.int64], ...]:
    """Return second, location and category of the first record of each event, each (events,).

    ``records``: rows of second, location, longitude, latitude (1e-7 degrees), category, discovered, interval.
    """
    second, location, longitude_e7, latitude_e7, category, discovered, interval = records.T
    if same.within_s:
        columns = Records(
            np.ascontiguousarray(second),
            location.astype(np.int32),
            category.astype(np.int8),
            longitude_e7.astype(np.int32),
            latitude_e7.astype(np.int32),
            discovered.astype(np.bool_),
            interval.astype(np.bool_),
            np.zeros(len(second), np.bool_),
        )
        counts = ~further_records(columns, Same(same.within_m, same.within_s))
        second, location, category = second[counts], location[counts], category[counts]
    return second, location, category


def _is_later(incident: Incident, known: Incident) -> bool:
    return incident.revision is None or known.revision is None or incident.revision >= known.revision


def make(
    past: Past, area: CalibratedArea, budget: float, nulls: NullHistories, step: Callable[[], object] = lambda: None
) -> CalibrationFile:
    """Calibrate an area on its past, for ``budget`` alerts a week. ``step`` is called after each block of weeks.

    Raises:
        CalibrationError: The settings or the past allow no calibration.
    """
    settings, points = area.settings, area.locations.points
    if len(settings.durations_h) > LANES:
        raise CalibrationError(f"durations_h: has {len(settings.durations_h)}; a calibration takes at most {LANES}")
    if settings.tick_s > LONGEST_TICK_S:
        raise CalibrationError(
            f"tick_s = {settings.tick_s}: must be at most {LONGEST_TICK_S}; null histories are scanned after every "
            "incident"
        )
    started = time.monotonic()
    blocks = SCHEMES[settings.strata if settings.strata != "none" else STRATA_OF_NONE]
    try:
        kind = BayesScanning if settings.is_bayesian else Scanning
        scanning = kind(settings, points, area.neighbours)
        simulated = Nulls(past, points, blocks, ZoneInfo(settings.timezone), nulls.seed, nulls.with_near_repeats)
        calibration = calibrate(past, scanning, simulated, budget, nulls.weeks, nulls.threads, step)
    except ValueError as error:
        raise CalibrationError(str(error)) from None
    return CalibrationFile(
        id=calibration.digest,
        area=area.name,
        calibration=calibration,
        settings=settings,
        places=places_hash(area.locations),
        history=History.of(past),
        weeks=blocks_of(nulls.weeks) * BLOCK_WEEKS,
        seed=nulls.seed,
        with_near_repeats=nulls.with_near_repeats,
        made_at=datetime.now(UTC).replace(microsecond=0),
        in_all=in_all(past, scanning, calibration),
        seconds=round(time.monotonic() - started, 1),
    )
