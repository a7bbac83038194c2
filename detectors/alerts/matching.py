"""Matching of a scan's clusters to the open alerts, by the incidents that they share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from detectors.clusters.cluster import Cluster


class Known(NamedTuple):
    """An open alert before a scan.

    ``members``: all members shown so far.
    ``is_own``: whether the alert is of the scanned stream.
    ``above``: the score that a cluster must exceed to continue the alert, if another stream shows the alert now.
    ``above_with_new``: the same for a cluster with new members.
    ``size``: number of members of its last cluster.
    """

    id: str
    members: tuple[str, ...]
    is_own: bool = True
    above: float = -math.inf
    above_with_new: float = -math.inf
    size: int = 0

    def takes(self, cluster: Cluster, shared: int) -> bool:
        """Return whether a cluster that shares so many members is strong enough to continue the alert."""
        has_new = shared < len(cluster.members)
        return cluster.figures.score > (self.above_with_new if has_new else self.above)

    def covers(self, cluster: Cluster, shared: int) -> bool:
        """Return whether this is the hot spot of a weaker cluster too: half of one of them is in the other."""
        return shared > 0 and 2 * shared >= min(len(cluster.members), self.size)


@dataclasses.dataclass(frozen=True)
class Kinship:
    """The clusters of one scan, matched to the open alerts.

    ``cluster_of``: alert id -> the cluster that continues the alert.
    ``merged_into``: alert id -> the other alert whose cluster has at least half of its members, or of another stream
        the alert that shows its hot spot better.
    ``new``: the clusters that continue no alert, each with the id of the alert that it split from, empty for none.
    """

    cluster_of: dict[str, Cluster]
    merged_into: dict[str, str]
    new: tuple[tuple[Cluster, str], ...]

    @classmethod
    def between(cls, alerts: Sequence[Known], clusters: Sequence[Cluster]) -> Kinship:
        """Match ``alerts``, oldest first, and ``clusters``, best first.

        A cluster continues the alert with which it shares the most members; in a tie, the older alert. Only one cluster
        continues an alert. Another cluster that shares members with the alert is new if these are fewer than half of
        its own members: it has split off. Otherwise it counts as part of the alert. A cluster that shares members with
        an alert but is not above the score that the alert asks for is never new: the alert shows it already. If half of
        one of them is in the other, they are one hot spot: the cluster's own alert merges into the stronger one.
        """
        if not clusters:
            return cls({}, {}, ())
        known_to = [frozenset(alert.members) for alert in alerts]
        shared = [
            (len(members.intersection(cluster.members)), age, position)
            for age, members in enumerate(known_to)
            for position, cluster in enumerate(clusters)
        ]
        weaker = {(age, at) for number, age, at in shared if not alerts[age].takes(clusters[at], number)}
        held = {position for number, age, position in shared if number and (age, position) in weaker}
        covered: dict[int, int] = {}  # weaker cluster -> the oldest alert that shows it already
        for number, age, position in shared:
            if (age, position) in weaker and alerts[age].covers(clusters[position], number):
                covered.setdefault(position, age)
        closest = sorted(
            (
                (number, age, at)
                for number, age, at in shared
                if number and (age, at) not in weaker and (alerts[age].is_own or at not in covered)
            ),
            key=lambda each: (-each[0], each[1], each[2]),
        )
        taken: dict[int, int] = {}  # cluster -> alert
        for _, age, position in closest:
            if age not in taken.values() and position not in taken:
                taken[position] = age
        cluster_of = {alerts[age].id: clusters[at] for at, age in taken.items() if at not in covered}
        merged_into = {alerts[age].id: alerts[covered[at]].id for at, age in taken.items() if at in covered}
        split_from: dict[int, str] = {}
        for number, age, position in closest:
            alert_id, members = alerts[age].id, alerts[age].members
            is_taken = position in taken and position not in covered
            if alert_id not in cluster_of and is_taken and 2 * number >= len(members):
                merged_into.setdefault(alert_id, alerts[taken[position]].id)
            if position not in taken:
                split_from.setdefault(position, alert_id)
        known = {member for alert in alerts for member in alert.members}
        new = [
            (cluster, split_from.get(position, ""))
            for position, cluster in enumerate(clusters)
            if position not in {*taken, *held} and 2 * len(known.intersection(cluster.members)) < len(cluster.members)
        ]
        return cls(cluster_of, merged_into, tuple(new))
