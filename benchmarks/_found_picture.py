"""A picture of how many clusters each way finds at which rate of false alerts, and how many soon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.ticker import NullFormatter, ScalarFormatter

from benchmarks._plot import IMAGES

TICKS = (0.2, 0.5, 1.0, 2.0)
STYLES = ("^:", "v:", "<:", ">:", "s--", "D--", "o-")


class Share(NamedTuple):
    """False alerts a week, the share of clusters found, and that within 3 h of the third incident."""

    rate: float
    found: float
    soon: float


def draw(found: Mapping[str, Mapping[str, Sequence[Share]]]) -> None:
    """Write ``docs/images/found.svg``. ``found``: by kind of city and way."""
    mpl.rcParams.update({"svg.hashsalt": "found", "svg.fonttype": "none", "font.size": 8})
    figure, axes = pyplot.subplots(
        2,
        len(found),
        figsize=(max(8.0, 3.2 * len(found)), 5.4),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for column, (kind, ways) in enumerate(found.items()):
        for (way, shares), style in zip(ways.items(), STYLES, strict=True):
            rates = [each.rate for each in shares]
            axes[0, column].plot(rates, [each.found for each in shares], style, label=way)
            axes[1, column].plot(rates, [each.soon for each in shares], style)
        axes[0, column].set_title(kind)
        axes[1, column].set_xlabel("false alerts a week")
    for axis, what in zip(axes[:, 0], ("found", "found within 3 h"), strict=True):
        axis.set_ylabel(f"share of clusters {what}")
    for axis in axes.flat:
        axis.set_xscale("log")
        axis.set_ylim(0, 1)
        axis.set_xticks(TICKS, minor=False)
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(visible=True, which="both", alpha=0.3)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.savefig(IMAGES / "found.svg", metadata={"Date": None})
