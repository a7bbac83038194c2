"""SaTScan's reference cases as arrays of this project: the options and what SaTScan reported."""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.area.locations import Locations
from detectors.area.neighbours import Neighbours, neighbours
from detectors.models.expected import Expected
from detectors.models.permutation import permutation, share_of_duration
from tests.detectors.problems import compressed, int32
from tests.naive import neighbours as naive
from tests.shared_data import shared

PERMUTATION = ("nycfever_stp_prospective", "nycfever_stp_prospective_14pct", "synthetic_small_stp_prospective")
"""Permutation cases in which the limit on a zone's share of the cases never applies."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """One reference case. ``cases``: (location, age in days before the study's last day), one entry a case."""

    ids: list[str]
    points: list[tuple[float, ...]]
    cases: list[tuple[int, int]]
    days: int
    params: dict[str, Any]
    expected: dict[str, Any]
    maxima: NDArray[np.float64]

    @property
    def ages(self) -> NDArray[np.int32]:
        """The ages of the cases within the longest duration."""
        return int32([age for _, age in self.cases if age < self.params["max_duration_intervals"]])

    @property
    def by_stratum(self) -> NDArray[np.int32]:
        return np.bincount([each for each, _ in self.cases], minlength=len(self.ids)).astype(np.int32)[:, None]

    @functools.cached_property
    def model(self) -> Expected:
        longest = self.params["max_duration_intervals"]
        durations = np.arange(1, longest + 1, dtype=np.int32)
        in_bucket = np.bincount([self.days - 1 - age for _, age in self.cases], minlength=self.days).astype(np.int32)
        return permutation(
            self.by_stratum,
            share_of_duration(in_bucket, np.zeros(self.days, np.int32), 1, durations),
            len(self.cases),
            int32([location for location, age in self.cases if age < longest]),
            self.ages,
            durations,
        )

    @functools.cached_property
    def near(self) -> Neighbours:
        """Neighbours within the maximum radius: chords on the sphere through Locations, otherwise plane kilometres."""
        radius_km = self.params["max_radius_km"]
        if self.params["coordinates"] == "cartesian":
            return compressed(naive.neighbours(self.points, radius_km))
        latitude, longitude = zip(*self.points, strict=True)
        return neighbours(Locations.from_places(self.ids, longitude, latitude, 0.0).points, radius_km * 1000)


@functools.cache
def reference(name: str) -> Reference:
    folder = shared(f"reference/satscan/{name}")
    params = json.loads((folder / "params.json").read_text())
    coordinates = {row[0]: tuple(map(float, row[1:])) for row in _rows(folder / "coordinates.csv")}
    # Ids at one point are one location, named after the smallest.
    name_of: dict[tuple[float, ...], str] = {}
    for place in sorted(coordinates):
        name_of.setdefault(coordinates[place], place)
    ids = sorted(name_of.values())
    last = date.fromisoformat(params["study_end"])
    cases = []
    for place, day, number in _rows(folder / "cases.csv"):
        age = (last - date.fromisoformat(day)).days
        cases += [(ids.index(name_of[coordinates[place]]), age)] * int(number)
    return Reference(
        ids=ids,
        points=[coordinates[place] for place in ids],
        cases=cases,
        days=(last - date.fromisoformat(params["study_start"])).days + 1,
        params=params,
        expected=json.loads((folder / "expected.json").read_text()),
        maxima=np.array([float(llr) for _, llr in _rows(folder / "simulated_llr.csv")]),
    )


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as lines:
        return list(csv.reader(lines))[1:]
