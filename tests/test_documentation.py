"""What the documents name exists and works: commands, targets, links, variables, names."""

from __future__ import annotations

import csv
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from detectors.alerts.response import Response
from detectors.area.incident import Incident
from streams.cli import main
from streams.configuration.area import AreaTable
from streams.configuration.load import Configuration, load
from streams.console.metrics import CONSOLE_METRICS
from streams.messages.incident import decode
from streams.messages.response import decode_response
from streams.webhook.metrics import WEBHOOK_METRICS
from streams.worker.declared_metrics import WORKER_METRICS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCUMENTS}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

each_document = pytest.mark.parametrize("document", sorted(TEXTS))


def blocks(text: str, language: str) -> list[str]:
    """The contents of the fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The arguments of every call of a program, in shell blocks and in inline code; each once."""
    code = [line for text in TEXTS.values() for block in blocks(text, "sh") for line in block.splitlines()]
    code += [inline for text in TEXTS.values() for inline in re.findall(r"`([^`\n]+)`", text)]
    lines = [shlex.split(line, comments=True) for line in code if program in line and "'" not in line]
    calls = dict.fromkeys(tuple(line[1:]) for line in lines if line and Path(line[0]).name == program)
    return [list(call) for call in calls]


CALLS = commands("hotspots")
WITHOUT_SERVERS = ("backtest", "calibrate", "check-config", "scan", "simulate", "documents")
WITH_SERVERS = ("topics", "worker", "replay", "explain", "reproduce", "audit", "export", "console")
"""Run by ``tests/integration/documents/test_documented_commands.py``."""
TESTED_ALONE = {
    "copy-inputs": "integration/worker/test_copy_inputs.py",
    "drill": "integration/drill/test_drill.py",
    "demo": "integration/demo/test_demo.py",
    "password": "streams/cli/test_processes.py",
    "webhook": "integration/webhook/test_webhook.py",
}
each_call = pytest.mark.parametrize("arguments", CALLS, ids=" ".join)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a newcomer, with the files that the documents name."""
    (tmp_path / "area.toml").write_bytes((ROOT / "config" / "monitor.toml").read_bytes())
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "monitor.toml").write_bytes((ROOT / "config" / "monitor.toml").read_bytes())
    (tmp_path / "boundary.geojson").write_bytes((ROOT / "config" / "boundary.geojson").read_bytes())
    times = [datetime(2024, 5, 1, tzinfo=UTC) + timedelta(hours=hours) for hours in range(24 * 70)]
    for name in ("incidents.csv", "FILE.csv"):
        with (tmp_path / name).open("w", newline="") as file:
            rows = [
                [f"i{time:%m%d%H}", time.isoformat(), "burglary", -1.5491 + 0.002 * (7 * time.hour % 12), 53.7997]
                for time in times
            ]
            csv.writer(file).writerows([["id", "occurred_at", "category", "longitude", "latitude"], *rows])
    (tmp_path / "places.csv").write_text("location_id,latitude,longitude\na,53.8,-1.55\nb,53.81,-1.55\n")
    days = "".join(f"{'ab'[day % 2]},2024-05-{day:02},1\n" for day in range(1, 32))
    (tmp_path / "cases.csv").write_text(f"location_id,date,count\n{days}")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "found.toml").write_bytes((tmp_path / "area.toml").read_bytes())
    (tmp_path / "calibration.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parse(arguments: list[str]) -> None:
    """Fail with click's message unless the command and its options exist."""
    name, *options = arguments
    assert name in main.commands, f"no command {name}"
    main.commands[name].make_context(name, options)


# Commands


def test_the_documents_show_how_to_begin() -> None:
    assert {"backtest", "check-config", "topics", "worker"} <= {call[0] for call in CALLS}
    assert {"demo", "test", "kafka"} <= {call[0] for call in commands("make") if call}


@each_call
def test_every_command_exists_with_its_options(arguments: list[str], folder: Path) -> None:
    parse(arguments)


def test_every_command_is_run_by_some_test() -> None:
    """Here, in the tests on servers, or in a test of its own."""
    assert {call[0] for call in CALLS} <= {*WITHOUT_SERVERS, *WITH_SERVERS, *TESTED_ALONE}
    for command, file in TESTED_ALONE.items():
        assert re.search(rf"\b{command}\b", (ROOT / "tests" / file).read_text())


