"""`hotspots scan` against SaTScan, and its files: their contents, and the messages about unusable ones."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from detectors.study import Question
from streams.analyst.study import scan as study
from streams.analyst.study.files import StudyError
from streams.analyst.study.scan import Report, Request
from streams.cli import main
from tests.shared_data import shared

REFERENCES = (
    "grid_ties_stp_prospective",
    "nm_poisson_spacetime_prospective",
    "nycfever_stp_prospective",
    "nycfever_stp_prospective_14pct",
    "nycfever_stp_retrospective",
    "synthetic_small_poisson_prospective",
    "synthetic_small_poisson_prospective_timestratified",
    "synthetic_small_stp_prospective",
)
CHANCE = 1e-4
STANDARD_ERRORS = 4


def command(name: str, *more: str) -> list[str]:
    """The command line of SaTScan's own analysis."""
    folder = shared(f"reference/satscan/{name}")
    params = json.loads((folder / "params.json").read_text())
    arguments = ["scan", str(folder / "cases.csv"), "--locations", str(folder / "coordinates.csv")]
    if (folder / "population.csv").exists():
        arguments += ["--population", str(folder / "population.csv")]
    arguments += ["--model", "poisson" if "Poisson" in params["model"] else "permutation"]
    arguments += ["--from", params["study_start"], "--to", params["study_end"]]
    arguments += ["--interval", params["time_precision"], "--max-duration", str(params["max_duration_intervals"])]
    arguments += ["--max-share", str(params["max_population_fraction"])]
    if params["max_radius_km"] is not None:
        arguments += ["--max-radius", str(params["max_radius_km"])]
    if "retrospective" in params["analysis"]:
        arguments.append("--retrospective")
    if "time-stratified" in params["time_trend_adjustment"]:
        arguments.append("--time-stratified")
    return [*arguments, "--output", "json", *more]


def report_of(arguments: list[str]) -> dict[str, Any]:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.mark.parametrize("name", REFERENCES)
def test_satscan_reports_the_same(name: str) -> None:
    folder = shared(f"reference/satscan/{name}")
    expected = json.loads((folder / "expected.json").read_text())["clusters"]
    simulated = np.loadtxt(folder / "simulated_llr.csv", delimiter=",", skiprows=1, usecols=1)
    report = report_of(command(name, "--seed", "20240601"))
    assert report["replications"] == len(report["simulated_llr"]) == 999
    assert stats.ks_2samp(report["simulated_llr"], simulated).pvalue > CHANCE
    # Theirs end at the lowest of their own simulated maxima, ours a little lower.
    assert len(report["clusters"]) >= len(expected)
    for ours, theirs in zip(report["clusters"], expected, strict=False):
        assert ours["centre"] == theirs["centre_id"]
        assert set(ours["locations"]) == set(theirs["location_ids"])
        assert (ours["start"], ours["end"]) == (theirs["start"], theirs["end"])
        assert ours["observed"] == theirs["observed"]
        assert ours["expected"] == pytest.approx(theirs["recomputed"]["expected"], abs=1e-6)
        assert ours["radius_km"] == pytest.approx(theirs["recomputed"]["radius"], abs=1e-5)
        assert round(ours["llr"], 6) == theirs["llr"]
        p, q = ours["p_value"], theirs["p_value"]
        assert abs(p - q) <= STANDARD_ERRORS * math.sqrt((p * (1 - p) + q * (1 - q)) / 999) + 1e-3
        assert gumbel_agrees(ours, theirs, simulated)


def gumbel_agrees(ours: dict[str, Any], theirs: dict[str, Any], simulated: np.ndarray) -> bool:
    """Within 5 %, or within four standard errors of the difference, found by resampling both sets of maxima."""
    p, q = ours["p_value_gumbel"], theirs["recomputed"]["p_value_gumbel"]
    if abs(p - q) <= 0.05 * q:
        return True
    generator = np.random.default_rng(1)
    again = generator.choice(simulated, (400, len(simulated)))
    scale = again.std(axis=1) * math.sqrt(6) / math.pi
    score = (theirs["llr"] - (again.mean(axis=1) - 0.5772156649 * scale)) / scale
    error = np.std(np.log(-np.expm1(-np.exp(-score)))) * math.sqrt(2)
    return bool(abs(math.log(p / q)) <= STANDARD_ERRORS * error)


