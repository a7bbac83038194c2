"""Plots of how figures grow: one small plot for each varied quantity, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.ticker import EngFormatter, ScalarFormatter

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
STYLES = ("o-", "o--", "s-")

Points = Sequence[tuple[float, Sequence[float]]]
"""For each value of the varied quantity, the measured figures, one for each label."""


def draw(name: str, unit: str, labels: Sequence[str], limits: tuple[float, float], found: Mapping[str, Points]) -> None:
    """Write ``docs/images/NAME.svg``: figures in ``unit``, within ``limits``, by varied quantity."""
    mpl.rcParams.update({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 8})
    figure, axes = pyplot.subplots(1, len(found), figsize=(11, 2.6), sharey=True, layout="constrained")
    for axis, (what, points) in zip(axes, found.items(), strict=True):
        numbers = [number for number, _ in points]
        for which, (label, style) in enumerate(zip(labels, STYLES, strict=False)):
            axis.plot(numbers, [figures[which] for _, figures in points], style, label=label)
        axis.set_xlabel(what)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_yscale("log")
        axis.set_ylim(*limits)
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.grid(visible=True, which="both", alpha=0.3)
    axes[0].set_ylabel(unit)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(labels))
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
