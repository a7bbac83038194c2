"""`hotspots scan`: finds clusters, with their p-values, in the analyst's files."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.area.neighbours import Neighbours, neighbours
from detectors.models.expectation import ExpectationModel, baseline
from detectors.models.permutation import PermutationModel
from detectors.models.poisson import PoissonModel, standardised
from detectors.study import Model, Question, StudyCases, StudyCluster, StudyResult, scan_study
from detectors.window.completeness import Delays
from detectors.window.sliding import ALL
from streams.analyst.study.calendar import DAYS, Calendar, Unit, moment
from streams.analyst.study.files import (
    LONGEST_DELAY_S,
    Cases,
    Places,
    StudyError,
    read_cases,
    read_places,
    read_population,
)

ModelName = Literal["permutation", "poisson", "eb-poisson"]
MAX_DURATION_SHARE = {"permutation": 0.5, "poisson": 0.9, "eb-poisson": 0.9}
"""Longest time span of each model, as a share of the study (docs/method.md section 3)."""
MAX_PAIRS = 200_000_000
"""Largest number of pairs of neighbours. Without a radius, every location is a neighbour of every other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """The options of the command. ``max_duration`` is a number of intervals."""

    cases: Path
    locations: Path
    population: Path | None
    model: ModelName
    first: date
    last: date
    interval: Unit
    time_stratified: bool = False
    max_radius_km: float | None = None
    max_share: float = 0.5
    max_duration: int | None = None
    adjust_from: date | None = None
    question: Question


class Cluster(msgspec.Struct, frozen=True):
    """A cluster in the names of the files. ``start`` and ``end`` are inclusive."""

    centre: str
    locations: tuple[str, ...]
    radius_km: float
    start: str
    end: str
    observed: int
    expected: float
    llr: float
    p_value: float | None
    p_value_gumbel: float | None
    recurrence_interval_days: float | None


class Report(msgspec.Struct, frozen=True):
    """The result of a scan."""

    clusters: tuple[Cluster, ...]
    replications: int
    seed: int
    simulated_llr: list[float]


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """The files as read, and everything that the scan needs."""

    request: Request
    calendar: Calendar
    places: Places
    cases: Cases
    near: Neighbours
    model: Model
    question: Question


def read(request: Request) -> Study:
    """Read the files of a study.

    Raises:
        StudyError: A file or an option cannot be used; the message is one line.
    """
    try:
        calendar = Calendar.of(request.first, request.last, request.interval)
    except ValueError as error:
        raise StudyError(f"--to {request.last}: {error}") from None
    question = _question(request, calendar)
    places = read_places(request.locations)
    cases = read_cases(request.cases, places, calendar, with_delays=request.model == "eb-poisson")
    if request.model == "eb-poisson":
        near = _neighbours(request, places, np.bincount(cases.place, minlength=len(places.ids)).astype(np.float64))
        return Study(request, calendar, places, cases, near, _expectation(cases, calendar, near, question), question)
    model = (
        _permutation(cases, calendar, places)
        if request.model == "permutation"
        else _poisson(request, cases, calendar, places)
    )
    # Without a limit on shares: earlier analyses could not know the cases of the whole study.
    near = _neighbours(request, places, None if question.adjust_from is not None else model.mass)
    return Study(request, calendar, places, cases, near, model, question)


def scan(study: Study, step: Callable[[int], object]) -> Report:
    """Scan the study. ``step`` is called with the number of replications made since the previous call."""
    cases = StudyCases(study.cases.place, study.cases.interval, study.calendar.intervals)
    return _report(study, scan_study(study.model, cases, study.near, study.question, step))


def features(study: Study, report: Report) -> list[dict[str, Any]]:
    """Return the clusters as GeoJSON features, each a point at its centre.

    Raises:
        StudyError: The coordinates are not degrees.
    """
    if not study.places.is_sphere:
        raise StudyError("--output geojson: needs coordinates in degrees, latitude and longitude")
    return [
        {
            "type": "Feature",
            "geometry": {
                "type": "Point",
                "coordinates": study.places.coordinates[study.places.index[cluster.centre]].tolist(),
            },
            "properties": msgspec.to_builtins(cluster),
        }
        for cluster in report.clusters
    ]