@pytest.mark.parametrize("arguments", [call for call in CALLS if call[0] in WITHOUT_SERVERS], ids=" ".join)
def test_commands_that_need_no_service_work_as_shown(arguments: list[str], folder: Path) -> None:
    if "--calibration" in arguments:  # made earlier in the document, of more weeks
        calibrate = next(call for call in CALLS if call[0] == "calibrate")
        assert CliRunner().invoke(main, [*calibrate, "--weeks", "78"]).exit_code == 0
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    if "--write-config" in arguments:
        assert load(folder / arguments[arguments.index("--write-config") + 1], {}).areas


@each_document
def test_every_option_in_the_text_belongs_to_a_command(document: str) -> None:
    known = {option for command in main.commands.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXTS[document])) <= known


@each_document
def test_every_make_target_exists(document: str) -> None:
    named = [line[0] for line in commands("make") if line]
    named += re.findall(r"`make ([a-z-]+)", TEXTS[document])
    assert set(named) <= TARGETS


@pytest.mark.parametrize("arguments", re.findall(r'ARGS="?(-[^`"]+)', TEXTS["README.md"]))
def test_the_arguments_that_make_passes_on_are_valid(arguments: str, folder: Path) -> None:
    parse(["demo", *shlex.split(arguments)])


# Names


@each_document
def test_every_link_leads_to_a_file(document: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", TEXTS[document])
    relative = [link.split("#")[0] for link in links if not link.startswith(("https://", "http://", "#"))]
    assert [link for link in relative if not (ROOT / document).parent.joinpath(link).exists()] == []


@each_document
def test_every_file_in_the_text_exists(document: str) -> None:
    folders = ("config", "docs", "tests", "streams", "detectors", "benchmarks", ".ci")
    named = re.findall(r"`([\w./-]+)`", TEXTS[document])
    files = [name for name in named if name.split("/")[0] in folders and "/" in name]
    assert [name for name in files if not (ROOT / name).exists()] == []


@each_document
def test_every_environment_variable_is_a_key(document: str) -> None:
    keys = {
        f"HOTSPOTS_{section}__{key}".upper()
        for section in ("kafka", "redis", "metrics", "worker", "console", "webhook")
        for key in getattr(Configuration(), section).__struct_fields__
    }
    pattern = r"HOTSPOTS_[A-Z0-9_]*[A-Z0-9]"
    named = {name for name in re.findall(pattern, TEXTS[document]) if not name.startswith("HOTSPOTS_AREAS__")}
    assert named <= keys | {"HOTSPOTS_CACHE"}  # of the local services, not of the configuration
    of_areas = {name.split("__")[-1].lower() for name in re.findall(r"HOTSPOTS_AREAS__[A-Z0-9_]+", TEXTS[document])}
    assert of_areas <= set(AreaTable.__struct_fields__)


@each_document
def test_every_metric_is_declared(document: str) -> None:
    declared = {each.name for each in (*WORKER_METRICS, *WEBHOOK_METRICS, *CONSOLE_METRICS)}
    named = set(re.findall(r"\bhotspots_[a-z_]*[a-z]", TEXTS[document])) - {"hotspots_build_info"}
    assert named <= declared


@each_document
def test_every_redis_key_is_written(document: str) -> None:
    code = (ROOT / "streams" / "redis_copy" / "contents.py").read_text().split('"""', 2)[2]
    text = re.sub(r"[0-9a-f]{32}", "<id>", TEXTS[document])
    named = re.findall(r"hotspots:\{(?:area|leeds)\}:([a-z<>:]+)", text)
    assert [name for name in named if f'"{name.replace("<id>", "{alert.id}")}"' not in code] == []


@each_document
def test_every_topic_is_one_of_ours(document: str) -> None:
    topics = msgspec.structs.astuple(Configuration().kafka.topics)
    assert set(re.findall(r"[Tt]opic `([^`]+)`", TEXTS[document])) <= set(topics)


# The message


def test_the_messages_in_the_readme_are_an_incident_and_a_response() -> None:
    message, response = blocks(TEXTS["README.md"], "json")
    area, decoded = decode_response(b"leeds", response.encode(), 0, 1, {"leeds"})
    assert area == "leeds"
    assert isinstance(decoded, Response)
    area, incident = decode(b"leeds", message.encode(), (), 0, 1, {"leeds"}, 65_536)
    assert area == "leeds"
    assert isinstance(incident, Incident)
    known = set(Incident.__struct_fields__)
    assert set(msgspec.json.decode(message)) <= known
    assert incident.occurred is not None
    assert incident.reported_at is not None
    assert incident.occurred < incident.reported_at
