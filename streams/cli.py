"""The command `hotspots`: click commands, wiring only. What a command needs is imported when it runs."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NoReturn

import click

FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

config_option = click.option("--config", type=EXISTING_FILE, help="Configuration file (default: none is needed).")
area_option = click.option("--area", help="Which area of the configuration; needed where it has several.")
from_option = click.option("--from", "from_", type=str, metavar="TIME", help="RFC 3339; a date alone is midnight UTC.")
to_option = click.option("--to", type=str, metavar="TIME", help="RFC 3339; rows from then on are left out.")

speed_option = click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Times recorded time; 0 is as fast as Kafka takes them.",
)


def fail(message: object) -> NoReturn:
    """Leave with one clear line for each fault, and exit code 2."""
    click.echo(f"hotspots: {message}", err=True)
    sys.exit(2)


def moment(text: str | None, option: str) -> datetime | None:
    """A time given on the command line; without an offset it is UTC."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: must be a time such as 2012-06-01 or 2012-06-01T06:00:00-05:00")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hotspot-monitor")
def main() -> None:
    """Watch incidents as they come in, and say where they begin to cluster."""


@main.command()
@config_option
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True)
def worker(config: Path | None, log: Literal["text", "json"]) -> None:
    """Read incidents from Kafka, write alerts to Kafka and Redis, answer Prometheus."""
    from streams.configuration import ConfigurationError, load
    from streams.worker import run_worker

    try:
        configuration = load(config, os.environ)
    except ConfigurationError as error:
        fail(error)
    sys.exit(run_worker(configuration, log))


@main.command()
@config_option
@click.option("--check", is_flag=True, help="Change nothing; say what differs from what is needed.")
def topics(config: Path | None, check: bool) -> None:
    """Create the topics that do not exist, and check those that do."""
    from kafka.errors import KafkaError

    from streams.brokers import check_topics, create_topics, said_of
    from streams.configuration import ConfigurationError, load

    try:
        configuration = load(config, os.environ)
        if not check:
            for created in create_topics(configuration):
                click.echo(f"created {created}")
        faults = check_topics(configuration)
    except ConfigurationError as error:
        fail(error)
    except KafkaError as error:
        fail(said_of(error, configuration.kafka))
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(1)
    click.echo("the topics are as they must be")


@main.command("check-config")
@click.argument("file", type=EXISTING_FILE, required=False)
def check_config(file: Path | None) -> None:
    """Say what is wrong with a configuration file and the environment, one line each."""
    from streams.configuration import check

    faults = check(file, os.environ)
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(2)
    click.echo("the configuration is good")


@main.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@click.option("--timezone", metavar="ZONE", help="IANA name, such as America/Chicago.")
@from_option
@to_option
@click.option("--seed", type=click.IntRange(min=0), help="Of the replications.")
@click.option("--calibration", type=EXISTING_FILE, help="Calibration file of the area (see `hotspots calibrate`).")
@click.option("--write-config", type=FILE, help="Write the configuration that a worker would run with.")
@click.option("--alerts", type=FILE, help="Write every revision as it would be published, one line each.")
@click.option("--output", type=click.Choice(["table", "json", "geojson"]), default="table", show_default=True)
def backtest(
    file: Path,
    config: Path | None,
    area: str | None,
    timezone: str | None,
    from_: str | None,
    to: str | None,
    seed: int | None,
    calibration: Path | None,
    write_config: Path | None,
    alerts: Path | None,
    output: str,
) -> None:
    """Run the monitor over a CSV file of incidents, without a broker."""
    from streams import backtest as run
    from streams.calibration_file import CalibrationError
    from streams.configuration import ConfigurationError, load
    from streams.plan import plan as planned
    from streams.plan import write_configuration
    from streams.reports import print_backtest, progress
    from streams.tables import Table, TableError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        table = Table.read(file)
        plan = planned(table, config, os.environ, area, timezone, seed, calibration, is_calibrated=True)
        for refusal in table.refused:
            click.echo(str(refusal), err=True)
        if write_config is not None:
            write_configuration(write_config, plan)
        rows = list(table.rows(plan.area, plan.settings, to=end))
        max_bytes = load(config, os.environ).worker.max_record_bytes
        with progress("backtest", len(rows)) as step:
            result = run.backtest(rows, plan, begin.timestamp() if begin else None, max_bytes, step)
        if alerts is not None:
            alerts.write_bytes(b"".join(event + b"\n" for event in result.events))
    except (CalibrationError, ConfigurationError, TableError, OSError) as error:
        fail(error)
    for remark in result.remarks():
        click.echo(remark, err=True)
    print_backtest(result, output)


