"""Scans for a tracker, made by hand and drawn, and its revisions after them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from detectors.alerts.alert import Alert
from detectors.alerts.tracking import Tracker
from detectors.area.settings import AreaSettings, Stream, TierSettings
from detectors.clusters.cluster import Cluster, Figures
from detectors.results import ClosedTick
from detectors.scan.significance import TIERS, Tier, recurrence_interval_days, score_for_interval

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))
HOUR = 3600
SETTINGS = AreaSettings(
    statistic="permutation",
    tiers=TierSettings(watch=10, advisory=20, alert=40, urgent=80),
    min_cases=3,
    end_after_h=6,
    cool_down_h=24,
    cool_down_m=500,
    ease_below=1,
)
BAYESIAN = msgspec.structs.replace(SETTINGS, statistic="bayes")
OPEN_AT = score_for_interval(10)
SPOTS = [(0.0, 0.0), (0.004, 0.0), (1.0, 0.0)]
"""Longitude and latitude of three places: the second is 445 m from the first, the third is far away."""


def cluster(members: str, score: float, spot: int = 0) -> Cluster:
    """A cluster of incidents named by a letter each, around a spot."""
    longitude, latitude = SPOTS[spot]
    figures = Figures(
        centre=f"cell{spot}",
        longitude=longitude,
        latitude=latitude,
        radius_m=100.0,
        locations=(f"cell{spot}",),
        duration_h=2,
        start_s=0,
        observed=len(members),
        expected=0.5,
        llr=score,
        score=score,
        recurrence_interval_days=recurrence_interval_days(score),
        breakdown={"violence": len(members)},
        interval_times=0,
        reported=len(members),
        trigger_score=score,
    )
    return Cluster(figures, tuple(sorted(members)))


def with_figures(cluster: Cluster, **changed: Any) -> Cluster:
    """The cluster with other figures."""
    return msgspec.structs.replace(cluster, figures=msgspec.structs.replace(cluster.figures, **changed))


def score_of(tier: Tier) -> float:
    """A score a little above the beginning of a tier."""
    return score_for_interval(getattr(SETTINGS.tiers, tier)) + 0.01


WATCH, ADVISORY, ALERT, URGENT = map(score_of, TIERS)
EVERYONE = set("abcdefghij")


@dataclasses.dataclass
class Scan:
    """The input of one update and its revisions; ``known``: by open alert, all members that it had shown before."""

    stream: Stream
    tick_s: int
    clusters: list[Cluster]
    standing: set[str]
    open_before: list[Alert]
    known: dict[str, set[str]]
    changes: list[Alert]


DrawnScans = list[tuple[Stream, int, list[Cluster], set[str]]]


@st.composite
def drawn_scans(draw: st.DrawFn) -> DrawnScans:
    """Scans of two streams; clusters of a scan share no member, as zones of one scan do not overlap."""
    scans: DrawnScans = []
    tick_s, standing = 1_700_000_000, set(EVERYONE)
    for number in draw(st.lists(st.integers(0, 2**20 - 1), min_size=10, max_size=40)):
        number, hours = divmod(number, 8)
        tick_s += [1, 600, HOUR, HOUR, 2 * HOUR, 4 * HOUR, 7 * HOUR, 30 * HOUR][hours]
        number, cancels = divmod(number, 12)
        if cancels == 11:
            standing = standing - {sorted(EVERYONE)[number % 10]}
        number, stream = divmod(number, 3)
        clusters = []
        left = sorted(standing)
        for _ in range(draw(st.integers(0, 2))):
            shape = draw(st.integers(0, 2**16 - 1))
            shape, size = divmod(shape, 4)
            members, left = left[shape % 3 : shape % 3 + size + 3], left[shape % 3 + size + 3 :]
            score = SETTINGS.ease_below * [-0.9, -0.5, 0.01, 0.8, 1.5, 2.5][shape % 6] + OPEN_AT
            if len(members) >= SETTINGS.min_cases:
                clusters.append(cluster("".join(members), score, shape % 3))
        clusters.sort(key=lambda one: -one.figures.score)
        scans.append(([Stream.ALL, Stream.VIOLENCE, Stream.ALL][stream], tick_s, clusters, standing))
    return scans


def run(
    tracker: Tracker, scans: DrawnScans, restore: Callable[[Tracker], Tracker] = lambda tracker: tracker
) -> list[Scan]:
    """Update a tracker with scans, one after the other."""
    done = []
    for stream, tick_s, clusters, standing in scans:
        tracker = restore(tracker)
        before = list(tracker.alerts)
        mine = {member for alert in before for member in alert.members} & standing
        known = {each.alert.id: set(each.shown) for each in tracker.state.followed if each.alert.stream == stream}
        done.append(Scan(stream, tick_s, clusters, mine, before, known, tracker.update(stream, tick_s, clusters, mine)))
    return done


def quiet(scans: DrawnScans) -> DrawnScans:
    """Scans without clusters, until everything must have ended."""
    last, standing = (scans[-1][1], scans[-1][3]) if scans else (0, EVERYONE)
    return [(stream, last + hours * HOUR, [], standing) for hours in (1, 7) for stream in (Stream.ALL, Stream.VIOLENCE)]


def revisions_of(scans: Iterable[Scan | ClosedTick]) -> dict[str, list[Alert]]:
    """The revisions of each alert."""
    by_id: dict[str, list[Alert]] = {}
    for scan in scans:
        for change in scan.changes:
            by_id.setdefault(change.id, []).append(change)
    return by_id


always = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


def has_moved(before: Alert, after: Alert) -> bool:
    """Whether both revisions name some incident and have no location in common."""
    is_elsewhere = set(before.figures.locations).isdisjoint(after.figures.locations)
    return is_elsewhere and bool(set(before.members) & set(after.members))
