"""The pictures of docs/method.md, from one alert of the simulated city: .venv/bin/python benchmarks/_method_pictures.py

The monitor's own code computes every figure in them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from detectors.alerts.alert import Alert
from detectors.area.locations import Locations
from detectors.area.settings import STREAMS, AreaSettings, Stream
from detectors.area.strata import BUCKET_S
from detectors.clusters.recent_cases import RecentCases
from detectors.kernels.ratio import log_likelihood_ratio
from detectors.models.expected import Expected
from detectors.models.nulls import PermutationNull
from detectors.models.permutation import permutation, share_of_duration
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from detectors.scan.replications import largest_by_chance
from detectors.scan.shells import Shells
from detectors.scan.significance import TIERS, Gumbel, Tier, score_for_interval
from streams.analyst.simulated_city import RESOLUTION, Simulation

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
REPLICATIONS = 999
BLUE, RED, GREY = "#1f5fa8", "#c0392b", "#9aa3ad"


class Seen(NamedTuple):
    """The monitor at the tick at which the alert became urgent, and the data behind the alert."""

    monitor: Monitor
    alert: Alert
    model: Expected
    maxima: NDArray[np.float64]
    in_bucket: NDArray[np.int32]
    strata: NDArray[np.int32]
    in_zone: NDArray[np.int64]


def watch(seed: int) -> tuple[Seen, list[Alert]]:
    """Run the simulated city through the monitor; return the first strong alert and its revisions."""
    simulation = Simulation(seed, 7.0)
    locations = Locations.from_cells(simulation.city.cells(RESOLUTION))
    restoring = Restoring("city", AreaSettings(clock="watermark", statistic="permutation"), locations)
    monitor: Monitor | None = None
    live_s, seen, changes = simulation.live_from.timestamp(), None, []
    for offset, incident in enumerate(simulation.run().incidents):
        assert incident.reported_at is not None
        arrival_s = int(incident.reported_at.timestamp())
        if arrival_s < live_s:
            restoring.refill(incident, offset, arrival_s)
            continue
        monitor = monitor or restoring.monitor()
        news = [change for tick in monitor.put(incident, offset, arrival_s) for change in tick.changes]
        changes += news
        if seen is None:
            strong = [change for change in news if change.tier is Tier.URGENT and change.figures.observed >= 6]
            seen = look(monitor, strong[0]) if strong else None
    assert seen is not None
    return seen, [change for change in changes if change.id == seen.alert.id]


def look(monitor: Monitor, alert: Alert) -> Seen:
    """Return the data of the latest scan of the alert's stream."""
    window, stream = monitor.window, STREAMS.index(alert.stream)
    durations = np.array(monitor.settings.durations_h, np.int32)
    cases = RecentCases.of(window, int(durations[-1])).of_stream(stream)
    in_bucket = window.totals(stream, window.first, window.now)
    strata = window.strata(window.first, window.now)
    by_stratum = window.by_stratum[stream].copy()
    share = share_of_duration(in_bucket, strata, by_stratum.shape[1], durations)
    model = permutation(by_stratum, share, int(in_bucket.sum()), cases.location, cases.age, durations)
    location, of_stratum = np.nonzero(by_stratum)
    number = by_stratum[location, of_stratum]
    recent = window.strata(window.now - int(durations[-1]) + 1, window.now)[::-1][cases.age]
    pool = np.repeat(location, number).astype(np.int32)
    null = PermutationNull(pool, np.repeat(of_stratum, number), cases.age, recent)
    shells = Shells.cut(monitor.near, model.expected[:, -1])
    maxima = largest_by_chance(model, null, monitor.near, shells, 3, REPLICATIONS, (0, stream, window.now))
    zone = {monitor.locations.ids.index(name) for name in alert.figures.locations}
    rows = window.rows(window.first, window.now)
    columns = window.columns
    wanted = [row for row in rows.tolist() if int(columns.location[row]) in zone and of(columns.category[row], stream)]
    return Seen(
        monitor, alert, model, maxima, in_bucket, strata, columns.bucket[wanted].astype(np.int64) - window.first
    )


def of(category: int, stream: int) -> bool:
    """Return whether a category is scanned in a stream."""
    return category == stream or STREAMS[stream] is Stream.ALL