@main.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@click.option("--timezone", metavar="ZONE", help="IANA name, such as America/Chicago.")
@from_option
@to_option
@click.option("--budget", help="Alerts that chance may open, such as '2 per week' (default: the area's).")
@click.option("--weeks", type=click.IntRange(min=78), default=624, show_default=True, help="Of null histories.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the null histories.")
@click.option("--no-near-repeats", is_flag=True, help="Leave ordinary near repeats out of what chance includes.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: as many as there are processors.")
@click.option("--output", type=FILE, required=True, help="The calibration, JSON.")
@click.option(
    "--picture", type=FILE, help="Draw how often chance reaches each score (SVG or PNG; needs the extra plots)."
)
def calibrate(
    file: Path,
    config: Path | None,
    area: str | None,
    timezone: str | None,
    from_: str | None,
    to: str | None,
    budget: str | None,
    weeks: int,
    seed: int,
    no_near_repeats: bool,
    threads: int | None,
    output: Path,
    picture: Path | None,
) -> None:
    """Find from the history in a CSV file what keeps a budget of false alerts."""
    from detectors.calibration.calibrate import blocks_of
    from streams import calibrate as run
    from streams.calibration_file import CalibrationError, write
    from streams.calibration_plot import NoPlotsError, check, draw
    from streams.configuration import ConfigurationError, alerts_per_week
    from streams.plan import plan
    from streams.reports import print_calibration, progress
    from streams.tables import Table, TableError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        if picture is not None:
            check(picture)
        table = Table.read(file)
        chosen = plan(table, config, os.environ, area, timezone, None)
        wanted = alerts_per_week(budget or chosen.budget)
        past = run.past_of(table.entries, chosen, begin, end)
        with progress("null histories", blocks_of(weeks)) as step:
            made = run.make(
                past, chosen, wanted, weeks, seed, not no_near_repeats, threads or os.cpu_count() or 1, step
            )
        write(output, made)
        print_calibration(made)
        if picture is not None:
            draw(made.calibration, picture)
    except (CalibrationError, ConfigurationError, NoPlotsError, TableError, OSError) as error:
        fail(error)


@main.command()
@click.argument("file", type=EXISTING_FILE)
@config_option
@area_option
@from_option
@to_option
@speed_option
def replay(file: Path, config: Path | None, area: str | None, from_: str | None, to: str | None, speed: float) -> None:
    """Send the incidents of a CSV file to Kafka, in order of arrival."""
    from streams.configuration import ConfigurationError, load
    from streams.plan import plan
    from streams.replay import FeedError
    from streams.sending import send
    from streams.tables import Table, TableError

    begin, end = moment(from_, "--from"), moment(to, "--to")
    try:
        table = Table.read(file)
        chosen = plan(table, config, os.environ, area, None, None)
        for refusal in table.refused:
            click.echo(str(refusal), err=True)
        rows = list(table.rows(chosen.area, chosen.settings, from_=begin, to=end))
        sent = send(rows, load(config, os.environ).kafka, chosen.settings.tick_s, speed=speed)
    except (ConfigurationError, TableError, FeedError) as error:
        fail(error)
    click.echo(f"{sent} records sent")


