"""A picture of a calibration: how often chance reaches each score, and where the tiers begin."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from detectors.calibration.result import Calibration
from detectors.scan.significance import Tier

BEYOND = 1.5
"""How far the axis of scores goes beyond the score of the highest tier, at most to the strongest alert by chance."""
ENDINGS = (".svg", ".png")


class NoPlotsError(Exception):
    """No picture can be drawn. The text gives the reason and what would help."""


def check(path: Path) -> None:
    """Raise NoPlotsError if a picture of that name cannot be drawn. Call it before long work."""
    if path.suffix not in ENDINGS:
        raise NoPlotsError(f"{path}: a picture's name must end in {' or '.join(ENDINGS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise NoPlotsError("a picture needs matplotlib: pip install 'hotspot-monitor[plots]'")


def draw(calibration: Calibration, path: Path) -> None:
    """Draw the rate against the score, in the format of the file's ending. Raises OSError if it cannot be written."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    strongest, _ = calibration.curve[-1]
    first, last = calibration.scores[Tier.WATCH], min(calibration.scores[Tier.URGENT] + BEYOND, strongest)
    scores = np.linspace(first, last, 300)
    with mpl.rc_context({"svg.hashsalt": calibration.digest, "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axis = figure.add_subplot()
        axis.plot(scores, [calibration.rate_of(score) for score in scores])
        for tier, score in calibration.scores.items():
            rate = calibration.rate_of(score)
            axis.plot([first, score, score], [rate, rate, 0], ":", color="grey", linewidth=0.8)
            axis.annotate(f"{tier}: {rate:.3g} a week", (score, rate), textcoords="offset points", xytext=(6, 4))
        axis.set_yscale("log")
        axis.set_xlim(first, last)
        axis.set_ylim(calibration.rate_of(last), calibration.rate_of(first) * 2)
        axis.set_xlabel("score")
        axis.set_ylabel("alerts a week by chance that reach it")
        axis.set_title(
            f"promised {calibration.budget:g} a week; measured {calibration.rate:.2f} "
            f"({calibration.rate_low:.2f} to {calibration.rate_high:.2f}) on other null histories",
            fontsize=9,
        )
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
