"""Corrections of the log's arrival stamps, for the time when the clock behind them was wrong."""

from __future__ import annotations

from bisect import bisect_right

Correction = tuple[int, int]
"""An offset, and by how many seconds the stamps from there on are ahead of the time (behind if negative)."""


class Corrections:
    """The corrections of an area's stamps, in the order of their offsets; none at first.

    A checkpoint holds the corrections that a restart needs. After it, each record must be judged by the same clock as
    before.
    """

    def __init__(self, known: tuple[Correction, ...] = ()) -> None:
        self._known = list(known)

    def note(self, offset: int, ahead_s: int) -> None:
        """Note by how much the stamp of the area's next record, at an offset, is ahead."""
        if ahead_s != (self._known[-1][1] if self._known else 0):
            self._known.append((offset, ahead_s))

    def at(self, offset: int) -> int:
        """Return by how many seconds the stamp at an offset is ahead."""
        if not self._known:
            return 0
        after = bisect_right(self._known, offset, key=lambda each: each[0])
        return self._known[after - 1][1] if after else 0

    def since(self, offset: int) -> tuple[Correction, ...]:
        """Return the corrections of the offsets from this one on, and forget the others."""
        if self._known:
            held = self.at(offset)
            later = [each for each in self._known if each[0] > offset]
            self._known = [(offset, held), *later] if held else later
        return tuple(self._known)