@main.command()
@config_option
@area_option
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the city.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=7.0, show_default=True)
@click.option("--no-inject", is_flag=True, help="Hide no clusters in the days that follow the history.")
@from_option
@to_option
@speed_option
@click.option("--truth", type=FILE, help="Write the injected clusters, JSON.")
@click.option(
    "--cells", type=FILE, help="Write the city's H3 cells for a configuration's cells_file, and send nothing."
)
def simulate(
    config: Path | None,
    area: str | None,
    seed: int,
    days: float,
    no_inject: bool,
    from_: str | None,
    to: str | None,
    speed: float,
    truth: Path | None,
    cells: Path | None,
) -> None:
    """Send a simulated city to Kafka: twelve weeks of history at once, then days with hidden clusters."""
    from streams.configuration import ConfigurationError, load
    from streams.plan import plan
    from streams.replay import FeedError
    from streams.sending import send
    from streams.simulator import RESOLUTION, Simulation, write_truth
    from streams.tables import Table

    begin, end = moment(from_, "--from"), moment(to, "--to")
    simulation = Simulation(seed, days, not no_inject)
    try:
        if cells is not None:
            cells.write_text("".join(f"{cell}\n" for cell in simulation.city.cells(RESOLUTION)), encoding="utf-8")
            return
        simulated = simulation.run()
        if truth is not None:
            write_truth(truth, simulated.clusters)
        table = Table.from_incidents(simulated.incidents)
        chosen = plan(table, config, os.environ, area, None, None)
        rows = list(table.rows(chosen.area, chosen.settings, from_=begin, to=end))
        kafka, live_from_s = load(config, os.environ).kafka, simulation.live_from.timestamp()
        sent = send(rows, kafka, chosen.settings.tick_s, speed=speed, live_from_s=live_from_s)
    except (ConfigurationError, FeedError, OSError) as error:
        fail(error)
    click.echo(f"{sent} records sent, {len(simulated.clusters)} clusters hidden in them")


