"""The picture of ``docs/reliability.md``: a line of time for each fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from benchmarks.faults.observe import CHANNELS
from benchmarks.faults.row import Row

MARKS = dict(zip(CHANNELS, ("o", "s", "^", "|"), strict=True))
COLOURS = dict(zip(CHANNELS, ("#1f5fa8", "#2e8b57", "#c0392b", "#444444"), strict=True))
LONGEST_S = 250.0
"""End of the line of time, in seconds; only the kills of a worker last longer."""


def draw(file: Path, rows: Sequence[Row]) -> None:
    """Write the picture of rows, the first at the top."""
    mpl.rcParams.update({"svg.hashsalt": file.stem, "svg.fonttype": "none", "font.size": 8})
    figure, axis = pyplot.subplots(figsize=(10, 1.2 + 0.2 * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        lasted_s = min(row.lasted_s, LONGEST_S)
        axis.barh(place, lasted_s, color="#d0d5da", label="the fault lasts" if place == 0 else None)
        again_s = LONGEST_S if row.recovered_s is None else row.recovered_s
        axis.barh(
            place, again_s, left=lasted_s, color="#f2c879", label="until all is well again" if place == 0 else None
        )
        for word in row.firsts():
            axis.plot(min(word.after_s, LONGEST_S), place, MARKS[word.channel], color=COLOURS[word.channel], ms=4)
    for channel in CHANNELS:
        axis.plot([], [], MARKS[channel], color=COLOURS[channel], ms=4, label=f"first word: {channel}")
    axis.set_yticks(range(len(rows)), [row.title for row in rows])
    axis.set_xlim(-2, LONGEST_S)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel("seconds since the fault began")
    axis.axvline(60, color="#c0392b", lw=0.8, ls=":")
    axis.grid(visible=True, axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=6)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
