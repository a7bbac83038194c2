"""The rules of Prometheus use existing metrics, lead to a runbook, and fire only when they should."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.operations.promql import ALERTS, RECORDS, ROOT, RULES, asked, declared_in, faults

CASES = sorted(Path(__file__).parent.glob("rules_*.yml"))

each_alert = pytest.mark.parametrize("name", ALERTS)
each_rule = pytest.mark.parametrize("name", [*RECORDS, *ALERTS])


class Check(NamedTuple):
    """A moment of a case: the alerts in question, those of them that must fire, and the metrics at hand."""

    asked_for: set[str]
    fire: set[str]
    at_hand: set[str]


def named(text: str) -> set[str]:
    return set(re.findall(r'alertname="(\w+)"', text))


def checks() -> list[Check]:
    """Every moment of every case."""
    found = []
    for file in CASES:
        for case in yaml.safe_load(file.read_text())["tests"]:
            at_hand = set[str]().union(*(declared_in(each["series"]) for each in case["input_series"]))
            for check in case["promql_expr_test"]:
                if "ALERTS" in check["expr"]:
                    fire = set[str]().union(*(named(each["labels"]) for each in check.get("exp_samples", [])))
                    found.append(Check(named(check["expr"]) or set(ALERTS), fire, at_hand))
    return found


CHECKS = checks()


def promtool(*arguments: str | Path) -> None:
    result = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_names_in_a_query_are_found() -> None:
    query = 'sum by (area, le) (rate(hotspots_a_bucket{area=~"up|(x)", le!="1"}[5m] offset 1w)) > on () max(b:c:d) * 2'
    assert asked(query) == ({"hotspots_a_bucket": {"area", "le"}, "b:c:d": set()}, {"area", "le"})
    assert faults("sum by (reason) (hotspots_lag_records)") == ["nothing has the label reason"]
    assert faults('hotspots_lag{area="a"}') == ["no metric hotspots_lag"]
    assert faults('hotspots_lag_records{reason="a"}') == ["hotspots_lag_records has no label reason"]


@each_rule
def test_a_rule_uses_existing_metrics(name: str) -> None:
    assert faults((RECORDS | ALERTS)[name]["expr"]) == []


@pytest.mark.parametrize("name", RECORDS)
def test_a_recorded_figure_has_a_standard_name(name: str) -> None:
    """level:metric:operation, where the level is the remaining labels."""
    assert re.fullmatch(r"[a-z_]+:hotspots_[a-z_]+:[a-z0-9]+(_[a-z0-9]+)*", name)
    assert set(name.split(":")[0].split("_")) == asked(RECORDS[name]["expr"]).gathered_by - {"le"}


@each_alert
def test_an_alert_has_a_severity_a_summary_and_a_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert name.startswith("Hotspots")
    assert rule["for"]
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"}, {"severity": "info"})
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    assert len(rule["annotations"]["summary"]) < 80


@each_alert
def test_the_text_of_an_alert_uses_labels_that_it_has(name: str) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"])))
    text = "".join(file.read_text() for file in CASES)
    for labels in re.findall(rf'\{{alertname="{name}", alertstate="firing"([^}}]*)\}}\', value', text):
        assert used <= set(re.findall(r"(\w+)=", labels))


@each_alert
def test_cases_show_when_an_alert_fires_and_when_not(name: str) -> None:
    needed = declared_in(ALERTS[name]["expr"])
    of_it = [check for check in CHECKS if name in check.asked_for]
    assert any(name in check.fire for check in of_it)
    assert any(name not in check.fire and needed <= check.at_hand for check in of_it)


@pytest.mark.debian
def test_promtool_has_no_complaint_about_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.debian
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_cases_hold(file: Path) -> None:
    promtool("test", "rules", file)


# The pages


def page(name: str) -> str:
    return (ROOT / "docs" / "runbooks" / f"{name}.md").read_text()


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {*ALERTS, "README"}


@each_alert
def test_a_page_has_its_four_sections(name: str) -> None:
    text = page(name)
    assert text.startswith(f"# {name}\n")
    parts = ["What it means", "What the control room sees", "How to look", "How to fix"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == parts


def test_the_pages_name_existing_services() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for line in re.findall(r"docker compose ([^`\n]+)", "".join(map(page, [*ALERTS, "README"]))):
        command, *words = re.sub(r"--[a-z]+(?:[ =](?:worker=)?\d+\w?)?", "", line).split()
        of_services = words[:1] if command == "exec" else words
        assert {*of_services} <= services.keys()


def test_the_index_has_every_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", page("README"), re.MULTILINE)
    assert rows == [(name, name, rule["labels"]["severity"]) for name, rule in ALERTS.items()]
