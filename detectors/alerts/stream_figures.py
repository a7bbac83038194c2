"""The streams in which a hot spot stands out, with the figures of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from detectors.area.settings import Stream
from detectors.clusters.cluster import Cluster


class StreamFigures(msgspec.Struct, frozen=True):
    """The figures of a stream's best cluster that has members of an alert, as in :class:`Figures`."""

    stream: Stream
    observed: int
    expected: float
    duration_h: int
    score: float
    recurrence_interval_days: float

    @classmethod
    def of(cls, stream: Stream, cluster: Cluster) -> StreamFigures:
        """Return the figures of a cluster."""
        one = cluster.figures
        return cls(stream, one.observed, one.expected, one.duration_h, one.score, one.recurrence_interval_days)


def streams_of(
    known: Sequence[StreamFigures], members: Iterable[str], scanned: Mapping[Stream, Sequence[Cluster]]
) -> tuple[StreamFigures, ...]:
    """Return the streams that show some members, the highest score first.

    A cluster of *all* with incidents of one category alone shows nothing that the category does not.

    ``known``: the figures before these scans; they hold for streams that were not scanned.
    ``scanned``: the clusters of each scanned stream, best first.
    """
    if not scanned:
        return tuple(known)
    held = frozenset(members)
    shown = [each for each in known if each.stream not in scanned]
    for stream, clusters in scanned.items():
        mine = (cluster for cluster in clusters if not held.isdisjoint(cluster.members))
        best = next((each for each in mine if stream is not Stream.ALL or len(each.figures.breakdown) > 1), None)
        shown += [StreamFigures.of(stream, best)] if best else []
    return tuple(sorted(shown, key=lambda each: (-each.score, each.stream)))