@pytest.mark.parametrize("name", ["nycfever_stp_prospective", "synthetic_small_poisson_prospective"])
def test_the_same_seed_gives_the_same_on_any_number_of_threads(name: str) -> None:
    reports = [report_of(command(name, "--replications", "150", "--threads", each)) for each in ("1", "3")]
    assert reports[0] == reports[1]
    assert report_of(command(name, "--replications", "150", "--seed", "9")) != reports[0]


def test_an_early_stop_is_that_of_satscan() -> None:
    """50 of 207 in SaTScan's own run; ours stops at its 50th maximum above the top cluster."""
    report = report_of(command("nycfever_stp_prospective", "--early-stop"))
    whole = report_of(command("nycfever_stp_prospective"))
    made, top = report["replications"], report["clusters"][0]
    assert report["simulated_llr"] == whole["simulated_llr"][:made]
    assert sum(llr > top["llr"] + 1e-9 for llr in report["simulated_llr"]) == 50
    assert report["simulated_llr"][-1] > top["llr"]
    assert top["p_value"] == 50 / made


def test_an_adjustment_for_earlier_analyses_looks_at_every_end_since_then() -> None:
    """The simulated maxima can only grow, and the more the longer ago surveillance began."""
    plain = report_of(command("nycfever_stp_prospective"))
    late, early = (
        report_of(command("nycfever_stp_prospective", "--adjust-from", day)) for day in ("2001-11-24", "2001-11-10")
    )
    assert late["simulated_llr"] == pytest.approx(plain["simulated_llr"], rel=1e-9)
    assert stats.ks_2samp(early["simulated_llr"], plain["simulated_llr"], alternative="less").pvalue < CHANCE
    ours = early["clusters"][0]
    shown = ours["p_value"]
    assert ours["recurrence_interval_days"] == pytest.approx(1 / (1 - (1 - shown) ** (1 / 15)))
    assert plain["clusters"][0]["recurrence_interval_days"] == pytest.approx(1 / plain["clusters"][0]["p_value"])


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


PLACES = "location_id,x_km,y_km\na,0,0\nb,1,0\nc,5,5\n"


def ask(folder: Path, cases: str, places: str = PLACES, population: str | None = None, **options: Any) -> Report:
    question = Question(max_duration=0, replications=options.pop("replications", 0))
    request = Request(
        cases=write(folder, "cases.csv", cases),
        locations=write(folder, "places.csv", places),
        population=None if population is None else write(folder, "population.csv", population),
        **{
            "model": "permutation",
            "first": date(2025, 1, 1),
            "last": date(2025, 1, 10),
            "interval": "day",
            "question": question,
            **options,
        },
    )
    return study.scan(study.read(request), lambda made: None)


GOOD = "location_id,date,count\na,2025-01-01,4\nb,2025-01-05,6\nc,2025-01-10,5\n"


def test_by_hand(tmp_path: Path) -> None:
    (cluster, *_) = ask(tmp_path, GOOD).clusters
    assert (cluster.centre, cluster.locations, cluster.observed) == ("c", ("c",), 5)
    assert (cluster.start, cluster.end) == ("2025-01-10", "2025-01-10")
    assert cluster.expected == pytest.approx(5 * 5 / 15)
    assert cluster.llr == pytest.approx(5 * math.log(3) + 10 * math.log(10 / (15 - 5 / 3)))
    assert cluster.p_value is cluster.recurrence_interval_days is None


def test_incidents_go_to_the_nearest_location(tmp_path: Path) -> None:
    places = "location_id,longitude,latitude\na,-1.5,53.8\nb,-1.6,53.8\n"
    incidents = "id,occurred_at,longitude,latitude,category\n"
    incidents += "".join(f"{n},2025-01-0{1 + n % 9}T10:00:00+00:00,-1.501,53.8001,theft\n" for n in range(9))
    incidents += "".join(f"x{n},2025-01-10T2{n}:00:00+00:00,-1.5999,53.8,theft\n" for n in range(4))
    (cluster, *_) = ask(tmp_path, incidents, places).clusters
    assert (cluster.centre, cluster.observed) == ("b", 4)


