"""A cluster: a cylinder that stands out."""

from __future__ import annotations

import msgspec

from detectors.clusters.artefacts import Artefacts


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a cylinder: where it lies, what the scan found in it, and how rare that is.

    ``observed``, ``records``: number of events, and of their records in the cylinder, which are the members; 0 if there
        are as many.
    ``centre``, ``locations``: location ids; ``locations`` is the zone, nearest first.
    ``start_s``: seconds since 1970.
    ``breakdown``: number of events by category.
    ``interval_times``: number of events whose time is known only as an interval.
    ``reported``: number of events that were reported, not discovered by patrols.
    ``trigger_score``: the score that opens an alert and raises its tier. It is the score of the reported incidents
        alone, unless discovered incidents may trigger. Patrols find most where they look. So their finds must not
        decide where they are sent (Ensign et al. 2018; Lum and Isaac 2016).
    ``interval_is_lower_bound``: true if the score is rarer than anything that was simulated, in the
        ``recurrence_interval_days``; unset otherwise.
    ``calibration``: digest of the calibration from which score and interval come; empty for none.
    ``budget_per_week``: the budget of that calibration.
    ``artefacts``: labels of the cylinder; they change nothing.
    ``completeness``: share of the stream's reports about the cylinder's hours that has usually arrived by now; None if
        unknown.
    """

    centre: str
    longitude: float
    latitude: float
    radius_m: float
    locations: tuple[str, ...]
    duration_h: int
    start_s: int
    observed: int
    expected: float
    llr: float
    score: float
    recurrence_interval_days: float
    breakdown: dict[str, int]
    interval_times: int
    reported: int
    trigger_score: float
    calibration: str = ""
    budget_per_week: float | None = None
    artefacts: Artefacts = Artefacts()
    records: int = 0
    completeness: float | None = None
    interval_is_lower_bound: bool | msgspec.UnsetType = msgspec.UNSET


class Cluster(msgspec.Struct, frozen=True):
    """A cylinder that stands out in one scan: its figures, and the ids of its incidents in byte order."""

    figures: Figures
    members: tuple[str, ...]