def _question(request: Request, calendar: Calendar) -> Question:
    longest = max(1, math.floor(MAX_DURATION_SHARE[request.model] * calendar.intervals))
    asked = request.max_duration if request.max_duration is not None else max(1, calendar.intervals // 2)
    if asked > longest:
        share = MAX_DURATION_SHARE[request.model]
        raise StudyError(
            f"--max-duration {asked}: must be at most {longest}, {share:.0%} of the study's {calendar.intervals} "
            "intervals"
        )
    adjust_from = None
    if request.adjust_from is not None:
        if request.question.is_retrospective:
            raise StudyError("--adjust-from: must be left out; a retrospective scan allows for all earlier ends")
        if request.max_radius_km is None:
            raise StudyError("--adjust-from: needs --max-radius, because a share cannot limit the earlier windows")
        adjust_from = calendar.interval(moment(request.adjust_from.isoformat()))
        if adjust_from is None:
            raise StudyError(f"--adjust-from {request.adjust_from}: must lie between --from and --to")
    return dataclasses.replace(request.question, max_duration=asked, adjust_from=adjust_from)


def _neighbours(request: Request, places: Places, mass: Any) -> Neighbours:
    radius = math.inf if request.max_radius_km is None else request.max_radius_km
    if math.isinf(radius) and len(places.ids) ** 2 > MAX_PAIRS:
        raise StudyError(f"--max-radius: missing; with {len(places.ids)} locations a limit is needed")
    if mass is None:
        return neighbours(places.points, radius)
    return neighbours(places.points, radius, mass, request.max_share * float(mass.sum()))


def _permutation(cases: Cases, calendar: Calendar, places: Places) -> Model:
    return PermutationModel(cases.place, cases.interval, cases.group, len(places.ids), calendar.intervals)


def _poisson(request: Request, cases: Cases, calendar: Calendar, places: Places) -> Model:
    if request.population is None:
        raise StudyError("--population: missing; the Poisson model needs it")
    censuses = read_population(request.population, places, cases)
    numbers = np.bincount(cases.group).tolist()
    edges = np.array(calendar.edges)
    try:
        expected = standardised(censuses, edges, dict(enumerate(numbers)), len(places.ids))
    except ValueError:
        people = {census.group for census in censuses if sum(census.population) > 0}
        values = next(values for values, group in cases.groups.items() if group not in people)
        covariates = ", ".join(f"{n} = {v}" for n, v in zip(cases.covariates, values, strict=True)) or "none at all"
        raise StudyError(f"{request.population}: has no population for the cases with {covariates}") from None
    in_interval = np.bincount(cases.interval, minlength=calendar.intervals)
    return PoissonModel(expected, in_interval, request.time_stratified)


def _expectation(cases: Cases, calendar: Calendar, near: Neighbours, question: Question) -> Model:
    if cases.covariates:
        raise StudyError(f"--model eb-poisson: takes no covariates; leave out {', '.join(cases.covariates)}")
    strata = calendar.strata()
    end = calendar.intervals if question.is_retrospective else calendar.intervals - question.max_duration
    is_history = cases.interval < end
    completeness = _completeness(cases, calendar)
    length = np.bincount(strata[:end], completeness[:end], int(strata.max()) + 1).astype(np.float64)
    usual = baseline(cases.place[is_history], strata[cases.interval[is_history]], length, near)
    return ExpectationModel(usual[:, strata], completeness)


def _completeness(cases: Cases, calendar: Calendar) -> NDArray[np.float64]:
    """Return each interval's completeness, 1 where it is unknown.

    The completeness is that at the study's end, or at the last report if that is later.
    """
    edges_s = [round(86_400 * edge) for edge in calendar.edges]
    now_s = max(edges_s[-1], round(86_400 * cases.reported_until))
    longest_s = min((now_s - edges_s[0]) // 2, LONGEST_DELAY_S)
    latest = bisect.bisect_right(edges_s, now_s - longest_s) - 2
    columns = cases.delay_s, cases.interval, cases.place, np.zeros(len(cases.place), np.int8)
    delays = Delays(*columns, latest, longest_s, now_s)
    shares = [delays.completeness(ALL, begin_s, end_s) for begin_s, end_s in itertools.pairwise(edges_s)]
    return np.array([1.0 if share is None else share for share in shares])


def _report(study: Study, found: StudyResult) -> Report:
    return Report(
        clusters=tuple(_cluster(study, each) for each in found.clusters),
        replications=len(found.maxima),
        seed=study.question.seed,
        simulated_llr=found.maxima.tolist(),
    )


def _cluster(study: Study, found: StudyCluster) -> Cluster:
    places, calendar = study.places, study.calendar
    zone = study.near.zone(found.centre, found.size).tolist()
    return Cluster(
        centre=places.ids[found.centre][0],
        locations=tuple(name for location in zone for name in places.ids[location]),
        radius_km=places.radius_km(study.near.radius(found.centre, found.size)),
        start=calendar.starts(found.begin),
        end=calendar.ends(found.end - 1),
        observed=found.observed,
        expected=found.expected,
        llr=found.llr,
        p_value=found.p_value,
        p_value_gumbel=found.p_value_gumbel,
        recurrence_interval_days=_recurrence_days(study, found),
    )


def _recurrence_days(study: Study, found: StudyCluster) -> float | None:
    """Return the recurrence interval of a cluster of a prospective scan, in days (docs/method.md section 5)."""
    if study.question.is_retrospective or found.p_value_scan is None:
        return None
    begun = study.question.adjust_from
    analyses = 1 if begun is None else study.calendar.intervals - begun
    p = min(found.p_value_scan, 1 - 1e-16)
    return max(1.0, DAYS[study.calendar.unit] / -math.expm1(math.log1p(-p) / analyses))