@main.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End so long after it is ready (default: at Ctrl-C).")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the simulated city.")
@click.option("--no-inject", is_flag=True, help="Hide no clusters in it.")
@click.option("--data", type=EXISTING_FILE, help="Replay recorded incidents, a CSV file, instead.")
@click.option("--picture", type=FILE, help="Save the last view as an SVG picture.")
def demo(seconds: float | None, seed: int, no_inject: bool, data: Path | None, picture: Path | None) -> None:
    """Run everything on this machine and watch incidents come in and clusters come out."""
    from rich.console import Console

    from streams.demo import run
    from streams.demo_source import RecordedCity, SimulatedCity
    from streams.demo_summary import DemoError
    from streams.reports import print_demo
    from streams.tables import TableError

    try:
        source = SimulatedCity(seed, not no_inject, seconds) if data is None else RecordedCity(data, seconds)
        summary = run(Console(), source, seconds, picture)
    except (DemoError, TableError) as error:
        click.echo(f"hotspots: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print_demo(summary)


DATE = click.DateTime(["%Y-%m-%d"])


@main.command()
@click.argument("cases", type=EXISTING_FILE)
@click.option("--locations", type=EXISTING_FILE, required=True, help="CSV: location_id and coordinates.")
@click.option("--population", type=EXISTING_FILE, help="CSV: location_id, population or expected_weight.")
@click.option("--model", type=click.Choice(["permutation", "poisson", "eb-poisson"]), required=True)
@click.option("--retrospective", is_flag=True, help="Clusters that ended before the study did, too.")
@click.option("--time-stratified", is_flag=True, help="Poisson: every interval is compared with itself.")
@click.option("--from", "from_", type=DATE, required=True, help="First day of the study.")
@click.option("--to", type=DATE, required=True, help="Its last day.")
@click.option("--interval", type=click.Choice(["day", "year", "hour"]), default="day", show_default=True)
@click.option("--max-radius", type=click.FloatRange(min=0), metavar="KM", help="Of a cluster (default: no limit).")
@click.option(
    "--max-share",
    type=click.FloatRange(min=0, max=0.5, min_open=True),
    default=0.5,
    show_default=True,
    help="Of all cases, or of all expected, within a cluster's locations over the whole study.",
)
@click.option("--max-duration", type=click.IntRange(min=1), metavar="N", help="Intervals (default: half the study).")
@click.option("--min-cases", type=click.IntRange(min=2), default=2, show_default=True)
@click.option("--min-risk", type=click.FloatRange(min=0), default=0.0, help="Least relative risk of a cluster.")
@click.option("--replications", type=click.IntRange(min=0, max=1_000_000), default=999, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the replications.")
@click.option("--adjust-from", type=DATE, help="Adjust for the analyses of every interval since this day.")
@click.option("--early-stop", is_flag=True, help="Stop once one in twenty replications is above the top cluster.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: as many as there are processors.")
@click.option("--output", type=click.Choice(["json", "geojson", "table"]), default="table", show_default=True)
def scan(
    cases: Path,
    locations: Path,
    population: Path | None,
    model: Literal["permutation", "poisson", "eb-poisson"],
    retrospective: bool,
    time_stratified: bool,
    from_: datetime,
    to: datetime,
    interval: Literal["day", "year", "hour"],
    max_radius: float | None,
    max_share: float,
    max_duration: int | None,
    min_cases: int,
    min_risk: float,
    replications: int,
    seed: int,
    adjust_from: datetime | None,
    early_stop: bool,
    threads: int | None,
    output: str,
) -> None:
    """Scan a file of cases once, as an analyst does: clusters with their p-values."""
    from detectors.study import Question
    from streams import study as run
    from streams.reports import print_study, progress
    from streams.study_files import StudyError

    request = run.Request(
        cases=cases,
        locations=locations,
        population=population,
        model=model,
        first=from_.date(),
        last=to.date(),
        interval=interval,
        time_stratified=time_stratified,
        max_radius_km=max_radius,
        max_share=max_share,
        max_duration=max_duration,
        adjust_from=adjust_from.date() if adjust_from else None,
        question=Question(
            max_duration=0,
            min_cases=min_cases,
            min_risk=min_risk,
            is_retrospective=retrospective,
            replications=replications,
            seed=seed,
            early_stop=early_stop,
            threads=threads or os.cpu_count() or 1,
        ),
    )
    try:
        study = run.read(request)
        if study.cases.outside:
            click.echo(f"{study.cases.outside} cases lie outside the study and are left out", err=True)
        with progress("replications", replications) as step:
            report = run.scan(study, step)
        print_study(study, report, output)
    except StudyError as error:
        fail(error)


@main.command("compile")
def compile_() -> None:
    """Compile the kernels into the cache, so that nothing waits for it later."""
    from streams.warm_up import compile_calibration, compile_kernels, compile_scan

    click.echo("Compiling the kernels (about a minute the first time) ...")
    compile_kernels()
    compile_scan()
    compile_calibration()


@main.command()
@click.option("--kafka-port", type=click.IntRange(0, 65535), default=9092, show_default=True)
@click.option("--redis-port", type=click.IntRange(0, 65535), default=6379, show_default=True)
@click.option("--prepare", "only_prepare", is_flag=True, help="Fetch what is needed, and start nothing.")
def services(kafka_port: int, redis_port: int, only_prepare: bool) -> None:
    """Run a broker and a Redis on this machine for development."""
    from streams.kafka_jars import prepare
    from streams.local_services import LocalServiceError, serve

    try:
        if only_prepare:
            prepare(click.echo)
        else:
            serve(kafka_port, redis_port)
    except LocalServiceError as error:
        fail(error)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("docs/schemas"))
def schemas(folder: Path) -> None:
    """Write the JSON Schemas of the messages into a folder."""
    from streams.schemas import write

    write(folder)
