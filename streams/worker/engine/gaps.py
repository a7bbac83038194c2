"""Gaps in the offsets of the records that were read. They are kept until their content is known."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple


class Gap(NamedTuple):
    """Offsets of a partition without a record: the first offset, and the one after the last.

    ``is_at_start``: whether the gap is where reading began.
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
    """The unexplained gaps of a worker's partitions, for any thread. A moved or rebuilt partition keeps its gaps.

    A feed that writes in transactions leaves a gap of one offset for each. So of the gaps after the start, only two are
    kept for each partition. The lowest shows whether retention can have removed records; the largest is then what it
    removed.
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
        """Return the kept gaps, and forget them: first those at a start, then the largest, then the lowest."""
        with self._lock:
            taken = sorted(self._kept) + [
                each
                for number, largest in self._largest.items()
                for each in dict.fromkeys((largest, self._lowest[number]))
            ]
            self._kept, self._lowest, self._largest = set(), {}, {}
        return taken

    def put_back(self, gaps: Iterable[Gap]) -> None:
        """Keep again the gaps that could not be explained."""
        for gap in gaps:
            self.note(gap)
