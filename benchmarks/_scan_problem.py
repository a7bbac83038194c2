"""The cost of one problem in a new process: ``_scan_problem.py FOLDER MODEL REPLICATIONS THREADS [RADIUS_KM DAYS]``.

Prints JSON. ``cold``: the first scan, loading kernels from the cache included; ``warm``: the best of three more; both
in CPU seconds for everything after the imports, reading included. ``floor``: a lower bound for the replications, from
the steps that every method needs.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import psutil

from benchmarks._yardstick import nanoseconds
from detectors.scan.shells import Shells
from detectors.study import Question
from streams.analyst.study.scan import Report, Request, Study, read, scan

Limits = tuple[float, int]
"""Radius in km and days."""
USUAL: Limits = (1.0, 7)


def scanned(folder: Path, model: str, replications: int, threads: int, limits: Limits) -> tuple[Study, Report]:
    """Read and scan the problem."""
    radius_km, days = limits
    problem = json.loads((folder / "problem.json").read_text())
    study = read(
        Request(
            cases=folder / "cases.csv",
            locations=folder / "locations.csv",
            population=folder / "population.csv" if model == "poisson" else None,
            model="poisson" if model == "poisson" else "permutation",
            first=date.fromisoformat(problem["study_start"]),
            last=date.fromisoformat(problem["study_end"]),
            interval="day",
            max_radius_km=radius_km,
            max_duration=days,
            question=Question(max_duration=days, replications=replications, threads=threads),
        )
    )
    return study, scan(study, lambda _: None)


def floor_s(study: Study, replications: int, days: int, step_ns: float) -> float:
    """Return the time of the replications' steps at the yardstick's pace.

    Four replications at once need one step for each shell that holds a location with cases, and one for each shell.
    """
    expected = study.model.expected(study.calendar.intervals - days, study.calendar.intervals)
    shells = Shells.cut(study.near, expected.sum(axis=1))
    of_location = np.diff(shells.place_start)
    has_cases = 1 - np.exp(-4 * expected.sum(axis=1)[shells.order])
    steps = float((has_cases * of_location).sum()) + len(shells.first)
    return steps * replications / 4 * step_ns * 1e-9


def main(folder: Path, model: str, replications: int, threads: int, limits: Limits) -> None:
    """Measure and print."""
    imported_mib = psutil.Process().memory_info().rss / 2**20
    times = []
    peak_mib = 0.0
    for _ in range(4):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        study, report = scanned(folder, model, replications, threads, limits)
        times.append((time.process_time() - cpu_s, time.perf_counter() - wall_s))
        # Only the first counts: the next ones begin while the previous result is still held.
        peak_mib = peak_mib or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    step_ns = nanoseconds()
    warm = min(times[1:])
    figures = {
        "cold": times[0][0],
        "warm": warm[0],
        "wall": warm[1],
        "peak_mib": peak_mib - imported_mib,
        "step_ns": step_ns,
        "floor": floor_s(study, replications, limits[1], step_ns),
        "llr": report.clusters[0].llr,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    given = (float(sys.argv[5]), int(sys.argv[6])) if len(sys.argv) > 5 else USUAL
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), given)
