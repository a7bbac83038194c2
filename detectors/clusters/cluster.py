"""A cluster: a cylinder that stands out."""

from __future__ import annotations

import dataclasses

from detectors.clusters.artefacts import Artefacts


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cylinder that stands out, in the words of the area: what the scan found and how rare it is.

    ``centre`` and ``locations`` (the zone in rank order) are location ids; ``members`` incident ids
    in byte order; ``breakdown`` the members by category; ``interval_times`` how many members' time is
    the end of an interval; ``reported`` how many were reported and not discovered by patrols. Times in
    seconds since 1970.

    ``trigger_score`` is what opens an alert and raises its tier: the score that the cylinder would have
    with its reported incidents alone, unless discovered ones may trigger. Patrols find most where they
    look, so what they find must not send them (Ensign et al. 2018; Lum and Isaac 2016).

    ``calibration``: the digest of the one that score and interval are by, empty for none, and its budget.
    ``artefacts``: what else may explain it; it labels, and has no effect on anything.
    ``completeness``: the share of the stream's reports from the cylinder's hours that has usually arrived by now; None
    where that is not known.
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
    members: tuple[str, ...]
    breakdown: dict[str, int]
    interval_times: int
    reported: int
    trigger_score: float
    calibration: str = ""
    budget_per_week: float | None = None
    artefacts: Artefacts = dataclasses.field(default_factory=Artefacts)
    completeness: float | None = None