def test_hours_are_intervals_too(tmp_path: Path) -> None:
    cases = "location_id,date\n" + "".join(f"a,2025-01-0{1 + n % 9}T0{n % 9}:30\n" for n in range(18))
    cases += "b,2025-01-10T22:10\n" * 3 + "b,2025-01-10T23:50\n" * 2
    (cluster, *_) = ask(tmp_path, cases, interval="hour", max_duration=4).clusters
    assert (cluster.centre, cluster.observed) == ("b", 5)
    assert (cluster.start, cluster.end) == ("2025-01-10T22:00", "2025-01-10T23:00")


def test_a_least_relative_risk_leaves_weaker_windows_out(tmp_path: Path) -> None:
    risk = (5 / (5 * 5 / 15)) / (10 / (15 - 5 * 5 / 15))
    for least, number in ((risk - 0.01, 1), (risk + 0.01, 0)):
        question = Question(max_duration=0, replications=0, min_risk=least)
        assert len(ask(tmp_path, GOOD, question=question, max_duration=1).clusters) == number


def test_the_expectation_based_model_sees_a_surge_of_the_whole_area(tmp_path: Path) -> None:
    days = [f"2025-01-{day:02}" for day in range(1, 32)]
    usual = [f"{place},{day},1" for day in days[:-1] for place in "abc"]
    surge = [f"{place},{days[-1]},8" for place in "abc"]
    cases = "location_id,date,count\n" + "\n".join([*usual, *surge]) + "\n"
    options: dict[str, Any] = {"last": date(2025, 1, 31), "max_duration": 2, "max_share": 1.0, "replications": 199}
    (cluster, *_) = ask(tmp_path, cases, model="eb-poisson", **options).clusters
    assert set(cluster.locations) == {"a", "b", "c"}
    assert cluster.expected == pytest.approx(3.0, rel=0.2)
    assert cluster.p_value == 1 / 200
    assert ask(tmp_path, cases, model="permutation", **options).clusters == ()