def cylinder(seen: Seen, path: Path) -> None:
    """Draw where and how long: the zone on the map, the duration within the window."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8), width_ratios=(1, 1.6), layout="constrained")
    locations, alert = seen.monitor.locations, seen.alert
    metres = 6_371_000 * np.pi / 180
    x = (locations.longitude - alert.figures.longitude) * metres * np.cos(np.radians(alert.figures.latitude))
    y = (locations.latitude - alert.figures.latitude) * metres
    column = seen.monitor.settings.durations_h.index(alert.figures.duration_h)
    near = np.hypot(x, y) < 1500
    shown = left.scatter(x[near], y[near], s=200, c=seen.model.expected[near, column], cmap="Blues", marker="h", vmin=0)
    counts = seen.model.counts[:, column]
    for each in np.flatnonzero(near & (counts > 0)):
        left.text(
            x[each],
            y[each],
            str(counts[each]),
            ha="center",
            va="center",
            color=RED,
            weight="bold",
            size=9,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    left.add_patch(pyplot.Circle((0, 0), alert.figures.radius_m + 170, fill=False, color=RED, lw=1.5))
    left.set(
        xlim=(-1500, 1500),
        ylim=(-1500, 1500),
        aspect="equal",
        xticks=(-1000, 0, 1000),
        yticks=(-1000, 0, 1000),
        xlabel="metres",
        title="the zone",
    )
    figure.colorbar(shown, ax=left, label=f"usual in these {alert.figures.duration_h} hours", shrink=0.8)
    days = len(seen.in_bucket) / 24
    right.hist(
        seen.in_zone / 24 - days, bins=np.arange(-int(days), 1), color=BLUE, label="incidents of the zone, a day"
    )
    right.axvspan(
        -alert.figures.duration_h / 24, 0, color=RED, alpha=0.4, label=f"the last {alert.figures.duration_h} hours"
    )
    right.set(xlabel="days before now: the window", title="the duration")
    right.yaxis.get_major_locator().set_params(integer=True)
    right.legend(loc="upper left")
    save(figure, path)


def strata(seen: Seen, path: Path) -> None:
    """Draw which hours of the week are compared with each other."""
    hour = (np.arange(len(seen.in_bucket)) + seen.monitor.window.first + 72) % 168  # 1970 began on a Thursday
    per_hour = np.bincount(hour, seen.in_bucket, 168) / np.bincount(hour, minlength=168)
    of_hour = np.zeros(168, np.int64)
    of_hour[hour] = seen.strata
    figure, axis = pyplot.subplots(figsize=(9, 2.6), layout="constrained")
    axis.bar(np.arange(168) + 0.5, per_hour, width=1.0, color=mpl.colormaps["tab20"](of_hour % 20))
    axis.set_xticks(np.arange(0, 168, 24), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], ha="left")
    axis.set(xlim=(0, 168), ylabel=f"{seen.alert.stream}, an hour")
    save(figure, path)


def score(seen: Seen, path: Path) -> None:
    """Draw how unusual: the ratio of every cylinder around the centre, and the largest ones that chance brings."""
    alert, near, model = seen.alert, seen.monitor.near, seen.model
    centre = seen.monitor.locations.ids.index(alert.figures.centre)
    sizes = int(near.size[centre])
    zone = near.zone(centre, sizes)
    observed, expected = model.counts[zone].cumsum(axis=0), model.expected[zone].cumsum(axis=0)
    llr = np.array(
        [
            [log_likelihood_ratio(o, e, model.totals[0], 0.0) for o, e in zip(*each, strict=True)]
            for each in zip(observed, expected, strict=True)
        ]
    )
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    shown = left.imshow(llr.T, aspect="auto", origin="lower", cmap="Reds")
    left.set_yticks(range(len(model.durations)), model.durations)
    left.set_xticks(range(sizes), range(1, sizes + 1))
    left.set(xlabel="locations in the zone, nearest first", ylabel="hours until now", title="around one centre")
    figure.colorbar(shown, ax=left, label="log-likelihood ratio")
    gumbel = Gumbel.fit(seen.maxima)
    at = np.linspace(0, max(alert.figures.llr * 1.05, seen.maxima.max()), 300)
    z = (at - gumbel.location) / gumbel.scale
    right.hist(seen.maxima, bins=40, density=True, color=GREY, label=f"largest of each of {REPLICATIONS} by chance")
    right.plot(at, np.exp(-z - np.exp(-z)) / gumbel.scale, color=BLUE, label="Gumbel distribution")
    right.axvline(alert.figures.llr, color=RED, label=f"this cluster: a score of {gumbel.score(alert.figures.llr):.1f}")
    right.set(xlabel="largest log-likelihood ratio of a scan", yticks=[], title="over the whole area")
    right.legend()
    save(figure, path)


def life(revisions: list[Alert], path: Path) -> None:
    """Draw the life of the alert: the score of every revision, and the tiers."""
    figure, axis = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    hours = [(each.tick_s - revisions[0].tick_s) / BUCKET_S for each in revisions]
    axis.step(hours, [each.figures.score for each in revisions], where="post", color=BLUE)
    speaks = [(hour, each.figures.score) for hour, each in zip(hours, revisions, strict=True) if each.notice]
    axis.plot(*zip(*speaks, strict=True), "o", color=RED, label="has something to tell")
    silent = [(hour, each.figures.score) for hour, each in zip(hours, revisions, strict=True) if not each.notice]
    if silent:
        axis.plot(*zip(*silent, strict=True), "o", color=BLUE, mfc="white", label="keeps the figures fresh")
    tiers = AreaSettings().tiers
    for tier in TIERS:
        level = score_for_interval(getattr(tiers, tier))
        axis.axhline(level, color=GREY, lw=0.8, ls=":")
        axis.text(1.0, level, f" {tier}", va="center", transform=axis.get_yaxis_transform())
    free_from = 0.0
    for hour, each in zip(hours, revisions, strict=True):
        if each.notice and hour >= free_from:
            axis.annotate(
                each.notice.replace("_", " "), (hour, each.figures.score), (3, -12), textcoords="offset points", size=8
            )
            free_from = hour + 6  # the text needs room
    axis.set(xlabel="hours since it opened", ylabel="score")
    axis.margins(y=0.15)
    axis.legend(loc="upper right")
    save(figure, path)


def save(figure: pyplot.Figure, path: Path) -> None:
    """Write a picture reproducibly."""
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main(folder: Path) -> None:
    """Draw all pictures."""
    mpl.rcParams.update(
        {
            "svg.hashsalt": "method",
            "svg.fonttype": "none",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    seen, revisions = watch(seed=1)
    cylinder(seen, folder / "method-cylinder.svg")
    strata(seen, folder / "method-strata.svg")
    score(seen, folder / "method-score.svg")
    life(revisions, folder / "method-life.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
