"""Matching of a scan's clusters to the open alerts, by the incidents that they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from detectors.clusters.cluster import Cluster


@dataclasses.dataclass(frozen=True)
class Kinship:
    """The clusters of one scan, matched to the open alerts of its stream.

    ``cluster_of``: alert id -> the cluster that continues the alert.
    ``merged_into``: alert id -> the other alert whose cluster has at least half of its members.
    ``new``: the clusters that continue no alert, each with the id of the alert that it split from, empty for none.
    """

    cluster_of: dict[str, Cluster]
    merged_into: dict[str, str]
    new: tuple[tuple[Cluster, str], ...]

    @classmethod
    def between(cls, alerts: Sequence[tuple[str, tuple[str, ...]]], clusters: Sequence[Cluster]) -> Kinship:
        """Match ``alerts`` (id and all members shown so far, oldest first) and ``clusters``, best first.

        A cluster continues the alert with which it shares the most members; in a tie, the older alert. Only one cluster
        continues an alert. Another cluster that shares members with the alert is new if these are fewer than half of
        its own members: it has split off. Otherwise it counts as part of the alert.
        """
        shared = [
            (len({*members}.intersection(cluster.members)), age, position)
            for age, (_, members) in enumerate(alerts)
            for position, cluster in enumerate(clusters)
        ]
        closest = sorted((each for each in shared if each[0]), key=lambda each: (-each[0], each[1], each[2]))
        taken: dict[int, int] = {}  # cluster -> alert
        for _, age, position in closest:
            if age not in taken.values() and position not in taken:
                taken[position] = age
        cluster_of = {alerts[age][0]: clusters[position] for position, age in taken.items()}
        merged_into: dict[str, str] = {}
        split_from: dict[int, str] = {}
        for number, age, position in closest:
            alert_id, members = alerts[age]
            if alert_id not in cluster_of and position in taken and 2 * number >= len(members):
                merged_into.setdefault(alert_id, alerts[taken[position]][0])
            if position not in taken:
                split_from.setdefault(position, alert_id)
        known = {member for _, members in alerts for member in members}
        new = [
            (cluster, split_from.get(position, ""))
            for position, cluster in enumerate(clusters)
            if position not in taken and 2 * len(known.intersection(cluster.members)) < len(cluster.members)
        ]
        return cls(cluster_of, merged_into, tuple(new))