@pytest.mark.parametrize("model", ["permutation", "poisson", "eb-poisson"])
def test_p_values_are_uniform_when_nothing_is_there(tmp_path: Path, model: str) -> None:
    """Cases at random, 200 studies; a chi-square over ten classes that errs once in ten thousand seeds."""
    generator = np.random.default_rng(5)
    names = [f"p{number}" for number in range(12)]
    places = "location_id,x,y\n" + "".join(f"{name},{n % 4},{n // 4}\n" for n, name in enumerate(names))
    population = "location_id,expected_weight\n" + "".join(f"{name},{1 + n % 3}\n" for n, name in enumerate(names))
    weight = np.array([1 + n % 3 for n in range(12)]) / 24
    p_values: list[float] = []
    for number in range(200):
        where, when = generator.choice(12, 300, p=weight), generator.integers(1, 31, 300)
        cases = "location_id,date\n" + "".join(f"{names[w]},2025-01-{t:02}\n" for w, t in zip(where, when, strict=True))
        report = ask(
            tmp_path,
            cases,
            places,
            population if model == "poisson" else None,
            model=model,
            last=date(2025, 1, 30),
            max_duration=3,
            max_radius_km=1.5,
            question=Question(max_duration=0, replications=99, seed=number),
        )
        p_values.append(report.clusters[0].p_value or 1.0 if report.clusters else 1.0)
    found, _ = np.histogram(np.array(p_values), bins=10, range=(0.0, 1.0 + 1e-9))
    if model == "eb-poisson":  # the baseline is estimated, so that its null is only nearly true: few false alarms more
        assert np.mean(np.array(p_values) <= 0.1) < 0.25
    else:
        assert stats.chisquare(found).pvalue > CHANCE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"cases": "location_id,count\na,1\n"},
            "cases.csv: line 1: needs one column of date, year, occurred_at; has none",
        ),
        (
            {"cases": "location_id,date\nz,2025-01-01\n"},
            "cases.csv: line 2: location_id 'z': must be one of the locations",
        ),
        (
            {"cases": "location_id,date\na,1st\n"},
            "cases.csv: line 2: date = '1st': must be a time such as 2025, 2025-12-31 or",
        ),
        ({"cases": "location_id,date,count\na,2025-01-01,-1\n"}, "cases.csv: line 2: count = '-1': must be a whole"),
        ({"cases": "location_id,date\na\n"}, "cases.csv: line 2: 1 fields; must be 2, as in line 1"),
        ({"cases": 'location_id,date\n"a'}, "cases.csv: line 2: must be CSV (unexpected end of data)"),
        ({"cases": "location_id,date\na,2020-01-01\n"}, "cases.csv: has no case within the study"),
        ({"places": "location_id,x_km\na,1\n"}, "places.csv: line 1: needs the columns latitude and longitude, x_km"),
        ({"places": "location_id,x,y\na,1,nan\n"}, "places.csv: line 2: y = 'nan': must be a number"),
        ({"places": "location_id,x,y\na,1,1\na,2,2\n"}, "places.csv: line 3: location_id 'a': an earlier line"),
        (
            {"places": "location_id,longitude,latitude\na,1,91\n"},
            "places.csv: line 2: longitude, latitude = (1.0, 91.0)",
        ),
        ({"places": "location_id,x,y\n"}, "places.csv: has no rows; must have at least one location"),
        ({"model": "poisson"}, "--population: missing; the Poisson model needs it"),
        (
            {"model": "poisson", "population": "location_id\na\n"},
            "population.csv: line 1: needs a column population or",
        ),
        (
            {"model": "poisson", "population": "location_id,population\na,-1\n"},
            "population.csv: line 2: population = -1: must not be negative",
        ),
        (
            {"model": "poisson", "population": "location_id,age,population\na,1,1\n"},
            "population.csv: line 1: its covariates (age) must be the same as the cases' (none)",
        ),
        (
            {"model": "poisson", "population": "location_id,population\na,0\n"},
            "population.csv: has no population for the cases with none at all",
        ),
        ({"max_duration": 6}, "--max-duration 6: must be at most 5, 50% of the study's 10 intervals"),
        ({"last": date(2024, 1, 1)}, "--to 2024-01-01: the study must not end (2024-01-01) before it begins"),
        ({"adjust_from": date(2025, 1, 5)}, "--adjust-from: needs --max-radius"),
        ({"adjust_from": date(2026, 1, 5), "max_radius_km": 1.0}, "--adjust-from 2026-01-05: must lie between"),
        (
            {"model": "eb-poisson", "cases": "location_id,date,age\na,2025-01-01,1\n"},
            "--model eb-poisson: takes no covariates; leave out age",
        ),
    ],
)
def test_an_unusable_file_or_option_is_reported_in_one_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError) as caught:
        ask(tmp_path, **{"cases": GOOD, **change})
    line = str(caught.value)
    assert line.removeprefix(f"{tmp_path}/").startswith(message)
    assert "\n" not in line


def test_the_command_prints_a_table_a_map_and_one_line_of_error(tmp_path: Path) -> None:
    places = write(tmp_path, "places.csv", "location_id,latitude,longitude\na,53.8,-1.5\nb,53.9,-1.5\nc,54,-1.5\n")
    arguments = ["scan", str(write(tmp_path, "cases.csv", GOOD)), "--locations", str(places), "--model", "permutation"]
    arguments += ["--from", "2025-01-01", "--to", "2025-01-10", "--replications", "99"]
    table = CliRunner().invoke(main, arguments)
    assert table.exit_code == 0
    assert "2025-01-10" in table.stdout
    (feature, *_) = report_of([*arguments, "--output", "geojson"])["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-1.5, 54.0]}
    assert feature["properties"]["centre"] == "c"
    wrong = CliRunner().invoke(main, [*arguments, "--max-duration", "9"])
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("hotspots: --max-duration 9: must be at most 5")


# Reports that come late


def late_feed(generator: np.random.Generator, days: int) -> list[tuple[datetime, datetime, int]]:
    """When each of forty cases a day occurred, was reported, and where of nine places; half of them take days."""
    number = generator.poisson(40 * days)
    second, place = generator.integers(0, days * 86_400, number), generator.integers(0, 9, number)
    delay_s = np.where(generator.random(number) < 0.5, generator.exponential(2 * 86_400, number), 600)
    occurred = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=each) for each in second.tolist()]
    return [
        (at, at + timedelta(seconds=round(delay)), where)
        for at, delay, where in zip(occurred, delay_s.tolist(), place.tolist(), strict=True)
    ]


