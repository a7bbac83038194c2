"""Gaps in the offsets of the records that were read, kept until it is known what they held."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple


class Gap(NamedTuple):
    """Offsets of a partition that no record came with: the first, and the one after the last.

    ``is_at_start``: they are where reading began.
    """

    partition: int
    first: int
    following: int
    is_at_start: bool

    @property
    def size(self) -> int:
        """The number of offsets."""
        return self.following - self.first


class Gaps:
    """The unexplained gaps of a worker's partitions; any thread. A partition that moves or is rebuilt keeps its own.

    A feed that writes in transactions leaves a gap for each, of one offset. So of those behind the start only the
    lowest of each partition is kept, which shows whether retention can have removed any of them, and the largest, which
    is then what it has removed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: set[Gap] = set()
        self._lowest: dict[int, Gap] = {}
        self._largest: dict[int, Gap] = {}

    def note(self, gap: Gap) -> None:
        """Keep a gap, if it is needed."""
        with self._lock:
            if gap.is_at_start:
                self._kept.add(gap)
                return
            self._lowest[gap.partition] = min(gap, self._lowest.get(gap.partition, gap))
            self._largest[gap.partition] = max(self._largest.get(gap.partition, gap), gap, key=lambda each: each.size)

    def take(self) -> list[Gap]:
        """Return the gaps that are kept, and forget them: those at a start, and then the largest before the lowest."""
        with self._lock:
            taken = sorted(self._kept) + [
                each
                for number, largest in self._largest.items()
                for each in dict.fromkeys((largest, self._lowest[number]))
            ]
            self._kept, self._lowest, self._largest = set(), {}, {}
        return taken

    def put_back(self, gaps: Iterable[Gap]) -> None:
        """Keep gaps again that could not be explained."""
        for gap in gaps:
            self.note(gap)