def late_study(folder: Path, feed: list[tuple[datetime, datetime, int]], columns: str, **options: Any) -> study.Study:
    """A study of the last three of 30 days, with the columns location_id, occurred_at and reported_at or fewer."""
    number = columns.count(",") + 1
    rows = [",".join((f"p{where}", at.isoformat(), reported.isoformat())[:number]) for at, reported, where in feed]
    places = "".join(f"p{number},{number % 3},{number // 3}\n" for number in range(9))
    return study.read(
        Request(
            cases=write(folder, "cases.csv", "\n".join([columns, *rows])),
            locations=write(folder, "places.csv", f"location_id,x,y\n{places}"),
            population=None,
            model="eb-poisson",
            first=date(2025, 1, 1),
            last=date(2025, 1, 30),
            interval="day",
            max_duration=3,
            question=Question(max_duration=0),
            **options,
        )
    )


WITH_DELAYS, WITHOUT = "location_id,occurred_at,reported_at", "location_id,occurred_at"


def test_where_reports_come_late_only_those_that_usually_have_come_are_expected(tmp_path: Path) -> None:
    """Twenty feeds without a cluster: the standard error of observed / expected is below .03."""
    generator, end = np.random.default_rng(8), datetime(2025, 1, 31, tzinfo=UTC)
    observed, expected = 0, {WITH_DELAYS: 0.0, WITHOUT: 0.0}
    for _ in range(20):
        feed = [each for each in late_feed(generator, 30) if each[1] < end]
        observed += sum(end - at <= timedelta(days=3) for at, _, _ in feed)
        for columns in expected:
            expected[columns] += late_study(tmp_path, feed, columns).model.expected(27, 30).sum()
    error = math.sqrt(1 / observed)
    assert error < 0.03
    assert abs(observed / expected[WITH_DELAYS] - 1) < STANDARD_ERRORS * error
    assert observed / expected[WITHOUT] < 1 - 2 * STANDARD_ERRORS * error


def test_a_file_of_weeks_later_is_complete(tmp_path: Path) -> None:
    """What was reported after the study's end has come as well; and too few delays give no completeness."""
    feed = late_feed(np.random.default_rng(8), 50)
    early = [each for each in feed if each[1] < datetime(2025, 1, 31, tzinfo=UTC)]
    usual, late, few = (
        late_study(tmp_path, cases, columns).model.expected(27, 30).sum()
        for cases, columns in ((feed, WITHOUT), (feed, WITH_DELAYS), (early[:90], WITH_DELAYS))
    )
    assert late == pytest.approx(usual, rel=0.001)
    assert few == late_study(tmp_path, early[:90], WITHOUT).model.expected(27, 30).sum()


def test_a_report_needs_an_offset_where_its_incident_has_one(tmp_path: Path) -> None:
    feed = late_feed(np.random.default_rng(8), 30)
    naive = [(at, reported.replace(tzinfo=None), where) for at, reported, where in feed]
    with pytest.raises(
        StudyError, match=r"line 2: reported_at = '2025-.*': must be a time such as 2025-12-31T23:10, with a UTC"
    ):
        late_study(tmp_path, naive, WITH_DELAYS)
    columns = "location_id,occurred_at,reported_at\na,2025-01-01T10:00,\nb,2025-01-05T10:00,never\n"
    assert ask(tmp_path, columns).clusters == ()  # the permutation model does not need it
    with pytest.raises(StudyError, match="line 3: reported_at = 'never'"):
        ask(tmp_path, columns, model="eb-poisson")
